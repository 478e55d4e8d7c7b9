//! Random assignments, as people write them on a command line and as they should not.

use super::random::Random;

const OPTIONS: &[&str] = &["setJSON", "set", "setString", "setLiteral"];
const NAMES: &[&str] = &["a", "b", "c", "name", "x-y", "a\\.b", "é", ""];
const INDICES: &[&str] = &[
    "[0]",
    "[1]",
    "[2]",
    "[5]",
    "[-1]",
    "[x]",
    "[",
    "[0",
    "[]",
    "[65537]",
    "[99999999999999999999]",
    "[0][1]",
    "[ 1]",
    "[+1]",
];
const VALUES: &[&str] = &[
    "1",
    "0",
    "01",
    "-5",
    "+5",
    "true",
    "FALSE",
    "null",
    "Null",
    "x",
    "",
    "1.5",
    "1e3",
    "a b",
    "{a,b}",
    "{}",
    "{1,true,null}",
    "{a",
    "{a}b",
    "{a,}",
    "{a\\,b}",
    "a\\,b",
    "a\\=b",
    "x=y",
    "9223372036854775807",
    "9223372036854775808",
    " 1",
    "\\",
    "\"q\"",
    "[1]",
    "é",
];
const JSONS: &[&str] = &[
    "1",
    "1.5",
    "\"x\"",
    "null",
    "",
    " ",
    "[1,2]",
    "{\"a\":{\"b\":1}}",
    "tru",
    "true",
    "[1",
    "{\"a\":1}x",
    "1 ",
    "01",
    "-",
    "{}",
    "\"\\u00e9\"",
    "1e3",
];

/// Lines with the option that each belongs to, in Helm's order of options.
pub(crate) fn lines(random: &mut Random) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(usize, String)> = (0..=random.below(3))
        .map(|_| {
            // Mostly `--set`.
            let option = *random.pick(&[&0, &1, &1, &1, &2, &3]);
            (option, line(random, option == 0))
        })
        .collect();
    lines.sort_by_key(|(option, _)| *option);
    lines
        .into_iter()
        .map(|(option, line)| (OPTIONS[option], line))
        .collect()
}

fn line(random: &mut Random, json: bool) -> String {
    let mut out = String::new();
    for index in 0..=random.below(3) {
        if index > 0 && !random.percent(3) {
            out.push(',');
        }
        out.push_str(random.pick(NAMES));
        while random.percent(45) {
            if random.percent(65) {
                out.push('.');
                out.push_str(random.pick(NAMES));
            } else {
                let known = if random.percent(80) { 4 } else { INDICES.len() };
                let index = random.below(known);
                out.push_str(INDICES[index]);
            }
        }
        if !random.percent(4) {
            out.push('=');
        }
        out.push_str(random.pick(if json { JSONS } else { VALUES }));
    }
    if random.percent(4) {
        out.push_str(random.pick(&[",", ".", "=", "[", "]", "{", "}", "\\"]));
    }
    out
}
