//! The reference page lists every key and every code.

use std::collections::BTreeSet;
use std::path::Path;

use crate::compare;

const BEGIN: &str = "<!-- keys: written by the tests of crates/spec -->\n";
const END: &str = "<!-- end of keys -->\n";

#[test]
fn the_reference_lists_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/site-file.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!(
        "{before}{BEGIN}\n{}\n{END}{after}",
        openg2p_spec::reference_table()
    );
    let differs = compare(&path, &wanted);
    assert!(
        differs.is_none(),
        "run `OPENG2P_BLESS=1 cargo test -p openg2p-spec`\n{}",
        differs.unwrap_or_default()
    );
}

/// Codes are written out in the source, so that they can be found by their text.
#[test]
fn the_reference_explains_every_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/reference/site-file.md")).unwrap();
    let mut codes = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("src")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for piece in text.split('"').skip(1).step_by(1) {
            let code = piece
                .strip_prefix("site::")
                .or_else(|| piece.strip_prefix("yaml::"))
                .or_else(|| piece.strip_prefix("profile::"));
            if code.is_some_and(|code| {
                !code.is_empty()
                    && code
                        .chars()
                        .all(|letter| letter.is_ascii_lowercase() || letter == '-')
            }) {
                codes.insert(piece.to_owned());
            }
        }
    }
    assert!(codes.len() > 30, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !page.contains(&format!("`{code}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/reference/site-file.md does not explain {missing:?}"
    );
}

#[test]
fn every_code_has_a_bad_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/reference/site-file.md")).unwrap();
    let (errors, _) = page.split_once("Warnings").unwrap();
    let mut shown = BTreeSet::new();
    for (_, text) in crate::fixtures("bad") {
        shown.extend(
            text.lines()
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
    }
    let listed = errors
        .lines()
        .filter_map(|line| line.strip_prefix("| `site::").or(line.strip_prefix("| `yaml::")));
    for code in listed.filter_map(|line| line.split('`').next()) {
        let known = shown.iter().any(|seen| seen.ends_with(&format!("::{code}")));
        assert!(known || code == "too-large", "no bad file shows {code}");
    }
}
