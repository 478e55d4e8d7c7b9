//! The planner and the plan as a contract, from outside. `OPENG2P_BLESS=1` writes `docs/reference/plan.schema.json` anew.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read files; the crate itself takes values only"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;
mod explained;
mod fields;
mod learned;
mod pictures;
mod planner;
mod random;
mod schema;

use std::collections::BTreeSet;

use openg2p_plan::{
    Assessed, Entry, EntryState, Fingerprint, Inputs, Observed, Owned, Owner, Plan, PlanError, Resource,
    ResourceId, Risk, Verdict, Weight, towards,
};
use serde_json::{Value, json};

fn id(name: &str) -> ResourceId {
    ResourceId::new("thing", name)
}

fn inputs() -> Inputs {
    Inputs {
        site: Fingerprint::of(&json!(1)),
        bundle: "b".into(),
        ledger_generation: 7,
        engine: "1".into(),
    }
}

/// A desired thing; what was seen follows from the verdict.
fn item(name: &str, needs: &[&str], verdict: Verdict) -> Assessed {
    let resource = Resource {
        id: id(name),
        owner: Owner::Site,
        desired: json!({"name": name}),
        needs: needs.iter().map(|need| id(need)).collect(),
        follows: BTreeSet::new(),
        why: "a test wants it".into(),
        asked_by: "site.yaml:3".into(),
        part: "tests".into(),
    };
    let observed = match &verdict {
        Verdict::Create => Observed::Absent,
        Verdict::Unknown(why) => Observed::Unknown(why.clone()),
        _ => Observed::Present(json!({"is": name})),
    };
    Assessed {
        resource,
        observed,
        verdict,
        weight: Weight {
            risk: Risk::Restart,
            guess: 2.0,
            undo: "nothing".into(),
        },
        claims: Vec::new(),
        recorded: true,
    }
}

fn owned(name: &str, needs: &[&str]) -> Owned {
    Owned {
        entry: Entry {
            resource: id(name),
            owner: Owner::Environment("dev".into()),
            part: "tests".into(),
            state: EntryState::Present,
            desired: json!({"name": name}),
            details: Value::Null,
            needs: needs.iter().map(|need| id(need)).collect(),
            created_by: "r1".into(),
            changed_by: "r1".into(),
            fingerprint: String::new(),
            created_at: 0,
            changed_at: 0,
        },
        observed: Observed::Present(json!({"is": name})),
        weight: Weight::default(),
    }
}

fn plan(items: Vec<Assessed>) -> Result<Plan, PlanError> {
    towards("s", inputs(), items, Vec::new(), Vec::new())
}

fn update() -> Verdict {
    Verdict::Update(Vec::new())
}

/// The names of the steps, in their order.
fn names(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| format!("{} {}", step.action.verb(), step.resource.name()))
        .collect()
}

#[test]
fn no_test_file_is_forgotten() {
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            name == "main" || source.contains(&format!("mod {name};")),
            "`mod {name};` is missing in main.rs"
        );
    }
}
