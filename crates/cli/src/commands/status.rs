//! `openg2p status`: does the site do what its file says?

use clap::Args;
use openg2p_lead::protocol::{Reply, Request, Workload};
use serde_json::json;

use super::Context;
use super::plan::{Purpose, make, summary};
use crate::error::{CliError, Exit};
use crate::output::{Printer, Table};
use crate::prepared::{BundleArgs, LeadArgs, prepare};
use crate::remote::{Lead, unexpected};

/// What `status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// A plan with nothing to do, and every workload ready.
pub fn run(args: &StatusArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let prepared = prepare(context, &args.bundle.bundle)?;
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let node = prepared
            .site
            .lead()
            .map(|node| node.name.clone())
            .unwrap_or_default();
        // how the workloads are is told whatever becomes of the plan: a site that cannot be planned is the one to look at
        let workloads = match lead.ask(&Request::Health { node }).await {
            Ok(Reply::Health { workloads }) => workloads,
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => {
                let why = error.why.first().cloned().unwrap_or_default();
                printer.warning(&format!("the workloads cannot be told: {why} [{}]", error.code));
                Vec::new()
            }
        };
        if !printer.is_json() {
            show(&workloads, printer);
        }
        let plan = match make(&mut lead, &prepared, Purpose::Look, printer).await {
            Ok(plan) => plan,
            Err(error) => {
                if printer.is_json() {
                    printer.json(&json!({"asPlanned": null, "workloads": workloads, "error": error}));
                    return Ok(error.kind.exit());
                }
                return Err(error);
            }
        };
        let sick: Vec<&Workload> = workloads
            .iter()
            .filter(|workload| workload.state != "ready")
            .collect();
        if printer.is_json() {
            printer.json(&json!({
                "asPlanned": plan.is_empty(), "changes": plan.steps, "workloads": workloads,
            }));
        }
        if plan.is_empty() {
            printer.note(&format!("{} resources are as the site file says", plan.unchanged));
        } else {
            printer.note(&format!("differs from the site file: {}", summary(&plan)));
            printer.next("openg2p plan", "shows each difference");
        }
        if sick.is_empty() && plan.is_empty() {
            let environment = prepared
                .site
                .environments
                .keys()
                .next()
                .cloned()
                .unwrap_or_default();
            printer.next(
                &format!("openg2p verify {environment}"),
                "proves that a payment goes through",
            );
            return Ok(Exit::Done);
        }
        Ok(Exit::Failed)
    })
}

fn show(workloads: &[Workload], printer: &Printer) {
    let mut table = Table::new(["OWNER", "PART", "WORKLOAD", "STATE", "CAUSE"]);
    for workload in workloads {
        table.row([
            &workload.owner,
            &workload.part,
            &workload.object,
            &workload.state,
            &one_line(&workload.why),
        ]);
    }
    if !table.is_empty() {
        printer.table(&table);
    }
}

fn one_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(100)
        .collect()
}
