//! `openg2p chart images`: what has to be in a registry before a chart can run.

use clap::Args;

use super::options::RenderArgs;
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
    let images = args.render.rendered()?.images();
    if context.printer.is_json() {
        context.printer.json(&images);
    } else if images.is_empty() {
        context.printer.note("no object of this chart names an image");
    } else {
        context.printer.data(&images.join("\n"));
    }
    Ok(Exit::Done)
}
