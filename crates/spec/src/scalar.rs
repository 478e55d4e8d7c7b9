//! What a plain word of YAML means. Helm reads charts' values with rules of YAML 1.1, most other programs with those of
//! 1.2; words on which they disagree are not guessed at.

use serde_json::Number;

use crate::node::Content;

const TRUTH: &str = "some programs read it as true or false, others as a word";
const OCTAL: &str = "some programs read a number with a leading zero as octal";
const BASE: &str = "programs disagree on numbers of other bases";
const UNDERSCORE: &str = "some programs read it as a number, others as text";
const UNLIMITED: &str = "it is no number that JSON can hold";

/// The meaning of a scalar written without quotes.
pub(crate) fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Boolean(true),
        "false" | "False" | "FALSE" => return Content::Boolean(false),
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    let ambiguous = |why| Content::Ambiguous(text.to_owned(), why);
    if matches!(lower.as_str(), "yes" | "no" | "on" | "off") {
        return ambiguous(TRUTH);
    }
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return ambiguous(UNLIMITED);
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Content::Text(text.to_owned());
    }
    let based = |prefix: &str, radix: u32| {
        unsigned.strip_prefix(prefix).is_some_and(|digits| {
            !digits.is_empty() && digits.chars().all(|digit| digit == '_' || digit.is_digit(radix))
        })
    };
    if based("0x", 16) || based("0o", 8) || based("0b", 2) {
        return ambiguous(BASE);
    }
    let all_digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits && unsigned.len() > 1 && unsigned.starts_with('0') {
        return ambiguous(OCTAL);
    }
    if unsigned.contains('_') && is_number(&unsigned.replace('_', "")) {
        return ambiguous(UNDERSCORE);
    }
    if !is_number(unsigned) {
        return Content::Text(text.to_owned());
    }
    let number = if all_digits {
        let signed = text.strip_prefix('+').unwrap_or(text);
        signed
            .parse::<i64>()
            .map(Number::from)
            .or_else(|_| signed.parse::<u64>().map(Number::from))
            .ok()
    } else {
        text.parse::<f64>().ok().and_then(Number::from_f64)
    };
    number.map_or_else(|| ambiguous(UNLIMITED), Content::Number)
}

/// Digits, with at most one point and an exponent.
fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_holds = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && whole.len() + part.len() > 0,
        None => digits(mantissa) && !mantissa.is_empty(),
    };
    let exponent_holds = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        digits(unsigned) && !unsigned.is_empty()
    });
    mantissa_holds && exponent_holds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match plain(text) {
            Content::Null => "null",
            Content::Boolean(_) => "boolean",
            Content::Number(_) => "number",
            Content::Text(_) => "text",
            Content::Ambiguous(..) => "ambiguous",
            _ => "other",
        }
    }

    #[test]
    fn words_are_read_as_all_programs_read_them_or_not_at_all() {
        for text in ["", "~", "null"] {
            assert_eq!(kind(text), "null", "{text}");
        }
        for text in [
            "yes",
            "No",
            "ON",
            "off",
            "0777",
            "-01",
            "0x1f",
            "0o17",
            "0b11",
            "1_000",
            ".inf",
            "-.NaN",
            "99999999999999999999",
            "1e999",
        ] {
            assert_eq!(kind(text), "ambiguous", "{text}");
        }
        for text in [
            "0",
            "-7",
            "+7",
            "3.5",
            ".5",
            "1.",
            "1e3",
            "1.5E-3",
            "18446744073709551615",
        ] {
            assert_eq!(kind(text), "number", "{text}");
        }
        for text in [
            "y",
            "n",
            "yess",
            "1.2.3.4",
            "10.0.0.0/8",
            "12:30:45",
            "2026-01-01",
            "1e",
            ".",
            "-",
            "+",
            "=",
            "1a",
            "0xg",
            "500Mi",
        ] {
            assert_eq!(kind(text), "text", "{text}");
        }
    }
}
