//! Field by field: what an object is and what it will be. Values of secrets are never shown.

use openg2p_plan::FieldChange;
use serde_json::Value;

/// Longest value that a plan keeps; what people read is shortened once more.
const LONGEST: usize = 16 << 10;
/// Stands for the value of a secret.
const HIDDEN: &str = "(secret)";

/// Members by which elements of a list are told apart, as Kubernetes merges them.
const KEYS: [&str; 6] = ["name", "key", "containerPort", "port", "mountPath", "ip"];

/// Fields that the server and controllers write, and our own mark.
fn is_ours(path: &str) -> bool {
    let foreign = [
        "apiVersion",
        "kind",
        "status",
        "metadata.managedFields",
        "metadata.resourceVersion",
        "metadata.generation",
        "metadata.creationTimestamp",
        "metadata.uid",
        "metadata.annotations.openg2p.org/desired",
    ];
    !foreign.contains(&path)
}

/// What differs between an object as it is and as it will be, with the values for people.
pub(crate) fn changes(is: &Value, will_be: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let secret = will_be["kind"] == "Secret" || is["kind"] == "Secret";
    collect("", is, will_be, secret, &mut found);
    found
}

/// Each field of what a step makes, for people: of its manifest where it has one.
pub fn fields_of(desired: &Value) -> Vec<FieldChange> {
    let made = desired.get("manifest").unwrap_or(desired);
    let mut found = Vec::new();
    leaves("", made, made["kind"] == "Secret", &mut found);
    found
}

fn leaves(path: &str, value: &Value, secret: bool, found: &mut Vec<FieldChange>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, inner) in map {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(&path, inner, secret || hides(name, map, map), found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let key = key_of(list, list);
            for (at, inner) in list.iter().enumerate() {
                let id = key.map_or_else(|| at.to_string(), |key| shown(&inner[key]));
                leaves(&format!("{path}[{id}]"), inner, secret, found);
            }
        }
        // a packed record of Helm is not for people
        value if value.is_null() || matches!(path, "apiVersion" | "kind" | "record") => {}
        value => push(path, &Value::Null, value, secret, found),
    }
}

fn collect(path: &str, is: &Value, will_be: &Value, secret: bool, found: &mut Vec<FieldChange>) {
    if is == will_be || !is_ours(path) {
        return;
    }
    match (is, will_be) {
        (Value::Object(is), Value::Object(will_be)) => {
            let mut names: Vec<&String> = is.keys().chain(will_be.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let inner = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                collect(
                    &inner,
                    &of(is),
                    &of(will_be),
                    secret || hides(name, is, will_be),
                    found,
                );
            }
        }
        (Value::Null, Value::Object(map)) if !map.is_empty() && descends(path) => {
            collect(
                path,
                &Value::Object(serde_json::Map::new()),
                will_be,
                secret,
                found,
            );
        }
        (Value::Object(map), Value::Null) if !map.is_empty() && descends(path) => {
            collect(path, is, &Value::Object(serde_json::Map::new()), secret, found);
        }
        (Value::Array(is), Value::Array(will_be)) => match key_of(is, will_be) {
            Some(key) => {
                let mut ids: Vec<String> = Vec::new();
                for item in is.iter().chain(will_be) {
                    let id = shown(&item[key]);
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                let of = |list: &[Value], id: &str| {
                    let found = list.iter().find(|item| shown(&item[key]) == id);
                    found.cloned().unwrap_or(Value::Null)
                };
                for id in ids {
                    let inner = format!("{path}[{id}]");
                    collect(&inner, &of(is, &id), &of(will_be, &id), secret, found);
                }
            }
            None if is.len() == will_be.len() => {
                for (at, (is, will_be)) in is.iter().zip(will_be).enumerate() {
                    collect(&format!("{path}[{at}]"), is, will_be, secret, found);
                }
            }
            None => push(
                path,
                &Value::Array(is.clone()),
                &Value::Array(will_be.clone()),
                secret,
                found,
            ),
        },
        (is, will_be) => push(path, is, will_be, secret, found),
    }
}

/// Whole parts that come or go are shown field by field only near the top: deeper they are one value.
fn descends(path: &str) -> bool {
    path.is_empty()
        || matches!(
            path,
            "data" | "stringData" | "metadata" | "metadata.labels" | "metadata.annotations"
        )
}

/// A literal of a container's environment whose name says that it is a secret.
fn hides(name: &str, is: &serde_json::Map<String, Value>, will_be: &serde_json::Map<String, Value>) -> bool {
    if name != "value" {
        return name == "kubectl.kubernetes.io/last-applied-configuration";
    }
    let of = |map: &serde_json::Map<String, Value>| {
        map.get("name").and_then(Value::as_str).is_some_and(confidential)
    };
    of(is) || of(will_be)
}

/// Whether a name promises something that must not be shown.
fn confidential(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "privatekey",
        "private_key",
        "credential",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn key_of(is: &[Value], will_be: &[Value]) -> Option<&'static str> {
    let unique = |list: &[Value], key: &str| {
        let ids: Vec<String> = list.iter().map(|item| shown(&item[key])).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        sorted.len() == ids.len()
    };
    KEYS.into_iter().find(|key| {
        is.iter().chain(will_be).all(|item| !item[*key].is_null()) && unique(is, key) && unique(will_be, key)
    })
}

fn push(path: &str, is: &Value, will_be: &Value, secret: bool, found: &mut Vec<FieldChange>) {
    // what makes a Secret a secret is its content; its labels are for everybody
    let open = ["metadata.labels", "metadata.name", "metadata.namespace"];
    let hidden =
        secret && !open.iter().any(|start| path.starts_with(start)) && path != "type" && path != "immutable";
    let value = |value: &Value| {
        if value.is_null() {
            None
        } else if hidden {
            Some(HIDDEN.to_owned())
        } else {
            Some(cut(shown(value)))
        }
    };
    found.push(FieldChange {
        path: path.into(),
        from: value(is),
        to: value(will_be),
    });
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}… ({} bytes in all)", &text[..end], text.len())
}

