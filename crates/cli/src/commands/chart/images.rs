//! `openg2p chart images`: what has to be in a registry before a chart can run.

use clap::Args;
use openg2p_chart::render;

use super::options::RenderArgs;
use super::{failed, source};
use crate::commands::Context;
use crate::error::{CliError, Exit};

/// What `chart images` takes.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// What to render.
    #[command(flatten)]
    pub render: RenderArgs,
}

/// Prints one image a line, sorted; with `-o json` a list.
pub(super) fn run(args: &ImagesArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let options = args.render.options()?;
    let path = args.render.chart();
    let chart = source::chart(&path)?;
    chart
        .check_dependencies()
        .map_err(|error| failed(&error).at(path.display()))?;
    let images = render(&chart, &options).map_err(|error| failed(&error))?.images();
    if context.printer.is_json() {
        context.printer.json(&images);
    } else if images.is_empty() {
        context.printer.note("no object of this chart names an image");
    } else {
        context.printer.data(&images.join("\n"));
    }
    Ok(Exit::Done)
}
