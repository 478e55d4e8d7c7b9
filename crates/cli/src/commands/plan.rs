//! `openg2p plan`: what apply would do.

use clap::Args;
use openg2p_lead::protocol::{Reply, Request};
use openg2p_plan::{Action, Plan, Risk, Step};

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Printer, Table, human_duration};
use crate::prepared::{BundleArgs, LeadArgs, Prepared, bundle_bytes, prepare};
use crate::remote::{Lead, refusal, unexpected};

/// What `plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Looks at the world and shows every change that apply would make.
pub fn run(args: &PlanArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let prepared = prepare(context, &args.bundle.bundle)?;
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let plan = match make(&mut lead, &prepared, context.printer).await {
            Ok(plan) => plan,
            Err(error) => {
                lead.withdraw().await?;
                return Err(error);
            }
        };
        if let Some(path) = context.global.output_file() {
            save(&plan, path)?;
        }
        if context.printer.is_json() {
            context.printer.json(&plan);
        } else {
            show(&plan, context.printer);
        }
        let path = context.global.output_file();
        let apply = path.map_or("openg2p apply".to_owned(), |path| {
            format!("openg2p apply {}", path.display())
        });
        if plan.is_empty() {
            context
                .printer
                .next("openg2p status", "tells how the workloads are");
        } else {
            context.printer.next(&apply, "makes exactly these changes");
        }
        Ok(Exit::Done)
    })
}

fn save(plan: &Plan, path: &std::path::Path) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(plan).unwrap_or_default() + "\n";
    std::fs::write(path, text).map_err(|error| {
        CliError::failed("plan::save", "the plan cannot be saved")
            .at(path.display())
            .because(error)
    })
}

/// Checks that the lead node may be used and plans there. Nothing is changed.
pub async fn make(lead: &mut Lead, prepared: &Prepared, printer: &Printer) -> Result<Plan, CliError> {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let check = Request::Check {
        site: prepared.site.name.clone(),
        release: prepared.index.debian_release.clone(),
        bundle_bytes: bundle_bytes(&prepared.index),
        clock,
        ports: openg2p_compose::HOST_PORTS
            .iter()
            .map(|(port, why)| (*port, (*why).to_owned()))
            .collect(),
    };
    match lead.ask(&check).await? {
        Reply::Checked { failures, warnings } => {
            for warning in warnings {
                printer.warning(&warning);
            }
            if !failures.is_empty() {
                return Err(refusal(
                    failures,
                    "this host cannot take the site; nothing was changed",
                ));
            }
        }
        other => return Err(unexpected(&other)),
    }
    let node = prepared
        .site
        .lead()
        .map(|node| node.name.clone())
        .unwrap_or_default();
    let request = Request::Plan {
        site: prepared.site.name.clone(),
        node,
        resources: prepared.resources.clone(),
        inputs: prepared.inputs.clone(),
    };
    match lead.ask(&request).await? {
        Reply::Planned(plan) => Ok(*plan),
        other => Err(unexpected(&other)),
    }
}

/// One step in words.
pub fn label(step: &Step) -> String {
    format!("{} {}", step.action.verb(), step.resource)
}

/// Shows a plan to people: warnings first, then grouped by part, then the sum.
pub fn show(plan: &Plan, printer: &Printer) {
    for warning in &plan.warnings {
        printer.warning(warning);
    }
    if plan.is_empty() {
        printer.data(&format!(
            "Nothing to do: {} resources are as they should be.\n",
            plan.unchanged
        ));
        return;
    }
    let mut parts: Vec<&str> = Vec::new();
    for step in &plan.steps {
        if !parts.contains(&step.part.as_str()) {
            parts.push(&step.part);
        }
    }
    let mut table = Table::new(["PART", "ACTION", "RESOURCE", "RISK"]);
    for part in parts {
        for step in plan.steps.iter().filter(|step| step.part == part) {
            table.row([
                part.to_owned(),
                step.action.verb().into(),
                step.resource.to_string(),
                risk(step.risk).into(),
            ]);
            for change in &step.changes {
                let from = change.from.as_deref().unwrap_or("(unset)");
                let to = change.to.as_deref().unwrap_or("(unset)");
                table.row([
                    String::new(),
                    String::new(),
                    format!("  {}: {from} -> {to}", change.path),
                    String::new(),
                ]);
            }
        }
    }
    printer.table(&table);
    printer.note(&summary(plan));
}

fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Harmless => "",
        Risk::Restart => "restart",
        Risk::Downtime => "downtime",
        Risk::Data => "data",
    }
}

/// `3 to create, 1 to update; 90 unchanged; about 2 min`.
pub fn summary(plan: &Plan) -> String {
    let count = |action: Action| plan.steps.iter().filter(|step| step.action == action).count();
    let counts = [Action::Create, Action::Update, Action::Replace, Action::Remove]
        .into_iter()
        .filter(|action| count(*action) > 0)
        .map(|action| format!("{} to {}", count(action), action.verb()))
        .collect::<Vec<_>>()
        .join(", ");
    let time = human_duration(std::time::Duration::from_secs_f64(plan.critical_path()));
    format!("{counts}; {} unchanged; at least {time}", plan.unchanged)
}
