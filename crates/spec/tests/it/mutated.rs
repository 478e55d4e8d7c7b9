//! Files that were damaged in any way: an answer, never a panic, and every place lies within the file.

use proptest::prelude::*;

use crate::{good, load};

const NASTY: &[&str] = &[
    "\0",
    "\t",
    "\n",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{202e}",
    "🦀",
    "é",
    "e\u{301}",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "#",
    " #",
    "&a ",
    "*a",
    "!!",
    "!<",
    "|",
    ">",
    "|-\n",
    "%",
    "@",
    "`",
    "<<: ",
    "? ",
    "---\n",
    "...\n",
    "{{",
    "\\x",
    "\u{fffd}",
    ",",
    "~",
    "0x",
    "1e999",
    "  ",
    "\n\n",
    "\u{7f}",
    "\u{9f}",
    "\u{10ffff}",
];

#[derive(Clone, Debug)]
enum Change {
    Insert(usize, usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0..4000_usize;
    prop_oneof![
        (place.clone(), 0..NASTY.len()).prop_map(|(at, what)| Change::Insert(at, what)),
        (place.clone(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (place.clone(), 1..60_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        place.clone().prop_map(Change::Cut),
        (place.clone(), place).prop_map(|(left, right)| Change::Swap(left, right)),
    ]
}

fn apply(text: &mut Vec<char>, change: &Change) {
    let length = text.len().max(1);
    match *change {
        Change::Insert(at, what) => {
            let at = at % length;
            text.splice(at.min(text.len())..at.min(text.len()), NASTY[what].chars());
        }
        Change::Remove(at, count) => {
            let at = (at % length).min(text.len());
            let end = (at + count).min(text.len());
            text.drain(at..end);
        }
        Change::Repeat(at, count) => {
            let at = (at % length).min(text.len());
            let piece: Vec<char> = text[at..(at + count).min(text.len())].to_vec();
            text.splice(at..at, piece);
        }
        Change::Cut(at) => text.truncate(at % length),
        Change::Swap(left, right) if !text.is_empty() => text.swap(left % length, right % length),
        Change::Swap(..) => {}
    }
}

/// What holds for any text.
fn check(text: &str) -> Result<(), TestCaseError> {
    match load("site.yaml", text) {
        Ok(loaded) => {
            prop_assert!(!loaded.site.nodes.is_empty());
            let _lines = loaded.effective.lines();
        }
        Err(problems) => {
            prop_assert!(problems.error_count() > 0);
            for item in problems.items() {
                let bytes = &item.span.bytes;
                prop_assert!(bytes.start <= bytes.end && bytes.end <= text.len(), "{item:?}");
                prop_assert!(
                    item.span.line >= 1
                        && item.span.line <= text.split('\n').count() + text.matches('\r').count()
                );
                prop_assert!(!item.message.chars().any(char::is_control), "{item:?}");
            }
            let shown = problems.render(false, 100);
            prop_assert!(shown.contains("error["));
            prop_assert!(
                !shown.chars().any(|letter| letter.is_control() && letter != '\n'),
                "{shown:?}"
            );
        }
    }
    Ok(())
}

/// How many files each test below damages: three thousand, and fifty thousand in a soak (`OPENG2P_SOAK=1`).
fn cases() -> u32 {
    if std::env::var_os("OPENG2P_SOAK").is_some() {
        50_000
    } else {
        3_000
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn damaged_files_get_an_answer(changes in proptest::collection::vec(change(), 1..6)) {
        let mut text: Vec<char> = good("full").chars().collect();
        for change in &changes {
            apply(&mut text, change);
        }
        check(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_text_gets_an_answer(pieces in proptest::collection::vec(prop_oneof![
        Just("apiVersion: openg2p.org/v1\n".to_owned()), Just("site:\n".to_owned()), Just("  name: a\n".to_owned()),
        (0..NASTY.len()).prop_map(|index| NASTY[index].to_owned()), ".{0,12}",
    ], 0..24)) {
        check(&pieces.concat())?;
    }
}

#[test]
fn deep_and_large_files_are_refused_quickly() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "a:\n ".repeat(5000),
        "x".repeat(2 << 20),
    ] {
        assert!(load("site.yaml", &text).is_err());
    }
    let nested = (0..500)
        .map(|depth| " ".repeat(depth) + "k:\n")
        .collect::<Vec<_>>()
        .concat();
    assert!(load("site.yaml", &nested).is_err());
}
