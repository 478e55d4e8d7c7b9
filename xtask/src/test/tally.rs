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

    /// The last line.
    pub(crate) fn line(&self) -> String {
        self.counts(|counts| format!("{} passed, {} failed", counts.passed, counts.failed))
    }

    fn counts<T>(&self, with: impl FnOnce(&mut Counts) -> T) -> T {
        with(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
