//! Field by field: what a change would do, for people.

use serde_json::Value;

use crate::FieldChange;

/// Fields of `desired` that differ in `live`. Fields that only `live` has are its own business (defaults of the
/// server); values are shortened.
pub fn difference(desired: &Value, live: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    collect("", desired, live, &mut changes);
    changes
}

fn collect(path: &str, desired: &Value, live: &Value, out: &mut Vec<FieldChange>) {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => {
            for (key, value) in desired {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect(&path, value, live.get(key).unwrap_or(&Value::Null), out);
            }
        }
        (desired, live) if desired == live => {}
        (desired, live) => out.push(FieldChange {
            path: path.into(),
            from: (!live.is_null()).then(|| shorten(live)),
            to: (!desired.is_null()).then(|| shorten(desired)),
        }),
    }
}

fn shorten(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(59).collect::<String>())
    } else {
        text
    }
}
