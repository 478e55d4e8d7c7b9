//! Go's `time.Time`, as far as templates use it.

use std::rc::Rc;

use super::duration;
use super::layout;
use crate::template::fault::Fault;
use crate::template::object::{Method, MethodRun, Object};
use crate::template::signature::Ty;
use crate::template::value::{IntKind, Value};

/// A moment, with the zone that it is shown in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    /// Seconds east of Greenwich.
    pub(crate) offset: i32,
    /// The short name of the zone.
    pub(crate) zone: String,
}

/// The parts of a date.
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    /// From 1.
    pub(crate) year_day: u32,
    /// From Sunday, which is 0.
    pub(crate) weekday: u32,
}

/// Seconds from 1970 to the first moment of Go's calendar.
const ZERO: i64 = -62_135_596_800;
/// Seconds from the first day of which Go can tell the date, in March of the year -292,277,022,400, to 1970.
const START: i64 = (292_277_022_400 / 400 * 146_097 + 306) * 86_400 - ZERO;

impl Time {
    pub(crate) fn utc(seconds: i64, nanos: u32) -> Self {
        Self {
            seconds,
            nanos,
            offset: 0,
            zone: "UTC".to_owned(),
        }
    }

    /// Go's zero time.
    pub(crate) fn zero() -> Self {
        Self::utc(ZERO, 0)
    }

    pub(crate) fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// The moment in a zone of the time zone database; unknown zones count as UTC.
    pub(crate) fn in_zone(&self, name: &str) -> Self {
        let utc = Self::utc(self.seconds, self.nanos);
        if matches!(name, "" | "UTC" | "Local") {
            return utc;
        }
        let Ok(zone) = jiff::tz::TimeZoneDatabase::bundled().get(name) else {
            return utc;
        };
        let Ok(moment) = jiff::Timestamp::from_second(self.seconds) else {
            return utc;
        };
        let info = zone.to_offset_info(moment);
        Self {
            offset: info.offset().seconds(),
            zone: info.abbreviation().to_owned(),
            ..utc
        }
    }

    pub(crate) fn civil(&self) -> Civil {
        let local = self.seconds.wrapping_add(i64::from(self.offset));
        // What is before the first moment of Go's calendar is behind its end.
        let shifted = local.wrapping_add(START).cast_unsigned();
        let days = i64::try_from(shifted / 86_400).unwrap_or(0) - START / 86_400;
        let rest = u32::try_from(shifted % 86_400).unwrap_or(0);
        let (year, month, day) = date_of(days);
        let new_year = days_of(year, 1, 1);
        Civil {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            year_day: u32::try_from(days - new_year + 1).unwrap_or(0),
            weekday: u32::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        }
    }

    /// The moment that many nanoseconds later.
    pub(crate) fn plus(&self, nanos: i64) -> Self {
        let total = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos) + i128::from(nanos);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0);
        Self {
            seconds,
            nanos,
            ..self.clone()
        }
    }

    fn after_date(&self, years: i64, months: i64, days: i64) -> Self {
        let civil = self.civil();
        let month = i64::from(civil.month) - 1 + months;
        let year = civil.year + years + month.div_euclid(12);
        let month = u32::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
        let day = days_of(year, month, 1) + i64::from(civil.day) - 1 + days;
        let clock = i64::from(civil.hour * 3600 + civil.minute * 60 + civil.second);
        Self {
            seconds: day * 86_400 + clock - i64::from(self.offset),
            ..self.clone()
        }
    }
}

/// Days since 1970 of a date, in the calendar that Go extends to all times.
pub(crate) fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = u32::try_from(of_year - (153 * month + 2) / 5 + 1).unwrap_or(1);
    let month = u32::try_from(if month < 10 { month + 3 } else { month - 9 }).unwrap_or(1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn kind_name(&self) -> &'static str {
        "struct"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        method(name)
    }

    fn text(&self) -> String {
        layout::format(self, "2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn json(&self) -> Value {
        layout::format(self, "2006-01-02T15:04:05.999999999Z07:00").into()
    }

    fn time(&self) -> Option<Time> {
        Some(self.clone())
    }
}

/// A number that Go prints by its name: a month, a weekday, a duration.
struct Named {
    type_name: &'static str,
    text: String,
    number: i64,
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind_name(&self) -> &'static str {
        if self.type_name == "time.Duration" {
            "int64"
        } else {
            "int"
        }
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "String").then_some(Method {
            params: &[],
            run: |value, _| Ok(crate::template::format::display(value).into()),
        })
    }

    fn text(&self) -> String {
        self.text.clone()
    }

    fn json(&self) -> Value {
        Value::int64(self.number)
    }

    fn number(&self) -> Option<i64> {
        Some(self.number)
    }
}

