//! Sprig's arithmetic, with Go's conversions between types.

use super::arguments::{any, int};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::signature::{Function, Ty, fixed, variadic};
use crate::template::value::{IntKind, List, ListKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("atoi", &[Ty::Str], |_, args| {
        Ok(Value::int(atoi(&super::arguments::text(args, 0))))
    }),
    fixed("int", &[Ty::Any], |_, args| {
        Ok(Value::int(to_int64(any(args, 0))))
    }),
    fixed("int64", &[Ty::Any], |_, args| {
        Ok(Value::int64(to_int64(any(args, 0))))
    }),
    fixed("float64", &[Ty::Any], |_, args| {
        Ok(Value::Float(to_float(any(args, 0))))
    }),
    fixed("toDecimal", &[Ty::Any], |_, args| {
        let text = format::display(any(args, 0));
        Ok(Value::int64(i64::from_str_radix(&text, 8).unwrap_or(0)))
    }),
    fixed("add1", &[Ty::Any], |_, args| {
        Ok(Value::int64(to_int64(any(args, 0)).wrapping_add(1)))
    }),
    variadic("add", &[Ty::Any], |_, args| {
        Ok(Value::int64(
            args.iter()
                .fold(0_i64, |sum, value| sum.wrapping_add(to_int64(value))),
        ))
    }),
    fixed("sub", &[Ty::Any, Ty::Any], |_, args| {
        Ok(Value::int64(
            to_int64(any(args, 0)).wrapping_sub(to_int64(any(args, 1))),
        ))
    }),
    variadic("mul", &[Ty::Any, Ty::Any], |_, args| {
        Ok(Value::int64(
            args.iter()
                .skip(1)
                .fold(to_int64(any(args, 0)), |product, value| {
                    product.wrapping_mul(to_int64(value))
                }),
        ))
    }),
    fixed("div", &[Ty::Any, Ty::Any], |_, args| {
        divisor(args).map(|divisor| Value::int64(to_int64(any(args, 0)).wrapping_div(divisor)))
    }),
    fixed("mod", &[Ty::Any, Ty::Any], |_, args| {
        divisor(args).map(|divisor| Value::int64(to_int64(any(args, 0)).wrapping_rem(divisor)))
    }),
    variadic("max", &[Ty::Any, Ty::Any], |_, args| Ok(largest(args))),
    variadic("biggest", &[Ty::Any, Ty::Any], |_, args| Ok(largest(args))),
    variadic("min", &[Ty::Any, Ty::Any], |_, args| {
        Ok(Value::int64(args.iter().map(to_int64).min().unwrap_or(0)))
    }),
    variadic("maxf", &[Ty::Any, Ty::Any], |_, args| {
        Ok(Value::Float(
            args.iter().map(to_float).reduce(go_max).unwrap_or(0.0),
        ))
    }),
    variadic("minf", &[Ty::Any, Ty::Any], |_, args| {
        Ok(Value::Float(
            args.iter()
                .map(to_float)
                .reduce(|a, b| -go_max(-a, -b))
                .unwrap_or(0.0),
        ))
    }),
    fixed("ceil", &[Ty::Any], |_, args| {
        Ok(Value::Float(to_float(any(args, 0)).ceil()))
    }),
    fixed("floor", &[Ty::Any], |_, args| {
        Ok(Value::Float(to_float(any(args, 0)).floor()))
    }),
    variadic("round", &[Ty::Any, Ty::Int, Ty::Float], round),
    fixed("add1f", &[Ty::Any], |_, args| {
        Ok(decimal(to_float(any(args, 0)), &[Value::int(1)], Decimal::add))
    }),
    variadic("addf", &[Ty::Any], |_, args| Ok(decimal(0.0, args, Decimal::add))),
    variadic("subf", &[Ty::Any, Ty::Any], |_, args| {
        Ok(decimal_rest(args, Decimal::sub))
    }),
    variadic("mulf", &[Ty::Any, Ty::Any], |_, args| {
        Ok(decimal_rest(args, Decimal::mul))
    }),
    variadic("divf", &[Ty::Any, Ty::Any], |_, args| {
        if args.iter().skip(1).any(|value| to_float(value) == 0.0) {
            return Err("decimal division by 0".into());
        }
        Ok(decimal_rest(args, Decimal::div))
    }),
    fixed("until", &[Ty::Int], |_, args| {
        let count = int(args, 0);
        steps(0, count, if count < 0 { -1 } else { 1 }).map(ints)
    }),
    fixed("untilStep", &[Ty::Int, Ty::Int, Ty::Int], |_, args| {
        steps(int(args, 0), int(args, 1), int(args, 2)).map(ints)
    }),
    variadic("seq", &[Ty::Int], seq),
];

