//! `cargo xtask test`: everything that must hold, from formatting to a payment on a real host, and a count of it.

mod checks;
mod host;
mod payments;
mod refusals;
mod slice;
mod tally;

use std::fs;
use std::process::ExitCode;
use std::thread;

use clap::{Args, ValueEnum};
use openg2p_lab::Store;

use crate::machine::{self, Purpose};
use crate::printer::Printer;
use crate::product;
use crate::runner::Runner;
use tally::Tally;

/// Which checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// All of them
    #[default]
    All,
    /// Formatting and clippy
    Lint,
    /// Formatting, clippy, tests, documentation, charts: nothing is installed on any host
    Unit,
    /// The slice on a host of a lab
    Slice,
}

/// `cargo xtask test`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which checks
    #[arg(value_enum, default_value_t)]
    part: Part,
    /// Name of the lab; it is removed before and after
    #[arg(long, default_value = "ci")]
    lab: String,
    /// Leave the lab as it is when a check of the slice fails, to look at it
    #[arg(long)]
    keep: bool,
}

/// Runs the checks. The last line of all output is `N passed, N failed`.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> ExitCode {
    let tally = Tally::new(printer);
    let logs = store
        .cache()
        .join("logs")
        .join(jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string());
    let ended = Runner::new(printer, store.cache(), logs.clone())
        .and_then(|runner| all(arguments, store, &runner, &tally));
    if let Err(error) = ended {
        tally.fail("the run itself", &error);
    }
    if tally.failed() == 0 {
        // Nobody needs them.
        let _ = fs::remove_dir_all(&logs);
    }
    let text = tally.summary();
    if tally.failed() > 0 {
        printer.say(&format!("{text}\nlogs: {}", logs.display()));
    }
    printer.data(&tally.line());
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn all(arguments: &Arguments, store: &Store, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let checkout = product::checkout()?;
    if arguments.part == Part::Lint {
        checks::lint(runner, tally, &checkout);
        return Ok(());
    }
    machine::prepare(runner, store.cache(), Purpose::Tests)?;
    if arguments.part == Part::Unit {
        checks::lint(runner, tally, &checkout);
        checks::unit(runner, tally, &checkout);
        return Ok(());
    }
    if arguments.part == Part::All {
        checks::format(runner, tally, &checkout);
    }
    let work = runner.logs().join("work");
    let binary = tally.needed("openg2p builds", product::build(runner, &checkout, &work));
    let bundle = product::bundle_directory(store.cache(), &arguments.lab);
    // Go's builds wait for the network and for their linkers as much as for processors, so the Rust checks fit in between.
    let filled = thread::scope(|scope| {
        let filled = binary
            .as_ref()
            .map(|binary| scope.spawn(|| product::fill_bundle(runner, &checkout, binary, &bundle, false)));
        if arguments.part == Part::All {
            checks::clippy(runner, tally, &checkout);
            checks::unit(runner, tally, &checkout);
        }
        filled.map(|filled| {
            filled
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    let Some(filled) = filled else { return Ok(()) };
    if tally.needed("bundle create fills the bundle", filled).is_none() || runner.interrupt.wished() {
        return Ok(());
    }
    let Some(binary) = binary else { return Ok(()) };
    slice::run(
        &slice::Wanted {
            lab: &arguments.lab,
            keep: arguments.keep,
            store,
            bundle: &bundle,
            binary: &binary,
            work: &work,
        },
        runner,
        tally,
    )
}
