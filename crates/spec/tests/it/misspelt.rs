//! Every key, misspelt in every usual way, gets the right suggestion. The keys come from the declaration.

use std::collections::BTreeSet;

use openg2p_spec::reference;

use crate::{good, load};

/// Names of the keys of one mapping, and of all others of the file.
fn keys() -> Vec<(String, String)> {
    let given = reference()
        .into_iter()
        .filter(|key| matches!(key.presence, "" | "required"));
    given
        .map(|key| {
            let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
            (parent.to_owned(), name.to_owned())
        })
        .collect()
}

/// The ways in which fingers slip.
fn misspellings(word: &str) -> BTreeSet<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut found = BTreeSet::new();
    let mut add = |letters: &[char]| found.insert(letters.iter().collect::<String>());
    for index in 0..letters.len() {
        let mut left_out = letters.clone();
        left_out.remove(index);
        add(&left_out);
        let mut doubled = letters.clone();
        doubled.insert(index, letters[index]);
        add(&doubled);
        let mut replaced = letters.clone();
        replaced[index] = 'q';
        add(&replaced);
        if index + 1 < letters.len() {
            let mut swapped = letters.clone();
            swapped.swap(index, index + 1);
            add(&swapped);
        }
    }
    add(&word.to_uppercase().chars().collect::<Vec<_>>());
    add(&word.to_lowercase().chars().collect::<Vec<_>>());
    let snake = letters.iter().flat_map(|letter| {
        let first = letter.is_uppercase().then_some('_');
        first.into_iter().chain(letter.to_lowercase())
    });
    add(&snake.collect::<Vec<_>>());
    found.remove(word);
    found.remove("");
    found
}

#[test]
fn the_full_file_has_every_key() {
    let values = load("site.yaml", &good("full")).unwrap().effective.values();
    let given: Vec<String> = values
        .iter()
        .map(|value| {
            value
                .path
                .replace("[0]", "[]")
                .replace("environments.dev", "environments.<environment>")
        })
        .collect();
    for (parent, name) in keys() {
        let path = if parent.is_empty() {
            name
        } else {
            format!("{parent}.{name}")
        };
        assert!(
            given.iter().any(|given| given.starts_with(&path)),
            "full.yaml lacks {path}"
        );
    }
}

#[test]
fn every_misspelt_key_gets_the_right_suggestion() {
    let text = good("full");
    let keys = keys();
    let mut tried = 0;
    for (parent, name) in &keys {
        let siblings: Vec<&str> = keys
            .iter()
            .filter(|(other, _)| other == parent)
            .map(|(_, name)| name.as_str())
            .collect();
        // All places where the key stands; of equal names in different mappings each is tried.
        let places: Vec<usize> = text
            .match_indices(&format!("{name}:"))
            .map(|(at, _)| at)
            .filter(|at| !text[..*at].ends_with(|letter: char| letter.is_alphanumeric()))
            .collect();
        assert!(!places.is_empty(), "{name}");
        for wrong in misspellings(name)
            .into_iter()
            .filter(|wrong| !siblings.contains(&wrong.as_str()))
        {
            for at in &places {
                let broken = format!("{}{wrong}{}", &text[..*at], &text[at + name.len()..]);
                let problems = load("site.yaml", &broken).expect_err(&broken);
                let found = problems.items().iter().find(|item| item.span.bytes.start == *at);
                let found = found.unwrap_or_else(|| panic!("{parent}.{name} as {wrong}:\n{problems}"));
                assert_eq!(found.code, "site::unknown-key", "{wrong}");
                let help = found.help.as_deref().unwrap();
                assert!(
                    help.starts_with(&format!("did you mean `{name}`?")),
                    "{parent}: {wrong}: {help}"
                );
                assert!(help.contains("possible here: "), "{help}");
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}
