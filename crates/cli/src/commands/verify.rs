//! `openg2p verify ENV`: proves that an environment pays.

use clap::Args;
use openg2p_lead::protocol::{Job, Request, Work};

use super::Context;
use crate::error::{CliError, Exit};
use crate::prepared::{LeadArgs, site};
use crate::remote::Lead;
use crate::watch::{start, watch};

/// What `verify` takes.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The environment
    #[arg(value_name = "ENVIRONMENT")]
    pub environment: String,
    /// How many beneficiaries are paid
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub beneficiaries: u32,
    /// Seconds until the payments must be back
    #[arg(long, default_value_t = 180)]
    pub deadline: u64,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Runs the proof on the lead node, through the edge, and shows its report.
pub fn run(args: &VerifyArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let site = site(context)?;
    if !site.environments.contains_key(&args.environment) {
        let known = site.environments.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("the site has no environment `{}`", args.environment);
        return Err(CliError::bad_input("verify::environment", message).hint(format!("it has: {known}")));
    }
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        let Some(node) = site.lead() else {
            return Err(CliError::bad_input(
                "site::no-lead",
                "no node has the role `lead`",
            ));
        };
        let work = Work::Verify {
            environment: args.environment.clone(),
            domain: site.domain.clone(),
            edge: node.address,
            beneficiaries: args.beneficiaries,
            deadline: args.deadline,
        };
        let job = Job {
            site: site.name.clone(),
            node: node.name.clone(),
            work,
        };
        let run = start(&mut lead, &Request::Start(job)).await?;
        let mut ended = watch(&mut lead, &site, &args.lead, &run, printer, &[]).await?;
        let reports = std::mem::take(&mut ended.results);
        for report in &reports {
            if printer.is_json() {
                printer.json(report);
            } else {
                super::report::show(report, printer);
            }
        }
        if ended.exit == 3 && ended.error.is_none() {
            return Ok(Exit::Failed);
        }
        ended.exit()
    })
}
