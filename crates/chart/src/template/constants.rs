//! Constants in templates: Go's quoted strings, characters and numbers.

use super::format::quote;
use super::syntax::{Number, Text};

/// Go's `strconv.Unquote` for double-quoted and raw strings.
pub(super) fn unquote(quoted: &str) -> Option<Text> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quoted.starts_with('`') {
        return Some(Text::Utf8(inner.replace('\r', "").into()));
    }
    if !inner.contains(['\\', '"']) {
        return Some(Text::Utf8(inner.into()));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, after) = unit(rest, '"')?;
        rest = after;
        match unit {
            Unit::Character(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => Text::Utf8(text.into()),
        Err(error) => Text::Raw(error.into_bytes().into()),
    })
}

enum Unit {
    Character(char),
    Byte(u8),
}

/// The first character of a quoted text, and the rest.
fn unit(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    if first != '\\' {
        return (first != mark).then_some((Unit::Character(first), characters.as_str()));
    }
    let escape = characters.next()?;
    let rest = characters.as_str();
    let digits = |count: usize, radix: u32| -> Option<(u32, &str)> {
        let digits = rest.get(..count)?;
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        Some((u32::from_str_radix(digits, radix).ok()?, &rest[count..]))
    };
    let simple = |character| Some((Unit::Character(character), rest));
    match escape {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        '\'' | '"' => (escape == mark).then_some((Unit::Character(escape), rest)),
        'x' => digits(2, 16).and_then(|(code, rest)| Some((Unit::Byte(u8::try_from(code).ok()?), rest))),
        'u' => digits(4, 16).and_then(|(code, rest)| Some((Unit::Character(char::from_u32(code)?), rest))),
        'U' => digits(8, 16).and_then(|(code, rest)| Some((Unit::Character(char::from_u32(code)?), rest))),
        '0'..='7' => {
            let octal = text.get(1..4)?;
            let code = octal
                .chars()
                .all(|digit| digit.is_digit(8))
                .then(|| u32::from_str_radix(octal, 8).ok())??;
            Some((Unit::Byte(u8::try_from(code).ok()?), &text[4..]))
        }
        _ => None,
    }
}

/// A character constant such as `'a'`.
pub(super) fn character(text: &str) -> Result<Number, String> {
    let malformed = || format!("malformed character constant: {text}");
    let (unit, rest) = unit(&text[1..], '\'').ok_or_else(|| "invalid syntax".to_owned())?;
    if rest != "'" {
        return Err(malformed());
    }
    Ok(Number::Int(match unit {
        Unit::Character(character) => i64::from(u32::from(character)),
        Unit::Byte(byte) => i64::from(byte),
    }))
}

/// A number constant.
pub(super) fn number(text: &str) -> Result<Number, String> {
    let illegal = || format!("illegal number syntax: {}", quote(text));
    match integer(text) {
        Some(wide) => {
            if let Ok(number) = i64::try_from(wide) {
                return Ok(Number::Int(number));
            }
            if let Ok(number) = u64::try_from(wide)
                && !text.starts_with(['+', '-'])
            {
                return Ok(Number::Uint(number));
            }
        }
        None if !text.contains(['.', 'e', 'E', 'p', 'P']) => return Err(illegal()),
        None => {}
    }
    let number = float(text).ok_or_else(illegal)?;
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote(text)));
    }
    Ok(Number::Float(number))
}

/// Go's integers with base 0; wider than any type, so that overflows can be told apart.
fn integer(text: &str) -> Option<i128> {
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
    let start = if radix == 10 {
        digits
    } else {
        digits.strip_prefix('_').unwrap_or(digits)
    };
    if start.is_empty() || start.starts_with('_') || start.ends_with('_') || start.contains("__") {
        return None;
    }
    let plain = start.replace('_', "");
    if !plain.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(&plain, radix).unwrap_or(i128::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

/// Go's `ParseFloat`, with hexadecimal floats.
fn float(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let (sign, magnitude) = match plain.as_bytes().first()? {
        b'-' => (-1.0, &plain[1..]),
        b'+' => (1.0, &plain[1..]),
        _ => (1.0, plain.as_str()),
    };
    let lower = magnitude.to_ascii_lowercase();
    let value = match lower.strip_prefix("0x") {
        Some(hex) => {
            let (mantissa, power) = hex.split_once('p')?;
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let digits = format!("{whole}{fraction}");
            let mantissa = u64::from_str_radix(&digits, 16).ok()?;
            let power: i32 = power.parse().ok()?;
            let shift = i32::try_from(fraction.len()).ok()? * 4;
            #[expect(clippy::cast_precision_loss, reason = "a constant in a template")]
            let mantissa = mantissa as f64;
            mantissa * 2_f64.powi(power - shift)
        }
        None => lower.parse::<f64>().ok()?,
    };
    value.is_finite().then_some(sign * value)
}
