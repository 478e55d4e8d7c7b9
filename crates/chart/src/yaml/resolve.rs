//! Which type a plain scalar has, by go-yaml v2's rules.

use base64::Engine as _;

use super::timestamp;

/// What a scalar turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str,
    Timestamp,
    Binary(Vec<u8>),
}

impl Resolved {
    fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Str => "!!str",
            Self::Timestamp => "!!timestamp",
            Self::Binary(_) => "!!binary",
        }
    }
}

/// Resolves a scalar that may have a tag.
pub(crate) fn resolve_tagged(tag: &str, value: &str) -> Result<Resolved, String> {
    let short = tag
        .strip_prefix("tag:yaml.org,2002:")
        .map(|rest| format!("!!{rest}"));
    match short.as_deref().unwrap_or(tag) {
        "!!binary" => base64::engine::general_purpose::STANDARD
            .decode(value.replace(['\n', '\r'], ""))
            .map(Resolved::Binary)
            .map_err(|_| "yaml: !!binary value contains invalid base64 data".to_owned()),
        wanted @ ("" | "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp") => {
            let resolved = resolve_hinted(value, matches!(wanted, "" | "!!timestamp"));
            #[expect(clippy::cast_precision_loss, reason = "as go-yaml converts")]
            match (wanted, resolved) {
                ("!!float", Resolved::Int(number)) => Ok(Resolved::Float(number as f64)),
                ("", resolved) => Ok(resolved),
                (wanted, resolved) if resolved.tag() == wanted => Ok(resolved),
                (wanted, resolved) => Err(format!(
                    "yaml: cannot decode {} `{value}` as a {wanted}",
                    resolved.tag()
                )),
            }
        }
        // Other tags leave the text alone.
        _ => Ok(Resolved::Str),
    }
}

/// Resolves a plain scalar without a tag.
pub(crate) fn resolve(value: &str) -> Resolved {
    resolve_hinted(value, true)
}

fn resolve_hinted(value: &str, timestamps: bool) -> Resolved {
    let Some(first) = value.bytes().next() else {
        return Resolved::Null;
    };
    match first {
        b'y'
        | b'Y'
        | b'n'
        | b'N'
        | b't'
        | b'T'
        | b'f'
        | b'F'
        | b'o'
        | b'O'
        | b'~'
        | b'.'
        | b'+'
        | b'-'
        | b'<'
        | b'0'..=b'9' => {}
        _ => return Resolved::Str,
    }
    match value {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match first {
        b'.' => go_float(value).map_or(Resolved::Str, Resolved::Float),
        b'0'..=b'9' | b'+' | b'-' => number(value, timestamps),
        _ => Resolved::Str,
    }
}

fn number(value: &str, timestamps: bool) -> Resolved {
    // Most numbers are written like this, and mean the same to all that is tried below.
    if value.len() < 19
        && !(value.len() > 1 && value.starts_with('0'))
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = value.parse()
    {
        return Resolved::Int(number);
    }
    if timestamps && timestamp::is_timestamp(value) {
        return Resolved::Timestamp;
    }
    let plain = value.replace('_', "");
    if let Some(number) = go_integer(&plain) {
        return number;
    }
    if is_yaml_float(&plain)
        && let Some(number) = go_float(&plain)
    {
        return Resolved::Float(number);
    }
    Resolved::Str
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn go_integer(text: &str) -> Option<Resolved> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Resolved::Int);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Resolved::Int(number)),
        // ParseUint takes no sign.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Resolved::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_yaml_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole == 0 && fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        Some(power) => {
            let power = power.strip_prefix(['-', '+']).unwrap_or(power);
            !power.is_empty() && digits(power) == power.len()
        }
        None => rest.is_empty(),
    }
}

/// Go's `ParseFloat` for the decimal forms that can reach it; an overflow is an error there.
pub(crate) fn go_float(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    if !is_yaml_float(&plain) || plain.len() != text.len() {
        return None;
    }
    plain.parse::<f64>().ok().filter(|number| number.is_finite())
}
