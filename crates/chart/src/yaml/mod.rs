//! YAML as Helm reads and writes it: `sigs.k8s.io/yaml` over `go-yaml` v2.
//!
//! That is YAML 1.1 (`yes` is true, `010` is eight), keys become strings, duplicate keys are allowed and the last one
//! counts, and everything passes through JSON on its way.

mod characters;
mod convert;
mod emit;
mod keys;
mod nodes;
mod pretty;
mod read;
mod resolve;
mod scalars;
mod scan;
mod simple_keys;
mod table;
mod tags;
mod timestamp;

use std::sync::Arc;

pub(crate) use convert::{from_json, to_json, to_value};
pub(crate) use emit::{emit, emit_pretty};
pub(crate) use read::{examine, read};
pub(crate) use resolve::{Resolved, resolve};
pub(crate) use table::Table;

/// A YAML value after Helm's conversion of keys to strings. Its texts are mostly shared with the values of templates; what is
/// only looked at borrows them from the source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yaml<S = Arc<str>> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(S),
    Seq(Vec<Yaml<S>>),
    Map(Table<S>),
}

impl<S: AsRef<str>> Yaml<S> {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// What this becomes where Helm expects a string: numbers and booleans are written out.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.as_ref().to_owned()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Uint(number) => Some(number.to_string()),
            Self::Float(number) => Some(float_key(*number)),
            Self::Null => Some(String::new()),
            Self::Seq(_) | Self::Map(_) => None,
        }
    }

    /// The name of the JSON type, as Go's errors have it.
    pub(crate) fn json_type(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Seq(_) => "array",
            Self::Map(_) => "object",
        }
    }
}

/// A float where a string is wanted: Go writes it with 32 bits of precision.
pub(crate) fn float_key(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Go's FormatFloat with bitSize 32")]
    let short = number as f32;
    let text = crate::template::float::format_float32(short);
    match text.as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        _ => text,
    }
}
