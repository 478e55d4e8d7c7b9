//! Go's `strconv.FormatFloat`.

/// Formats like Go does: verbs `b`, `e`, `E`, `f`, `g`, `G`, `x`, `X`, with a precision or the shortest digits that read back.
pub(crate) fn format_float(number: f64, verb: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let magnitude = number.abs();
    let body = match verb {
        'f' => match precision {
            Some(precision) => format!("{magnitude:.precision$}"),
            None => format!("{magnitude}"),
        },
        'e' | 'E' => {
            let text = match precision {
                Some(precision) => format!("{magnitude:.precision$e}"),
                None => format!("{magnitude:e}"),
            };
            exponent(&text, verb)
        }
        'b' => binary(magnitude),
        'x' | 'X' => hexadecimal(magnitude, precision, verb),
        _ => general(magnitude, precision, if verb == 'G' { 'E' } else { 'e' }),
    };
    format!("{sign}{body}")
}

/// The bits of a fraction and the power of two of its last one.
fn parts(magnitude: f64) -> (u64, i32) {
    const FRACTION: u32 = 52;
    let bits = magnitude.to_bits();
    let fraction = bits & ((1 << FRACTION) - 1);
    let power = i32::try_from((bits >> FRACTION) & 0x7FF).unwrap_or(0);
    if power == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << FRACTION, power - 1075)
    }
}

/// `%b`
fn binary(magnitude: f64) -> String {
    let (fraction, power) = parts(magnitude);
    format!("{fraction}p{power:+}")
}

/// `%x`
fn hexadecimal(magnitude: f64, precision: Option<usize>, verb: char) -> String {
    const POINT: u32 = 60;
    let (fraction, power) = parts(magnitude);
    let (mut fraction, mut power) = (fraction << (POINT - 52), power + 52);
    if fraction == 0 {
        power = 0;
    }
    while fraction != 0 && fraction & (1 << POINT) == 0 {
        fraction <<= 1;
        power -= 1;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = u32::try_from(precision * 4).unwrap_or(0);
        let extra = (fraction << shift) & ((1 << POINT) - 1);
        fraction >>= POINT - shift;
        fraction += u64::from(extra | (fraction & 1) > 1 << (POINT - 1));
        fraction <<= POINT - shift;
        if fraction & (1 << (POINT + 1)) != 0 {
            fraction >>= 1;
            power += 1;
        }
    }
    let digits = format!("{:015x}", fraction & ((1 << POINT) - 1));
    let digits = match precision {
        Some(precision) => format!("{digits:0<precision$}").chars().take(precision).collect(),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    let text = format!("0x{}{point}{digits}p{sign}{:02}", fraction >> POINT, power.abs());
    if verb == 'X' { text.to_uppercase() } else { text }
}

/// `%g`: the shorter of `%e` and `%f`, by Go's rule.
fn general(magnitude: f64, precision: Option<usize>, letter: char) -> String {
    let text = match precision {
        Some(precision) => format!("{magnitude:.*e}", precision.max(1) - 1),
        None => format!("{magnitude:e}"),
    };
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let mut digits: String = mantissa.chars().filter(|character| *character != '.').collect();
    if precision.is_some() {
        // %g drops trailing zeros.
        let kept = digits.trim_end_matches('0').len().max(1);
        digits.truncate(kept);
    }
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = power + 1;
    let threshold = match precision {
        None => 6,
        Some(precision) => {
            let wanted = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            if wanted > count && count >= point {
                count
            } else {
                wanted
            }
        }
    };
    if magnitude != 0.0 && (power < -4 || power >= threshold) {
        let fraction = if digits.len() > 1 {
            format!(".{}", &digits[1..])
        } else {
            String::new()
        };
        return exponent(&format!("{}{fraction}e{power}", &digits[..1]), letter);
    }
    if point <= 0 {
        let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
        return if magnitude == 0.0 {
            "0".to_owned()
        } else {
            format!("0.{zeros}{digits}")
        };
    }
    let point = usize::try_from(point).unwrap_or(0);
    if digits.len() <= point {
        format!("{digits}{}", "0".repeat(point - digits.len()))
    } else {
        format!("{}.{}", &digits[..point], &digits[point..])
    }
}

/// Writes the exponent with a sign and at least two digits.
fn exponent(text: &str, letter: char) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", power.abs())
}

/// Go's JSON encoding of a number.
pub(crate) fn json_float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format_float(number, 'e', None);
        // Go shortens e-09 to e-9.
        return match text.rfind("e-0") {
            Some(at) => format!("{}e-{}", &text[..at], &text[at + 3..]),
            None => text,
        };
    }
    format_float(number, 'f', None)
}

/// `%g` with the shortest digits of a 32-bit float.
pub(crate) fn format_float32(number: f32) -> String {
    if !number.is_finite() {
        return format_float(f64::from(number), 'g', None);
    }
    // The shortest digits for 32 bits, read as the 64-bit number with the same digits.
    let digits = format!("{number:e}");
    digits
        .parse::<f64>()
        .map_or(digits, |wide| format_float(wide, 'g', None))
}
