//! What does not fit or is kept by the store is refused, and never cut.

use openg2p_names::host::{FileName, HostName};
use openg2p_names::kubernetes::{NamespaceName, OwnerLabel};
use openg2p_names::network::InterfaceName;
use openg2p_names::objects::{BucketName, TopicName, TopicPrefix};
use openg2p_names::postgresql::{DatabaseName, RoleName};
use openg2p_names::{EnvironmentId, Key, Label, NameError, Owner};
use proptest::prelude::*;

use crate::{DOMAIN, STORES, environment, label};

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

fn key(environment: &str, component: &str) -> Key {
    Key::of(environment, component).unwrap()
}

#[test]
fn the_longest_that_fits_is_taken_and_one_more_is_refused() {
    for (store, limit, name) in STORES {
        // words are added to as far as they go; stores that hold more than three full words have no such border
        let mut border = None;
        for length in 3..=191_usize {
            let words = [length.min(63), length.saturating_sub(63).clamp(1, 63)];
            let key = key(&"e".repeat(words[0]), &"c".repeat(words[1]));
            match name(&key) {
                Ok(text) => {
                    assert!(text.len() <= *limit);
                    assert!(border.is_none(), "{store}: {length} fits behind one that did not");
                }
                Err(error) => {
                    border.get_or_insert(length);
                    let NameError::TooLong {
                        length,
                        limit: said,
                        name,
                        ..
                    } = error
                    else {
                        panic!("{store}: {error}")
                    };
                    assert!(length > said && said == *limit && name.len() == length);
                }
            }
        }
        assert_eq!(border.is_some(), *limit == 63, "{store}");
    }
}

#[test]
fn the_border_of_each_store_is_exact() {
    // 31 + `_` + 31 = 63
    assert_eq!(
        DatabaseName::of(&key(&"e".repeat(31), &"c".repeat(31)))
            .unwrap()
            .as_str()
            .len(),
        63
    );
    assert!(DatabaseName::of(&key(&"e".repeat(31), &"c".repeat(32))).is_err());
    assert_eq!(
        BucketName::of(&key(&"e".repeat(31), &"c".repeat(31)))
            .unwrap()
            .as_str()
            .len(),
        63
    );
    assert!(BucketName::of(&key(&"e".repeat(31), &"c".repeat(32))).is_err());
    assert_eq!(
        InterfaceName::of(&label(&"c".repeat(12))).unwrap().as_str(),
        "wg-cccccccccccc"
    );
    assert!(InterfaceName::of(&label(&"c".repeat(13))).is_err());
    let owner = |length: usize| Owner::environment(&"e".repeat(length)).unwrap();
    assert_eq!(OwnerLabel::of(&owner(51)).unwrap().as_str().len(), 63);
    assert!(OwnerLabel::of(&owner(52)).is_err());
    let host = |domain: usize| {
        let id = EnvironmentId::new("dev").unwrap();
        HostName::of(&label("spar"), &id, &"d".repeat(domain))
    };
    assert_eq!(host(244).unwrap().as_str().len(), 253);
    assert!(host(245).is_err());
    // 255 - `.openg2p-new` - `.conf` = 238
    assert_eq!(
        FileName::of(&host(229).unwrap(), ".conf").unwrap().as_str().len(),
        243
    );
    assert!(FileName::of(&host(230).unwrap(), ".conf").is_err());
}

#[test]
fn what_a_store_keeps_for_itself_is_refused() {
    assert!(matches!(
        RoleName::of(&key("pg", "spar")),
        Err(NameError::Reserved { .. })
    ));
    assert!(matches!(
        DatabaseName::of(&key("pg", "spar")),
        Err(NameError::Reserved { .. })
    ));
    assert!(RoleName::of(&key("pgx", "spar")).is_ok());
    for (environment, component) in [("xn--a", "b"), ("sthree-a", "b"), ("a", "mrap"), ("a", "b--x-s3")] {
        let made = BucketName::of(&key(environment, component));
        assert!(matches!(made, Err(NameError::Reserved { .. })), "{made:?}");
    }
    for taken in ["default", "kube-system", "openg2p-storage"] {
        let id = EnvironmentId::new(taken).unwrap();
        assert!(matches!(NamespaceName::of(&id), Err(NameError::Reserved { .. })));
    }
    for site in openg2p_names::RESERVED {
        assert!(EnvironmentId::new(site).is_err(), "{site}");
    }
    // Kafka refuses `.` and `..`; nothing that is made is one of them, and nothing holds `_`
    assert_eq!(TopicName::of(&key("a", "b")).unwrap().as_str(), "a.b");
}

