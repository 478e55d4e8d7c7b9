//! TOML, written as the Go library behind Helm writes it.

use std::fmt::Write as _;

use super::layout;
use crate::template::float::format_float;
use crate::template::format::text_of;
use crate::template::object::Object;
use crate::template::value::{Entries, List, Value};

/// Deeper values are refused.
const MAX_DEPTH: usize = 200;
const NO_KEY: &str = "toml: top-level values must be Go maps or structs";
const NIL_ELEMENT: &str = "toml: cannot encode array with nil element";

/// `toToml`; the error is in the words of the Go library.
pub(super) fn encode(value: &Value) -> Result<String, String> {
    let mut encoder = Encoder { out: String::new() };
    match value {
        table if is_table(table) => encoder.table(&[], table)?,
        // each table of a list has its header from the key
        list if is_table_list(list)? => return Err(NO_KEY.to_owned()),
        other => {
            let text = inline(other, 0)?;
            encoder.out.push_str(&text);
        }
    }
    Ok(encoder.out)
}

struct Encoder {
    out: String,
}

/// Whether a value is written under a header of its own.
fn is_table(value: &Value) -> bool {
    match value {
        Value::Map(_) => true,
        Value::Object(object) => scalar(object.as_ref()).is_none(),
        _ => false,
    }
}

/// What Go writes for a struct that has a text of its own, and for a named number.
fn scalar(object: &dyn Object) -> Option<String> {
    if let Some(time) = object.time() {
        let pattern = match time.zone.as_str() {
            "datetime-local" => "2006-01-02T15:04:05.999999999",
            "date-local" => "2006-01-02",
            "time-local" => "15:04:05.999999999",
            _ => "2006-01-02T15:04:05.999999999Z07:00",
        };
        return Some(layout::format(&time, pattern));
    }
    if object.version().is_some() || object.kind_name() == "int64" {
        return Some(quoted(&object.text()));
    }
    object.number().map(|number| number.to_string())
}

/// What is left out, as no value of TOML stands for it.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.nil,
        Value::Map(map) => map.nil,
        Value::Object(object) => object.is_nil(),
        _ => false,
    }
}

fn is_table_list(value: &Value) -> Result<bool, String> {
    let Value::List(list) = value else {
        return Ok(false);
    };
    if list.items.iter().any(Value::is_nil) {
        return Err(NIL_ELEMENT.to_owned());
    }
    Ok(!list.items.is_empty() && list.items.iter().all(is_table))
}

fn entries(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Map(map) => map
            .snapshot()
            .into_iter()
            .map(|(key, value)| (key.to_string(), value))
            .collect(),
        Value::Object(object) => object
            .fields()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        _ => Vec::new(),
    }
}

impl Encoder {
    fn line_break(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn table(&mut self, path: &[String], value: &Value) -> Result<(), String> {
        if path.len() > MAX_DEPTH {
            return Err("toml: the value is nested too deeply".to_owned());
        }
        let indent = "  ".repeat(path.len());
        let mut nested = Vec::new();
        for (key, item) in entries(value) {
            if is_absent(&item) {
                continue;
            }
            if is_table(&item) || is_table_list(&item)? {
                nested.push((key, item));
            } else {
                let text = inline(&item, 0)?;
                let _ = writeln!(self.out, "{indent}{} = {text}", key_text(&key));
            }
        }
        for (key, item) in nested {
            let mut inner = path.to_vec();
            inner.push(key_text(&key));
            let header = inner.join(".");
            match &item {
                Value::List(list) => {
                    for element in list.items.iter() {
                        self.line_break();
                        let _ = writeln!(self.out, "{indent}[[{header}]]");
                        self.table(&inner, element)?;
                    }
                }
                table => {
                    if inner.len() == 1 {
                        self.line_break();
                    }
                    let _ = writeln!(self.out, "{indent}[{header}]");
                    self.table(&inner, table)?;
                }
            }
        }
        Ok(())
    }
}

fn inline(value: &Value, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("toml: the value is nested too deeply".to_owned());
    }
    Ok(match value {
        Value::Nil => return Err(NIL_ELEMENT.to_owned()),
        Value::Bool(value) => value.to_string(),
        Value::Int(number, kind) if kind.is_unsigned() => number.cast_unsigned().to_string(),
        Value::Int(number, _) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Str(text) => quoted(text),
        Value::Raw(bytes) => quoted(&text_of(bytes)),
        Value::Bytes(_) => list_text(&List::new(value.elements().unwrap_or_default()), depth)?,
        Value::List(list) => list_text(list, depth)?,
        Value::Object(object) if !is_table(value) => scalar(object.as_ref()).unwrap_or_default(),
        Value::Map(_) | Value::Object(_) => inline_table(value, depth)?,
    })
}

