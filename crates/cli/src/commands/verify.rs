//! `openg2p verify ENV`: proves that an environment pays.

use std::path::{Path, PathBuf};

use clap::Args;
use openg2p_lead::protocol::{Job, Request, Work};
use openg2p_spec::Site;
use serde_json::Value;

use super::Context;
use crate::error::{CliError, Exit};
use crate::prepared::{LeadArgs, site};
use crate::remote::Lead;
use crate::watch::{Course, start, watch};

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
    /// Write the report as JSON to this file too; so does `-o FILE`
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Runs the proof on the lead node, through the edge, and shows its report.
pub fn run(args: &VerifyArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let site = site(context)?;
    let Some(environment) = site.environments.get(&args.environment) else {
        let known = site.environments.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("the site has no environment `{}`", args.environment);
        return Err(CliError::bad_input("verify::environment", message).hint(format!("it has: {known}")));
    };
    complete(&site, &args.environment)?;
    let file = args.report.as_deref().or(context.global.output_file());
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        let Some(node) = site.lead() else {
            return Err(CliError::bad_input(
                "site::no-lead",
                "no node has the role `lead`",
            ));
        };
        let work = Work::Verify {
            environment: environment.id.clone(),
            domain: format!("{}.{}", args.environment, site.domain),
            edge: node.address,
            beneficiaries: args.beneficiaries,
            deadline: args.deadline,
        };
        let job = Job {
            site: site.name.clone(),
            node: node.name.clone(),
            work,
        };
        let run = start(&mut lead, &Request::Start(job), printer).await?;
        let mut ended = watch(&mut lead, &site, &args.lead, &run, printer, &Course::default()).await?;
        let reports = std::mem::take(&mut ended.results);
        for report in &reports {
            // with `-o json` the report was the event `result`
            if !printer.is_json() {
                super::report::show(report, printer);
            }
        }
        if let (Some(path), Some(report)) = (file, reports.last()) {
            save(report, path)?;
        }
        if ended.exit == 3 && ended.error.is_none() {
            return Ok(Exit::Failed);
        }
        ended.exit()
    })
}

/// What a payment goes through, with the code for its absence.
const NEEDED: [(&str, &str, &str); 3] = [
    ("spar", "verify::no-spar", "it tells where a person is paid"),
    ("g2p-bridge", "verify::no-bridge", "it sends the payment"),
    (
        "example-bank",
        "verify::no-bank",
        "it pays in place of a real bank",
    ),
];

/// Refuses an environment that lacks what a payment goes through, with all that is missing at once.
fn complete(site: &Site, environment: &str) -> Result<(), CliError> {
    let modules = site
        .environments
        .get(environment)
        .map(|settings| &settings.modules);
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(name, ..)| modules.is_none_or(|modules| !modules.contains_key(*name)))
        .collect();
    let Some((_, code, _)) = missing.first() else {
        return Ok(());
    };
    let mut error = CliError::bad_input(
        *code,
        format!("no payment can go through environment `{environment}`; nothing was tried"),
    );
    for (name, _, why) in &missing {
        error = error
            .because(format!("it has no module `{name}`: {why}"))
            .hint(format!(
                "add the line `{name}: {{}}` below `environments.{environment}.modules` in the site file, then `openg2p apply`"
            ));
    }
    Err(error)
}

fn save(report: &Value, path: &Path) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    std::fs::write(path, text).map_err(|error| {
        CliError::failed("verify::save", "the report cannot be saved")
            .at(path.display())
            .because(error)
    })
}
