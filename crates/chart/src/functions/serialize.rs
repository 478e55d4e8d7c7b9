//! From template values to YAML and JSON, as Go's encoders see them.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;

use crate::template::float::json_float;
use crate::template::value::{MapKind, Value};
use crate::yaml::{Resolved, Table, Yaml, resolve};

const MAX_DEPTH: usize = 1000;

/// Whole floats below this are exact.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The value as `sigs.k8s.io/yaml` sees it, that is, after a round trip through JSON.
pub(crate) fn to_yaml(value: &Value) -> Result<Yaml, String> {
    yaml_at(value, readable, 0)
}

/// The value as Go's JSON reader sees what Go's JSON writer made of it; that takes characters which YAML refuses.
pub(crate) fn to_json_value(value: &Value) -> Result<serde_json::Value, String> {
    yaml_at(value, |text| Ok(Arc::clone(text)), 0).map(|value| crate::yaml::to_json(&value))
}

fn yaml_at(
    value: &Value,
    readable: fn(&Arc<str>) -> Result<Arc<str>, String>,
    depth: usize,
) -> Result<Yaml, String> {
    if depth > MAX_DEPTH {
        return Err("json: unsupported value: encountered a cycle".to_owned());
    }
    Ok(match value {
        Value::Nil => Yaml::Null,
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Int(number, kind) if kind.is_unsigned() && *number < 0 => Yaml::Uint(number.cast_unsigned()),
        Value::Int(number, _) => Yaml::Int(*number),
        Value::Float(number) => float(*number)?,
        Value::Str(text) => Yaml::Str(readable(text)?),
        Value::Raw(bytes) => Yaml::Str(readable(&crate::template::format::text_of(bytes).into())?),
        Value::Bytes(bytes) => Yaml::Str(base64::engine::general_purpose::STANDARD.encode(bytes).into()),
        Value::List(list) if list.nil => Yaml::Null,
        Value::List(list) => Yaml::Seq(
            list.items
                .iter()
                .map(|item| yaml_at(item, readable, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(map) if map.nil => Yaml::Null,
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, item) in map.entries.borrow().iter() {
                let item = match (map.kind, item) {
                    (MapKind::Files, Value::Str(text)) => {
                        let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_bytes());
                        Yaml::Str(encoded.into())
                    }
                    _ => yaml_at(item, readable, depth + 1)?,
                };
                entries.push((readable(key)?, item));
            }
            Yaml::Map(Table::from(entries))
        }
        Value::Object(object) => yaml_at(&object.json(), readable, depth + 1)?,
    })
}

fn float(number: f64) -> Result<Yaml, String> {
    if !number.is_finite() {
        return Err(format!(
            "json: unsupported value: {}",
            crate::template::float::format_float(number, 'g', None)
        ));
    }
    // Whole numbers lose nothing but their point on the way through JSON.
    if number.fract() == 0.0 && number.abs() < MAX_EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and far from the limits")]
        return Ok(Yaml::Int(number as i64));
    }
    Ok(match resolve(&json_float(number)) {
        Resolved::Int(number) => Yaml::Int(number),
        Resolved::Uint(number) => Yaml::Uint(number),
        _ => Yaml::Float(number),
    })
}

