//! Counts checks, and tells each as it ends.

use std::sync::{Mutex, PoisonError};

use crate::printer::Printer;

/// The count.
pub(crate) struct Tally<'a> {
    printer: &'a Printer,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
    skips: Vec<(String, usize)>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            counts: Mutex::default(),
        }
    }

    /// Counts one check.
    pub(crate) fn check(&self, what: &str, result: anyhow::Result<()>) -> bool {
        self.needed(what, result).is_some()
    }

    /// Counts one check whose result the next ones need.
    pub(crate) fn needed<T>(&self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.counts(|counts| counts.passed += 1);
                self.printer.say(&format!("  ok    {what}"));
                Some(value)
            }
            Err(error) => {
                self.fail(what, &error);
                None
            }
        }
    }

    /// Counts a failure.
    pub(crate) fn fail(&self, what: &str, error: &anyhow::Error) {
        self.counts(|counts| {
            counts.failed += 1;
            counts.failures.push(what.to_owned());
        });
        self.printer.say(&format!("  FAIL  {what}: {error:#}"));
    }

    /// Adds what another program counted.
    pub(crate) fn add(&self, what: &str, passed: usize, failed: usize) {
        self.counts(|counts| {
            counts.passed += passed;
            counts.failed += failed;
            if failed > 0 {
                counts.failures.push(format!("{what}: {failed} failed"));
            }
        });
        let word = if failed == 0 { "  ok  " } else { "  FAIL" };
        self.printer
            .say(&format!("{word}  {what}: {passed} passed, {failed} failed"));
    }

    /// Counts tests that were not run because this machine lacks something.
    pub(crate) fn skip(&self, need: &str, count: usize, reason: &str) {
        self.counts(|counts| counts.skips.push((need.to_owned(), count)));
        self.printer
            .say(&format!("  skip  {count} for want of {need}: {reason}"));
    }

    pub(crate) fn failed(&self) -> usize {
        self.counts(|counts| counts.failed)
    }

    /// What failed, again, for whoever reads the end only.
    pub(crate) fn summary(&self) -> String {
        self.counts(|counts| {
            counts
                .failures
                .iter()
                .fold("\nfailed:".to_owned(), |text, failure| {
                    format!("{text}\n  - {failure}")
                })
        })
    }

    /// The line before the last one.
    pub(crate) fn skipped_line(&self) -> String {
        self.counts(|counts| {
            let sum: usize = counts.skips.iter().map(|(_, count)| count).sum();
            let each: Vec<_> = counts
                .skips
                .iter()
                .map(|(need, count)| format!("{need} {count}"))
                .collect();
            if each.is_empty() {
                "0 skipped".to_owned()
            } else {
                format!("{sum} skipped: {}", each.join(", "))
            }
        })
    }

    /// The last line.
    pub(crate) fn line(&self) -> String {
        self.counts(|counts| format!("{} passed, {} failed", counts.passed, counts.failed))
    }

    fn counts<T>(&self, with: impl FnOnce(&mut Counts) -> T) -> T {
        with(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_have_a_line_of_their_own_and_count_as_neither() {
        let printer = Printer::new();
        let tally = Tally::new(&printer);
        assert_eq!(tally.skipped_line(), "0 skipped");
        tally.add("tests", 3, 0);
        tally.skip("helm", 2, "it is not here");
        tally.skip("live-services", 1, "none is named");
        assert_eq!(tally.skipped_line(), "3 skipped: helm 2, live-services 1");
        assert_eq!(tally.line(), "3 passed, 0 failed");
    }
}
