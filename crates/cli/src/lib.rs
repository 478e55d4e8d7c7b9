//! The openg2p command line: arguments, commands, output. It decides nothing about a site; that is the work of
//! the crates below it. One file per verb in `commands`, and all that is printed goes through [`output::Printer`].

pub mod args;
mod asked;
pub mod commands;
mod demand;
pub mod error;
pub mod output;
mod prepared;
mod remote;
mod watch;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Format};
use commands::Context;
use error::{CliError, Exit};
use output::{Environment, Printer};

/// Parses the arguments, runs the command and reports what it returned.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> Exit {
    let arguments = args::with_values_files(arguments.into_iter().collect());
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments, environment),
    };
    let printer = Printer::new(&cli.global, environment).in_lines(cli.command.is_run());
    let context = Context {
        global: &cli.global,
        printer: &printer,
    };
    match commands::dispatch(cli.command, &context) {
        Ok(exit) => exit,
        Err(error) => {
            printer.error(&error);
            error.kind.exit()
        }
    }
}

/// Reports what clap found. Its own exit code 2 means "refused" here, so wrong usage ends with 1 like other bad input.
fn usage(error: &clap::Error, arguments: &[OsString], environment: &Environment) -> Exit {
    let mut global = args::GlobalArgs::default();
    if args::asks_for_json(arguments) {
        global.output.push(args::Output::Json);
    }
    // which command it was cannot be told for sure; one line is right for all of them
    let printer = Printer::new(&global, environment).in_lines(true);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            printer.data(&error.render().to_string());
            Exit::Done
        }
        _ if global.format() == Format::Json => {
            let text = error.render().to_string();
            let text = text.trim().trim_start_matches("error: ").to_owned();
            printer.error(&CliError::bad_input("cli::usage", text));
            Exit::BadInput
        }
        _ => {
            printer.people(&error.render().to_string());
            Exit::BadInput
        }
    }
}
