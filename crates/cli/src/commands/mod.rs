//! One file per verb. Each takes its own arguments and the [`Context`], and returns how the program ends.

pub mod apply;
pub mod attach;
pub mod bundle;
pub mod chart;
pub mod check;
pub mod destroy;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod lead_side;
pub mod ledger;
pub mod plan;
pub mod removal;
pub mod report;
pub mod show;
pub mod site;
pub mod status;
pub mod trust;
pub mod verify;

use crate::args::{Command, GlobalArgs};
use crate::error::{CliError, Exit};
use crate::output::Printer;

/// What every command is given besides its own arguments.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Options that every command takes.
    pub global: &'a GlobalArgs,
    /// The only way to say anything.
    pub printer: &'a Printer,
}

/// Runs one command.
pub fn dispatch(command: Command, context: &Context<'_>) -> Result<Exit, CliError> {
    // Mostly a misspelt `json`; passing over it would hide the result that was asked for.
    if let Some(path) = context.global.output_file().filter(|_| !command.writes_a_file()) {
        let message = format!(
            "`-o {}` is no form of output, and this command writes no file",
            path.display()
        );
        return Err(CliError::bad_input("cli::no-file", message).hint("`-o json` or `-o text`"));
    }
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Bundle(args) => bundle::run(&args, context),
        Command::Chart(args) => chart::run(&args, context),
        Command::Plan(args) => plan::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Apply(args) => apply::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Destroy(args) => destroy::run(&args, context),
        Command::Attach(args) => attach::run(&args, context),
        Command::Trust(args) => trust::run(&args, context),
        Command::Ledger(command) => ledger::run(&command, context),
        Command::Agent(args) => lead_side::agent(&args, context),
        Command::Engine(args) => lead_side::engine(&args, context),
    }
}

/// Runs asynchronous work to its end.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            CliError::failed("cli::runtime", "the program cannot start its threads").because(error)
        })?;
    runtime.block_on(work)
}

/// Asks a question that is answered with one word; anything else ends the command without a change.
fn confirm(printer: &Printer, question: &str, wanted: &str) -> Result<(), CliError> {
    printer.ask(&format!("{question} [{wanted}] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == wanted {
        return Ok(());
    }
    Err(
        CliError::needs_person("cli::not-confirmed", "nothing was changed")
            .because(format!("the answer was not `{wanted}`")),
    )
}
