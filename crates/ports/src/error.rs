//! How the outside fails.

use thiserror::Error;

/// A call to the outside that did not succeed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{code}: {what} on {place}: {why}")]
pub struct PortError {
    /// Stable code such as `host::write-failed`.
    pub code: &'static str,
    /// What was attempted.
    pub what: String,
    /// Host, object or address.
    pub place: String,
    /// The cause, with the last lines of a program's output where there was one.
    pub why: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl PortError {
    /// An error with code, attempt, place and cause.
    pub fn new(
        code: &'static str,
        what: impl Into<String>,
        place: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            code,
            what: what.into(),
            place: place.into(),
            why: why.into(),
            hint: None,
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
