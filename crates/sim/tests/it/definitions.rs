//! Definitions of custom resources beside objects of their kinds.

use openg2p_plan::{Owner, ResourceId};
use openg2p_ports::ObjectRef;
use openg2p_sim::{Fault, Simulation, Trouble, differences};
use serde_json::{Value, json};

use crate::operator::{Ended, Wish, apply, converge, ledger, plain};
use crate::tiny::{self, Maker, Shape};

fn add(make: &mut Maker, manifest: &Value, needs: &[&ResourceId]) -> ResourceId {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let name = format!(
        "{}/{}",
        word(&manifest["kind"]),
        word(&manifest["metadata"]["name"])
    );
    let desired = json!({"manifest": manifest});
    make.add("kubernetes-object", &name, &Owner::Site, desired, needs)
}

/// A definition with these fields, and an object of its kind.
fn wish(fields: &[&str], spec: &Value) -> Wish {
    let mut make = Maker::default();
    let labels = json!({"openg2p.org/owner": "site"});
    let farm =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "farm", "labels": labels}});
    let farm = add(&mut make, &farm, &[]);
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| ((*field).to_owned(), json!({"type": "string"})))
        .collect();
    let schema =
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "oxen.farm.example.org", "labels": labels},
        "spec": {"group": "farm.example.org", "scope": "Namespaced", "names": {"kind": "Ox", "plural": "oxen"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    let definition = add(&mut make, &definition, &[]);
    let ox = json!({"apiVersion": "farm.example.org/v1", "kind": "Ox",
        "metadata": {"name": "bo", "namespace": "farm", "labels": labels}, "spec": spec});
    add(&mut make, &ox, &[&farm, &definition]);
    Wish {
        resources: make.0,
        ..tiny::wish(&Shape::default())
    }
}

fn installed() -> Simulation {
    let simulation = tiny::resume(&tiny::bare(), 1);
    apply(&simulation, &wish(&["legs"], &json!({"legs": "four"})), "install").well();
    simulation
}

fn later() -> Wish {
    wish(&["colour", "legs"], &json!({"legs": "four", "colour": "red"}))
}

#[test]
fn a_field_and_an_object_that_has_it_come_in_one_plan() {
    let simulation = installed();
    assert_eq!(apply(&simulation, &later(), "edit").well(), 2);
    assert_eq!(apply(&simulation, &later(), "again"), Ended::Nothing);
    let ox = ObjectRef {
        api_version: "farm.example.org/v1".into(),
        kind: "Ox".into(),
        namespace: Some("farm".into()),
        name: "bo".into(),
    };
    let things = simulation.things();
    let ox = things.cluster.as_ref().unwrap().get(&ox).unwrap();
    assert_eq!(ox["spec"]["colour"], "red");
}

#[test]
fn a_field_that_no_definition_has_is_refused_before_anything_changes() {
    let color = json!({"legs": "four", "color": "red"});
    for fields in [&["legs"][..], &["colour", "legs"]] {
        let simulation = installed();
        let before = simulation.things();
        let Ended::Refused(why) = apply(&simulation, &wish(fields, &color), "edit") else {
            panic!("not refused with {fields:?}")
        };
        assert!(why.contains("the API server does not accept it"), "{why}");
        assert!(why.contains(".spec.color"), "{why}");
        assert!(*before == *simulation.things(), "a refused run changed something");
    }
}

#[test]
fn an_edit_of_both_killed_anywhere_ends_in_the_same_world() {
    let start = installed().things();
    let resume = || tiny::resume(&start, 2);
    let whole = resume();
    apply(&whole, &later(), "edit").well();
    let goal = (whole.things().view(), plain(&ledger(&whole)));
    let mut kills = 0;
    for number in 0..whole.count() {
        for trouble in [Trouble::KillBefore, Trouble::KillAfter, Trouble::AnswerLost] {
            let simulation = resume();
            simulation.fault(Fault::at(number, trouble));
            kills += usize::from(apply(&simulation, &later(), "edit") == Ended::Killed);
            converge(&simulation, &later());
            let found = differences(&goal.0, &simulation.things().view());
            assert!(found.is_empty(), "{trouble:?} at {number}: {found:#?}");
            assert_eq!(plain(&ledger(&simulation)), goal.1, "{trouble:?} at {number}");
        }
    }
    assert!(kills > 20, "{kills}");
}
