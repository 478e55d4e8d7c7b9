//! The JSON Schema: checked in, and of one mind with the parser.

use std::path::Path;

use serde_json::Value;

use crate::{compare, fixtures, load};

/// Faults that a schema can see.
const STRUCTURAL: &[&str] = &[
    "site::unknown-key",
    "site::missing-key",
    "site::wrong-type",
    "site::unknown-word",
    "site::invalid-port",
    "site::invalid-name",
    "site::invalid-environment-name",
    "site::invalid-login",
    "site::not-in-this-version",
    "site::reserved-key",
    "site::duplicate-item",
    "site::invalid-preflight-check",
    "site::unsupported-version",
    "site::empty-list",
];

fn instance(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

#[test]
fn the_checked_in_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/site.schema.json");
    let differs = compare(&path, &openg2p_spec::site_schema_text());
    assert!(
        differs.is_none(),
        "run `OPENG2P_BLESS=1 cargo test -p openg2p-spec`\n{}",
        differs.unwrap_or_default()
    );
}

#[test]
fn good_files_keep_the_schema() {
    let validator = jsonschema::validator_for(&openg2p_spec::site_schema()).unwrap();
    for (name, text) in fixtures("good") {
        let instance = instance(&text).unwrap_or_else(|| panic!("{name}"));
        let problems: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| error.to_string())
            .collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn the_schema_refuses_what_it_can_see_and_nothing_else() {
    let validator = jsonschema::validator_for(&openg2p_spec::site_schema()).unwrap();
    let mut seen = 0;
    for (name, text) in fixtures("bad") {
        let (Some(instance), Err(problems)) = (instance(&text), load("site.yaml", &text)) else {
            continue;
        };
        let structural = problems
            .items()
            .iter()
            .any(|item| STRUCTURAL.contains(&item.code.as_str()));
        let valid = validator.is_valid(&instance);
        if structural {
            seen += 1;
            // An editor's reader may take an IPv6 address, or a number, for what it looks like; the parser is stricter.
            assert!(!valid, "the schema takes {name}, which has\n{problems}");
        }
    }
    assert!(seen > 60, "{seen}");
}
