//! What happens in a run, as one stream for terminal, JSON, log and tests.

use openg2p_plan::{Action, Moved};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the stream of the run, from 0.
    pub sequence: u64,
    /// Seconds since 1970, with fractions.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Not begun, because something that it needs failed or the run was stopped.
    Skipped,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// Its id.
        run: String,
        /// `apply`, `destroy`, `verify`.
        command: String,
        /// Number of steps.
        steps: usize,
        /// Resources as they should be already.
        unchanged: usize,
        /// Expected seconds.
        estimate: f64,
    },
    /// A line for people, e.g. what the engine does before there are steps.
    Message {
        /// The line.
        text: String,
    },
    /// A warning for people.
    Warning {
        /// The line.
        text: String,
    },
    /// A step began.
    StepStarted {
        /// Its number.
        step: usize,
        /// Its resource.
        resource: String,
        /// Component or part.
        part: String,
        /// What is done.
        action: Action,
        /// Expected seconds.
        estimate: f64,
    },
    /// A step says what it does or waits for.
    StepProgress {
        /// Its number.
        step: usize,
        /// The line.
        text: String,
    },
    /// A step ended.
    StepFinished {
        /// Its number.
        step: usize,
        /// Its resource.
        resource: String,
        /// How.
        outcome: Outcome,
        /// Seconds that it took.
        seconds: f64,
        /// What failed and why.
        error: Option<Failure>,
    },
    /// Something that the plan rests on is not what it was: the run is refused, and nothing was changed.
    Moved {
        /// What moved.
        moved: Moved,
    },
    /// A result that a command prints, e.g. the report of `verify`.
    Result {
        /// The value.
        value: serde_json::Value,
    },
    /// The run ended.
    RunFinished {
        /// `done`, `failed`, `stopped`, `refused`.
        outcome: String,
        /// Steps done.
        done: usize,
        /// Steps failed.
        failed: usize,
        /// Steps skipped.
        skipped: usize,
        /// Seconds that it took.
        seconds: f64,
        /// The first failure, or why it was refused.
        error: Option<Failure>,
        /// Exit code for the command line.
        exit: u8,
        /// The most memory that the engine itself held, in bytes, where the kernel tells it.
        #[serde(default)]
        peak_memory: Option<u64>,
    },
}

/// An error in parts, as the command line shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// What failed.
    pub what: String,
    /// Where.
    pub place: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<openg2p_ports::PortError> for Failure {
    fn from(error: openg2p_ports::PortError) -> Self {
        Self {
            code: error.code.into(),
            what: error.what,
            place: error.place,
            why: error.why,
            hint: error.hint,
        }
    }
}

/// Where events go.
pub trait Sink: Send + Sync {
    /// Takes one event. Must not block for long.
    fn emit(&self, event: EventKind);
}

impl<F: Fn(EventKind) + Send + Sync> Sink for F {
    fn emit(&self, event: EventKind) {
        self(event);
    }
}
