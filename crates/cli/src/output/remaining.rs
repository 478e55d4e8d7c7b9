//! How long a work still takes, from what its steps are expected to take and from how it goes.

use std::collections::BTreeMap;
use std::time::Duration;

/// Assumed when nothing is known of a step.
const UNKNOWN_STEP: Duration = Duration::from_secs(3);
/// So much expected work must have been seen before the observed pace outweighs the expectation.
const TRUST_AFTER: f64 = 10.0;
/// A running step counts as almost done at most, for a step that takes longer than expected is not over.
const ALMOST: f64 = 0.95;

/// Pure bookkeeping: times are given as the time since the start.
#[derive(Clone, Debug, Default)]
pub struct Remaining {
    expected: BTreeMap<String, f64>,
    running: BTreeMap<String, Duration>,
    done: f64,
    total: f64,
}

impl Remaining {
    /// For steps with these expected times.
    pub fn new(steps: impl IntoIterator<Item = (String, Option<Duration>)>) -> Self {
        let expected: BTreeMap<String, f64> = steps
            .into_iter()
            .map(|(id, time)| (id, time.unwrap_or(UNKNOWN_STEP).as_secs_f64().max(0.01)))
            .collect();
        let total = expected.values().sum();
        Self {
            expected,
            running: BTreeMap::new(),
            done: 0.0,
            total,
        }
    }

    /// A step started.
    pub fn started(&mut self, id: &str, now: Duration) {
        self.running.insert(id.to_owned(), now);
    }

    /// A step is over.
    pub fn finished(&mut self, id: &str) {
        self.running.remove(id);
        self.done += self.expected.remove(id).unwrap_or(0.0);
    }

    /// Whether the ids of the steps were given, or only their number (then they are `#0`, `#1`, ...).
    pub fn knows_ids(&self) -> bool {
        !self.expected.keys().any(|id| id.starts_with('#'))
    }

    /// Time left, as far as can be said.
    pub fn left(&self, now: Duration) -> Duration {
        let work_done = self.work_done(now);
        let work_left = (self.total - work_done).max(0.0);
        // Steps run in parallel and machines differ, so the pace is what has been seen so far.
        let pace = (now.as_secs_f64() + TRUST_AFTER) / (work_done + TRUST_AFTER);
        Duration::try_from_secs_f64(work_left * pace).unwrap_or(Duration::MAX)
    }

    /// Share of the expected work that is done, 0 to 1.
    pub fn share(&self, now: Duration) -> f64 {
        if self.total <= 0.0 {
            1.0
        } else {
            (self.work_done(now) / self.total).clamp(0.0, 1.0)
        }
    }

    fn work_done(&self, now: Duration) -> f64 {
        let running: f64 = self
            .running
            .iter()
            .filter_map(|(id, since)| {
                let expected = self.expected.get(id)?;
                Some(now.saturating_sub(*since).as_secs_f64().min(expected * ALMOST))
            })
            .sum();
        self.done + running
    }
}

/// A duration as people say it: `8 s`, `3 min 05 s`, `2 h 10 min`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn two_steps() -> Remaining {
        Remaining::new([
            ("a".to_owned(), Some(seconds(30))),
            ("b".to_owned(), Some(seconds(60))),
        ])
    }

    #[test]
    fn the_first_guess_is_the_sum() {
        assert_eq!(two_steps().left(seconds(0)), seconds(90));
    }

    #[test]
    fn a_machine_twice_as_slow_takes_about_twice_as_long() {
        let mut remaining = two_steps();
        remaining.started("a", seconds(0));
        remaining.finished("a");
        let left = remaining.left(seconds(60));
        assert!(left > seconds(90) && left < seconds(120), "{left:?}");
    }

    #[test]
    fn a_step_over_time_is_not_done() {
        let mut remaining = two_steps();
        remaining.started("a", seconds(0));
        assert!(remaining.left(seconds(500)) > seconds(60));
        assert!(remaining.share(seconds(500)) < 0.34);
    }

    #[test]
    fn all_done_is_nothing_left() {
        let mut remaining = two_steps();
        remaining.finished("a");
        remaining.finished("b");
        assert_eq!(remaining.left(seconds(100)), Duration::ZERO);
    }

    #[test]
    fn durations_read_well() {
        let texts = [7, 60, 185, 7830].map(|value| human_duration(seconds(value)));
        assert_eq!(texts, ["7 s", "1 min 00 s", "3 min 05 s", "2 h 10 min"]);
    }
}
