//! The published JSON Schema of plans.

use std::path::Path;

use openg2p_plan::{Verdict, plan_schema, plan_schema_text};
use serde_json::{Value, json};

use crate::{item, owned, update};

#[test]
fn the_published_schema_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/plan.schema.json");
    let text = plan_schema_text();
    if std::env::var_os("OPENG2P_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "`OPENG2P_BLESS=1 cargo test -p openg2p-plan` writes {} anew",
        path.display()
    );
}

type Change = fn(&mut Value);

fn sample() -> Value {
    let change = openg2p_plan::FieldChange::new("spec.replicas", Some("1"), None);
    let plan = openg2p_plan::towards(
        "s",
        crate::inputs(),
        vec![
            item("a", &[], Verdict::Create),
            item("b", &["a"], Verdict::Update(vec![change])),
            item("c", &["b"], Verdict::Same),
            item("d", &[], Verdict::Replace("why not".into())),
            item("e", &[], update()),
        ],
        vec![owned("z", &[])],
        vec!["look".into()],
    );
    serde_json::to_value(plan.unwrap()).unwrap()
}

#[test]
fn plans_are_what_the_schema_says() {
    let validator = jsonschema::validator_for(&plan_schema()).unwrap();
    let sample = sample();
    let errors: Vec<String> = validator
        .iter_errors(&sample)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    // and the schema refuses what is none
    let changes: &[Change] = &[
        |plan| {
            plan.as_object_mut().unwrap().remove("inputs");
        },
        |plan| plan["steps"][0]["action"] = json!("destroy"),
        |plan| plan["steps"][0]["risk"] = json!("none"),
        |plan| plan["steps"][0]["before"]["fingerprint"] = json!("x"),
        |plan| plan["steps"][0]["number"] = json!(-1),
        |plan| plan["facts"][0]["seen"]["is"] = json!("maybe"),
    ];
    for change in changes {
        let mut other = sample.clone();
        change(&mut other);
        assert!(!validator.is_valid(&other), "{other:#}");
    }
}
