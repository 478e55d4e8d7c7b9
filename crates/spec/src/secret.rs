//! Which values must not be shown.

use std::ops::Range;

const WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "privatekey",
    "apikey",
    "secretkey",
    "accesskey",
    "credential",
    "credentials",
    "sharedkey",
];

/// Whether a value behind this key is likely a secret. `existingSecret` and `passwordKey` name one and are none.
pub(crate) fn looks_secret(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    !plain.starts_with("existing") && WORDS.iter().any(|word| plain.ends_with(word))
}

/// The text with every byte of what looks secret replaced by `*`. Places stay where they were. It works on lines, for it
/// must also hold when the file cannot be read as YAML; it rather hides too much.
pub(crate) fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut hidden_below: Option<usize> = None;
    let mut in_key_block = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start_matches([' ', '-', '\t']).len();
        if hidden_below.is_some_and(|level| indent <= level && !content.trim().is_empty()) {
            hidden_below = None;
        }
        let pem = content.contains("-----BEGIN") && content.contains("PRIVATE KEY");
        if in_key_block || pem {
            in_key_block = !content.contains("-----END");
            mask(&mut shown, line, |_| true);
        } else if hidden_below.is_some() {
            mask(&mut shown, line, |_| true);
        } else {
            let ranges = secret_parts(content);
            if !ranges.is_empty() {
                hidden_below = Some(indent);
            }
            mask(&mut shown, line, |index| {
                ranges.iter().any(|range| range.contains(&index))
            });
        }
    }
    shown
}

/// From behind the `:` of a key that looks secret to the end of the line, and passwords within URLs.
fn secret_parts(line: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    for (colon, _) in line.match_indices(':') {
        let before = line[..colon].trim_end_matches(['"', '\'', ' ']);
        let start = before
            .rfind(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        if looks_secret(&before[start..]) {
            parts.push(colon + 1..line.len());
            return parts;
        }
    }
    for (scheme, _) in line.match_indices("://") {
        let rest = &line[scheme + 3..];
        let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or(rest);
        if let Some(at) = authority.rfind('@') {
            parts.push(scheme + 3..scheme + 3 + at);
        }
    }
    parts
}

fn mask(shown: &mut String, line: &str, hidden: impl Fn(usize) -> bool) {
    for (index, letter) in line.char_indices() {
        if hidden(index) && !letter.is_whitespace() {
            shown.extend(std::iter::repeat_n('*', letter.len_utf8()));
        } else {
            shown.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_hold_secrets() {
        for key in [
            "password",
            "dbPassword",
            "client_secret",
            "API-KEY",
            "token",
            "privateKey",
        ] {
            assert!(looks_secret(key), "{key}");
        }
        for key in [
            "existingSecret",
            "passwordKey",
            "name",
            "tokens",
            "secretName",
            "",
        ] {
            assert!(!looks_secret(key), "{key}");
        }
    }

    #[test]
    fn nothing_secret_is_left_and_places_stay() {
        let text = "a: {user: u, password: hunter2, b: 1}\nurl: https://me:hunter2@host/x\nkey:\n  privateKey: |\n    hunter2\n      hunter2\n  \
                    next: shown\n  pass: x\n\"token\" : hünter2\ntls: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2\n  -----END RSA PRIVATE KEY-----\nend: shown\n";
        let shown = redacted(text);
        assert!(!shown.contains("unter2"), "{shown}");
        assert_eq!(shown.matches("shown").count(), 2, "{shown}");
        assert_eq!(shown.len(), text.len());
        assert_eq!(shown.lines().count(), text.lines().count());
    }
}
