//! `openg2p attach RUN`: watches a run that goes on without you.

use clap::Args;

use super::Context;
use crate::error::{CliError, Exit};
use crate::prepared::{LeadArgs, site};
use crate::remote::Lead;
use crate::watch::watch;

/// What `attach` takes.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run's id, as apply printed it
    #[arg(value_name = "RUN")]
    pub run: String,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Shows all events of the run from its beginning, then those to come.
pub fn run(args: &AttachArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let site = site(context)?;
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        let ended = watch(&mut lead, &site, &args.lead, &args.run, context.printer, &[]).await?;
        ended.exit()
    })
}
