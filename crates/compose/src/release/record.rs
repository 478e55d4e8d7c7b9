//! What Helm shall know of a release: `helm list`, `get` and `history` read it.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_chart::{Chart, Metadata};
use serde_json::{Map, Value, json};

use super::hooks::Phase;
use super::{Part, Release};

/// A Secret may hold 1 MiB, as base64 of the packed record; above this, parts are left out.
const LARGEST: usize = 700 << 10;
/// Stands in a record for what openg2p keeps to itself.
const KEPT: &str = "(kept by openg2p)";

/// The record of a release as Helm's JSON, packed as Helm packs it, without what only the run knows: times, state, revision.
pub(super) fn packed(chart: &Chart, release: &Release<'_>, parts: &[Part], notes: Option<&str>) -> String {
    let mut record = json!({
        "name": release.name,
        "namespace": release.namespace,
        "info": {"notes": notes.unwrap_or_default()},
        "chart": {"metadata": metadata(chart.metadata()), "lock": null, "templates": [], "values": {}, "schema": null, "files": null},
        "config": without_secrets(&release.values),
        "manifest": manifest(parts),
        "hooks": hooks(parts),
    });
    let mut bytes = pack(&record);
    // an incomplete record says so; a release that Helm cannot see at all would be worse
    for (field, left_out) in [
        ("info", json!({})),
        ("config", json!({})),
        ("manifest", json!(names(parts))),
    ] {
        if bytes.len() <= LARGEST {
            break;
        }
        record[field] = left_out;
        bytes = pack(&record);
    }
    bytes
}

fn pack(record: &Value) -> String {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // writing to memory does not fail
    let _ = packer.write_all(record.to_string().as_bytes());
    STANDARD.encode(packer.finish().unwrap_or_default())
}

fn metadata(metadata: &Metadata) -> Value {
    let mut value = json!({
        "name": metadata.name,
        "version": metadata.version,
        "apiVersion": metadata.api_version,
    });
    for (key, text) in [
        ("appVersion", &metadata.app_version),
        ("description", &metadata.description),
        ("type", &metadata.kind),
        ("home", &metadata.home),
        ("kubeVersion", &metadata.kube_version),
    ] {
        if !text.is_empty() {
            value[key] = json!(text);
        }
    }
    value
}

/// Whether a key of values promises a secret. Names of Secrets are no secrets.
fn confidential(key: &str) -> bool {
    let key = key.to_lowercase();
    let promises = [
        "password",
        "passwd",
        "secretkey",
        "token",
        "privatekey",
        "credential",
    ];
    promises.iter().any(|word| key.contains(word)) && !key.contains("existing") && !key.ends_with("name")
}

/// Values with a reference in place of each secret.
fn without_secrets(values: &Value) -> Value {
    match values {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| {
                    let hidden = confidential(key) && value.as_str().is_some_and(|text| !text.is_empty());
                    let value = if hidden {
                        json!(KEPT)
                    } else {
                        without_secrets(value)
                    };
                    (key.clone(), value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(without_secrets).collect()),
        other => other.clone(),
    }
}

fn document(manifest: &Value) -> String {
    let mut manifest = manifest.clone();
    if manifest["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            for value in manifest
                .get_mut(field)
                .and_then(Value::as_object_mut)
                .into_iter()
                .flat_map(Map::values_mut)
            {
                *value = json!(KEPT);
            }
        }
    }
    serde_saphyr::to_string(&manifest).unwrap_or_default()
}

fn manifest(parts: &[Part]) -> String {
    parts
        .iter()
        .filter(|part| part.piece.phase == Phase::Main)
        .map(|part| format!("---\n{}\n", document(&part.piece.manifest).trim_end()))
        .collect()
}

fn names(parts: &[Part]) -> String {
    let own = parts.iter().filter(|part| part.piece.phase == Phase::Main);
    let names: String = own.map(|part| format!("# {}\n", part.id)).collect();
    format!("# The manifest is too large for a record. Its objects:\n{names}")
}

fn hooks(parts: &[Part]) -> Vec<Value> {
    let hooks = parts.iter().filter_map(|part| Some((part, part.hook.as_ref()?)));
    hooks
        .map(|(part, hook)| {
            json!({
                "name": part.piece.name,
                "kind": part.piece.kind,
                "path": part.id.as_str(),
                "manifest": document(&part.piece.manifest),
                "events": hook.events.iter().map(|event| event.name()).collect::<Vec<_>>(),
                "weight": hook.weight,
                "delete_policies": hook.delete_policies,
                "last_run": {"phase": "Succeeded"},
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_values_are_left_out() {
        let values = json!({"auth": {"password": "hunter2", "existingSecret": "login", "passwordSecretName": "x"},
            "list": [{"token": "abc"}], "replicas": 2});
        assert_eq!(
            without_secrets(&values),
            json!({"auth": {"password": KEPT, "existingSecret": "login", "passwordSecretName": "x"},
                "list": [{"token": KEPT}], "replicas": 2})
        );
    }

    #[test]
    fn secrets_of_manifests_are_left_out() {
        let text = document(&json!({"kind": "Secret", "stringData": {"a": "hunter2"}}));
        assert!(!text.contains("hunter2"), "{text}");
    }
}
