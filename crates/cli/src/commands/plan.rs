//! `openg2p plan`: what apply would do.

use clap::Args;
use openg2p_lead::protocol::{Reply, Request};
use openg2p_plan::{Action, Plan, Risk, Step};
use openg2p_run::Failure;

use super::Context;
use crate::demand::demand;
use crate::error::{CliError, Exit};
use crate::output::{Printer, Table, diff, human_duration};
use crate::prepared::{BundleArgs, LeadArgs, Prepared, TakeOverArgs, prepare};
use crate::remote::{Lead, refusal, unexpected};

/// What `plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Show each field that changes, old and new; values of secrets stay hidden
    #[arg(long)]
    pub diff: bool,
    /// What becomes ours.
    #[command(flatten)]
    pub take_over: TakeOverArgs,
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Looks at the world and shows every change that apply would make.
pub fn run(args: &PlanArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let mut prepared = prepare(context, &args.bundle.bundle)?;
    args.take_over.apply_to(&mut prepared, None);
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let plan = make(&mut lead, &prepared, Purpose::Change, context.printer).await?;
        if let Some(path) = context.global.output_file() {
            save(&plan, path)?;
        }
        if context.printer.is_json() {
            context.printer.json(&plan);
        } else if args.diff {
            let fields = |step: &Step| openg2p_run::fields_of(&step.desired);
            context
                .printer
                .data(&diff(&plan, context.printer.paint_out(), fields));
            context.printer.note(&summary(&plan));
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

/// What a plan is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be performed: everything that would stop it refuses it.
    Change,
    /// To be looked at: what stops a change only is told as a warning.
    Look,
}

/// Findings that keep a host from being changed and not from being looked at: somebody who asks how the site is needs the answer
/// most when the disk is full.
const STOPS_CHANGES_ONLY: [&str; 2] = ["host::disk", "host::clock"];

/// Tells as warnings what does not stop `purpose`, and gives the rest.
fn stopping(failures: Vec<Failure>, purpose: Purpose, printer: &Printer) -> Vec<Failure> {
    let (passable, stopping): (Vec<_>, Vec<_>) = failures
        .into_iter()
        .partition(|failure| purpose == Purpose::Look && STOPS_CHANGES_ONLY.contains(&&*failure.code));
    for failure in passable {
        printer.warning(&format!("{}: {} [{}]", failure.place, failure.why, failure.code));
    }
    stopping
}

/// Checks that the lead node may be used and plans there. Nothing is changed.
pub async fn make(
    lead: &mut Lead,
    prepared: &Prepared,
    purpose: Purpose,
    printer: &Printer,
) -> Result<Plan, CliError> {
    let check = Request::Check(demand(prepared));
    match lead.ask(&check).await? {
        Reply::Checked { failures, warnings } => {
            for warning in warnings {
                printer.warning(&warning);
            }
            let failures = stopping(failures, purpose, printer);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::GlobalArgs;
    use crate::output::Environment;

    fn found(code: &str) -> Failure {
        Failure {
            code: code.into(),
            what: "use this host".into(),
            place: "box1".into(),
            why: format!("the reason of {code}"),
            hint: None,
        }
    }

    #[test]
    fn a_full_disk_keeps_nobody_from_looking() {
        let found = ["host::disk", "host::other-site", "host::clock"].map(found);
        let left = |purpose| {
            let (environment, captured) = Environment::captured();
            let printer = Printer::new(&GlobalArgs::default(), &environment);
            let left: Vec<String> = stopping(found.to_vec(), purpose, &printer)
                .into_iter()
                .map(|failure| failure.code)
                .collect();
            (left, captured.stderr())
        };
        let (all, told) = left(Purpose::Change);
        assert_eq!(all, ["host::disk", "host::other-site", "host::clock"]);
        assert_eq!(told, "");
        let (stopping, told) = left(Purpose::Look);
        assert_eq!(stopping, ["host::other-site"]);
        assert!(
            told.contains("warning: box1: the reason of host::disk [host::disk]"),
            "{told}"
        );
        assert!(told.contains("[host::clock]"), "{told}");
    }
}
