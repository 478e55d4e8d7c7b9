//! JSON in and out.

use super::arguments::{any, text};
use super::serialize::{JsonStyle, to_json};
use crate::json;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::{Entries, Value};

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
        Ok(to_json(any(args, 0), PLAIN).unwrap_or_default().into())
    }),
    fixed("mustToJson", &[Ty::Any], |_, args| {
        must(to_json(any(args, 0), PLAIN))
    }),
    fixed("toPrettyJson", &[Ty::Any], |_, args| {
        Ok(to_json(any(args, 0), PRETTY).unwrap_or_default().into())
    }),
    fixed("mustToPrettyJson", &[Ty::Any], |_, args| {
        must(to_json(any(args, 0), PRETTY))
    }),
    fixed("toRawJson", &[Ty::Any], |_, args| {
        must(to_json(any(args, 0), RAW))
    }),
    fixed("mustToRawJson", &[Ty::Any], |_, args| {
        must(to_json(any(args, 0), RAW))
    }),
    fixed("fromJson", &[Ty::Str], |_, args| {
        Ok(match json::read(&text(args, 0)) {
            Ok(value @ Value::Map(_)) => value,
            Ok(Value::Nil) => Value::map(Entries::new()),
            Ok(other) => error_map(&format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_type(&other)
            )),
            // Go looks at what a table could be made of before it looks at how large a number is.
            Err(error) if error.starts_with(json::TOO_LARGE) && is_number(&text(args, 0)) => {
                error_map("json: cannot unmarshal number into Go value of type map[string]interface {}")
            }
            Err(error) => error_map(&error),
        })
    }),
    fixed("fromJsonArray", &[Ty::Str], |_, args| {
        Ok(match json::read(&text(args, 0)) {
            Ok(value @ Value::List(_)) => value,
            Ok(Value::Nil) => Value::list(Vec::new()),
            Ok(other) => Value::list(vec![
                format!(
                    "json: cannot unmarshal {} into Go value of type []interface {{}}",
                    json_type(&other)
                )
                .into(),
            ]),
            Err(error) => Value::list(vec![error.into()]),
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

fn is_number(text: &str) -> bool {
    text.trim_start()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}
