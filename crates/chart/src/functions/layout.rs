//! Go's time layouts, written with the reference time `Mon Jan 2 15:04:05 MST 2006`.

use super::time::{Time, days_of};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// One part of a layout.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    /// With `Z` for UTC, colons, and whether minutes and seconds are shown.
    Offset {
        zulu: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// Digits after the point, which may be a comma; trailing zeros may be dropped.
    Fraction {
        digits: usize,
        trim: bool,
        comma: bool,
    },
}

/// The first part of a layout: the text before it, the part, and the rest.
fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
    let bytes = layout.as_bytes();
    for at in 0..bytes.len() {
        if !layout.is_char_boundary(at) {
            continue;
        }
        if let Some((part, length)) = part_at(&layout[at..], at > 0 && bytes[at - 1].is_ascii_digit()) {
            return (&layout[..at], Some(part), &layout[at + length..]);
        }
    }
    (layout, None, "")
}

fn part_at(rest: &str, _after_digit: bool) -> Option<(Part, usize)> {
    let starts = |prefix: &str| rest.starts_with(prefix);
    let lower_follows = |length: usize| rest[length..].starts_with(|c: char| c.is_ascii_lowercase());
    let offset = |zulu, colon, minutes, seconds| Part::Offset {
        zulu,
        colon,
        minutes,
        seconds,
    };
    let table: &[(&str, Part)] = &[
        ("January", Part::LongMonth),
        ("Monday", Part::LongWeekday),
        ("MST", Part::ZoneName),
        ("2006", Part::LongYear),
        ("002", Part::ZeroYearDay),
        ("__2", Part::SpaceYearDay),
        ("Z07:00:00", offset(true, true, true, true)),
        ("Z070000", offset(true, false, true, true)),
        ("Z07:00", offset(true, true, true, false)),
        ("Z0700", offset(true, false, true, false)),
        ("Z07", offset(true, false, false, false)),
        ("-07:00:00", offset(false, true, true, true)),
        ("-070000", offset(false, false, true, true)),
        ("-07:00", offset(false, true, true, false)),
        ("-0700", offset(false, false, true, false)),
        ("-07", offset(false, false, false, false)),
        ("01", Part::ZeroMonth),
        ("02", Part::ZeroDay),
        ("03", Part::ZeroHour12),
        ("04", Part::ZeroMinute),
        ("05", Part::ZeroSecond),
        ("06", Part::Year),
        ("15", Part::Hour),
        ("PM", Part::UpperHalf),
        ("pm", Part::LowerHalf),
    ];
    if starts("Jan") && !starts("January") {
        return (!lower_follows(3)).then_some((Part::Month, 3));
    }
    if starts("Mon") && !starts("Monday") {
        return (!lower_follows(3)).then_some((Part::Weekday, 3));
    }
    if starts("_2006") {
        // An underscore before a year is text.
        return None;
    }
    if starts("_2") {
        return Some((Part::SpaceDay, 2));
    }
    if let Some((text, part)) = table.iter().find(|(text, _)| starts(text)) {
        return Some((*part, text.len()));
    }
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'1' => Some((Part::NumMonth, 1)),
        b'2' => Some((Part::Day, 1)),
        b'3' => Some((Part::Hour12, 1)),
        b'4' => Some((Part::Minute, 1)),
        b'5' => Some((Part::Second, 1)),
        point @ (b'.' | b',') => {
            let digit = *bytes.get(1)?;
            if digit != b'0' && digit != b'9' {
                return None;
            }
            let digits = bytes[1..].iter().take_while(|byte| **byte == digit).count();
            // Digits that go on are part of something else.
            if bytes.get(1 + digits).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            Some((
                Part::Fraction {
                    digits,
                    trim: digit == b'9',
                    comma: point == b',',
                },
                1 + digits,
            ))
        }
        _ => None,
    }
}

