//! The functions of `text/template` itself.

use super::arguments::{any, length};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::signature::{Function, Run, Ty};
use crate::template::value::{IntKind, List, MapKind, Value};

const fn builtin(name: &'static str, params: &'static [Ty], variadic: bool, run: Run) -> Function {
    Function {
        name,
        params,
        variadic,
        builtin: true,
        run,
    }
}

pub(super) const FUNCTIONS: &[Function] = &[
    builtin("and", &[Ty::Reflect, Ty::Reflect], true, |_, args| {
        Ok(any(args, 0).clone())
    }),
    builtin("or", &[Ty::Reflect, Ty::Reflect], true, |_, args| {
        Ok(any(args, 0).clone())
    }),
    builtin("not", &[Ty::Reflect], false, |_, args| {
        Ok(Value::Bool(!any(args, 0).truth()))
    }),
    builtin("call", &[Ty::Reflect, Ty::Reflect], true, call),
    builtin("html", &[Ty::Any], true, |_, args| {
        Ok(html(&format::text_of(&joined(args))).into())
    }),
    builtin("js", &[Ty::Any], true, |_, args| {
        Ok(js(&format::text_of(&joined(args))).into())
    }),
    builtin("urlquery", &[Ty::Any], true, |_, args| {
        Ok(super::urls::query_escape(&joined(args)).into())
    }),
    builtin("index", &[Ty::Reflect, Ty::Reflect], true, |_, args| index(args)),
    builtin("slice", &[Ty::Reflect, Ty::Reflect], true, |_, args| slice(args)),
    builtin("len", &[Ty::Reflect], false, len),
    builtin("print", &[Ty::Any], true, |_, args| {
        Ok(Value::string_from_bytes(format::sprint(args)))
    }),
    builtin("println", &[Ty::Any], true, |_, args| {
        Ok(Value::string_from_bytes(format::sprintln(args)))
    }),
    builtin("printf", &[Ty::Str, Ty::Any], true, |_, args| {
        let template = any(args, 0).string_bytes().unwrap_or_default();
        Ok(Value::string_from_bytes(format::sprintf(
            template,
            args.get(1..).unwrap_or_default(),
        )))
    }),
    builtin("eq", &[Ty::Reflect, Ty::Reflect], true, |_, args| {
        super::comparison::eq(args).map(Value::Bool)
    }),
    builtin("ne", &[Ty::Reflect, Ty::Reflect], false, |_, args| {
        super::comparison::eq(args).map(|equal| Value::Bool(!equal))
    }),
    builtin("lt", &[Ty::Reflect, Ty::Reflect], false, |_, args| {
        super::comparison::lt(args).map(Value::Bool)
    }),
    builtin("le", &[Ty::Reflect, Ty::Reflect], false, |_, args| {
        super::comparison::le(args).map(Value::Bool)
    }),
    builtin("gt", &[Ty::Reflect, Ty::Reflect], false, |_, args| {
        super::comparison::le(args).map(|le| Value::Bool(!le))
    }),
    builtin("ge", &[Ty::Reflect, Ty::Reflect], false, |_, args| {
        super::comparison::lt(args).map(|lt| Value::Bool(!lt))
    }),
];

fn call(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    match any(args, 0) {
        Value::Nil => Err("call of nil".into()),
        other => Err(format!(
            "non-function {} of type {}",
            format::display(other),
            other.type_name()
        )
        .into()),
    }
}

/// What the functions that escape take: Go follows pointers here, and says so where there is no value.
fn joined(args: &[Value]) -> Vec<u8> {
    let shown: Vec<Value> = args
        .iter()
        .map(|argument| match argument {
            Value::Nil => "<no value>".into(),
            Value::Object(object) => object.plain_text().map_or_else(|| argument.clone(), Value::from),
            _ => argument.clone(),
        })
        .collect();
    format::sprint(&shown)
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            _ if character.is_ascii() || format::is_printable(character) => out.push(character),
            _ => out.push_str(&format!("\\u{:04X}", u32::from(character))),
        }
    }
    out
}

/// Go's index argument: an integer that lies within the bound.
fn position(index: &Value, bound: usize) -> Result<usize, Fault> {
    match index {
        Value::Int(number, _) => match usize::try_from(*number) {
            Ok(position) if position <= bound => Ok(position),
            _ => Err(format!("index out of range: {number}").into()),
        },
        Value::Nil => Err("cannot index slice/array with nil".into()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    }
}

fn out_of_range(position: usize, length: usize) -> Fault {
    Fault::new(format!(
        "reflect: slice index out of range: {position} with length {length}"
    ))
}

fn index(args: &[Value]) -> Result<Value, Fault> {
    let mut item = any(args, 0).clone();
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    for (step, index) in args.iter().skip(1).enumerate() {
        item = match &item {
            Value::List(list) => {
                let at = position(index, list.items.len())?;
                list.items
                    .get(at)
                    .cloned()
                    .ok_or_else(|| Fault::new("reflect: slice index out of range"))?
            }
            Value::Bytes(bytes) => byte(bytes, index)?,
            Value::Raw(_) | Value::Str(_) => {
                byte(item.string_bytes().unwrap_or_default(), index).map_err(|fault| {
                    if fault.text.starts_with("reflect: slice index") {
                        Fault::new("reflect: string index out of range")
                    } else {
                        fault
                    }
                })?
            }
            Value::Map(map) => match index {
                Value::Str(key) => map.get(key).unwrap_or_else(|| match map.kind {
                    MapKind::Strings => "".into(),
                    MapKind::Files => Value::Bytes([].into()),
                    MapKind::Any | MapKind::Values => Value::Nil,
                }),
                Value::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name()).into()),
            },
            Value::Nil if step > 0 => return Err("index of nil pointer".into()),
            other => {
                // Go has followed the pointer by now.
                let name = other.type_name();
                return Err(format!("can't index item of type {}", name.trim_start_matches('*')).into());
            }
        };
    }
    Ok(item)
}

fn byte(bytes: &[u8], index: &Value) -> Result<Value, Fault> {
    let at = position(index, bytes.len())?;
    let byte = bytes.get(at).ok_or_else(|| out_of_range(at, bytes.len()))?;
    Ok(Value::Int(i64::from(*byte), IntKind::Uint8))
}

fn slice(args: &[Value]) -> Result<Value, Fault> {
    let item = any(args, 0);
    let indexes = args.get(1..).unwrap_or_default();
    if item.is_nil() {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let size = match item {
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) | Value::Raw(bytes) => bytes.len(),
        Value::Str(text) => text.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    if indexes.len() == 3 && item.string_bytes().is_some() {
        return Err("cannot 3-index slice a string".into());
    }
    let from = indexes.first().map_or(Ok(0), |index| position(index, size))?;
    let to = indexes.get(1).map_or(Ok(size), |index| position(index, size))?;
    if let Some(limit) = indexes.get(2) {
        let limit = position(limit, size)?;
        if to > limit {
            return Err(format!("invalid slice index: {to} > {limit}").into());
        }
    }
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}").into());
    }
    Ok(match item {
        Value::List(list) => Value::List(List::typed(list.items[from..to].to_vec(), list.kind)),
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        other => Value::string_from_bytes(other.string_bytes().unwrap_or_default()[from..to].to_vec()),
    })
}

fn len(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let size = match any(args, 0) {
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) | Value::Raw(bytes) => bytes.len(),
        Value::Str(text) => text.len(),
        Value::Map(map) => map.len(),
        Value::Nil => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::int(length(size)))
}
