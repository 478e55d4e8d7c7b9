//! How a template fails: a message in Go's words and the places that it points at.

use std::sync::Arc;

/// A place in a template file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The reason that a function or a template failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// In Go's words, the whole chain.
    pub(crate) text: String,
    /// Where the outermost template was when it failed.
    pub(crate) outer: Option<Location>,
    /// Where the failure began.
    pub(crate) inner: Option<Location>,
    /// The message of `fail` or `required`, which Helm shows without the chain.
    pub(crate) warning: Option<String>,
    /// The name of the random function that was refused.
    pub(crate) refused: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            outer: None,
            inner: None,
            warning: None,
            refused: None,
        }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            warning: Some(text.clone()),
            ..Self::new(text)
        }
    }

    /// Puts a sentence in front, keeping what is known about the place.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        self.text = format!("{prefix}{}", self.text);
        self
    }

    /// Records the place of the template that was running.
    pub(crate) fn at(mut self, location: Location) -> Self {
        if self.inner.is_none() {
            self.inner = Some(location.clone());
        }
        self.outer = Some(location);
        self
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
