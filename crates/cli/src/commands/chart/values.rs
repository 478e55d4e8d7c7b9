//! `openg2p chart values`: what the templates of a chart see under `.Values`.

use clap::Args;
use openg2p_chart::{Values, effective_values};

use super::options::RenderArgs;
use super::{failed, source};
use crate::commands::Context;
use crate::error::{CliError, Exit};

/// What `chart values` takes.
#[derive(Debug, Args)]
pub struct ValuesArgs {
    /// What to render.
    #[command(flatten)]
    pub render: RenderArgs,
    /// Print the chart's own values.yaml as it is, as `helm show values` does
    #[arg(long)]
    pub defaults: bool,
}

/// Prints YAML; with `-o json` JSON.
pub(super) fn run(args: &ValuesArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let path = args.render.chart();
    if args.defaults {
        let files = source::files(&path)?;
        if let Some((_, text)) = files.iter().find(|(name, _)| name == "values.yaml") {
            context.printer.data(&String::from_utf8_lossy(text));
        }
        return Ok(Exit::Done);
    }
    let options = args.render.options()?;
    let chart = source::chart(&path)?;
    let values = effective_values(&chart, &options).map_err(|error| failed(&error))?;
    if context.printer.is_json() {
        context.printer.json(&values);
        return Ok(Exit::Done);
    }
    let values = Values::try_from(values).map_err(|error| failed(&error))?;
    let written = values
        .to_yaml()
        .map_err(|error| failed(&error).at(path.display()))?;
    context.printer.data(&written);
    Ok(Exit::Done)
}
