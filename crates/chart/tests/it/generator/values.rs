//! Random values, written as YAML in many ways, with the paths under which templates find them.

use super::random::Random;

/// What a template may expect under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Number,
    Truth,
    List,
    Table,
}

/// A table of values: its text and its paths, such as `.a.b`.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) text: String,
    pub(crate) paths: Vec<(String, Shape)>,
}

const KEYS: &[&str] = &["a", "b", "c", "name", "image", "list", "port", "x1", "camelCase"];

const TEXTS: &[&str] = &[
    "abc",
    "''",
    "\"\"",
    "Hello",
    "a b",
    "'it''s'",
    "\"a\\nb\"",
    "x-y_z",
    "a.b.c",
    "'1.2.3'",
    "v1.2.3-rc1",
    "\"\\u00e9t\\u00e9\"",
    "héllo",
    "'8080'",
    "'true'",
    "'null'",
    "'0x1f'",
    "'1e3'",
    "~a",
    "'a: b'",
    "'# c'",
    "' lead'",
    "'trail '",
    "'- a'",
    "http://u:p@h.example:80/p?q=1#f",
    "'{{ .Values.a }}'",
    "'a,b,c'",
    "'YWJj'",
    "Foo_Bar-baz",
    "'*'",
    "'&a'",
    "'!t'",
    "'%'",
    "'@at'",
    "'`'",
    "'{\"k\":1}'",
    "'[1,2]'",
    "100m",
    "1Gi",
    "'2024-01-02T03:04:05Z'",
    "'12:30:45'",
    "a#b",
    "'日本語'",
    "\"tab\\t\"",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "10",
    "8080",
    "1.5",
    "-0.25",
    "1e3",
    "1e21",
    "123456789",
    "9007199254740993",
    "0x1F",
    "017",
    "0o17",
    "0b101",
    "1_000",
    "1.0",
    "100000000000000000000",
    "3.14159",
    "1e-7",
    ".5",
    "5.",
    "+3",
    "-0",
];

const TRUTHS: &[&str] = &[
    "true", "false", "yes", "no", "on", "Off", "True", "FALSE", "y", "n",
];

const ITEMS: &[&str] = &[
    "1", "2", "x", "'y z'", "true", "null", "1.5", "{k: v}", "[1]", "a", "b",
];

const NULLS: &[&str] = &["null", "~", "", "Null", "NULL"];

pub(crate) fn text(random: &mut Random) -> &'static str {
    random.pick(TEXTS)
}

/// A table with some entries.
pub(crate) fn table(random: &mut Random) -> Table {
    let mut table = Table::default();
    entries(random, "", 0, 3, &mut table);
    if table.text.is_empty() {
        table.text.push_str("{}\n");
    }
    table
}

fn entries(random: &mut Random, path: &str, indent: usize, depth: usize, table: &mut Table) {
    let first = random.below(KEYS.len());
    let count = 1 + random.below(5);
    for offset in 0..count.min(KEYS.len()) {
        let key = KEYS[(first + offset) % KEYS.len()];
        let path = format!("{path}.{key}");
        table.text.push_str(&format!("{:indent$}{key}:", ""));
        match random.below(if depth == 0 { 7 } else { 11 }) {
            0..=2 => {
                table.text.push_str(&format!(" {}\n", random.pick(TEXTS)));
                table.paths.push((path, Shape::Text));
            }
            3 | 4 => {
                table.text.push_str(&format!(" {}\n", random.pick(NUMBERS)));
                table.paths.push((path, Shape::Number));
            }
            5 => {
                table.text.push_str(&format!(" {}\n", random.pick(TRUTHS)));
                table.paths.push((path, Shape::Truth));
            }
            6 => table.text.push_str(&format!(" {}\n", random.pick(NULLS))),
            7 | 8 => {
                list(random, &path, indent, depth - 1, table);
                table.paths.push((path, Shape::List));
            }
            _ if random.percent(10) => {
                table.text.push_str(" {}\n");
                table.paths.push((path, Shape::Table));
            }
            _ => {
                table.text.push('\n');
                table.paths.push((path.clone(), Shape::Table));
                entries(random, &path, indent + 2, depth - 1, table);
            }
        }
    }
}