/// Go's `Time.Format`.
pub(super) fn format(time: &Time, layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::new();
    let mut rest = layout;
    loop {
        let (before, part, after) = next_part(rest);
        out.push_str(before);
        let Some(part) = part else { return out };
        rest = after;
        let month = MONTHS[usize::try_from(civil.month.max(1) - 1).unwrap_or(0) % 12];
        let weekday = DAYS[usize::try_from(civil.weekday).unwrap_or(0) % 7];
        let twelve = if civil.hour.is_multiple_of(12) {
            12
        } else {
            civil.hour % 12
        };
        let text = match part {
            Part::LongMonth => month.to_owned(),
            Part::Month => month[..3].to_owned(),
            Part::NumMonth => civil.month.to_string(),
            Part::ZeroMonth => format!("{:02}", civil.month),
            Part::LongWeekday => weekday.to_owned(),
            Part::Weekday => weekday[..3].to_owned(),
            Part::Day => civil.day.to_string(),
            Part::SpaceDay => format!("{:>2}", civil.day),
            Part::ZeroDay => format!("{:02}", civil.day),
            Part::SpaceYearDay => format!("{:>3}", civil.year_day),
            Part::ZeroYearDay => format!("{:03}", civil.year_day),
            Part::Hour => format!("{:02}", civil.hour),
            Part::Hour12 => twelve.to_string(),
            Part::ZeroHour12 => format!("{twelve:02}"),
            Part::Minute => civil.minute.to_string(),
            Part::ZeroMinute => format!("{:02}", civil.minute),
            Part::Second => civil.second.to_string(),
            Part::ZeroSecond => format!("{:02}", civil.second),
            Part::LongYear if civil.year < 0 => format!("-{:04}", -civil.year),
            Part::LongYear => format!("{:04}", civil.year),
            Part::Year => format!("{:02}", civil.year.rem_euclid(100)),
            Part::UpperHalf => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
            Part::LowerHalf => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
            Part::ZoneName => time.zone.clone(),
            Part::Offset { zulu: true, .. } if time.offset == 0 => "Z".to_owned(),
            Part::Offset {
                colon,
                minutes,
                seconds,
                ..
            } => {
                let total = time.offset.unsigned_abs();
                let colon = if colon { ":" } else { "" };
                let mut text = format!("{}{:02}", if time.offset < 0 { '-' } else { '+' }, total / 3600);
                if minutes {
                    text.push_str(&format!("{colon}{:02}", total / 60 % 60));
                }
                if seconds {
                    text.push_str(&format!("{colon}{:02}", total % 60));
                }
                text
            }
            Part::Fraction { digits, trim, comma } => {
                let all = format!("{:09}", time.nanos);
                let mut shown: String = all.chars().chain(std::iter::repeat('0')).take(digits).collect();
                if trim {
                    shown.truncate(shown.trim_end_matches('0').len());
                }
                if shown.is_empty() && trim {
                    String::new()
                } else {
                    format!("{}{shown}", if comma { ',' } else { '.' })
                }
            }
        };
        out.push_str(&text);
    }
}

/// What a text says about a time.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    zone: Option<String>,
}

/// Go's `time.ParseInLocation` with UTC as the location; the error is in Go's words where that is simple.
pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let quote = crate::template::format::quote;
    let mut found = Found::default();
    let (mut layout_rest, mut rest) = (layout, text);
    loop {
        let (before, part, after) = next_part(layout_rest);
        let cannot = |rest: &str, wanted: &str| {
            format!(
                "parsing time {} as {}: cannot parse {} as {}",
                quote(text),
                quote(layout),
                quote(rest),
                quote(wanted)
            )
        };
        rest = skip(rest, before).ok_or_else(|| cannot(rest, before))?;
        let Some(part) = part else {
            if !rest.is_empty() {
                return Err(format!(
                    "parsing time {}: extra text: {}",
                    quote(text),
                    quote(rest)
                ));
            }
            break;
        };
        let wanted = &layout_rest[before.len()..layout_rest.len() - after.len()];
        layout_rest = after;
        rest = found
            .take(part, rest, layout_rest)
            .ok_or_else(|| cannot(rest, wanted))?;
    }
    found
        .time()
        .map_err(|what| format!("parsing time {}: {what} out of range", quote(text)))
}

/// Skips the literal text of a layout; a space stands for any number of them.
fn skip<'t>(mut text: &'t str, mut literal: &str) -> Option<&'t str> {
    while let Some(character) = literal.chars().next() {
        if character == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(character)?;
        literal = &literal[character.len_utf8()..];
    }
    Some(text)
}

fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

fn name<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(u32, &'t str)> {
    names.iter().zip(1..).find_map(|(name, number)| {
        let name = if short { &name[..3] } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (number, &text[name.len()..]))
    })
}

