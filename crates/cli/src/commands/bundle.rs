//! `openg2p bundle`: make, check and list bundles.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use openg2p_bundle::check;
use openg2p_bundle::create::{LAB, Moves, OFFICIAL, Options, create};
use openg2p_bundle::error::BundleError;
use openg2p_bundle::progress::{Event, Progress as BundleProgress, Silent};
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Outcome, Printer, Progress, Table, human_duration};
use crate::prepared::{BundleArgs, bundle_bytes};

/// What `bundle` takes.
#[derive(Debug, Args)]
pub struct BundleCommand {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with bundles.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Fill a bundle from the sources that the catalogue names
    Create(CreateArgs),
    /// Check every byte of a bundle
    Verify(BundleArgs),
    /// List what a bundle holds
    List(BundleArgs),
}

/// Where members come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Prefer {
    /// Build everything on this machine
    #[default]
    Build,
    /// Take official images and files where the catalogue names them
    Official,
}

/// What `bundle create` takes.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Directory with the catalogue and its sources
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub source: PathBuf,
    /// Where members come from
    #[arg(long, value_enum, default_value_t)]
    pub prefer: Prefer,
    /// Debian release of the hosts
    #[arg(long, value_name = "RELEASE", default_value = "trixie", value_parser = ["trixie", "bookworm"])]
    pub release: String,
    /// Take members that differ from the lock file, and write the lock file anew
    #[arg(long)]
    pub accept_moved: bool,
    /// Lock file, instead of `bundle.lock` beside the catalogue
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Ask the sources again although the cache has an answer
    #[arg(long)]
    pub refresh: bool,
}

/// Runs one of the verbs.
pub fn run(args: &BundleCommand, context: &Context<'_>) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::Create(args) => make(args, context),
        Verb::Verify(args) => verify(&args.bundle, context.printer),
        Verb::List(args) => list(&args.bundle, context.printer),
    }
}

fn error(error: &BundleError) -> CliError {
    if let BundleError::Several(errors) = error {
        let mut all = CliError::failed("bundle::several", format!("{} members failed", errors.len()));
        for error in errors {
            all = all.because(format!("{error} [{}]", error.code()));
        }
        return all;
    }
    let kind = match error {
        BundleError::LockMoved { .. } => crate::error::ErrorKind::Refused,
        BundleError::NotABundle { .. } | BundleError::Index(_) | BundleError::Recipe { .. } => {
            crate::error::ErrorKind::BadInput
        }
        _ => crate::error::ErrorKind::Failed,
    };
    CliError::new(kind, error.code(), error.to_string())
}

/// Shows the events of the making as steps.
struct Shown {
    progress: Progress,
    checked: Mutex<u64>,
}

impl BundleProgress for Shown {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned {
                members,
                to_make,
                expected,
            } if to_make > 0 => {
                let time = expected.map_or(String::new(), |time| format!(", about {}", human_duration(time)));
                self.progress
                    .message(&format!("{members} members, {to_make} to make or fetch{time}"));
                self.progress.start(to_make);
            }
            Event::Started { what, .. } => self.progress.step_started(what, what),
            Event::Finished { what, .. } => self.progress.step_finished(what, &Outcome::Done),
            Event::Failed { what } => self
                .progress
                .step_finished(what, &Outcome::Failed("see below".into())),
            Event::Moved(moved) => self.progress.message(&format!("moved: {moved}")),
            Event::Checked { bytes, of } if of > 0 => {
                let mut told = self
                    .checked
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let tenth = bytes * 10 / of;
                while *told < tenth {
                    *told += 1;
                    self.progress
                        .step_finished(&format!("{}%", *told * 10), &Outcome::Unchanged);
                }
            }
            _ => {}
        }
    }
}

fn make(args: &CreateArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let mut options = Options::lab(&args.bundle.bundle);
    let prefer = if args.prefer == Prefer::Official {
        OFFICIAL
    } else {
        LAB
    };
    options.prefer = prefer.iter().map(|&name| name.to_owned()).collect();
    options.release.clone_from(&args.release);
    options.lock.clone_from(&args.lock);
    options.refresh = args.refresh;
    if args.accept_moved {
        options.moved = Moves::Accept;
    }
    let shown = Shown {
        progress: printer.progress(),
        checked: Mutex::new(0),
    };
    let started = std::time::Instant::now();
    let report = create(&args.source, &options, &shown).map_err(|failure| error(&failure))?;
    let took = human_duration(Duration::from_secs(started.elapsed().as_secs()));
    let members = report.index.members.len();
    if printer.is_json() {
        printer.json(&json!({
            "bundle": args.bundle.bundle, "digest": report.digest, "members": members, "made": report.made,
        }));
    } else {
        let size = bundle_bytes(&report.index) / 1_000_000;
        printer.note(&format!(
            "bundle {} with {members} members, {size} MB, {} made or fetched in {took}",
            &report.digest.as_str()[..12],
            report.made
        ));
    }
    printer.next("openg2p plan", "shows what would be done with it");
    Ok(Exit::Done)
}

fn verify(directory: &Path, printer: &Printer) -> Result<Exit, CliError> {
    let progress = printer.progress();
    progress.start(10);
    let shown = Shown {
        progress,
        checked: Mutex::new(0),
    };
    let findings = check::verify(directory, &shown).map_err(|failure| error(&failure))?;
    let members = findings.index.members.len();
    if printer.is_json() {
        let problems: Vec<_> = findings
            .problems
            .iter()
            .map(|problem| json!({"code": problem.code(), "message": problem.to_string()}))
            .collect();
        printer.json(&json!({
            "digest": findings.digest, "members": members, "bytes": findings.bytes, "problems": problems,
        }));
    }
    if findings.problems.is_empty() {
        shown.progress.finish(&format!(
            "{members} members, {} MB: every byte is as the index says",
            findings.bytes / 1_000_000
        ));
        return Ok(Exit::Done);
    }
    Err(damaged(directory, &findings.problems))
}

/// Checks every byte of a bundle that is about to be used.
pub fn whole(directory: &Path) -> Result<(), CliError> {
    let findings = check::verify(directory, &Silent).map_err(|failure| error(&failure))?;
    if findings.problems.is_empty() {
        Ok(())
    } else {
        Err(damaged(directory, &findings.problems))
    }
}

fn damaged(directory: &Path, problems: &[check::Problem]) -> CliError {
    let code = problems.first().map_or("bundle::damaged", check::Problem::code);
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut error = CliError::bad_input(code, format!("the bundle has {count} {noun}; it is not used"))
        .at(directory.display());
    for problem in problems {
        error = error.because(format!("{problem} [{}]", problem.code()));
    }
    error.hint(
        "`openg2p bundle create` makes what is damaged anew; a bundle from elsewhere must be copied again",
    )
}

fn list(directory: &Path, printer: &Printer) -> Result<Exit, CliError> {
    let index = check::open(directory).map_err(|failure| error(&failure))?;
    if printer.is_json() {
        printer.json(&index);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["KIND", "NAME", "VERSION", "SIZE", "LICENCE", "ORIGIN"]).right("SIZE");
    for member in &index.members {
        let size: u64 = member.blobs.iter().map(|blob| blob.size).sum();
        table.row([
            member.kind.as_str().to_owned(),
            member.name.clone(),
            member.version.clone(),
            format!("{}.{} MB", size / 1_000_000, size / 100_000 % 10),
            member.licence.clone(),
            member.origin.clone(),
        ]);
    }
    printer.table(&table);
    Ok(Exit::Done)
}
