//! The functions that Helm adds to Sprig's.

use super::arguments::{any, bytes, finite, text};
use super::serialize;
use crate::template::exec::{Call, empty_map};
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::{Entries, Value};
use crate::yaml::{self, Yaml};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("include", &[Ty::Str, Ty::Any], |call, args| {
        call.engine
            .include(call.set, &text(args, 0), any(args, 1).clone())
            .map(Value::string_from_bytes)
    }),
    fixed("tpl", &[Ty::Str, Ty::Any], |call, args| {
        call.engine
            .tpl(call.set, &text(args, 0), any(args, 1).clone())
            .map(Value::string_from_bytes)
    }),
    fixed("required", &[Ty::Str, Ty::Any], |call, args| {
        let value = any(args, 1);
        if value.is_nil() || value.string_bytes().is_some_and(<[u8]>::is_empty) {
            if call.engine.lint {
                return Ok("".into());
            }
            return Err(Fault::warning(text(args, 0)));
        }
        Ok(value.clone())
    }),
    fixed("fail", &[Ty::Str], |call, args| {
        if call.engine.lint {
            return Ok("".into());
        }
        Err(Fault::warning(text(args, 0)))
    }),
    fixed("lookup", &[Ty::Str, Ty::Str, Ty::Str, Ty::Str], lookup),
    // Names are never resolved: Helm answers the same unless it is asked for DNS.
    fixed("getHostByName", &[Ty::Str], |_, _| Ok("".into())),
    fixed("toYaml", &[Ty::Any], |_, args| {
        Ok(to_yaml(finite(args, 0)?).into())
    }),
    fixed("toYamlPretty", &[Ty::Any], |_, args| {
        Ok(serialize::to_pretty_yaml(finite(args, 0)?)
            .map(|text| cut_line_end(&text).to_owned())
            .unwrap_or_default()
            .into())
    }),
    fixed("fromYaml", &[Ty::Str], |_, args| Ok(from_yaml(bytes(args, 0)))),
    fixed("fromYamlArray", &[Ty::Str], |_, args| {
        Ok(from_yaml_array(bytes(args, 0)))
    }),
    fixed("toToml", &[Ty::Any], |_, args| {
        if any(args, 0).is_nil() {
            // Go's library panics, which its template engine reports.
            return Err(Fault::new("reflect: call of reflect.Value.Type on zero Value"));
        }
        Ok(super::toml::encode(finite(args, 0)?)
            .unwrap_or_else(|error| error)
            .into())
    }),
    fixed("fromToml", &[Ty::Str], |_, args| {
        Ok(super::toml::decode(&text(args, 0)).unwrap_or_else(|error| error_map(&error)))
    }),
];

#[expect(clippy::unnecessary_wraps, reason = "every function has this signature")]
fn lookup(call: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let Some(source) = call.engine.lookup else {
        return Ok(empty_map());
    };
    let found = source.lookup(&text(args, 0), &text(args, 1), &text(args, 2), &text(args, 3));
    Ok(found.map_or_else(empty_map, |json| yaml::from_json(&json)))
}

/// `toYaml`: an empty text where the value cannot be written.
pub(crate) fn to_yaml(value: &Value) -> String {
    written_as_yaml(value).unwrap_or_default()
}

/// The value as Helm writes YAML, without a line end behind it; why not, where it cannot be.
pub(crate) fn written_as_yaml(value: &Value) -> Result<String, String> {
    serialize::to_yaml(value).map(|yaml| cut_line_end(&yaml::emit(&yaml)).to_owned())
}

fn cut_line_end(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn error_map(error: &str) -> Value {
    Value::map([("Error".into(), error.into())].into_iter().collect())
}

fn from_yaml(text: &[u8]) -> Value {
    match yaml::read(text) {
        Ok(document @ Yaml::Map(_)) => yaml::to_value(&document),
        Ok(Yaml::Null) => Value::map(Entries::new()),
        Ok(other) => error_map(&mismatch(&other, "map[string]interface {}")),
        Err(error) => error_map(&format!("error converting YAML to JSON: {error}")),
    }
}

fn from_yaml_array(text: &[u8]) -> Value {
    match yaml::read(text) {
        Ok(document @ Yaml::Seq(_)) => yaml::to_value(&document),
        Ok(Yaml::Null) => Value::list(Vec::new()),
        Ok(other) => Value::list(vec![mismatch(&other, "[]interface {}").into()]),
        Err(error) => Value::list(vec![format!("error converting YAML to JSON: {error}").into()]),
    }
}

fn mismatch(found: &Yaml, wanted: &str) -> String {
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type {wanted}",
        found.json_type()
    )
}
