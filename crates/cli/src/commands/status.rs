//! `openg2p status`: does the site do what its file says?

use clap::Args;
use openg2p_lead::protocol::{Reply, Request};
use openg2p_run::{PartStatus, Standing, Workload};
use serde_json::json;

use super::Context;
use super::plan::{Purpose, check, lead_name};
use crate::error::{CliError, Exit};
use crate::output::{Paint, Printer, Table};
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

/// A verdict on every part, and the state of every workload.
pub fn run(args: &StatusArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let prepared = prepare(context, &args.bundle.bundle)?;
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        // a site that cannot be changed is the one to look at
        check(&mut lead, &prepared, Purpose::Look, printer).await?;
        let request = Request::Status {
            node: lead_name(&prepared),
            resources: prepared.resources.clone(),
        };
        let (parts, workloads) = match lead.ask(&request).await? {
            Reply::Status { parts, workloads } => (parts, workloads),
            other => return Err(unexpected(&other)),
        };
        let good = parts.iter().all(|part| part.standing == Standing::Good);
        if printer.is_json() {
            printer.json(&json!({"good": good, "parts": parts, "workloads": workloads}));
        } else {
            show(&parts, &workloads, printer);
        }
        if good {
            let resources: usize = parts.iter().map(|part| part.resources).sum();
            printer.note(&format!("{resources} resources are as the site file says"));
            let environment = prepared.site.environments.keys().next();
            printer.next(
                &format!("openg2p verify {}", environment.cloned().unwrap_or_default()),
                "proves that a payment goes through",
            );
            return Ok(Exit::Done);
        }
        let worst = parts.iter().max_by_key(|part| part.standing);
        if let Some(worst) = worst {
            printer.next(
                &worst.next,
                &format!("{} {} is {}", worst.owner, worst.part, worst.standing.word()),
            );
        }
        Ok(Exit::Failed)
    })
}

fn paint(standing: Standing) -> Paint {
    match standing {
        Standing::Good => Paint::Good,
        Standing::Failing | Standing::Refused | Standing::Unknown => Paint::Bad,
        _ => Paint::Warning,
    }
}

fn show(parts: &[PartStatus], workloads: &[Workload], printer: &Printer) {
    let mut table = Table::new(["OWNER", "PART", "VERDICT", "CAUSE", "NEXT"]);
    for part in parts {
        let cause = part
            .causes
            .first()
            .map(|cause| format!("{}: {}", cause.what, one_line(&cause.why)))
            .unwrap_or_default();
        let more = part.causes_in_all.saturating_sub(1);
        let cause = if more > 0 {
            format!("{cause} (and {more} more)")
        } else {
            cause
        };
        table.painted_row([
            (part.owner.clone(), None),
            (part.part.clone(), None),
            (part.standing.word().to_owned(), Some(paint(part.standing))),
            (cause, None),
            (part.next.clone(), Some(Paint::Literal)),
        ]);
    }
    printer.table(&table);
    let sick: Vec<&Workload> = workloads
        .iter()
        .filter(|workload| workload.state != "ready")
        .collect();
    if sick.is_empty() && !printer.is_verbose() {
        return;
    }
    let mut table = Table::new(["WORKLOAD", "STATE", "CAUSE"]);
    for workload in workloads {
        if workload.state != "ready" || printer.is_verbose() {
            table.row([&workload.object, &workload.state, &one_line(&workload.why)]);
        }
    }
    printer.data("");
    printer.table(&table);
}

fn one_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(100)
        .collect()
}
