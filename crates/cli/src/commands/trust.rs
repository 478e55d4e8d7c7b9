//! `openg2p trust`: the site's own authority, for devices to trust.

use clap::Args;
use openg2p_lead::protocol::{Reply, Request};

use super::Context;
use crate::error::{CliError, Exit};
use crate::prepared::{LeadArgs, site};
use crate::remote::{Lead, unexpected};

/// What `trust` takes.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Writes the authority's certificate (PEM) to standard output, or to the file of `-o`.
pub fn run(args: &TrustArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let site = site(context)?;
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        let pem = match lead.ask(&Request::Authority).await? {
            Reply::Text(pem) => pem,
            other => return Err(unexpected(&other)),
        };
        if let Some(path) = context.global.output_file() {
            std::fs::write(path, &pem).map_err(|error| {
                CliError::failed("trust::save", "the certificate cannot be saved")
                    .at(path.display())
                    .because(error)
            })?;
        } else {
            context.printer.data(&pem);
        }
        context.printer.note(
            "Debian: put it into /usr/local/share/ca-certificates/ and run update-ca-certificates; Firefox: Settings, \
             Certificates, Import. It can vouch for this site's domain only.",
        );
        Ok(Exit::Done)
    })
}
