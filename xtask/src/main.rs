//! Chores. `cargo xtask` alone lists them.

mod bench_box;
mod bench_charts;
mod bench_plan;
mod clean;
mod durations;
mod helm;
mod interrupt;
mod kills;
mod lab;
mod lab_test;
mod machine;
mod mutants;
mod printer;
mod product;
mod runner;
mod snapshot;
mod soak;
mod soak_charts;
mod test;
mod try_box;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use openg2p_lab::Store;
use printer::Printer;

/// Chores of the project
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    chore: Option<Chore>,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// From this machine to a box that pays: host, builds, apply, verify
    Try(try_box::Arguments),
    /// Every check; the last line counts them
    Test(test::Arguments),
    /// The engine's tests in their long form: a million seeds, every kill
    Soak(soak::Arguments),
    /// The engine killed on a throw-away host with systemd, a hundred times
    Kills(kills::Arguments),
    /// Measure a box against its targets
    BenchBox,
    /// Measure planning without any machine, from 10,000 to 100,000 resources
    BenchPlan,
    /// Measure charts beside Helm: rendering
    BenchCharts,
    /// Compare random charts with Helm, and feed broken ones, for as long as you like
    SoakCharts(soak_charts::Arguments),
    /// Change the code that plans, names and removes, and count which changes the tests catch
    Mutants(mutants::Arguments),
    /// Throw-away Debian hosts on this machine
    Lab(lab::Arguments),
    /// Bring bundle.lock up to date with what is built from this checkout; nothing is built for it
    Lock,
    /// Remove what builds keep outside of the checkout
    CleanCache(clean::Arguments),
}

fn with_store(chore: Chore, printer: &Printer) -> anyhow::Result<ExitCode> {
    let store = Store::new(lab::cache()?);
    match chore {
        Chore::Try(arguments) => try_box::run(&arguments, &store, printer),
        Chore::Test(arguments) => Ok(test::run(&arguments, &store, printer)),
        Chore::Lock => lock(&store, printer),
        Chore::Soak(arguments) => soak::run(&arguments, &store, printer),
        Chore::Kills(arguments) => kills::run(&arguments, &store, printer),
        Chore::BenchBox => bench_box::run(&store, printer),
        Chore::BenchPlan => bench_plan::run(),
        Chore::BenchCharts => bench_charts::run(&store, printer),
        Chore::SoakCharts(arguments) => soak_charts::run(&arguments, &store, printer),
        Chore::Mutants(arguments) => mutants::run(&arguments, &store, printer),
        Chore::CleanCache(arguments) => clean::run(&arguments, &store, printer),
        Chore::Lab(arguments) => lab::run(arguments, printer),
    }
}

fn lock(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let runner = runner::Runner::new(printer, store.cache(), store.cache().join("logs").join("lock"))?;
    let arguments = [
        "run",
        "--quiet",
        "--package",
        "openg2p",
        "--",
        "bundle",
        "lock",
        "--accept-moved=build",
    ];
    let code = runner.attached(product::cargo(&checkout, &arguments))?;
    Ok(if code == Some(0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn main() -> ExitCode {
    let printer = Printer::new();
    let result = if let Some(chore) = Arguments::parse().chore {
        with_store(chore, &printer)
    } else {
        printer.data(&Arguments::command().render_help().to_string());
        Ok(ExitCode::SUCCESS)
    };
    result.unwrap_or_else(|error| {
        printer.error(&error);
        ExitCode::FAILURE
    })
}
