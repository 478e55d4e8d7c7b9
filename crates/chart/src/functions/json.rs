//! JSON in and out.

use super::arguments::{finite, text};
use super::serialize::{JsonStyle, to_json};
use crate::json;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::{List, Map, Value};

const PLAIN: JsonStyle = JsonStyle {
    html: true,
    pretty: false,
};
const PRETTY: JsonStyle = JsonStyle {
    html: true,
    pretty: true,
};
const RAW: JsonStyle = JsonStyle {
    html: false,
    pretty: false,
};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("toJson", &[Ty::Any], |_, args| {
        Ok(to_json(finite(args, 0)?, PLAIN).unwrap_or_default().into())
    }),
    fixed("mustToJson", &[Ty::Any], |_, args| {
        must(to_json(finite(args, 0)?, PLAIN))
    }),
    fixed("toPrettyJson", &[Ty::Any], |_, args| {
        Ok(to_json(finite(args, 0)?, PRETTY).unwrap_or_default().into())
    }),
    fixed("mustToPrettyJson", &[Ty::Any], |_, args| {
        must(to_json(finite(args, 0)?, PRETTY))
    }),
    fixed("toRawJson", &[Ty::Any], |_, args| {
        must(to_json(finite(args, 0)?, RAW))
    }),
    fixed("mustToRawJson", &[Ty::Any], |_, args| {
        must(to_json(finite(args, 0)?, RAW))
    }),
    fixed("fromJson", &[Ty::Str], |_, args| {
        Ok(match json::read(&text(args, 0)) {
            Ok(value @ Value::Map(_)) => value,
            Ok(Value::Nil) => Value::Map(Map::nil()),
            Ok(other) => error_map(&format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_type(&other)
            )),
            Err(error) => error_map(&mistyped(&error, &text(args, 0), '{', "map[string]interface {}")),
        })
    }),
    fixed("fromJsonArray", &[Ty::Str], |_, args| {
        Ok(match json::read(&text(args, 0)) {
            Ok(value @ Value::List(_)) => value,
            Ok(Value::Nil) => Value::List(List::nil()),
            Ok(other) => Value::list(vec![
                format!(
                    "json: cannot unmarshal {} into Go value of type []interface {{}}",
                    json_type(&other)
                )
                .into(),
            ]),
            Err(error) => Value::list(vec![
                mistyped(&error, &text(args, 0), '[', "[]interface {}").into(),
            ]),
        })
    }),
    fixed("mustFromJson", &[Ty::Str], |_, args| {
        json::read(&text(args, 0)).map_err(Fault::new)
    }),
];

fn must(result: Result<String, String>) -> Result<Value, Fault> {
    result.map(Value::from).map_err(Fault::new)
}

fn error_map(error: &str) -> Value {
    Value::map([("Error".into(), error.into())].into_iter().collect())
}

/// The name of the JSON type, as Go's errors have it.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(..) | Value::Float(_) => "number",
        Value::Str(_) | Value::Raw(_) | Value::Bytes(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) | Value::Object(_) => "object",
        Value::Nil => "null",
    }
}

/// Go looks at what the wanted type could be made of before it looks at how large a number is.
fn mistyped(error: &str, text: &str, wanted: char, go_type: &str) -> String {
    let first = text.trim_start().chars().next();
    if !error.starts_with(json::TOO_LARGE) || first == Some(wanted) {
        return error.to_owned();
    }
    let found = match first {
        Some('[') => "array",
        Some('{') => "object",
        _ => "number",
    };
    format!("json: cannot unmarshal {found} into Go value of type {go_type}")
}