/// Whether `live` has all that `desired` says. What else `live` has is the server's or somebody else's.
pub(crate) fn holds(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired
            .iter()
            .all(|(key, value)| holds(value, live.get(key).unwrap_or(&Value::Null))),
        (Value::Array(desired), Value::Array(live)) => {
            desired.len() == live.len()
                && desired
                    .iter()
                    .zip(live)
                    .all(|(desired, live)| holds(desired, live))
        }
        // the server keeps no nulls: a manifest that says one says nothing
        (Value::Null, _) => true,
        // nor does it keep empty maps and lists where it has no use for them
        (Value::Object(desired), Value::Null) => desired.is_empty(),
        (Value::Array(desired), Value::Null) => desired.is_empty(),
        (desired, live) => desired == live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(is: &Value, will_be: &Value) -> Vec<String> {
        let changes = changes(is, will_be);
        let none = || "(unset)".to_owned();
        changes
            .into_iter()
            .map(|change| {
                format!(
                    "{}: {} -> {}",
                    change.path,
                    change.from.unwrap_or_else(none),
                    change.to.unwrap_or_else(none)
                )
            })
            .collect()
    }

    #[test]
    fn each_field_of_each_container_is_named() {
        let pod = |image: &str, env: Value| {
            json!({"kind": "Deployment", "metadata": {"resourceVersion": image, "labels": {"a": "b"}}, "spec": {"containers": [
                {"name": "app", "image": image, "env": env}, {"name": "side", "image": "x"}]}})
        };
        let is = pod(
            "a:1",
            json!([{"name": "LEVEL", "value": "info"}, {"name": "DB_PASSWORD", "value": "hunter2"}]),
        );
        let will_be = pod(
            "a:2",
            json!([{"name": "LEVEL", "value": "debug"}, {"name": "DB_PASSWORD", "value": "hunter3"}]),
        );
        assert_eq!(
            lines(&is, &will_be),
            [
                "spec.containers[app].env[LEVEL].value: info -> debug",
                "spec.containers[app].env[DB_PASSWORD].value: (secret) -> (secret)",
                "spec.containers[app].image: a:1 -> a:2",
            ]
        );
    }

    #[test]
    fn no_value_of_a_secret_is_ever_shown() {
        let secret = |data: Value, label: &str| {
            json!({"kind": "Secret", "metadata": {"labels": {"l": label}, "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": data.to_string()}}, "data": data})
        };
        let is = secret(json!({"password": "aHVudGVyMg==", "gone": "Z29uZQ=="}), "1");
        let will_be = secret(json!({"password": "aHVudGVyMw==", "new": "bmV3"}), "2");
        let shown = lines(&is, &will_be).join("\n");
        assert_eq!(
            shown,
            "data.gone: (secret) -> (unset)\ndata.new: (unset) -> (secret)\ndata.password: (secret) -> (secret)\n\
             metadata.annotations.kubectl.kubernetes.io/last-applied-configuration: (secret) -> (secret)\n\
             metadata.labels.l: 1 -> 2"
        );
        let made = lines(&Value::Null, &will_be).join("\n");
        assert!(!made.contains("bmV3"), "{made}");
    }

    #[test]
    fn a_secret_that_is_made_shows_its_keys_alone() {
        let desired = json!({"manifest": {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}});
        let fields: Vec<String> = fields_of(&desired)
            .into_iter()
            .map(|it| format!("{} {:?}", it.path, it.to))
            .collect();
        assert_eq!(
            fields,
            [
                "metadata.name Some(\"s\")",
                "stringData.password Some(\"(secret)\")"
            ]
        );
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let desired = json!({"metadata": {"creationTimestamp": null}, "spec": {"ports": [{"port": 80}], "selector": null, "empty": {}}});
        let live = json!({"metadata": {"creationTimestamp": "2026"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "clusterIP": "10.0.0.1"}});
        assert!(holds(&desired, &live));
        let two = json!({"spec": {"ports": [{"port": 80}, {"port": 81}]}});
        assert!(!holds(&two, &live));
    }
}
