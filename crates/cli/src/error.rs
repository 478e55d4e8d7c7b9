//! The one error of the command line, and the exit codes.

use std::fmt;
use std::process::ExitCode;

use openg2p_spec::Diagnostics;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: bad input; nothing was changed.
    BadInput,
    /// 2: refused (the world moved, or it is not ours); nothing was changed.
    Refused,
    /// 3: failed on the way; the next apply goes on from there.
    Failed,
    /// 4: needs a person.
    NeedsPerson,
}

impl Exit {
    /// The number given to the caller.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::BadInput => 1,
            Self::Refused => 2,
            Self::Failed => 3,
            Self::NeedsPerson => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What sort of failure it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The person's input is wrong; nothing was changed.
    BadInput,
    /// We will not: the world moved since the plan, or the thing is not ours. Nothing was changed.
    Refused,
    /// It broke on the way; the next apply goes on from there.
    Failed,
    /// Only a person can decide.
    NeedsPerson,
}

impl ErrorKind {
    /// The exit code of this kind.
    pub fn exit(self) -> Exit {
        match self {
            Self::BadInput => Exit::BadInput,
            Self::Refused => Exit::Refused,
            Self::Failed => Exit::Failed,
            Self::NeedsPerson => Exit::NeedsPerson,
        }
    }

    /// The word used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadInput => "bad-input",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::NeedsPerson => "needs-person",
        }
    }
}

/// An error as a person meets it: what failed, where, why, and what to do.
#[derive(Debug)]
pub struct CliError {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// Stable, such as `bundle::digest-mismatch`.
    pub code: String,
    /// What failed.
    pub message: String,
    /// Where: a file with line, a host, an object.
    pub place: Option<String>,
    /// Why, outermost cause first.
    pub why: Vec<String>,
    /// What to do, best first.
    pub hints: Vec<String>,
    /// For a wrong input file: each of its errors, shown with its lines.
    pub diagnostics: Option<Diagnostics>,
}

impl CliError {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            place: None,
            why: Vec::new(),
            hints: Vec::new(),
            diagnostics: None,
        }
    }

    /// The person's input is wrong.
    pub fn bad_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, code, message)
    }

    /// We will not.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, code, message)
    }

    /// It broke on the way and can be resumed.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, code, message)
    }

    /// Only a person can decide.
    pub fn needs_person(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NeedsPerson, code, message)
    }

    /// Says where it happened.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why.push(why.to_string());
        self
    }

    /// Adds an error and all of its sources as reasons.
    #[must_use]
    pub fn because_of(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.why.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Diagnostics> for CliError {
    fn from(diagnostics: Diagnostics) -> Self {
        let count = diagnostics.error_count();
        let (subject, noun) = (diagnostics.name(), if count == 1 { "error" } else { "errors" });
        let mut error = Self::bad_input("site::invalid", format!("`{subject}` has {count} {noun}"));
        error.diagnostics = Some(diagnostics);
        error
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for CliError {}

impl serde::Serialize for CliError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind.name())?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("where", &self.place)?;
        map.serialize_entry("why", &self.why)?;
        map.serialize_entry("hints", &self.hints)?;
        if let Some(diagnostics) = &self.diagnostics {
            map.serialize_entry("diagnostics", diagnostics.items())?;
        }
        map.end()
    }
}