/// JSON lets characters through that YAML refuses to read.
fn readable(text: &Arc<str>) -> Result<Arc<str>, String> {
    let control = |character: char| matches!(character, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(control) {
        return Err("yaml: control characters are not allowed".to_owned());
    }
    Ok(Arc::clone(text))
}

/// How JSON is written.
#[derive(Clone, Copy)]
pub(super) struct JsonStyle {
    /// Escape `<`, `>` and `&`, as Go does by default.
    pub(super) html: bool,
    pub(super) pretty: bool,
}

/// The value as Go's `encoding/json` writes it.
pub(super) fn to_json(value: &Value, style: JsonStyle) -> Result<String, String> {
    let mut out = String::new();
    json_at(&mut out, value, style, 0)?;
    Ok(out)
}

fn json_at(out: &mut String, value: &Value, style: JsonStyle, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("json: unsupported value: encountered a cycle".to_owned());
    }
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number, kind) if kind.is_unsigned() => {
            let _ = write!(out, "{}", number.cast_unsigned());
        }
        Value::Int(number, _) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) if number.is_finite() => out.push_str(&json_float(*number)),
        Value::Float(number) => {
            let text = crate::template::float::format_float(*number, 'g', None);
            return Err(format!("json: unsupported value: {text}"));
        }
        Value::Str(text) => json_text(out, text, style.html),
        Value::Raw(bytes) => {
            // What is not UTF-8 is written as an escape, unlike a replacement character that was there before.
            for (index, chunk) in bytes.utf8_chunks().enumerate() {
                let mut part = String::new();
                json_text(&mut part, chunk.valid(), style.html);
                if index > 0 {
                    out.pop();
                    part.remove(0);
                }
                out.push_str(&part);
                if !chunk.invalid().is_empty() {
                    out.pop();
                    out.push_str(&"\\ufffd".repeat(chunk.invalid().len()));
                    out.push('"');
                }
            }
        }
        Value::Bytes(bytes) => json_text(
            out,
            &base64::engine::general_purpose::STANDARD.encode(bytes),
            style.html,
        ),
        Value::List(list) if list.nil => out.push_str("null"),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                separate(out, style, depth, index);
                json_at(out, item, style, depth + 1)?;
            }
            close(out, style, depth, list.items.is_empty(), ']');
        }
        Value::Map(map) if map.nil => out.push_str("null"),
        Value::Map(map) => {
            out.push('{');
            let entries = map.snapshot();
            for (index, (key, item)) in entries.iter().enumerate() {
                separate(out, style, depth, index);
                json_text(out, key, style.html);
                out.push_str(if style.pretty { ": " } else { ":" });
                json_at(out, item, style, depth + 1)?;
            }
            close(out, style, depth, entries.is_empty(), '}');
        }
        Value::Object(object) => match object.json_fields() {
            Some(fields) => {
                out.push('{');
                for (index, (key, item)) in fields.iter().enumerate() {
                    separate(out, style, depth, index);
                    json_text(out, key, style.html);
                    out.push_str(if style.pretty { ": " } else { ":" });
                    json_at(out, item, style, depth + 1)?;
                }
                close(out, style, depth, fields.is_empty(), '}');
            }
            None => json_at(out, &object.json(), style, depth)?,
        },
    }
    Ok(())
}

fn separate(out: &mut String, style: JsonStyle, depth: usize, index: usize) {
    if index > 0 {
        out.push(',');
    }
    if style.pretty {
        out.push('\n');
        out.push_str(&"  ".repeat(depth + 1));
    }
}

fn close(out: &mut String, style: JsonStyle, depth: usize, empty: bool, bracket: char) {
    if style.pretty && !empty {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(bracket);
}

fn json_text(out: &mut String, text: &str, html: bool) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' if html => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// The value as `toYamlPretty` writes it: go-yaml v3 over the value itself.
pub(super) fn to_pretty_yaml(value: &Value) -> Result<String, String> {
    Ok(crate::yaml::emit_pretty(&pretty_at(value, 0)?))
}

fn pretty_at(value: &Value, depth: usize) -> Result<Yaml, String> {
    if depth > MAX_DEPTH {
        return Err("encountered a cycle".to_owned());
    }
    Ok(match value {
        // v3 writes floats as they are, without the detour through JSON.
        Value::Float(number) => Yaml::Float(*number),
        Value::List(list) => Yaml::Seq(
            list.items
                .iter()
                .map(|item| pretty_at(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, item) in map.entries.borrow().iter() {
                entries.push((Arc::clone(key), pretty_at(item, depth + 1)?));
            }
            Yaml::Map(Table::from(entries))
        }
        other => yaml_at(other, readable, depth)?,
    })
}
