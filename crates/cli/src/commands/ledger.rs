//! `openg2p ledger`: keep the record of what is ours outside of the site, and put it back.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use openg2p_lead::protocol::{KeptLedger, Reply, Request};
use openg2p_plan::Ledger;
use openg2p_run::saved;
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::prepared::{LeadArgs, site};
use crate::remote::{Lead, unexpected};

/// What `ledger` takes.
#[derive(Debug, Args)]
pub struct LedgerCommand {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write the ledger to a file, to be kept with the site's backups
    Save(FileArgs),
    /// Put a kept ledger back on a host that lost its own
    Restore(FileArgs),
}

/// What both take.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The file: the ledger with its digest, packed by gzip
    // `file` is the site file's, of all commands
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Saves or restores.
pub fn run(command: &LedgerCommand, context: &Context<'_>) -> Result<Exit, CliError> {
    match &command.verb {
        Verb::Save(args) => save(args, context),
        Verb::Restore(args) => restore(args, context),
    }
}

fn save(args: &FileArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let site = site(context)?;
    let bytes = super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        match lead.ask(&Request::Ledger).await? {
            Reply::Ledger(kept) => Ok(kept.bytes().unwrap_or_default()),
            other => Err(unexpected(&other)),
        }
    })?;
    let ledger = saved::unpack(&bytes).ok_or_else(|| {
        CliError::failed("ledger::torn", "the ledger was damaged on the way").hint("try again")
    })?;
    write(&args.path, &bytes)?;
    tell(context, "saved", &ledger, &args.path);
    Ok(Exit::Done)
}

fn restore(args: &FileArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let site = site(context)?;
    let bytes = std::fs::read(&args.path).map_err(|error| {
        CliError::bad_input("ledger::file", "the kept ledger cannot be read")
            .at(args.path.display())
            .because(error)
    })?;
    let ledger = saved::unpack(&bytes).ok_or_else(|| {
        CliError::bad_input("ledger::torn", "this is no whole ledger")
            .at(args.path.display())
            .because("it was not written by `openg2p ledger save`, is cut off, or was altered")
            .hint("take another one of your backups; nothing was changed")
    })?;
    if ledger.site != site.name {
        return Err(
            CliError::refused("ledger::other-site", "this is another site's ledger")
                .at(args.path.display())
                .because(format!(
                    "it is of `{}`, the site file says `{}`",
                    ledger.site, site.name
                )),
        );
    }
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        match lead.ask(&Request::PutBack(KeptLedger::new(&bytes))).await? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    })?;
    tell(context, "restored", &ledger, &args.path);
    context.printer.next(
        "openg2p plan",
        "shows what differs from it; the next apply goes on from it",
    );
    Ok(Exit::Done)
}

/// Whole or not at all: an earlier file of that name stays until the new one is on disk. Only its owner may read it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| {
        CliError::failed("ledger::save", "the ledger cannot be saved")
            .at(path.display())
            .because(error)
    })
}

fn tell(context: &Context<'_>, done: &str, ledger: &Ledger, path: &Path) {
    let printer = context.printer;
    if printer.is_json() {
        printer.json(&json!({
            "done": done, "site": ledger.site, "generation": ledger.generation, "entries": ledger.entries.len(), "file": path,
        }));
        return;
    }
    printer.people(&format!(
        "{done}: the ledger of {}, generation {}, {} entries",
        ledger.site,
        ledger.generation,
        ledger.entries.len()
    ));
}
