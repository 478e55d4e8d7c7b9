//! Times as people read them.

/// Seconds since 1970 as RFC 3339 in UTC, e.g. `2027-01-15T08:00:00Z`; the bare number where that is out of range.
pub fn timestamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
