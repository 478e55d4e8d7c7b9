//! Hostile words in every field that takes text: refused, or carried through unchanged; never shown raw.

use serde_json::Value;

use crate::{good, load};

const HOSTILE: &[&str] = &[
    "",
    " ",
    "a b",
    "a\nb",
    "a\r\nb",
    "a\tb",
    "\0",
    "a\u{1b}[2Jb",
    "\u{202e}abc",
    "a\u{200b}b",
    "\u{feff}a",
    "dеv",
    "ｄev",
    "Ⅸ",
    "ﬁ",
    "🦀",
    "'",
    "\"",
    "`id`",
    "$(id)",
    "${HOME}",
    "$HOME",
    "; rm -rf /",
    "| sh",
    "&& id",
    "a' OR '1'='1",
    "'; DROP DATABASE spar; --",
    "\\",
    "\\n",
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "~root",
    "-oProxyCommand=id",
    "--help",
    "{{ .Values.x }}",
    "{{",
    "}}",
    "{% raw %}",
    "%s%n",
    "%00",
    "<script>",
    "&amp;",
    "*",
    "?",
    "!",
    "#",
    "a: b",
    "- a",
    "[a]",
    "{a}",
    "null",
    "true",
    "no",
    "0x10",
    "0777",
    "1e3",
    "nan",
    ".inf",
    "=",
    "<<",
    "!!str a",
    "&a",
    "*a",
    "CON",
    "localhost",
    "127.0.0.1",
    "::1",
    "a.b",
    "a..b",
    "xn--",
    "a,b",
    "a=b",
    "a@b",
    "a/b",
    "a:b",
    "kube-system",
    "default",
    "__proto__",
    "ünï",
    "مرحبا",
    "名前",
    "\u{fffd}",
    "\u{e000}",
    "\u{10ffff}",
    "; include /etc/passwd;",
    "server_name _;",
    "a\u{2028}b",
    "a\u{85}b",
];

/// Pieces that mean something to some reader, put before, into and behind a harmless word.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "\\",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{1b}[31m",
    "\u{7}",
    "\u{8}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{200b}",
    "\u{200d}",
    "\u{2028}",
    "\u{2029}",
    "\u{202d}",
    "\u{202e}",
    "\u{2066}",
    "\u{2069}",
    "\u{feff}",
    "\u{fe0f}",
    "\u{301}",
    "а",
    "е",
    "о",
    "ⅼ",
    "１",
    "·",
    "‐",
    "／",
    "\u{2044}",
    "{{.}}",
    "{{ .Release.Name }}",
    "${x}",
    "$(x)",
    "%{x}",
    "<%= x %>",
    "#{x}",
    "../",
    "/../",
    "..\\",
    "//",
    "/",
    "~/",
    "\\\\host\\",
    "; ",
    " && ",
    " || ",
    " | ",
    " > /x ",
    " < /x ",
    "\n; rm -rf / #",
    "' OR 1=1 --",
    "'; DROP ROLE x; --",
    "\"; DROP DATABASE x; --",
    "$$",
    "/*",
    "*/",
    "--",
    "\\'; x",
    "E'\\x27'",
    "<!--",
    "]]>",
    "&lt;",
    "%2e%2e%2f",
    "%0a",
    "{\"a\":1}",
    "[1]",
    "a: b\n  c: d",
    "\n---\n",
    "|\n  x",
];

/// At least three hundred hostile names.
fn hostile() -> Vec<String> {
    let mut words: Vec<String> = HOSTILE.iter().map(|word| (*word).to_owned()).collect();
    for piece in PIECES {
        words.extend([
            format!("{piece}dev"),
            format!("de{piece}v"),
            format!("dev{piece}"),
        ]);
    }
    words.extend(["x".repeat(64), "x".repeat(10_000), "é".repeat(300)]);
    words.sort();
    words.dedup();
    words
}

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
