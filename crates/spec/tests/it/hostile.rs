//! Hostile words in every field that takes text: refused, or carried through unchanged; never shown raw.

use openg2p_test_needs::hostile;
use serde_json::Value;

use crate::{good, load};

#[test]
fn there_are_at_least_three_hundred_hostile_names() {
    assert!(hostile().len() >= 300, "{}", hostile().len());
}

/// The text of the field in the full file that is replaced, always within the first such place.
const FIELDS: &[&str] = &[
    "openg2p.org/v1",
    "ministry",
    "g2p.example.org",
    "production",
    "box1",
    "192.0.2.10",
    "storage]",
    "operator",
    "ssh-ed25519",
    "cgroupfs",
    "SystemVerification",
    "kubeadm",
    "172.20.0.0/16",
    "172.21.0.0/16",
    "dev:",
    "former",
    "sandbox",
    "private",
    "10Gi",
    "g2p-bridge:",
    "redis:",
    "size:",
    "conntrack:",
];

fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.push(key.clone());
            strings(value, found);
        }),
        _ => {}
    }
}

#[test]
fn hostile_words_are_refused_or_carried_unchanged() {
    let text = good("full");
    let (mut refused, mut carried) = (0, 0);
    for field in FIELDS {
        let bare = field.trim_end_matches([':', ']']);
        let at = text.find(field).unwrap();
        let end = if *field == "ssh-ed25519" {
            at + text[at..].find('\n').unwrap()
        } else {
            at + bare.len()
        };
        for word in hostile() {
            let quoted = Value::from(word.as_str()).to_string();
            let changed = format!("{}{quoted}{}", &text[..at], &text[end..]);
            match load("site.yaml", &changed) {
                Ok(loaded) => {
                    let mut all = Vec::new();
                    strings(&serde_json::to_value(&loaded.site).unwrap(), &mut all);
                    assert!(all.contains(&word), "{field} {word:?} was changed on the way");
                    let lines: String = loaded
                        .effective
                        .lines()
                        .into_iter()
                        .map(|line| line.text + "\n")
                        .collect();
                    assert!(
                        !lines.chars().any(|letter| letter.is_control() && letter != '\n'),
                        "{field} {word:?}"
                    );
                    let again =
                        load("again.yaml", &lines).unwrap_or_else(|problems| panic!("{word:?}\n{problems}"));
                    // `/etc/passwd` as a key looks like one that holds a secret.
                    let hidden = lines.contains("(hidden)");
                    assert!(hidden || again.site == loaded.site, "{field} {word:?}");
                    carried += 1;
                }
                Err(problems) => {
                    for shown in [problems.render(false, 100), problems.to_string()] {
                        let raw = shown.chars().find(|letter| {
                            (letter.is_control() && *letter != '\n')
                                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                        });
                        assert_eq!(raw, None, "{field} {word:?}:\n{shown}");
                    }
                    refused += 1;
                }
            }
        }
    }
    // Fields with a rule refuse nearly all; chart values and kubelet settings carry all.
    assert!(
        refused > 4000 && carried > 1000,
        "{refused} refused, {carried} carried"
    );
}

#[test]
fn raw_control_and_direction_characters_are_not_shown_raw() {
    for letter in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}', '\u{ad}'] {
        let text = good("full").replace("ministry", &format!("mini{letter}stry"));
        let problems = load("site.yaml", &text).expect_err("it is no DNS label");
        let shown = problems.render(false, 100);
        assert!(!shown.contains(letter), "{letter:?}:\n{shown}");
    }
}
