//! Sprig's functions for dates. The local zone is UTC: a rendering must not depend on the machine.

use super::arguments::{any, text};
use super::duration;
use super::layout;
use super::random::source;
use super::time::{Time, of};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::{IntKind, Value};

const HTML: &str = "2006-01-02";

/// An hour in nanoseconds.
const HOUR: u64 = 3_600_000_000_000;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("now", &[], |call, _| now(call, "now").map(Time::value)),
    fixed("date", &[Ty::Str, Ty::Any], |call, args| {
        show(call, "date", &text(args, 0), any(args, 1), "Local")
    }),
    fixed("date_in_zone", &[Ty::Str, Ty::Any, Ty::Str], in_zone),
    fixed("dateInZone", &[Ty::Str, Ty::Any, Ty::Str], in_zone),
    fixed("htmlDate", &[Ty::Any], |call, args| {
        show(call, "htmlDate", HTML, any(args, 0), "Local")
    }),
    fixed("htmlDateInZone", &[Ty::Any, Ty::Str], |call, args| {
        show(call, "htmlDateInZone", HTML, any(args, 0), &text(args, 1))
    }),
    fixed("date_modify", &[Ty::Str, Ty::Time], modify),
    fixed("dateModify", &[Ty::Str, Ty::Time], modify),
    fixed("must_date_modify", &[Ty::Str, Ty::Time], must_modify),
    fixed("mustDateModify", &[Ty::Str, Ty::Time], must_modify),
    fixed("ago", &[Ty::Any], |call, args| {
        let then = match any(args, 0) {
            Value::Object(object) => object.time(),
            Value::Int(seconds, IntKind::Int | IntKind::Int64) => Some(Time::utc(*seconds, 0)),
            _ => None,
        };
        let now = now(call, "ago")?;
        let then = then.unwrap_or_else(|| now.clone());
        let seconds = rounded(&now, &then);
        Ok(duration::format(seconds.saturating_mul(1_000_000_000)).into())
    }),
    fixed("duration", &[Ty::Any], |_, args| {
        let seconds = match any(args, 0) {
            Value::Str(text) => text.parse().unwrap_or(0),
            Value::Int(seconds, IntKind::Int64) => *seconds,
            _ => 0_i64,
        };
        Ok(duration::format(seconds.wrapping_mul(1_000_000_000)).into())
    }),
    fixed("durationRound", &[Ty::Any], round),
    fixed("toDate", &[Ty::Str, Ty::Str], |_, args| {
        Ok(layout::parse(&text(args, 0), &text(args, 1))
            .unwrap_or_else(|_| Time::zero())
            .value())
    }),
    fixed("mustToDate", &[Ty::Str, Ty::Str], |_, args| {
        layout::parse(&text(args, 0), &text(args, 1))
            .map(Time::value)
            .map_err(Fault::new)
    }),
    fixed("unixEpoch", &[Ty::Time], |_, args| {
        Ok(of(any(args, 0))?.seconds.to_string().into())
    }),
];

fn now(call: &Call<'_, '_>, function: &'static str) -> Result<Time, Fault> {
    let (seconds, nanos) = source(call, function)?.now();
    Ok(Time::utc(seconds, nanos))
}

/// Seconds between two times, rounded half away from zero.
fn rounded(now: &Time, then: &Time) -> i64 {
    let nanos = (i128::from(now.seconds) - i128::from(then.seconds)) * 1_000_000_000 + i128::from(now.nanos)
        - i128::from(then.nanos);
    let half = if nanos < 0 { -500_000_000 } else { 500_000_000 };
    i64::try_from((nanos + half) / 1_000_000_000).unwrap_or(i64::MAX)
}

fn show(
    call: &Call<'_, '_>,
    function: &'static str,
    pattern: &str,
    value: &Value,
    zone: &str,
) -> Result<Value, Fault> {
    let time = match value {
        Value::Object(object) => object.time(),
        Value::Int(seconds, IntKind::Int | IntKind::Int64) => Some(Time::utc(*seconds, 0)),
        _ => None,
    };
    let time = match time {
        Some(time) => time,
        None => now(call, function)?,
    };
    Ok(layout::format(&time.in_zone(zone), pattern).into())
}

fn in_zone(call: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    show(call, "dateInZone", &text(args, 0), any(args, 1), &text(args, 2))
}

fn modify(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let time = of(any(args, 1))?;
    Ok(duration::parse(&text(args, 0))
        .map_or(time.clone(), |nanos| time.plus(nanos))
        .value())
}

fn must_modify(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let time = of(any(args, 1))?;
    Ok(time
        .plus(duration::parse(&text(args, 0)).map_err(Fault::new)?)
        .value())
}

fn round(call: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let nanos = match any(args, 0) {
        Value::Str(text) => duration::parse(text).unwrap_or(0),
        Value::Int(nanos, IntKind::Int64) => *nanos,
        Value::Object(object) => match object.time() {
            Some(then) => {
                let now = now(call, "durationRound")?;
                now.seconds
                    .saturating_sub(then.seconds)
                    .saturating_mul(1_000_000_000)
            }
            None => 0,
        },
        _ => 0,
    };
    let size = nanos.unsigned_abs();
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ];
    let unit = units.iter().find(|(unit, _)| size > *unit);
    Ok(unit
        .map_or("0s".to_owned(), |(unit, name)| format!("{}{name}", size / unit))
        .into())
}
