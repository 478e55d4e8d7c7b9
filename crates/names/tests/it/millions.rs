//! A million keys, made of the few letters that provoke collisions, and a rule that does collide on them.

use openg2p_names::objects::TopicPrefix;
use openg2p_names::{Key, Label, Owner};

use crate::{STORES, host_of, label};

/// Fixed beginning; a run is repeated byte for byte. (SplitMix64.)
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Mostly short words of `a`, `b`, `0` and `-`, so that words flow into each other; now and then a long one.
    fn word(&mut self) -> Label {
        loop {
            let length = if self.below(16) == 0 {
                1 + self.below(63)
            } else {
                1 + self.below(8)
            };
            let text: String = (0..length)
                .map(|_| ['a', 'b', '0', '-'][usize::try_from(self.below(4)).unwrap_or(0)])
                .collect();
            if let Ok(label) = Label::new(&text) {
                return label;
            }
        }
    }

    fn key(&mut self) -> Key {
        let owner = if self.below(50) == 0 {
            Owner::Site
        } else {
            Owner::environment(self.word().as_str()).unwrap()
        };
        Key {
            owner,
            component: self.word(),
            purpose: (self.below(3) == 0).then(|| self.word()),
        }
    }
}

const COUNT: usize = 1_000_000;

/// A name that stands there twice.
fn twice(names: &mut [String]) -> Option<&str> {
    names.sort_unstable();
    names
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].as_str())
}

#[test]
fn a_million_keys_share_no_name_and_none_is_too_long() {
    let mut dice = Dice(5);
    let mut keys: Vec<Key> = (0..COUNT).map(|_| dice.key()).collect();
    // equal keys are made anew until a million differ
    loop {
        keys.sort_unstable();
        keys.dedup();
        if keys.len() >= COUNT {
            break;
        }
        let missing = COUNT - keys.len() + COUNT / 10;
        keys.extend((0..missing).map(|_| dice.key()));
    }
    let mut told = Vec::new();
    for (store, limit, name) in STORES {
        let mut names: Vec<String> = keys.iter().filter_map(|key| name(key).ok()).collect();
        let made = names.len();
        assert!(made > COUNT / 2, "{store}: {made} of {}", keys.len());
        assert!(names.iter().all(|name| name.len() <= *limit), "{store}: too long");
        assert_eq!(twice(&mut names), None, "{store}");
        told.push(format!("{store} {made} ({} refused)", keys.len() - made));
    }
    eprintln!("distinct names: {}", told.join(", "));

    // the same keys under the rule that most deployers use: the words with `-` between them
    let mut naive: Vec<String> = keys
        .iter()
        .map(|key| {
            let purpose = key
                .purpose
                .as_ref()
                .map(|word| format!("-{word}"))
                .unwrap_or_default();
            format!("{}-{}{purpose}", key.owner.word(), key.component)
        })
        .collect();
    naive.sort_unstable();
    naive.dedup();
    let collisions = keys.len() - naive.len();
    eprintln!("the same keys with `-` between the words: {collisions} collisions");
    assert!(collisions > 1000, "these keys provoke nothing: {collisions}");
}

#[test]
fn a_million_pairs_share_no_host_name_and_no_prefix() {
    let mut dice = Dice(8);
    let mut tried = 0;
    while tried < COUNT {
        let (mut first, mut second) = (dice.key(), dice.key());
        first.purpose = None;
        // as alike as two keys can be: one word is the beginning of the other
        if tried % 2 == 0 {
            second.owner = first.owner.clone();
        }
        if tried % 3 == 0 {
            let longer = format!("{}a", first.component);
            second.component = Label::new(&longer).unwrap_or_else(|_| label("a"));
        }
        if (&first.owner, &first.component) == (&second.owner, &second.component) {
            continue;
        }
        tried += 1;
        if let (Ok(left), Ok(right)) = (host_of(&first), host_of(&second)) {
            assert_ne!(left, right, "{first:?} {second:?}");
        }
        let prefix = TopicPrefix::of_component(&first).unwrap();
        let topic = second.clone().with_purpose("events").unwrap();
        let topic = openg2p_names::objects::TopicName::of(&topic).unwrap();
        assert!(!topic.as_str().starts_with(prefix.as_str()), "{topic} {prefix}");
        if first.owner != second.owner {
            let owner = TopicPrefix::of_owner(&first.owner);
            assert!(!topic.as_str().starts_with(owner.as_str()), "{topic} {owner}");
        }
    }
}
