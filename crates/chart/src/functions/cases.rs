//! Sprig's conversions between cases.

use super::arguments::text;
use super::strings::{is_space, lower, upper};
use crate::template::signature::{Function, Ty, fixed};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("title", &[Ty::Str], |_, args| Ok(title(&text(args, 0)).into())),
    fixed(
        "untitle",
        &[Ty::Str],
        |_, args| Ok(untitle(&text(args, 0)).into()),
    ),
    fixed("swapcase", &[Ty::Str], |_, args| {
        Ok(swap_case(&text(args, 0)).into())
    }),
    fixed("initials", &[Ty::Str], |_, args| {
        Ok(initials(&text(args, 0)).into())
    }),
    fixed("nospace", &[Ty::Str], |_, args| {
        Ok(no_space(&text(args, 0)).into())
    }),
    fixed("camelcase", &[Ty::Str], |_, args| {
        Ok(pascal_case(&text(args, 0)).into())
    }),
    fixed("snakecase", &[Ty::Str], |_, args| {
        Ok(super::words::separated(&text(args, 0), '_').into())
    }),
    fixed("kebabcase", &[Ty::Str], |_, args| {
        Ok(super::words::separated(&text(args, 0), '-').into())
    }),
];

/// Go's deprecated `strings.Title`: a letter after a character that is no part of a word.
fn title(whole: &str) -> String {
    let mut previous = ' ';
    whole
        .chars()
        .map(|character| {
            let separated = if previous.is_ascii() {
                !(previous.is_ascii_alphanumeric() || previous == '_')
            } else {
                !previous.is_alphanumeric() && is_space(previous)
            };
            previous = character;
            if separated { upper(character) } else { character }
        })
        .collect()
}

fn untitle(whole: &str) -> String {
    let mut start = true;
    whole
        .chars()
        .map(|character| {
            if is_space(character) {
                start = true;
                character
            } else if std::mem::take(&mut start) {
                lower(character)
            } else {
                character
            }
        })
        .collect()
}

fn swap_case(whole: &str) -> String {
    whole
        .chars()
        .map(|character| {
            if character.is_uppercase() {
                lower(character)
            } else if character.is_lowercase() {
                upper(character)
            } else {
                character
            }
        })
        .collect()
}

/// The library works byte by byte, so that other letters than ASCII come out as Latin-1.
fn initials(whole: &str) -> String {
    let mut gap = true;
    let mut out = String::new();
    for byte in whole.bytes() {
        let character = char::from(byte);
        if is_space(character) {
            gap = true;
        } else if std::mem::take(&mut gap) {
            out.push(character);
        }
    }
    out
}

/// As with initials, bytes; but a text without spaces is returned as it is.
fn no_space(whole: &str) -> String {
    if !whole.bytes().any(|byte| is_space(char::from(byte))) {
        return whole.to_owned();
    }
    whole
        .bytes()
        .map(char::from)
        .filter(|character| !is_space(*character))
        .collect()
}

/// xstrings' `ToPascalCase`.
fn pascal_case(whole: &str) -> String {
    let connector = |character: char| character == '-' || character == '_' || is_space(character);
    let mut characters = whole.chars();
    let mut out = String::new();
    let mut current = loop {
        match characters.next() {
            None => {
                // The library takes the last connector for a character of its own.
                out.extend(whole.chars().next_back());
                return out;
            }
            Some(character) if connector(character) => out.push(character),
            Some(character) => break character,
        }
    };
    let mut first_upper = current.is_uppercase();
    current = upper(current);
    for next in characters {
        let previous = current;
        current = next;
        if connector(current) && connector(previous) {
            out.push(previous);
            continue;
        }
        if connector(previous) {
            first_upper = current.is_uppercase();
            current = upper(current);
        } else {
            if first_upper {
                if current.is_uppercase() {
                    current = lower(current);
                } else {
                    first_upper = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}
