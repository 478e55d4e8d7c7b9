//! The one end of all waiting of a run.

use std::time::Duration;

use tokio::time::Instant;

/// A moment after which nothing is waited for any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    started: Instant,
    whole: Duration,
}

impl Deadline {
    /// A deadline that begins now.
    pub(crate) fn begin(whole: Duration) -> Self {
        Self {
            started: Instant::now(),
            whole,
        }
    }

    /// What is left; zero when it has passed.
    pub(crate) fn left(&self) -> Duration {
        self.whole.saturating_sub(self.started.elapsed())
    }

    /// What has gone by.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The whole span, as it was asked for.
    pub(crate) fn whole(&self) -> Duration {
        self.whole
    }

    /// At most `wanted`, and never past the deadline.
    pub(crate) fn at_most(&self, wanted: Duration) -> Duration {
        wanted.min(self.left())
    }
}

/// Reads `120s`, `2m`, `1h30m`, `500ms`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a span of time; write it like 120s, 2m or 500ms");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let span = Duration::try_from(span).map_err(|_| wrong())?;
    if span.is_zero() || span > Duration::from_hours(24) {
        return Err(format!("{text:?} is not between 1ms and 24h"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit() {
        assert_eq!(parse_span("120s"), Ok(Duration::from_mins(2)));
        assert_eq!(parse_span("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "120", "-5s", "0s", "25h", "soon"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
