//! `cargo xtask test`: everything that must hold, from formatting to a payment on a real host, and a count of it.

mod checks;
mod host;
mod interrupted;
mod isolation;
mod logins;
mod lost_ledger;
mod needs;
mod payments;
mod plain_helm;
mod refusals;
mod removed_module;
mod slice;
mod tally;
mod trouble;

use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use openg2p_lab::Store;

use crate::durations::human;
use crate::machine::{self, Purpose};
use crate::printer::Printer;
use crate::product;
use crate::runner::Runner;
pub(crate) use checks::api_server_programs;
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
    /// Charts beside Helm alone: random ones, ours, others', the command line
    Charts,
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
    printer.data(&tally.skipped_line());
    printer.data(&tally.line());
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a machine with two cores needs that never built the bundle, measured roughly.
const COLD: &str = "50 min";
/// And one that did.
const WARM: Duration = Duration::from_mins(24);

fn announce(part: Part, runner: &Runner<'_>) {
    let lines: &[&str] = match part {
        Part::All => &[
            "  1. formatting, clippy, tests of all crates, documentation, charts, while the bundle is built from source",
            "  2. a throw-away Debian host: refused, installed, interrupted, paid, broken, removed, bare again, killed",
        ],
        Part::Unit | Part::Lint => {
            &["  formatting, clippy, tests of all crates, documentation, charts; no host"]
        }
        Part::Charts => &["  charts beside Helm, which is built once per machine"],
        Part::Slice => &[
            "  a throw-away Debian host: refused, installed, interrupted, paid, broken, removed, bare again, killed",
        ],
    };
    let time = match (part, runner.durations.last(product::BUNDLE_STEP)) {
        (Part::Unit | Part::Lint | Part::Charts, _) => human(WARM / 2),
        (_, Some(_)) => human(WARM),
        (_, None) => COLD.to_owned(),
    };
    runner.printer.say(&format!("make test, in about {time}"));
    for line in lines {
        runner.printer.say(line);
    }
    runner.printer.say("Ctrl-C stops; what was built is kept.");
}

fn all(arguments: &Arguments, store: &Store, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let checkout = product::checkout()?;
    if arguments.part == Part::Lint {
        checks::lint(runner, tally, &checkout);
        return Ok(());
    }
    if arguments.part == Part::Charts {
        checks::charts(runner, tally, &checkout, store.cache());
        return Ok(());
    }
    machine::look(runner, store.cache(), Purpose::Tests)?;
    announce(arguments.part, runner);
    machine::install(runner, Purpose::Tests)?;
    if arguments.part == Part::Unit {
        checks::lint(runner, tally, &checkout);
        checks::unit(runner, tally, &checkout, store.cache());
        return Ok(());
    }
    if arguments.part == Part::All {
        checks::format(runner, tally, &checkout);
    }
    let work = runner.logs().join("work");
    let binary = tally.needed("openg2p builds", product::build(runner, &checkout, &work));
    let bundle = product::bundle_directory(store.cache(), &arguments.lab);
    // Go's builds wait for the network and for their linkers as much as for processors, and the tests with an API server for what its
    // controllers do, so the Rust checks fit in between.
    let filled = thread::scope(|scope| {
        let filled = binary.as_ref().map(|binary| {
            scope.spawn(|| {
                let filled = product::fill_bundle(runner, &checkout, binary, &bundle, false);
                let filled = tally.needed("bundle create fills the bundle", filled).is_some();
                if filled && arguments.part == Part::All && !runner.interrupt.wished() {
                    checks::api_server(runner, tally, &checkout, store.cache(), &work);
                }
                filled
            })
        });
        if arguments.part == Part::All {
            checks::clippy(runner, tally, &checkout);
            checks::unit(runner, tally, &checkout, store.cache());
        }
        filled.is_some_and(|filled| {
            filled
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    let Some(binary) = binary.filter(|_| filled && !runner.interrupt.wished()) else {
        return Ok(());
    };
    slice::run(
        &slice::Wanted {
            lab: &arguments.lab,
            keep: arguments.keep,
            store,
            bundle: &bundle,
            binary: &binary,
            work: &work,
            checkout: &checkout,
        },
        runner,
        tally,
    )
}