/// What Go's `strconv.Atoi` gives beside its error: the nearest number where there are too many digits.
fn atoi(text: &str) -> i64 {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse()
        .unwrap_or_else(|error: std::num::ParseIntError| match error.kind() {
            PosOverflow => i64::MAX,
            NegOverflow => i64::MIN,
            _ => 0,
        })
}

/// The `cast` library's `ToInt64`.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        Value::Float(number) => truncate(*number),
        Value::Bool(value) => i64::from(*value),
        Value::Str(text) => parse_int(trim_zero_decimal(text)).unwrap_or(0),
        Value::Object(object) => object.number().unwrap_or(0),
        _ => 0,
    }
}

/// Go's conversion of a float on amd64: what does not fit becomes the smallest integer.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn truncate(number: f64) -> i64 {
    let limit = 9_223_372_036_854_775_808.0;
    if number.is_nan() || number >= limit || number < -limit {
        i64::MIN
    } else {
        number as i64
    }
}

/// The `cast` library's `ToFloat64`.
#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
pub(crate) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number, IntKind::Uint64) => number.cast_unsigned() as f64,
        Value::Int(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Str(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Go's `ParseFloat`, without hexadecimal floats.
fn parse_float(text: &str) -> Option<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() || text.to_ascii_lowercase().contains("inf"))
}

fn trim_zero_decimal(text: &str) -> &str {
    let trimmed = text.trim_end_matches('0');
    if trimmed.len() < text.len() && trimmed.ends_with('.') {
        &trimmed[..trimmed.len() - 1]
    } else {
        text
    }
}

/// Go's `ParseInt` with base 0: prefixes for the base, and underscores between digits.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if radix == 10 && (digits.starts_with('_')) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(&digits, radix).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

fn divisor(args: &[Value]) -> Result<i64, Fault> {
    match to_int64(any(args, 1)) {
        0 => Err("runtime error: integer divide by zero".into()),
        divisor => Ok(divisor),
    }
}

fn largest(args: &[Value]) -> Value {
    Value::int64(args.iter().map(to_int64).max().unwrap_or(0))
}

/// Go's `math.Max`: of the two zeros the positive one, which `f64::max` leaves open.
fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a.total_cmp(&b).is_gt() {
        a
    } else {
        b
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every function has this signature")]
fn round(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let threshold = match args.get(2) {
        Some(Value::Float(threshold)) => *threshold,
        _ => 0.5,
    };
    let places = i32::try_from(int(args, 1)).unwrap_or(0);
    let power = 10_f64.powi(places);
    let digit = power * to_float(any(args, 0));
    let rounded = if digit.fract() >= threshold {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::Float(rounded / power))
}

fn steps(start: i64, end: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let mut numbers = Vec::new();
    if (end < start && step >= 0) || (end >= start && step <= 0) {
        return Ok(numbers);
    }
    let mut at = start;
    while if step < 0 { at > end } else { at < end } {
        if numbers.len() >= 1 << 20 {
            return Err("the list would have more than a million elements".into());
        }
        numbers.push(at);
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(numbers)
}

fn ints(numbers: Vec<i64>) -> Value {
    Value::List(List::typed(
        numbers.into_iter().map(Value::int).collect(),
        ListKind::Ints,
    ))
}

fn seq(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let at = |index: usize| int(args, index);
    let (start, end, step) = match args.len() {
        1 => {
            let step = if at(0) < 1 { -1 } else { 1 };
            (1, at(0).saturating_add(step), step)
        }
        2 => {
            let step = if at(1) < at(0) { -1 } else { 1 };
            (at(0), at(1).saturating_add(step), step)
        }
        3 => {
            let down = at(2) < at(0);
            if down && at(1) > 0 {
                return Ok("".into());
            }
            (at(0), at(2).saturating_add(if down { -1 } else { 1 }), at(1))
        }
        _ => return Ok("".into()),
    };
    let texts: Vec<String> = steps(start, end, step)?.iter().map(ToString::to_string).collect();
    Ok(texts.join(" ").into())
}

use super::decimal::Decimal;

fn decimal(start: f64, values: &[Value], operate: fn(&Decimal, &Decimal) -> Decimal) -> Value {
    let mut result = Decimal::from_float(start);
    for value in values {
        result = operate(&result, &Decimal::from_float(to_float(value)));
    }
    Value::Float(result.to_float())
}

fn decimal_rest(args: &[Value], operate: fn(&Decimal, &Decimal) -> Decimal) -> Value {
    decimal(to_float(any(args, 0)), args.get(1..).unwrap_or_default(), operate)
}
