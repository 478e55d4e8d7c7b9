//! Go's `time.Duration` as text.

/// As Go prints a duration in nanoseconds: `1h2m3.5s`.
pub(super) fn format(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    if total < 1_000_000_000 {
        let (unit, size) = match total {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", fraction(total, size));
    }
    let seconds = total / 1_000_000_000;
    let tail = fraction(total - (seconds - seconds % 60) * 1_000_000_000, 1_000_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{tail}s"),
        (0, _) => format!("{sign}{minutes}m{tail}s"),
        _ => format!("{sign}{hours}h{minutes}m{tail}s"),
    }
}

fn fraction(total: u64, size: u64) -> String {
    let (whole, rest) = (total / size, total % size);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = format!("{:0width$}", rest, width = size.to_string().len() - 1);
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Go's `ParseDuration`, in nanoseconds.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let quoted = crate::template::format::quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        let number = &rest[..whole];
        rest = &rest[whole..];
        let mut decimals = "";
        if let Some(after) = rest.strip_prefix('.') {
            let length = digits(after);
            decimals = &after[..length];
            rest = &after[length..];
            if whole == 0 && length == 0 {
                return Err(invalid());
            }
        } else if whole == 0 {
            return Err(invalid());
        }
        let length = rest
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = &rest[..length];
        rest = &rest[length..];
        let size: u128 = match unit {
            "" => return Err(format!("time: missing unit in duration {quoted}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                let unit = crate::template::format::quote(unit);
                return Err(format!("time: unknown unit {unit} in duration {quoted}"));
            }
        };
        let number: u128 = if number.is_empty() {
            0
        } else {
            number.parse().map_err(|_| invalid())?
        };
        let mut part = number.checked_mul(size).ok_or_else(invalid)?;
        let decimals = &decimals[..decimals.len().min(18)];
        if !decimals.is_empty() {
            let fraction: u128 = decimals.parse().map_err(|_| invalid())?;
            part += fraction * size / 10_u128.pow(u32::try_from(decimals.len()).unwrap_or(0));
        }
        total = total.checked_add(part).ok_or_else(invalid)?;
    }
    let signed = i128::try_from(total).map_err(|_| invalid())?;
    i64::try_from(if negative { -signed } else { signed }).map_err(|_| invalid())
}
