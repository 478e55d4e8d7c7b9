//! How functions read their arguments, whose types the engine has checked already.

use std::borrow::Cow;

use crate::template::fault::Fault;
use crate::template::format;
use crate::template::value::{Map, Value};

/// An argument declared as a string.
pub(super) fn text(args: &[Value], index: usize) -> Cow<'_, str> {
    match args.get(index) {
        Some(Value::Str(text)) => Cow::Borrowed(text),
        Some(Value::Raw(bytes)) => Cow::Owned(format::text_of(bytes)),
        _ => Cow::Borrowed(""),
    }
}

/// An argument declared as a string, as its bytes.
pub(super) fn bytes(args: &[Value], index: usize) -> &[u8] {
    args.get(index).and_then(Value::string_bytes).unwrap_or_default()
}

/// An argument declared as an int.
pub(super) fn int(args: &[Value], index: usize) -> i64 {
    match args.get(index) {
        Some(Value::Int(number, _)) => *number,
        _ => 0,
    }
}

/// An argument declared as a bool.
pub(super) fn boolean(args: &[Value], index: usize) -> bool {
    matches!(args.get(index), Some(Value::Bool(true)))
}

/// An argument of any type.
pub(super) fn any(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// An argument declared as a map.
pub(super) fn map(args: &[Value], index: usize) -> Map {
    match args.get(index) {
        Some(Value::Map(map)) => map.clone(),
        _ => Map::nil(),
    }
}

/// Sprig's `strval`.
pub(super) fn strval(value: &Value) -> Value {
    match value {
        Value::Str(_) | Value::Raw(_) => value.clone(),
        Value::Bytes(bytes) => Value::string_from_bytes(bytes.to_vec()),
        other => Value::string_from_bytes(format::display_bytes(other)),
    }
}

/// Sprig's `strval` as text.
pub(super) fn strval_text(value: &Value) -> String {
    format::text_of(strval(value).string_bytes().unwrap_or_default())
}

/// The elements of a slice, or Sprig's complaint about anything else.
pub(super) fn elements(value: &Value, complaint: &str) -> Result<Vec<Value>, Fault> {
    if value.is_nil() {
        // Sprig asks the type of nil, which Go answers with a panic.
        return Err(Fault::new(
            "runtime error: invalid memory address or nil pointer dereference",
        ));
    }
    value
        .elements()
        .ok_or_else(|| Fault::new(format!("{complaint} {}", value.kind_name())))
}

/// What is walked over as a whole has no more parts than this, each counted as often as it is met. A list that holds another
/// twice, which holds a third twice, and so on, has more than any machine could write down.
const MAX_PARTS: usize = 20_000_000;
/// A value that is nested deeper is told so by whoever walks over it.
const MAX_DEPTH: usize = 1_000;

/// An argument of any type whose parts can all be walked over.
pub(super) fn finite(args: &[Value], index: usize) -> Result<&Value, Fault> {
    let value = any(args, index);
    let mut left = MAX_PARTS;
    count(value, &mut left, 0);
    if left == 0 {
        return Err(Fault::new(format!("the value has more than {MAX_PARTS} parts")));
    }
    Ok(value)
}

fn count(value: &Value, left: &mut usize, depth: usize) {
    *left = left.saturating_sub(1);
    if *left == 0 || depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::List(list) => {
            for item in list.items.iter() {
                count(item, left, depth + 1);
                if *left == 0 {
                    return;
                }
            }
        }
        Value::Map(map) => {
            for item in map.entries.borrow().values() {
                count(item, left, depth + 1);
                if *left == 0 {
                    return;
                }
            }
        }
        _ => {}
    }
}

/// A length or position where Go has an int.
pub(super) fn length(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Refuses to build something absurdly large.
pub(super) fn bounded(size: i64) -> Result<usize, Fault> {
    match usize::try_from(size) {
        Ok(size) if size <= 64 << 20 => Ok(size),
        Ok(_) => Err(Fault::new("the result would be larger than 64 MiB")),
        Err(_) => Err(Fault::new("strings: negative Repeat count")),
    }
}
