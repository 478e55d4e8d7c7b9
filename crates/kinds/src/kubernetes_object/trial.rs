//! What the server says of an apply before it is made.

use openg2p_plan::FieldChange;
use openg2p_ports::{FieldConflict, Object, ObjectRef, Ownership, PortError, Trial, World};
use serde_json::{Value, json};

use super::{FIELD_MANAGER, Found, as_left, changes, helm_release, marked, reference, takes};
use crate::Subject;

/// Field managers of Helm, whose fields a planned take-over may take.
const HELM_MANAGERS: [&str; 2] = ["helm", "helm.sh"];

/// Whether Helm manages all these fields, and nobody else any.
fn helm_alone(conflicts: &[FieldConflict]) -> bool {
    conflicts
        .iter()
        .all(|conflict| HELM_MANAGERS.contains(&conflict.manager.as_str()))
}

/// Asks the server what an apply would do. `defined` are the definitions that change in the same plan.
pub(super) async fn of(
    world: &World,
    object: &Object,
    desired: &Value,
    defined: &[&Value],
    taken: bool,
) -> Result<Value, PortError> {
    let manifest = marked(desired);
    let mut trial = world
        .cluster
        .try_apply(&manifest, FIELD_MANAGER, Ownership::Respect)
        .await?;
    if let Trial::Conflict(others) = &trial
        && taken
        && helm_alone(others)
    {
        trial = world
            .cluster
            .try_apply(&manifest, FIELD_MANAGER, Ownership::Take)
            .await?;
    }
    Ok(match trial {
        Trial::Accepted(after) => json!({"changes": changes(&object.0, &after.0)}),
        Trial::Conflict(others) => {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            json!({"conflict": others.join(", ")})
        }
        Trial::Immutable(why) => json!({"immutable": why}),
        // the schema of now knows no field that the same plan brings
        Trial::Refused(_) if defined.iter().any(|definition| declares(definition, &manifest)) => {
            by_manifest(object, desired)
        }
        Trial::Refused(why) => json!({"refused": why}),
        Trial::Impossible(_) => by_manifest(object, desired),
    })
}

/// No server to ask: what the manifest says against what is there is the best that can be told.
fn by_manifest(object: &Object, desired: &Value) -> Value {
    let before = openg2p_plan::difference(&desired["manifest"], &object.0);
    let paths: Vec<FieldChange> = before
        .into_iter()
        .map(|change| FieldChange::new(&change.path, None, None))
        .collect();
    json!({"changes": paths})
}

/// The CustomResourceDefinitions among `subjects` that are there and are to be changed.
pub(super) fn definitions_to_change<'s>(found: &Found, subjects: &[Subject<'s>]) -> Vec<&'s Value> {
    let changes = |subject: &&Subject<'s>| {
        let live = reference(subject.desired).and_then(|place| found.get(&place));
        matches!(live, Some(Ok(live)) if !as_left(live, **subject))
    };
    subjects
        .iter()
        .filter(|subject| subject.desired["manifest"]["kind"] == "CustomResourceDefinition")
        .filter(changes)
        .map(|subject| &subject.desired["manifest"])
        .collect()
}

/// Whether a manifest is a CustomResourceDefinition, and defines the kind of an object.
pub fn defines(definition: &Value, manifest: &Value) -> bool {
    let (spec, version) = (&definition["spec"], manifest["apiVersion"].as_str());
    definition["kind"] == "CustomResourceDefinition"
        && spec["names"]["kind"] == manifest["kind"]
        && version
            .and_then(|version| version.split_once('/'))
            .is_some_and(|(group, _)| spec["group"] == group)
}

/// Whether a definition defines the kind of an object with all fields that it has.
fn declares(definition: &Value, manifest: &Value) -> bool {
    if !defines(definition, manifest) {
        return false;
    }
    let version = manifest["apiVersion"].as_str().and_then(|it| it.split_once('/'));
    let versions = definition["spec"]["versions"].as_array();
    let schema = versions
        .into_iter()
        .flatten()
        .find(|served| version.is_some_and(|(_, version)| served["name"] == version))
        .map(|served| &served["schema"]["openAPIV3Schema"]);
    schema.is_some_and(|schema| has_fields(schema, manifest, true))
}

