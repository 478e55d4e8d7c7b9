//! A saved plan: what it is bound to, and that an altered one is found.

use openg2p_plan::{Plan, Verdict};
use serde_json::{Value, json};

use crate::{id, inputs, item, owned, update};

fn sample() -> Plan {
    let mut plan = openg2p_plan::towards(
        "s",
        inputs(),
        vec![
            item("a", &[], Verdict::Create),
            item("b", &["a"], update()),
            item("c", &["b"], Verdict::Same),
        ],
        vec![owned("z", &[])],
        vec!["look".into()],
    )
    .unwrap();
    plan.host.insert("host kernel".into(), "6.12".into());
    plan
}

#[test]
fn a_plan_is_the_same_after_it_was_saved() {
    let plan = sample();
    assert_eq!(Plan::from_text(&plan.to_text()), Ok(plan.clone()));
    assert_eq!(plan.fault(), None);
}

#[test]
fn a_saved_plan_that_is_torn_or_altered_anywhere_is_refused() {
    let text = sample().to_text();
    for end in 0..text.len() {
        assert!(
            Plan::from_text(&text[..end]).is_err(),
            "cut off behind byte {end}"
        );
    }
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // what is no text is not read at all
        if let Ok(altered) = String::from_utf8(bytes) {
            assert!(Plan::from_text(&altered).is_err(), "bit {bit}: {altered}");
        }
    }
    let added = format!("{text}\n");
    assert!(Plan::from_text(&added).unwrap_err().contains("no seal"));
    let bare = serde_json::to_string_pretty(&sample()).unwrap();
    assert!(Plan::from_text(&bare).unwrap_err().contains("no seal"));
    let softer = text.replace("harmless", "restart");
    assert!(
        Plan::from_text(&softer)
            .unwrap_err()
            .contains("seal does not fit")
    );
    let older = text.replace("plan/v2", "plan/v1");
    assert!(
        Plan::from_text(&older)
            .unwrap_err()
            .contains("`openg2p.org/plan/v1`")
    );
}

#[test]
fn every_input_that_moved_is_named() {
    let plan = sample();
    assert_eq!(plan.inputs_moved("s", &inputs()), []);
    let mut other = inputs();
    other.site = openg2p_plan::Fingerprint::of(&json!(2));
    other.bundle = "c".into();
    other.engine = "2".into();
    let moved = plan.inputs_moved("t", &other);
    let what: Vec<&str> = moved.iter().map(|moved| moved.what.as_str()).collect();
    assert_eq!(what, ["site name", "site file", "bundle", "openg2p version"]);
    assert_eq!(moved[2].words(), "bundle: planned b, now c");
}

#[test]
fn every_wish_that_moved_is_named() {
    let plan = sample();
    let wishes = || -> Vec<_> {
        ["a", "b", "c"]
            .map(|name| item(name, &[], Verdict::Same).resource)
            .into()
    };
    assert_eq!(plan.wishes_moved(&wishes()), []);
    let mut other = wishes();
    other[0].desired = json!(1);
    other[2].desired = json!(2);
    other.remove(1);
    other.push(item("z", &[], Verdict::Same).resource);
    other.push(item("new", &[], Verdict::Same).resource);
    let moved = plan.wishes_moved(&other);
    let told: Vec<(&str, &str)> = moved
        .iter()
        .map(|moved| (moved.what.as_str(), moved.now.split(' ').next().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("thing/a", "wanted"),
            ("thing/b", "not"),
            ("thing/c", "wanted"),
            ("thing/new", "wanted"),
            ("thing/z", "wanted"),
        ]
    );
    let planned: Vec<&str> = moved.iter().map(|moved| moved.planned.as_str()).collect();
    assert_eq!(planned[1], "wanted");
    assert_eq!(planned[3..], ["not wanted", "to be removed"]);
    let changed = [&moved[0], &moved[2]];
    assert!(
        changed
            .iter()
            .all(|moved| moved.planned.starts_with("wanted as ") && moved.planned != moved.now)
    );
}

#[test]
fn everything_that_was_looked_at_is_in_the_plan() {
    let plan = sample();
    let mut looked: Vec<String> = plan.looked_at().map(|(id, ..)| id.to_string()).collect();
    looked.sort();
    assert_eq!(looked, ["a", "b", "c", "z"].map(|name| id(name).to_string()));
}

type Change = fn(&mut Value);

/// Changes that a person might make to a saved plan, and what is said of them.
#[test]
fn an_altered_plan_is_found() {
    let changes: &[(&str, Change)] = &[
        ("its number is", |plan| plan["steps"][1]["number"] = json!(0)),
        ("before what it needs", |plan| {
            plan["steps"][0]["needs"] = json!([1]);
        }),
        ("before what it needs", |plan| {
            plan["steps"][1]["follows"] = json!([9]);
        }),
        ("its kind is", |plan| plan["steps"][0]["kind"] = json!("other")),
        ("does not leave", |plan| {
            plan["steps"][0]["desired"] = json!({"name": "evil"});
        }),
        ("does not leave", |plan| {
            plan["steps"][1]["action"] = json!("remove");
        }),
        ("twice", |plan| {
            plan["steps"][1]["resource"] = plan["steps"][0]["resource"].clone();
        }),
        ("twice", |plan| {
            plan["facts"][0]["resource"] = plan["steps"][0]["resource"].clone();
        }),
        ("unchanged", |plan| plan["unchanged"] = json!(5)),
        ("unchanged", |plan| plan["facts"] = json!([])),
        ("its number is", |plan| {
            plan["steps"].as_array_mut().unwrap().remove(0);
        }),
    ];
    for (fault, change) in changes {
        let mut value = serde_json::to_value(sample()).unwrap();
        change(&mut value);
        let plan: Plan = serde_json::from_value(value).unwrap();
        let found = plan.fault().unwrap_or_else(|| panic!("not found: {fault}"));
        assert!(found.contains(fault), "{found} is not about `{fault}`");
    }
}
