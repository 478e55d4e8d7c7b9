//! What a change would do, field by field, and the words of states.

use openg2p_plan::{Action, FieldChange, Fingerprint, Observed, Presence, Risk, Verdict, difference};
use serde_json::{Value, json};

use crate::{item, plan};

fn told(desired: &Value, live: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let changes = difference(desired, live).into_iter();
    changes
        .map(|FieldChange { path, from, to }| (path, from, to))
        .collect()
}

fn one(path: &str, from: Option<&str>, to: Option<&str>) -> Vec<(String, Option<String>, Option<String>)> {
    vec![(path.into(), from.map(Into::into), to.map(Into::into))]
}

#[test]
fn fields_that_differ_are_told_with_their_place_and_both_values() {
    let live = json!({"spec": {"replicas": 2, "image": "a", "ports": [1, 2]}, "status": {"ready": true}});
    let same = json!({"spec": {"replicas": 2, "image": "a"}});
    assert_eq!(told(&same, &live), []);
    let changed = |desired: Value| told(&json!({ "spec": desired }), &live);
    assert_eq!(
        changed(json!({"replicas": 3})),
        one("spec.replicas", Some("2"), Some("3"))
    );
    assert_eq!(
        changed(json!({"image": "b"})),
        one("spec.image", Some("a"), Some("b"))
    );
    assert_eq!(
        changed(json!({"ports": [2, 1]})),
        one("spec.ports", Some("[1,2]"), Some("[2,1]"))
    );
    // not there before, not there afterwards
    assert_eq!(changed(json!({"more": "x"})), one("spec.more", None, Some("x")));
    assert_eq!(
        changed(json!({ "image": null })),
        one("spec.image", Some("a"), None)
    );
    assert_eq!(changed(json!({ "more": null })), []);
    // a table in the place of something else, and the other way round
    assert_eq!(
        changed(json!({"image": {"a": 1}})),
        one("spec.image", Some("a"), Some("{\"a\":1}"))
    );
    assert_eq!(
        told(&json!({"status": 1}), &live),
        one("status", Some("{\"ready\":true}"), Some("1"))
    );
    assert_eq!(told(&json!(1), &json!(2)), one("", Some("2"), Some("1")));
    let two = changed(json!({"replicas": 3, "image": "b"}));
    assert_eq!(two.len(), 2);
}

#[test]
fn a_value_longer_than_sixty_letters_is_cut() {
    for letter in ["x", "ü"] {
        let exactly = letter.repeat(60);
        assert_eq!(told(&json!(exactly), &Value::Null), one("", None, Some(&exactly)));
        let cut = format!("{}…", letter.repeat(59));
        assert_eq!(
            told(&json!(letter.repeat(61)), &Value::Null),
            one("", None, Some(&cut))
        );
        assert_eq!(
            told(&json!(letter.repeat(200)), &Value::Null),
            one("", None, Some(&cut))
        );
    }
}

#[test]
fn states_have_words_and_fingerprints_show_whole_or_short() {
    assert_eq!(Presence::Absent.word(), "absent");
    assert_eq!(Presence::Present.word(), "present");
    assert_eq!(Presence::Unread.word(), "unread");
    assert_eq!(Action::ALL.map(Action::sign), ["+", "~", "±", "-"]);
    assert_eq!(
        Action::ALL.map(Action::verb),
        ["create", "update", "replace", "remove"]
    );
    let risks = [Risk::Harmless, Risk::Restart, Risk::Downtime, Risk::Data];
    assert_eq!(risks.map(Risk::word), ["harmless", "restart", "downtime", "data"]);
    let seen = Observed::Present(json!(1)).mark();
    assert!(seen.words().contains("present"), "{}", seen.words());
    let fingerprint = Fingerprint::of(&json!({"a": 1}));
    assert_eq!(fingerprint.to_string(), fingerprint.as_str());
    assert_eq!(fingerprint.as_str().len(), 64);
    assert_eq!(fingerprint.short(), &fingerprint.as_str()[..12]);
}

#[test]
fn what_is_made_anew_says_why_and_a_plan_knows_whether_it_has_steps() {
    let anew = plan(vec![item("a", &[], Verdict::Replace("a Job runs once".into()))]).unwrap();
    assert_eq!(anew.steps[0].why, "a Job runs once");
    assert!(anew.steps[0].changes.is_empty());
    let changed = FieldChange::new("spec.replicas", Some("1"), Some("2"));
    let made = plan(vec![item("a", &[], Verdict::Update(vec![changed.clone()]))]).unwrap();
    assert_eq!(
        (made.steps[0].why.as_str(), &made.steps[0].changes),
        ("a test wants it", &vec![changed])
    );
    assert!(!made.is_empty());
    assert!(plan(vec![item("a", &[], Verdict::Same)]).unwrap().is_empty());
}
