//! Words of a person inside a message.

use std::fmt::Write;

const LONGEST: usize = 70;

/// The text in backticks, shortened, with nothing in it that could move a cursor, hide or reverse letters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (index, letter) in text.chars().enumerate() {
        if index == LONGEST {
            quoted.push('…');
            break;
        }
        if is_treacherous(letter) {
            let _infallible = write!(quoted, "\\u{{{:x}}}", u32::from(letter));
        } else {
            quoted.push(letter);
        }
    }
    quoted.push('`');
    quoted
}

/// Control, format and invisible characters.
pub(crate) fn is_treacherous(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(quote("a\u{1b}[2J\u{202e}b"), "`a\\u{1b}[2J\\u{202e}b`");
        assert_eq!(quote(&"x".repeat(200)).chars().count(), LONGEST + 3);
    }
}