/// Whether a structural schema has the fields of a value. Those that every object has stand in no schema: `whole` says that it is one.
fn has_fields(schema: &Value, value: &Value, whole: bool) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(name, field)| {
            let of_every_object = whole && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            if of_every_object || schema["x-kubernetes-preserve-unknown-fields"] == true {
                return true;
            }
            let more = &schema["additionalProperties"];
            match (schema["properties"].get(name), more) {
                (Some(known), _) => has_fields(known, field, known["x-kubernetes-embedded-resource"] == true),
                (None, Value::Object(_)) => has_fields(more, field, false),
                (None, more) => more == &Value::Bool(true),
            }
        }),
        Value::Array(items) => items.iter().all(|item| has_fields(&schema["items"], item, false)),
        _ => true,
    }
}

/// Fields stay with whoever manages them, but for those of a Helm release whose take-over was planned. Before taking them, this looks once more
/// that
/// nobody else but Helm holds any.
pub(super) async fn ownership(
    world: &World,
    object: &ObjectRef,
    subject: Subject<'_>,
) -> Result<Ownership, PortError> {
    if !subject.desired["takeOver"].is_array() {
        return Ok(Ownership::Respect);
    }
    let live = world.cluster.get(object).await?;
    let helm = live.as_ref().and_then(helm_release);
    if !helm.is_some_and(|helm| takes(subject.desired, &helm)) {
        return Ok(Ownership::Respect);
    }
    let manifest = marked(subject.desired);
    let trial = world
        .cluster
        .try_apply(&manifest, FIELD_MANAGER, Ownership::Respect)
        .await?;
    Ok(match trial {
        Trial::Conflict(others) if helm_alone(&others) => Ownership::Take,
        _ => Ownership::Respect,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        let spec = json!({"type": "object", "properties": {
            "legs": {"type": "integer"},
            "names": {"type": "object", "additionalProperties": {"type": "object", "properties": {"short": {"type": "string"}}}},
            "herd": {"type": "array", "items": {"type": "object", "properties": {"colour": {"type": "string"}}}},
            "notes": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"data": {"type": "object"}}},
        }});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
        json!({"kind": "CustomResourceDefinition", "spec": {"group": "farm.example.org", "names": {"kind": "Ox"},
            "versions": [{"name": "v1beta1", "schema": {"openAPIV3Schema": {"type": "object"}}}, {"name": "v1", "schema": schema}]}})
    }

    fn ox(spec: &Value) -> Value {
        json!({"apiVersion": "farm.example.org/v1", "kind": "Ox", "metadata": {"name": "bo"}, "spec": spec})
    }

    #[test]
    fn a_definition_declares_what_its_schema_has_and_nothing_else() {
        for (declared, spec) in [
            (true, json!({"legs": 4})),
            (false, json!({"legz": 4})),
            (true, json!({"names": {"bo": {"short": "b"}}})),
            (false, json!({"names": {"bo": {"long": "b"}}})),
            (true, json!({"herd": [{"colour": "red"}]})),
            (false, json!({"herd": [{"colour": "red"}, {"color": "red"}]})),
            (true, json!({"notes": {"anything": [1, {"at": "all"}]}})),
            (
                true,
                json!({"template": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}}}),
            ),
            (false, json!({"template": {"spec": {}}})),
        ] {
            assert_eq!(declares(&definition(), &ox(&spec)), declared, "{spec}");
        }
    }

    #[test]
    fn a_definition_speaks_of_its_own_kind_group_and_versions() {
        let mut other = ox(&json!({"legs": 4}));
        other["apiVersion"] = json!("farm.example.org/v2");
        assert!(defines(&definition(), &other) && !declares(&definition(), &other));
        other["apiVersion"] = json!("zoo.example.org/v1");
        assert!(!defines(&definition(), &other));
        other = ox(&json!({}));
        other["kind"] = json!("Cow");
        assert!(!defines(&definition(), &other));
        other = json!({"apiVersion": "v1", "kind": "Ox"});
        assert!(!defines(&definition(), &other));
        assert!(!defines(&ox(&json!({})), &ox(&json!({}))));
    }
}
