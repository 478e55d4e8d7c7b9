//! `cargo xtask clean-cache`: gives the space back that builds took.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use openg2p_lab::Store;

use crate::printer::Printer;

/// What may be removed: all of it can be made again. Labs are not among it, and neither are the caches of Go and Rust themselves.
const PARTS: [&str; 7] = [
    "bundle",
    "bundles",
    "fuzz",
    "helm",
    "lab-images",
    "logs",
    "test-tools",
];

/// `cargo xtask clean-cache`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Remove it; without this, only tell what would be removed
    #[arg(long)]
    yes: bool,
}

/// Tells or removes.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let labs = openg2p_lab::list(store)?;
    if let Some(lab) = labs.first() {
        bail!(
            "the lab {0} is on this machine; `cargo xtask lab down --name {0}` first",
            lab.name
        );
    }
    let there = PARTS.iter().map(|part| store.cache().join(part));
    for path in there.filter(|path| path.exists()) {
        if arguments.yes {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
            printer.say(&format!("removed {}", path.display()));
        } else {
            printer.say(&format!("would remove {}", path.display()));
        }
    }
    if !arguments.yes {
        printer.say("`cargo xtask clean-cache --yes` does it; the next build takes as long as the first one");
    }
    Ok(ExitCode::SUCCESS)
}
