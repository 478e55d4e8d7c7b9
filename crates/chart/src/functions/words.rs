//! How xstrings divides a text into words for `snakecase` and `kebabcase`.

use super::strings::{is_space, lower};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

fn is_connector(character: char) -> bool {
    character == '-' || character == '_' || is_space(character)
}

/// Letters that have cases; xstrings calls only these alphabetic.
fn is_alphabet(character: char) -> bool {
    character.is_alphabetic() && (character.is_uppercase() || character.is_lowercase())
}

/// Go's `unicode.IsPunct` for the characters that the standard library can tell.
fn is_punctuation(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_punctuation() && !"$+<=>^`|~".contains(character);
    }
    matches!(
        character,
        '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
    ) || matches!(character, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}')
}

fn next_word(text: &str) -> (Kind, &str, &str) {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else {
        return (Kind::Invalid, "", "");
    };
    let until = |stop: &dyn Fn(char) -> bool| {
        text.char_indices()
            .skip(1)
            .find(|(_, character)| stop(*character))
            .map_or(text.len(), |(at, _)| at)
    };
    let (kind, end) = if is_connector(first) {
        (Kind::Connector, until(&|character| !is_connector(character)))
    } else if is_punctuation(first) {
        (Kind::Punctuation, until(&|character| !is_punctuation(character)))
    } else if first.is_uppercase() {
        (Kind::Upper, upper_word(text))
    } else if is_alphabet(first) {
        (
            Kind::Alphabet,
            until(&|character| !is_alphabet(character) || character.is_uppercase()),
        )
    } else if first.is_numeric() {
        (Kind::Number, until(&|character| !character.is_numeric()))
    } else {
        let stop = |character: char| {
            is_connector(character)
                || is_alphabet(character)
                || character.is_numeric()
                || is_punctuation(character)
        };
        (Kind::Other, until(&stop))
    };
    (kind, &text[..end], &text[end..])
}

/// The end of a word that starts with a capital; "HTTPStatus" is "HTTP" and "Status".
fn upper_word(text: &str) -> usize {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let Some((_, second)) = characters.get(1) else {
        return text.len();
    };
    let position = |index: usize| characters.get(index).map_or(text.len(), |(at, _)| *at);
    if second.is_uppercase() {
        let mut index = 2;
        while characters
            .get(index)
            .is_some_and(|(_, character)| character.is_uppercase())
        {
            index += 1;
        }
        if characters
            .get(index)
            .is_some_and(|(_, character)| is_alphabet(*character))
        {
            index -= 1;
        }
        return position(index);
    }
    let mut index = 1;
    while characters
        .get(index)
        .is_some_and(|(_, character)| is_alphabet(*character) && !character.is_uppercase())
    {
        index += 1;
    }
    position(index)
}

fn push(out: &mut String, kind: Kind, word: &str, connector: char) {
    if kind != Kind::Upper && kind != Kind::Connector {
        out.push_str(word);
        return;
    }
    for character in word.chars() {
        out.push(if is_connector(character) {
            connector
        } else {
            lower(character)
        });
    }
}

/// The words of a text in lower case with a connector between them.
pub(super) fn separated(whole: &str, connector: char) -> String {
    let mut out = String::new();
    if whole.is_empty() {
        return out;
    }
    let (mut kind, mut word, mut remaining) = next_word(whole);
    while !remaining.is_empty() {
        if kind != Kind::Connector {
            push(&mut out, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word, remaining) = next_word(remaining);
        match previous {
            Kind::Number => {
                while matches!(kind, Kind::Alphabet | Kind::Number) {
                    push(&mut out, kind, word, connector);
                    (kind, word, remaining) = next_word(remaining);
                }
                if !matches!(kind, Kind::Invalid | Kind::Punctuation | Kind::Connector) {
                    out.push(connector);
                }
            }
            Kind::Connector => push(&mut out, previous, last, connector),
            Kind::Punctuation => {}
            _ if kind != Kind::Number => {
                if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                    out.push(connector);
                }
            }
            _ if remaining.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, remaining) = next_word(remaining);
                if kind != Kind::Alphabet {
                    push(&mut out, Kind::Number, number, connector);
                    if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                push(&mut out, Kind::Number, number, connector);
                while matches!(kind, Kind::Alphabet | Kind::Number) {
                    push(&mut out, kind, word, connector);
                    (kind, word, remaining) = next_word(remaining);
                }
                if !matches!(kind, Kind::Invalid | Kind::Connector | Kind::Punctuation) {
                    out.push(connector);
                }
            }
        }
    }
    push(&mut out, kind, word, connector);
    out
}