fn named(type_name: &'static str, text: impl Into<String>, number: i64) -> Value {
    Value::Object(Rc::new(Named {
        type_name,
        text: text.into(),
        number,
    }))
}

/// The time behind a value that was checked to be one.
pub(super) fn of(value: &Value) -> Result<Time, Fault> {
    match value {
        Value::Object(object) => object.time().ok_or_else(|| Fault::new("not a time")),
        _ => Err(Fault::new("not a time")),
    }
}

fn number(value: u32) -> Value {
    Value::int(i64::from(value))
}

fn int_argument(args: &[Value], index: usize) -> i64 {
    match args.get(index) {
        Some(Value::Int(number, IntKind::Int)) => *number,
        _ => 0,
    }
}

fn method(name: &str) -> Option<Method> {
    const PEER: &[Ty] = &[Ty::Time];
    let (params, run): (&'static [Ty], MethodRun) = match name {
        "Format" => (&[Ty::Str], |value, args| {
            let pattern = args.first().and_then(Value::string_bytes).unwrap_or_default();
            Ok(layout::format(&of(value)?, &String::from_utf8_lossy(pattern)).into())
        }),
        "String" => (&[], |value, _| Ok(of(value)?.text().into())),
        "Unix" => (&[], |value, _| Ok(Value::int64(of(value)?.seconds))),
        "UnixMilli" => (&[], |value, _| {
            let time = of(value)?;
            Ok(Value::int64(
                time.seconds.saturating_mul(1000) + i64::from(time.nanos / 1_000_000),
            ))
        }),
        "UnixNano" => (&[], |value, _| {
            let time = of(value)?;
            Ok(Value::int64(
                time.seconds
                    .wrapping_mul(1_000_000_000)
                    .wrapping_add(i64::from(time.nanos)),
            ))
        }),
        "Year" => (&[], |value, _| Ok(Value::int(of(value)?.civil().year))),
        "Month" => (&[], |value, _| {
            let month = of(value)?.civil().month;
            Ok(named(
                "time.Month",
                layout::MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12],
                i64::from(month),
            ))
        }),
        "Weekday" => (&[], |value, _| {
            let day = of(value)?.civil().weekday;
            Ok(named(
                "time.Weekday",
                layout::DAYS[usize::try_from(day).unwrap_or(0) % 7],
                i64::from(day),
            ))
        }),
        "Day" => (&[], |value, _| Ok(number(of(value)?.civil().day))),
        "Hour" => (&[], |value, _| Ok(number(of(value)?.civil().hour))),
        "Minute" => (&[], |value, _| Ok(number(of(value)?.civil().minute))),
        "Second" => (&[], |value, _| Ok(number(of(value)?.civil().second))),
        "Nanosecond" => (&[], |value, _| Ok(number(of(value)?.nanos))),
        "YearDay" => (&[], |value, _| Ok(number(of(value)?.civil().year_day))),
        "IsZero" => (&[], |value, _| {
            let time = of(value)?;
            Ok((time.seconds == ZERO && time.nanos == 0).into())
        }),
        "UTC" => (&[], |value, _| Ok(of(value)?.in_zone("UTC").value())),
        "Local" => (&[], |value, _| Ok(of(value)?.in_zone("Local").value())),
        "AddDate" => (&[Ty::Int, Ty::Int, Ty::Int], |value, args| {
            let (years, months, days) = (
                int_argument(args, 0),
                int_argument(args, 1),
                int_argument(args, 2),
            );
            let bounded = |number: i64| number.clamp(-1_000_000, 1_000_000);
            Ok(of(value)?
                .after_date(bounded(years), bounded(months), bounded(days))
                .value())
        }),
        "After" => (
            PEER,
            |value, args| Ok((moment(value)? > moment(&args[0])?).into()),
        ),
        "Before" => (
            PEER,
            |value, args| Ok((moment(value)? < moment(&args[0])?).into()),
        ),
        "Equal" => (PEER, |value, args| {
            Ok((moment(value)? == moment(&args[0])?).into())
        }),
        "Sub" => (PEER, |value, args| {
            let ((left, left_nanos), (right, right_nanos)) = (moment(value)?, moment(&args[0])?);
            let nanos = (i128::from(left) - i128::from(right)) * 1_000_000_000 + i128::from(left_nanos)
                - i128::from(right_nanos);
            let limit = if nanos < 0 { i64::MIN } else { i64::MAX };
            let nanos = i64::try_from(nanos).unwrap_or(limit);
            Ok(named("time.Duration", duration::format(nanos), nanos))
        }),
        _ => return None,
    };
    Some(Method { params, run })
}

fn moment(value: &Value) -> Result<(i64, u32), Fault> {
    of(value).map(|time| (time.seconds, time.nanos))
}
