//! What is wrong with an input file, and where.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::render;

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Name of the file as the person gave it.
    pub file: String,
    /// First line, counted from 1.
    pub line: usize,
    /// First column in characters, counted from 1.
    pub column: usize,
    /// Bytes of the file's text.
    pub bytes: Range<usize>,
}

impl Span {
    /// For values that stand in no file.
    pub(crate) fn nowhere() -> Self {
        Self {
            file: String::new(),
            line: 0,
            column: 0,
            bytes: 0..0,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file can be used, but look here.
    Warning,
    /// The file cannot be used.
    Error,
}

impl Severity {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable, such as `site::unknown-key`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and why.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A second place that belongs to it, with what it is (the first of two equal names).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<(Span, String)>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: impl Into<String>, message: impl Into<String>, span: Span) -> Self {
        let (code, message) = (code.into(), message.into());
        Self {
            code,
            severity: Severity::Error,
            message,
            span,
            related: None,
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(code: impl Into<String>, message: impl Into<String>, span: Span) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message, span)
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names a second place that belongs to it.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}[{}]: {}",
            self.span,
            self.severity.name(),
            self.code,
            self.message
        )?;
        if let Some((span, label)) = &self.related {
            write!(formatter, "\n  note: {span}: {label}")?;
        }
        if let Some(help) = &self.help {
            write!(formatter, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one file, in the order of the file, with the text needed to show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostics {
    name: String,
    text: String,
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts the findings by their place in the file; of several at one place the first stays first.
    pub fn new(name: impl Into<String>, text: impl Into<String>, mut items: Vec<Diagnostic>) -> Self {
        items.sort_by_key(|item| (item.span.bytes.start, item.span.bytes.end));
        items.dedup();
        Self {
            name: name.into(),
            text: text.into(),
            items,
        }
    }

    /// Name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The findings, in the order of the file.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of errors, without warnings.
    pub fn error_count(&self) -> usize {
        self.items
            .iter()
            .filter(|item| item.severity == Severity::Error)
            .count()
    }

    /// The findings with the lines they are about, as rustc shows them. Values that look secret are not shown.
    pub fn render(&self, color: bool, width: usize) -> String {
        render::render(&self.items, &self.text, color, width)
    }
}

impl fmt::Debug for Diagnostics {
    /// Without the file's text, which may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Diagnostics")
            .field("name", &self.name)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
