//! `openg2p-init` makes the database and the role of a module before the module starts (`provision`), takes them
//! away again (`remove`), and holds a program back until it can log in on its own database (`wait`).
//!
//! It is not a migration tool: tables are the module's own matter. It is not a client for superusers either: it logs
//! in as a role that may create databases and roles and nothing else.

// `PostgreSQL` is a name, not code; in help texts the backticks would show.
#![allow(clippy::doc_markdown)]

mod arguments;
mod catalogue;
mod credential;
mod deadline;
mod error;
mod mark;
mod name;
mod provision;
mod provisioner;
mod remove;
mod session;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Command};
use crate::error::InitError;
use openg2p_json_log::Log;

/// Time that a statement under way gets beyond the deadline.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            // Help and version are not errors; a wrong argument is bad input, which is 1 in all our programs.
            let _ = wrong.print();
            return ExitCode::from(u8::from(wrong.use_stderr()));
        }
    };
    let log = Log::to_stdout();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            log.error(
                "init::runtime",
                &format!("the runtime did not start: {why}"),
                "look for limits on threads and file descriptors of this container",
            );
            return ExitCode::from(3);
        }
    };
    let outcome = runtime.block_on(bounded(&arguments.command, &log));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error(error.code(), &error.to_string(), &error.remedy());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Does the work, and ends before it is done when the time is over or somebody asks for the end. As the first process of
/// a container it would otherwise not hear the signal at all. Whatever is dropped in the middle closes its session, and
/// the server undoes what was not committed.
async fn bounded(command: &Command, log: &Log) -> Result<(), InitError> {
    let deadline = match command {
        Command::Provision(wanted) => wanted.server.deadline,
        Command::Remove(wanted) => wanted.server.deadline,
        Command::Wait(wanted) => wanted.server.deadline,
    };
    let work = async {
        match command {
            Command::Provision(wanted) => provision::run(wanted, log).await,
            Command::Remove(wanted) => remove::run(wanted, log).await,
            Command::Wait(wanted) => wait::run(wanted, log).await,
        }
    };
    let signals = |kind| {
        signal(kind).map_err(|why| InitError::Interrupted {
            what: format!("no signals: {why}"),
        })
    };
    let (mut terminated, mut interrupted) = (
        signals(SignalKind::terminate())?,
        signals(SignalKind::interrupt())?,
    );
    let ended = |what: &str| {
        Err(InitError::Interrupted {
            what: what.to_owned(),
        })
    };
    tokio::select! {
        outcome = work => outcome,
        // All waiting ends at the deadline by itself and says for what it waited; this is for statements under way.
        () = tokio::time::sleep(deadline + GRACE) => Err(InitError::Deadline { deadline }),
        _ = terminated.recv() => ended("SIGTERM"),
        _ = interrupted.recv() => ended("SIGINT"),
    }
}
