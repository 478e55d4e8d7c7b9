//! `openg2p chart template`: what `helm template` prints.

use clap::Args;
use openg2p_chart::{Parts, RenderedObject, show_only};

use super::failed;
use super::options::RenderArgs;
use crate::commands::Context;
use crate::error::{CliError, Exit};

/// What `chart template` takes.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    /// What to render.
    #[command(flatten)]
    pub render: RenderArgs,
    /// Print the chart's custom resource definitions too
    #[arg(long)]
    pub include_crds: bool,
    /// Print only what these templates make, such as `templates/*.yaml`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,
    /// Leave out hooks
    #[arg(long)]
    pub no_hooks: bool,
    /// Leave out hooks that test the release
    #[arg(long)]
    pub skip_tests: bool,
}

/// Renders the chart and prints its objects; with `-o json` as a list.
pub(super) fn run(args: &TemplateArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let rendered = args.render.rendered()?;
    let parts = Parts {
        crds: args.include_crds,
        hooks: !args.no_hooks,
        tests: !args.skip_tests,
    };
    if context.printer.is_json() {
        let definitions = rendered
            .crds
            .iter()
            .filter(|_| parts.crds)
            .flat_map(|file| &file.objects);
        let wanted = rendered
            .objects
            .iter()
            .filter(|object| object.hook.is_none() || parts.hooks)
            .map(RenderedObject::value);
        let objects: Vec<_> = definitions.chain(wanted).collect();
        context.printer.json(&objects);
        return Ok(Exit::Done);
    }
    let manifest = rendered.manifest_of(parts);
    // The program ends after this, which gives the memory back in one piece.
    std::mem::forget(rendered);
    if args.show_only.is_empty() {
        context.printer.data(&manifest);
    } else {
        let shown = show_only(&manifest, &args.show_only).map_err(|error| failed(&error))?;
        context.printer.data(&shown);
    }
    Ok(Exit::Done)
}
