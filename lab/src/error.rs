//! What can go wrong in the lab, with a stable code for each case.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A lab or host name that cannot be used.
    #[error("the name `{name}` cannot be used for a {what}: {why}; choose another one")]
    Name {
        /// `lab` or `host`.
        what: &'static str,
        /// The refused name.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// An API server for tests does not run.
    #[error("the API server for tests does not run: {why}")]
    ApiServer {
        /// Why, with what it wrote last.
        why: String,
    },
    /// A lab of this name runs.
    #[error("the lab `{name}` is up already; use it, or remove it with `cargo xtask lab down --name {name}`")]
    AlreadyUp {
        /// Its name.
        name: String,
    },
    /// A lab of this name runs with its record somewhere else.
    #[error("a lab `{name}` runs that {} does not know; choose another name, or remove it with the OPENG2P_CACHE that it was made with", .cache.display())]
    Foreign {
        /// Its name.
        name: String,
        /// Our cache directory.
        cache: PathBuf,
    },
    /// No lab of this name.
    #[error("there is no lab `{name}`; `cargo xtask lab list` names those that exist")]
    Unknown {
        /// The asked name.
        name: String,
    },
    /// No host of this name in the lab.
    #[error("the lab `{lab}` has no host `{host}`; it has {known}")]
    UnknownHost {
        /// The lab.
        lab: String,
        /// The asked host.
        host: String,
        /// Its hosts.
        known: String,
    },
    /// Somebody else works on the same thing.
    #[error(
        "waited {seconds} s for another command that works on {what}; let it end or stop it, then try again"
    )]
    Busy {
        /// The locked thing.
        what: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The address range is used up.
    #[error(
        "no free /24 is left in 10.213.0.0/16 (routes of this machine cover all of it); remove labs with `cargo xtask lab down --all`"
    )]
    NoSubnet,
    /// Too many hosts for one subnet.
    #[error("{asked} hosts were asked for; one lab holds 1 to 200")]
    HostCount {
        /// How many were asked for.
        asked: usize,
    },
    /// Programs that the lab calls are absent.
    #[error("missing: {}; install them with `cargo xtask lab install-tools` or `apt-get install {}`", .programs.join(", "), .packages.join(" "))]
    MissingTools {
        /// What is absent.
        programs: Vec<String>,
        /// The Debian packages that bring it.
        packages: Vec<String>,
    },
    /// The machine itself cannot carry a lab.
    #[error("{what}: {why}; {remedy}")]
    Machine {
        /// What does not fit.
        what: &'static str,
        /// What was found.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// A program ended with an error.
    #[error("{what} failed: `{command}` ended with {status}: {output}")]
    Command {
        /// What it was to do.
        what: String,
        /// The command line.
        command: String,
        /// Its end.
        status: String,
        /// The last lines of its error output.
        output: String,
    },
    /// A program could not be started.
    #[error("{what} failed: `{program}` could not be started; is its package installed?")]
    Start {
        /// What it was to do.
        what: String,
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file operation failed.
    #[error("{what} failed at {}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A state file that cannot be read.
    #[error("the state file {} cannot be understood; remove the lab with `cargo xtask lab down`", .path.display())]
    State {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A host ended while it was awaited.
    #[error("host `{host}` ended while it started; the end of its console:\n{console}")]
    HostEnded {
        /// Its name.
        host: String,
        /// Last console lines.
        console: String,
    },
    /// A deadline passed.
    #[error("{what} did not happen within {seconds} s; last seen: {last}")]
    Deadline {
        /// The awaited condition.
        what: String,
        /// The deadline.
        seconds: u64,
        /// The last observation.
        last: String,
    },
    /// Something of the lab could not be removed.
    #[error("the lab `{name}` left something behind: {}; run `cargo xtask lab down --name {name}` again", .left.join("; "))]
    Leftover {
        /// The lab.
        name: String,
        /// What is still there.
        left: Vec<String>,
    },
}

impl LabError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "lab::bad-name",
            Self::AlreadyUp { .. } => "lab::already-up",
            Self::Foreign { .. } => "lab::foreign",
            Self::Unknown { .. } => "lab::unknown",
            Self::UnknownHost { .. } => "lab::unknown-host",
            Self::Busy { .. } => "lab::busy",
            Self::NoSubnet => "lab::no-free-subnet",
            Self::HostCount { .. } => "lab::host-count",
            Self::MissingTools { .. } => "lab::missing-tools",
            Self::Machine { .. } => "lab::machine-unfit",
            Self::Command { .. } => "lab::command-failed",
            Self::Start { .. } => "lab::command-not-started",
            Self::File { .. } => "lab::file",
            Self::State { .. } => "lab::state-unreadable",
            Self::HostEnded { .. } => "lab::host-ended",
            Self::Deadline { .. } => "lab::deadline",
            Self::Leftover { .. } => "lab::leftover",
            Self::ApiServer { .. } => "lab::api-server",
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { what, path, source }
    }
}

/// The outcome of a lab operation.
pub type Result<T, E = LabError> = std::result::Result<T, E>;