#[test]
fn the_rule_of_a_does_not_open_ab() {
    let prefix = TopicPrefix::of_owner(&Owner::environment("a").unwrap());
    let other = TopicName::of(&key("ab", "c")).unwrap();
    assert_eq!((prefix.as_str(), other.as_str()), ("a.", "ab.c"));
    assert!(!other.as_str().starts_with(prefix.as_str()));
    let component = TopicPrefix::of_component(&key("a", "b")).unwrap();
    let other = TopicName::of(&key("a", "bc").with_purpose("x").unwrap()).unwrap();
    assert!(
        !other.as_str().starts_with(component.as_str()),
        "{component} {other}"
    );
    // all topics of a component, whatever one of them is for
    let one = key("a", "b").with_purpose("x").unwrap();
    assert_eq!(TopicPrefix::of_component(&one).unwrap(), component);
    let another = TopicName::of(&key("a", "b").with_purpose("y").unwrap()).unwrap();
    assert!(
        another.as_str().starts_with(component.as_str()),
        "{component} {another}"
    );
}

#[test]
fn names_read_as_people_expect() {
    let spar = key("dev", "spar");
    let made: Vec<String> = STORES.iter().map(|(_, _, name)| name(&spar).unwrap()).collect();
    assert_eq!(
        made,
        [
            "dev_spar",
            "dev_spar",
            "dev.spar",
            "dev.spar",
            "dev.spar",
            "g2p.dev.spar"
        ]
    );
    let host = HostName::of(&label("spar"), environment(&spar).unwrap(), DOMAIN).unwrap();
    assert_eq!(host.as_str(), "spar.dev.g2p.example.org");
}

proptest! {
    #[test]
    fn a_name_gives_its_key_back(owner in LABEL, component in LABEL, purpose in proptest::option::of(LABEL)) {
        let Ok(mut key) = Key::of(&owner, &component) else { return Ok(()) };
        if let Some(purpose) = &purpose {
            key = key.with_purpose(purpose).unwrap();
        }
        for (store, _, name) in STORES {
            let Ok(text) = name(&key) else { continue };
            let bare = text.strip_prefix("g2p.").filter(|_| *store == "nftables").unwrap_or(&text);
            let words: Vec<&str> = bare.split(['.', '_']).collect();
            let mut wanted = vec![owner.as_str(), component.as_str()];
            wanted.extend(purpose.as_deref());
            prop_assert_eq!(words, wanted, "{}", store);
        }
    }

    #[test]
    fn what_is_no_label_is_refused(text in ".{0,70}") {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = !text.is_empty() && text.len() <= 63
            && text.bytes().all(|byte| plain(byte) || byte == b'-')
            && !text.starts_with('-') && !text.ends_with('-');
        prop_assert_eq!(Label::new(&text).is_ok(), good);
    }

    #[test]
    fn nothing_is_cut(owner in LABEL, component in LABEL) {
        let Ok(key) = Key::of(&owner, &component) else { return Ok(()) };
        for (_, limit, name) in STORES {
            match name(&key) {
                Ok(text) => prop_assert!(text.contains(&owner) && text.ends_with(&component)),
                Err(NameError::TooLong { length, .. }) => prop_assert!(length > *limit),
                Err(NameError::TooShort { length, .. }) => prop_assert!(length < 3),
                Err(other) => {
                    let kept = matches!(other, NameError::Reserved { .. });
                    prop_assert!(kept);
                }
            }
        }
    }
}
