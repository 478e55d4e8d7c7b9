//! Sprig's questions about types, and deep equality.

use super::arguments::{any, text};
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("typeOf", &[Ty::Any], |_, args| {
        Ok(any(args, 0).type_name().into())
    }),
    fixed("typeIs", &[Ty::Str, Ty::Any], |_, args| {
        Ok((any(args, 1).type_name() == text(args, 0)).into())
    }),
    fixed("typeIsLike", &[Ty::Str, Ty::Any], |_, args| {
        let (wanted, found) = (text(args, 0), any(args, 1).type_name());
        Ok((wanted == found || format!("*{wanted}") == found).into())
    }),
    fixed("kindOf", &[Ty::Any], |_, args| {
        Ok(any(args, 0).kind_name().into())
    }),
    fixed("kindIs", &[Ty::Str, Ty::Any], |_, args| {
        Ok((any(args, 1).kind_name() == text(args, 0)).into())
    }),
    fixed("deepEqual", &[Ty::Any, Ty::Any], |_, args| {
        Ok(deep_equal(any(args, 0), any(args, 1)).into())
    }),
];

/// Values of which more would have to be compared count as different.
const MAX_COMPARED: usize = 20_000_000;

/// Go's `reflect.DeepEqual`: same types and same contents.
pub(super) fn deep_equal(left: &Value, right: &Value) -> bool {
    let mut left_to_compare = MAX_COMPARED;
    equal_at(left, right, &mut left_to_compare, 0)
}

fn equal_at(left: &Value, right: &Value, left_to_compare: &mut usize, depth: usize) -> bool {
    *left_to_compare = left_to_compare.saturating_sub(1);
    if *left_to_compare == 0 || depth > 1000 {
        return false;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, a_kind), Value::Int(b, b_kind)) => a == b && a_kind == b_kind,
        #[expect(clippy::float_cmp, reason = "Go compares floats exactly")]
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(_) | Value::Raw(_), Value::Str(_) | Value::Raw(_)) => {
            left.string_bytes() == right.string_bytes()
        }
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.kind == b.kind
                && a.nil == b.nil
                && a.items.len() == b.items.len()
                && a.items
                    .iter()
                    .zip(b.items.iter())
                    .all(|(x, y)| equal_at(x, y, left_to_compare, depth + 1))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.kind == b.kind
                && a.nil == b.nil
                && (a.same(b)
                    || (a.len() == b.len()
                        && a.snapshot()
                            .iter()
                            .zip(b.snapshot().iter())
                            .all(|((key, x), (other, y))| {
                                key == other && equal_at(x, y, left_to_compare, depth + 1)
                            })))
        }
        (Value::Object(a), Value::Object(b)) => {
            std::rc::Rc::ptr_eq(a, b) || (a.type_name() == b.type_name() && a.text() == b.text())
        }
        _ => false,
    }
}
