//! `openg2p destroy`: removes what the ledger says is ours, and nothing else.

use clap::Args;
use openg2p_lead::protocol::{Job, Reply, Request, Work};
use openg2p_plan::{Owner, Plan};
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::plan::show;
use crate::prepared::{LeadArgs, inputs, site};
use crate::remote::{Lead, unexpected};
use crate::watch::{Course, start, watch};

/// What `destroy` takes.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// Remove this environment only; without it the whole site
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
    /// Answer to the question: the environment's name, or the site's
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Plans the removal from the ledger, asks, and watches it.
pub fn run(args: &DestroyArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let site = site(context)?;
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        let Reply::Hello { site: there, .. } = lead.ask(&Request::Hello).await? else {
            return Err(CliError::failed(
                "agent::order",
                "the lead node did not say who it is",
            ));
        };
        if !there.is_empty() && there != site.name {
            return Err(
                CliError::refused("ledger::other-site", "this host belongs to another site")
                    .because(format!(
                        "its ledger says `{there}`, the site file says `{}`",
                        site.name
                    ))
                    .hint("use the site file of that site"),
            );
        }
        let node = site.lead().map(|node| node.name.clone()).unwrap_or_default();
        let owners = args
            .env
            .as_ref()
            .map(|name| vec![Owner::Environment(name.clone())]);
        let request = Request::PlanRemoval {
            node: node.clone(),
            owners,
            inputs: inputs(&site, ""),
        };
        let plan = match lead.ask(&request).await? {
            Reply::Planned(plan) => *plan,
            other => return Err(unexpected(&other)),
        };
        if plan.is_empty() {
            return nothing(args, context, lead).await;
        }
        let wanted = args.env.clone().unwrap_or_else(|| site.name.clone());
        agree(args, context, &plan, &wanted)?;
        let course = Course::of(&plan);
        let count = plan.steps.len();
        let work = Work::Perform {
            command: "destroy".into(),
            plan: Box::new(plan),
        };
        let job = Job {
            site: site.name.clone(),
            node,
            work,
        };
        let run = start(&mut lead, &Request::Start(job), printer).await?;
        let exit = watch(&mut lead, &site, &args.lead, &run, printer, &course)
            .await?
            .exit()?;
        if args.env.is_none() {
            lead.ask(&Request::Forget).await?;
            printer.note(&format!(
                "the host is as it was before openg2p: {count} resources removed, nothing left"
            ));
        } else {
            printer.note(&format!(
                "environment {wanted} is gone: {count} resources removed, nothing left"
            ));
            printer.next(
                "openg2p apply",
                "makes it anew, empty, while the site file still names it",
            );
        }
        Ok(exit)
    })
}

async fn nothing(args: &DestroyArgs, context: &Context<'_>, mut lead: Lead) -> Result<Exit, CliError> {
    let what = args
        .env
        .as_ref()
        .map_or("the site".to_owned(), |name| format!("environment {name}"));
    if args.env.is_none() {
        lead.ask(&Request::Forget).await?;
    }
    if context.printer.is_json() {
        context.printer.json(&json!({"outcome": "unchanged"}));
    } else {
        context
            .printer
            .data(&format!("Nothing to do: the ledger holds nothing of {what}.\n"));
    }
    Ok(Exit::Done)
}

fn agree(args: &DestroyArgs, context: &Context<'_>, plan: &Plan, wanted: &str) -> Result<(), CliError> {
    let printer = context.printer;
    let refuse = |why: &str| {
        CliError::needs_person("destroy::unconfirmed", "nothing was removed")
            .because(why)
            .hint(format!("to remove all data of it, say `--confirm {wanted}`"))
    };
    match &args.confirm {
        Some(name) if name == wanted => Ok(()),
        Some(name) => Err(refuse(&format!("`--confirm {name}` does not name `{wanted}`"))),
        None if printer.is_interactive() => {
            show(plan, printer);
            super::confirm(
                printer,
                &format!("All its data will be lost. Type `{wanted}` to go on:"),
                wanted,
            )
        }
        None => Err(refuse("nobody was asked: this is no terminal")),
    }
}
