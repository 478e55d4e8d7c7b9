//! `openg2p chart`: what a chart makes, seen without a cluster, with the options of `helm`.

mod images;
mod lint;
mod options;
mod source;
mod template;
mod values;

use clap::{Args, Subcommand};
use openg2p_chart::ChartError;

use super::Context;
use crate::error::{CliError, Exit};

/// What `chart` takes.
#[derive(Debug, Args)]
pub struct ChartCommand {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with a chart.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print what a chart makes, as `helm template` does
    Template(template::TemplateArgs),
    /// Look a chart over, as `helm lint` does
    Lint(lint::LintArgs),
    /// List the images that a chart's objects name
    Images(images::ImagesArgs),
    /// Print the values that a chart's templates see
    Values(values::ValuesArgs),
}

/// Runs one of the verbs.
pub fn run(args: &ChartCommand, context: &Context<'_>) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::Template(args) => template::run(args, context),
        Verb::Lint(args) => lint::run(args, context),
        Verb::Images(args) => images::run(args, context),
        Verb::Values(args) => values::run(args, context),
    }
}

/// An error of a chart as a person meets it.
fn failed(error: &ChartError) -> CliError {
    let shown = CliError::bad_input(error.code(), error.to_string());
    match error {
        ChartError::Random { .. } => shown
            .hint("`--seed TEXT` draws the same values every time, `--draw` others every time, as Helm does"),
        ChartError::Kubernetes { .. } => {
            shown.hint("`--kube-version` says for which Kubernetes the chart is rendered")
        }
        ChartError::Unwritable { .. } => {
            shown.hint("`-o json` prints them as JSON, which takes every character")
        }
        _ => shown,
    }
}
