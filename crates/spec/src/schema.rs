//! The declaration as JSON Schema, for editors, and as a table, for the reference.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::declaration::{Key, Presence, Reserved, SITE_FILE, Shape};
use crate::rule::Rule;

/// JSON Schema (2020-12) of the site file. Everything that it refuses is refused by [`crate::parse`] too; names of
/// components and what holds between values are checked by [`crate::parse`] only.
pub fn site_schema() -> Value {
    let mut schema = shape(&SITE_FILE);
    if let Value::Object(map) = &mut schema {
        map.insert(
            "$schema".into(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        map.insert(
            "$id".into(),
            json!("https://openg2p.org/schema/v1/site.schema.json"),
        );
        map.insert("title".into(), json!("OpenG2P site"));
    }
    sorted(schema)
}

/// The text of `docs/reference/site.schema.json`.
pub fn site_schema_text() -> String {
    format!("{:#}\n", site_schema())
}

fn shape(shape_: &Shape) -> Value {
    match shape_ {
        Shape::Mapping(keys) => mapping(keys),
        Shape::Named { rule, value, .. } => or_nothing(json!({
            "type": "object",
            "propertyNames": {"pattern": rule.pattern()},
            "additionalProperties": shape(value),
        })),
        Shape::Components(_) => or_nothing(json!({
            "type": "object",
            "propertyNames": {"pattern": Rule::DnsLabel.pattern()},
            "additionalProperties": shape(&crate::declaration::COMPONENT_VALUES),
        })),
        Shape::List { item, unique, least } => {
            json!({"type": "array", "items": shape(item), "uniqueItems": unique, "minItems": least})
        }

        Shape::Text(rule) => json!({"type": "string", "pattern": rule.pattern()}),
        Shape::Port => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Word { words, .. } => json!({"enum": words}),
        Shape::Free { reserved } => {
            let refused: Map<String, Value> = reserved
                .iter()
                .map(|(key, _)| ((*key).to_owned(), json!(false)))
                .collect();
            or_nothing(json!({"type": "object", "properties": refused}))
        }
    }
}

fn mapping(keys: &[Key]) -> Value {
    let now = || keys.iter().filter(|key| key.presence != Presence::Later);
    let properties: Map<String, Value> = now()
        .map(|key| {
            let mut value = shape(&key.shape);
            if let Value::Object(map) = &mut value {
                map.insert("description".into(), json!(key.about));
            }
            (key.name.to_owned(), value)
        })
        .collect();
    let required: Vec<_> = now()
        .filter(|key| key.presence == Presence::Required)
        .map(|key| key.name)
        .collect();
    let mapping = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": required,
    });
    // What has required keys cannot be left empty.
    if required.is_empty() {
        or_nothing(mapping)
    } else {
        mapping
    }
}

/// `key:` with nothing behind it is an empty mapping.
fn or_nothing(mut mapping: Value) -> Value {
    mapping["type"] = json!(["object", "null"]);
    mapping
}

/// Keys in order, whether or not some other crate switched on insertion order for `serde_json`.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// One key of the site file, for the reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferenceKey {
    /// Such as `nodes[].ssh.port`.
    pub path: String,
    /// `required`, nothing, or why it cannot be given.
    pub presence: &'static str,
    /// What it is.
    pub about: String,
}

/// Every key, in the order of the declaration.
pub fn reference() -> Vec<ReferenceKey> {
    let mut keys = Vec::new();
    crate::declaration::collect("", &SITE_FILE, &mut |path, key| {
        let presence = match key.presence {
            Presence::Required => "required",
            Presence::Optional => "",
            Presence::Later => "not in this version",
        };
        let mut about = key.about.to_owned();
        if let Shape::Word { later, .. } = &key.shape
            && !later.is_empty()
        {
            about += " Not in this version: ";
            about += &later
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ");
            about += ".";
        }
        keys.push(ReferenceKey {
            path: path.to_owned(),
            presence,
            about,
        });
        if let Shape::Free { reserved } = &key.shape {
            keys.extend(
                reserved
                    .iter()
                    .filter(|_| key.presence != Presence::Later)
                    .map(|(name, why)| {
                        let presence = match why {
                            Reserved::Later => "not in this version",
                            Reserved::Ours => "not yours to set",
                        };
                        let about = "Set by openg2p.".to_owned();
                        ReferenceKey {
                            path: format!("{path}.{name}"),
                            presence,
                            about,
                        }
                    }),
            );
        }
    });
    keys
}

/// Every key as a Markdown table, for `docs/reference/site-file.md`.
pub fn reference_table() -> String {
    let mut rows = String::from("| Key | | What it is |\n|---|---|---|\n");
    for key in reference() {
        rows.push_str(&["| `", &key.path, "` | ", key.presence, " | ", &key.about, " |\n"].concat());
    }
    rows
}
