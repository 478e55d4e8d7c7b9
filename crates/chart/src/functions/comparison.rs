//! `eq`, `lt` and their kind, by Go's rules for basic kinds.

use super::arguments::any;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::value::Value;

#[derive(PartialEq, Clone, Copy)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Text,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_, kind) if kind.is_unsigned() => Basic::Uint,
        Value::Int(..) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Str(_) | Value::Raw(_) => Basic::Text,
        _ => Basic::Other,
    }
}

fn incompatible(left: &Value, right: &Value) -> Fault {
    let text = format!(
        "incompatible types for comparison: {} and {}",
        left.type_name(),
        right.type_name()
    );
    Fault::new(text)
}

/// `eq first others...`: whether the first equals any of the others.
pub(super) fn eq(args: &[Value]) -> Result<bool, Fault> {
    let first = any(args, 0);
    let others = args.get(1..).unwrap_or_default();
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if eq_pair(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn eq_pair(left: &Value, right: &Value) -> Result<bool, Fault> {
    let (left_kind, right_kind) = (basic(left), basic(right));
    if left_kind != right_kind {
        return match (left, right) {
            (Value::Int(a, a_kind), Value::Int(b, b_kind)) => {
                Ok(wide(*a, a_kind.is_unsigned()) == wide(*b, b_kind.is_unsigned()))
            }
            (Value::Nil, _) | (_, Value::Nil) => Ok(false),
            _ => Err(incompatible(left, right)),
        };
    }
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a, _), Value::Int(b, _)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, other) | (other, Value::Nil) => Ok(is_nil_reference(other)),
        (Value::Object(a), Value::Object(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        _ if left_kind == Basic::Text => Ok(left.string_bytes() == right.string_bytes()),
        _ if left.kind_name() != right.kind_name() => Err(format!(
            "non-comparable types {}: {}, {}: {}",
            as_text(left),
            left.type_name(),
            right.type_name(),
            short(format::display(right))
        )
        .into()),
        _ if is_nil_reference(left) || is_nil_reference(right) => {
            Ok(is_nil_reference(left) == is_nil_reference(right))
        }
        _ => Err(format!("non-comparable type {}: {}", as_text(right), right.type_name()).into()),
    }
}

fn is_nil_reference(value: &Value) -> bool {
    match value {
        Value::List(list) => list.nil,
        Value::Map(map) => map.nil,
        Value::Object(object) => object.is_nil(),
        _ => false,
    }
}

fn wide(number: i64, unsigned: bool) -> i128 {
    if unsigned {
        i128::from(number.cast_unsigned())
    } else {
        i128::from(number)
    }
}

/// `lt left right`.
pub(super) fn lt(args: &[Value]) -> Result<bool, Fault> {
    let (left, right) = (any(args, 0), any(args, 1));
    let (left_kind, right_kind) = (basic(left), basic(right));
    if left_kind == Basic::Other || right_kind == Basic::Other {
        return Err("invalid type for comparison".into());
    }
    match (left, right) {
        (Value::Int(a, a_kind), Value::Int(b, b_kind)) => {
            Ok(wide(*a, a_kind.is_unsigned()) < wide(*b, b_kind.is_unsigned()))
        }
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Bool(_), Value::Bool(_)) => Err("invalid type for comparison".into()),
        _ if left_kind == Basic::Text && right_kind == Basic::Text => {
            Ok(left.string_bytes() < right.string_bytes())
        }
        _ => Err(incompatible(left, right)),
    }
}

/// `le left right`.
pub(super) fn le(args: &[Value]) -> Result<bool, Fault> {
    Ok(lt(args)? || eq_pair(any(args, 0), any(args, 1))?)
}

/// A value as Go's message prints it, with the verb for text.
fn as_text(value: &Value) -> String {
    short(format::text_of(&format::sprintf(
        b"%s",
        std::slice::from_ref(value),
    )))
}

/// Nobody reads more of a value in a message.
fn short(mut text: String) -> String {
    const MOST: usize = 1 << 20;
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push_str("...");
    }
    text
}
