//! Between YAML, JSON and the values of templates.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Yaml;
use crate::template::value::{Entries, Value};

/// As JSON, keeping integers.
pub(crate) fn to_json(yaml: &Yaml) -> Json {
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(*value),
        Yaml::Int(number) => Json::from(*number),
        Yaml::Uint(number) => Json::from(*number),
        Yaml::Float(number) => Json::from(*number),
        Yaml::Str(text) => Json::String(text.to_string()),
        Yaml::Seq(items) => Json::Array(items.iter().map(to_json).collect()),
        Yaml::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| (key.to_string(), to_json(value)))
                .collect(),
        ),
    }
}

/// As a template sees it: every number is a `float64`, because Helm reads YAML through JSON.
#[expect(clippy::cast_precision_loss, reason = "JSON numbers are floats in Go")]
pub(crate) fn to_value(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Nil,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Int(number) => Value::Float(*number as f64),
        Yaml::Uint(number) => Value::Float(*number as f64),
        Yaml::Float(number) => Value::Float(*number),
        Yaml::Str(text) => Value::Str(Arc::clone(text)),
        Yaml::Seq(items) => Value::list(items.iter().map(to_value).collect()),
        Yaml::Map(entries) => {
            let entries: Entries = entries
                .iter()
                .map(|(key, value)| (Arc::clone(key), to_value(value)))
                .collect();
            Value::map(entries)
        }
    }
}

/// A JSON value as a template sees it.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
        Json::String(text) => Value::Str(text.as_str().into()),
        Json::Array(items) => Value::list(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::map(
            entries
                .iter()
                .map(|(key, value)| (key.as_str().into(), from_json(value)))
                .collect(),
        ),
    }
}