/// Go ends every part but the last with a comma, also where nothing is written for the last.
fn inline_table(value: &Value, depth: usize) -> Result<String, String> {
    let mut direct = Vec::new();
    let mut nested = Vec::new();
    for (key, item) in entries(value) {
        let below = !is_absent(&item) && (is_table(&item) || is_table_list(&item)?);
        if below { &mut nested } else { &mut direct }.push((key, item));
    }
    direct.append(&mut nested);
    let last = direct.len().saturating_sub(1);
    let mut out = "{".to_owned();
    for (index, (key, item)) in direct.iter().enumerate() {
        if is_absent(item) {
            continue;
        }
        let _ = write!(out, "{} = {}", key_text(key), inline(item, depth + 1)?);
        if index != last {
            out.push_str(", ");
        }
    }
    out.push('}');
    Ok(out)
}

fn list_text(list: &List, depth: usize) -> Result<String, String> {
    if list.items.iter().any(Value::is_nil) {
        return Err(NIL_ELEMENT.to_owned());
    }
    let items: Vec<String> = list
        .items
        .iter()
        .map(|item| inline(item, depth + 1))
        .collect::<Result<_, _>>()?;
    Ok(format!("[{}]", items.join(", ")))
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format_float(number, 'g', None);
    if text.contains(['.', 'e']) {
        text
    } else {
        format!("{text}.0")
    }
}

fn key_text(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// `fromToml`.
pub(super) fn decode(text: &str) -> Result<Value, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| format!("toml: {}", error.message()))?;
    Ok(from_toml(&toml::Value::Table(table)))
}

/// The library's names for the zones of times that have none.
fn zone_of(moment: &toml::value::Datetime) -> Option<&'static str> {
    match (moment.offset, moment.date, moment.time) {
        (Some(_), ..) => None,
        (None, Some(_), Some(_)) => Some("datetime-local"),
        (None, Some(_), None) => Some("date-local"),
        (None, None, _) => Some("time-local"),
    }
}

fn from_toml(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => Value::int64(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(value) => Value::Bool(*value),
        toml::Value::Datetime(moment) => {
            let text = moment.to_string();
            let layouts = [
                "2006-01-02T15:04:05Z07:00",
                "2006-01-02T15:04:05",
                "2006-01-02 15:04:05Z07:00",
                "2006-01-02 15:04:05",
                "2006-01-02",
                "15:04:05",
            ];
            let parsed = layouts
                .iter()
                .find_map(|layout| layout::parse(layout, &text).ok());
            parsed.map_or_else(
                || text.into(),
                |mut time| {
                    if let Some(zone) = zone_of(moment) {
                        zone.clone_into(&mut time.zone);
                    }
                    time.value()
                },
            )
        }
        toml::Value::Array(items) => Value::list(items.iter().map(from_toml).collect()),
        toml::Value::Table(table) => {
            let map: Entries = table
                .iter()
                .map(|(key, value)| (key.as_str().into(), from_toml(value)))
                .collect();
            Value::map(map)
        }
    }
}