impl Found {
    fn take<'t>(&mut self, part: Part, text: &'t str, after: &str) -> Option<&'t str> {
        let mut rest = text;
        let mut number = |least: usize, most: usize| -> Option<u32> {
            let (number, after) = digits(rest, least, most)?;
            rest = after;
            Some(number)
        };
        match part {
            Part::LongYear => self.year = Some(i64::from(number(4, 4)?)),
            Part::Year => {
                let year = i64::from(number(2, 2)?);
                self.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
            }
            Part::NumMonth => self.month = Some(number(1, 2)?),
            Part::ZeroMonth => self.month = Some(number(2, 2)?),
            Part::Day => self.day = Some(number(1, 2)?),
            Part::ZeroDay => self.day = Some(number(2, 2)?),
            Part::ZeroYearDay => self.year_day = Some(number(3, 3)?),
            Part::Hour | Part::ZeroHour12 => self.hour = number(2, 2)?,
            Part::Hour12 => self.hour = number(1, 2)?,
            Part::Minute => self.minute = number(1, 2)?,
            Part::ZeroMinute => self.minute = number(2, 2)?,
            Part::Second | Part::ZeroSecond => {
                self.second = number(if part == Part::Second { 1 } else { 2 }, 2)?;
                // A fraction may follow even if the layout has none.
                if !matches!(next_part(after), ("", Some(Part::Fraction { .. }), _))
                    && rest.starts_with(['.', ','])
                    && rest[1..].starts_with(|c: char| c.is_ascii_digit())
                {
                    rest = self.fraction(rest, None)?;
                }
            }
            Part::SpaceDay => {
                let trimmed = text.strip_prefix(' ').unwrap_or(text);
                let (day, after) = digits(trimmed, 1, 2)?;
                self.day = Some(day);
                return Some(after);
            }
            Part::SpaceYearDay => {
                let trimmed = text.trim_start_matches(' ');
                let (day, after) = digits(trimmed, 1, 3)?;
                self.year_day = Some(day);
                return Some(after);
            }
            Part::LongMonth | Part::Month => {
                let (month, after) = name(text, &MONTHS, part == Part::Month)?;
                self.month = Some(month);
                return Some(after);
            }
            Part::LongWeekday | Part::Weekday => {
                return name(text, &DAYS, part == Part::Weekday).map(|(_, after)| after);
            }
            Part::UpperHalf | Part::LowerHalf => {
                let (am, pm) = if part == Part::UpperHalf {
                    ("AM", "PM")
                } else {
                    ("am", "pm")
                };
                self.afternoon = Some(text.starts_with(pm));
                return text.strip_prefix(pm).or_else(|| text.strip_prefix(am));
            }
            Part::ZoneName => {
                let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&length) {
                    return None;
                }
                self.zone = Some(text[..length].to_owned());
                return Some(&text[length..]);
            }
            Part::Offset {
                zulu,
                colon,
                minutes,
                seconds,
            } => {
                if zulu && text.starts_with('Z') {
                    self.offset = Some(0);
                    return Some(&text[1..]);
                }
                return self.offset(text, colon, minutes, seconds);
            }
            Part::Fraction { digits, trim, .. } => {
                return if trim {
                    self.optional_fraction(text)
                } else {
                    self.fraction(text, Some(digits))
                };
            }
        }
        Some(rest)
    }

    fn fraction<'t>(&mut self, text: &'t str, exact: Option<usize>) -> Option<&'t str> {
        let after = text.strip_prefix(['.', ','])?;
        let count = after.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 || exact.is_some_and(|exact| exact != count) {
            return None;
        }
        let nine: String = after[..count]
            .chars()
            .chain(std::iter::repeat('0'))
            .take(9)
            .collect();
        self.nanos = nine.parse().ok()?;
        Some(&after[count..])
    }

    fn optional_fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let present = text.starts_with(['.', ',']) && text[1..].starts_with(|c: char| c.is_ascii_digit());
        if present {
            self.fraction(text, None)
        } else {
            Some(text)
        }
    }

    fn offset<'t>(&mut self, text: &'t str, colon: bool, minutes: bool, seconds: bool) -> Option<&'t str> {
        let negative = match text.as_bytes().first()? {
            b'+' => false,
            b'-' => true,
            _ => return None,
        };
        let (hours, mut rest) = digits(&text[1..], 2, 2)?;
        let mut total = hours * 3600;
        for (wanted, size) in [(minutes, 60), (seconds, 1)] {
            if wanted {
                if colon {
                    rest = rest.strip_prefix(':')?;
                }
                let (number, after) = digits(rest, 2, 2)?;
                total += number * size;
                rest = after;
            }
        }
        let total = i32::try_from(total).ok()?;
        self.offset = Some(if negative { -total } else { total });
        Some(rest)
    }

    fn time(self) -> Result<Time, &'static str> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        if hour >= 24 {
            return Err("hour");
        }
        if self.minute >= 60 {
            return Err("minute");
        }
        if self.second >= 60 {
            return Err("second");
        }
        let year = self.year.unwrap_or(0);
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if !(1..=12).contains(&month) {
            return Err("month");
        }
        let next = if month == 12 {
            days_of(year + 1, 1, 1)
        } else {
            days_of(year, month + 1, 1)
        };
        let length = next - days_of(year, month, 1);
        if day < 1 || i64::from(day) > length {
            return Err("day");
        }
        let days = match self.year_day {
            Some(year_day) if self.month.is_none() => days_of(year, 1, 1) + i64::from(year_day) - 1,
            _ => days_of(year, month, day),
        };
        let offset = self.offset.unwrap_or(0);
        let clock = i64::from(hour * 3600 + self.minute * 60 + self.second);
        let seconds = days * 86_400 + clock - i64::from(offset);
        let zone = match (self.offset, self.zone) {
            (Some(0) | None, None) => "UTC".to_owned(),
            (_, Some(zone)) => zone,
            // A zone without a name prints as its offset.
            (Some(offset), None) => {
                let total = offset.unsigned_abs();
                format!(
                    "{}{:02}{:02}",
                    if offset < 0 { '-' } else { '+' },
                    total / 3600,
                    total / 60 % 60
                )
            }
        };
        Ok(Time {
            seconds,
            nanos: self.nanos,
            offset,
            zone,
        })
    }
}
