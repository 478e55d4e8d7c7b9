//! Recognizes timestamps; go-yaml keeps them as text, but a text that looks like one is quoted when written.

/// Whether go-yaml's `parseTimestamp` accepts the text.
pub(crate) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let year: u32 = text[..4].parse().unwrap_or(0);
    let mut rest = &text[5..];
    let Some(month) = number(&mut rest, 2) else {
        return false;
    };
    if !eat(&mut rest, '-') {
        return false;
    }
    let Some(day) = number(&mut rest, 2) else {
        return false;
    };
    if !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let zoned = match rest.as_bytes()[0] {
        b'T' | b't' => true,
        b' ' => false,
        _ => return false,
    };
    rest = &rest[1..];
    if !clock(&mut rest) {
        return false;
    }
    if zoned { zone(rest) } else { rest.is_empty() }
}

fn clock(rest: &mut &str) -> bool {
    let Some(hour) = number(rest, 2) else { return false };
    if !eat(rest, ':') {
        return false;
    }
    let Some(minute) = number(rest, 2) else {
        return false;
    };
    if !eat(rest, ':') {
        return false;
    }
    let Some(second) = number(rest, 2) else {
        return false;
    };
    if rest.starts_with(['.', ',']) {
        let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        *rest = &rest[1 + digits..];
    }
    hour < 24 && minute < 60 && second < 60
}

fn zone(rest: &str) -> bool {
    if rest == "Z" {
        return true;
    }
    let bytes = rest.as_bytes();
    bytes.len() == 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && rest[1..3].parse::<u32>().is_ok_and(|hour| hour <= 24)
        && rest[4..6].parse::<u32>().is_ok_and(|minute| minute < 60)
}

fn number(rest: &mut &str, most: usize) -> Option<u32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let number = rest[..length].parse().ok()?;
    *rest = &rest[length..];
    Some(number)
}

fn eat(rest: &mut &str, character: char) -> bool {
    match rest.strip_prefix(character) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}