fn list(random: &mut Random, path: &str, indent: usize, depth: usize, table: &mut Table) {
    let count = random.below(4);
    if count == 0 {
        table.text.push_str(" []\n");
        return;
    }
    if random.percent(40) {
        let items: Vec<&str> = (0..count).map(|_| random.pick(ITEMS)).collect();
        table.text.push_str(&format!(" [{}]\n", items.join(", ")));
        return;
    }
    table.text.push('\n');
    let inner = if random.percent(30) { indent } else { indent + 2 };
    let tables = depth > 0 && random.percent(40);
    for _ in 0..count {
        if tables {
            let mut element = Table::default();
            entries(random, path, inner + 2, 0, &mut element);
            let body = element.text[inner + 2..].to_owned();
            table.text.push_str(&format!("{:inner$}- {body}", ""));
        } else {
            let from = if random.percent(60) { TEXTS } else { NUMBERS };
            table
                .text
                .push_str(&format!("{:inner$}- {}\n", "", random.pick(from)));
        }
    }
}

const SCALARS: &[&str] = &[
    "a",
    "1",
    "'q'",
    "\"d\"",
    "~",
    "0x10",
    "0b11",
    "010",
    "09",
    "1.5e3",
    "1e400",
    "-.inf",
    ".nan",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "12:30",
    "1_0",
    "<<",
    "=",
    "*x",
    "&x a",
    "&y",
    "!!str 1",
    "!!int '1'",
    "!!float 1",
    "!!bool yes",
    "!!binary YQ==",
    "!!null ''",
    "!t a",
    "|",
    ">",
    "|-",
    ">+",
    "|2",
    "'a",
    "\"a",
    "[",
    "]",
    "{",
    "}",
    "[a",
    "a]",
    "{a: b",
    "[a, b]",
    "{a: b, c}",
    "[a: b]",
    "? a",
    "- a",
    "a: b",
    "-",
    ":",
    "a:",
    ": a",
    "#c",
    "a #c",
    "a#c",
    "---",
    "...",
    "--- a",
    "%YAML 1.1",
    "@a",
    "`a",
    "\"\\x41\\u0041\\U00000041\"",
    "\"\\q\"",
    "'it''s'",
    "a b",
    "a\tb",
    "yes",
    "No",
    "on",
    "null",
    "NULL",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "0o7",
    "1e3",
    "+1",
    "+.5",
    "1.",
    "0.",
    "00",
    "-0",
    "0x",
    "1__0",
    "_1",
    "é",
    "\u{a0}",
    "\u{2028}",
    "a,b",
    "a]b",
    "a, b",
    "{a: [b, {c: d}]}",
];

/// A text that is YAML more often than not, with all that the language offers.
pub(crate) fn document(random: &mut Random) -> String {
    let mut out = String::new();
    let mut indent = 0_usize;
    for _ in 0..=random.below(8) {
        match random.below(10) {
            0 => indent += 2,
            1 => indent = indent.saturating_sub(2),
            2 if random.percent(20) => indent += 1,
            _ => {}
        }
        let key = random.pick(KEYS);
        let scalar = random.pick(SCALARS);
        let line = match random.below(14) {
            0..=4 => format!("{key}: {scalar}"),
            5 => format!("{key}:"),
            6 | 7 => format!("- {scalar}"),
            8 => format!("- {key}: {scalar}"),
            9 => format!("{scalar}: {}", random.pick(SCALARS)),
            10 => format!(
                "{key}: {}\n{:width$}text\n\n{:width$} more",
                random.pick(&["|", ">", "|-", ">-", "|+", ">+", "|1", ">2"]),
                "",
                "",
                width = indent + 2
            ),
            11 => format!("{key}: &{key} {scalar}\nr{key}: *{key}"),
            12 => format!(
                "{key}: {{{}: {scalar}, {}: {}}}",
                random.pick(KEYS),
                random.pick(KEYS),
                random.pick(SCALARS)
            ),
            _ => scalar.to_owned(),
        };
        if random.percent(4) {
            out.push_str(random.pick(&["\t", "---\n", "...\n", "\r\n", "# c\n", "\n", "--- \n"]));
        }
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}
