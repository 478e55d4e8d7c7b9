//! `openg2p apply`: makes the site what its file says.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use clap::Args;
use openg2p_lead::protocol::{Job, Request, Work};
use openg2p_plan::{Plan, Risk};
use serde_json::json;

use super::Context;
use super::plan::{label, make, show, summary};
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::prepared::{BundleArgs, LeadArgs, Prepared, prepare};
use crate::remote::Lead;
use crate::watch::{start, watch};

/// What `apply` takes.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Plan saved by `openg2p plan -o FILE`; exactly its steps are performed, or none
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Plans, asks, sends the bundle and watches the run.
pub fn run(args: &ApplyArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let saved = args.plan.as_deref().map(read_plan).transpose()?;
    let prepared = prepare(context, &args.bundle.bundle)?;
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let plan = match agreed(&mut lead, &prepared, saved, args.yes, printer).await {
            Ok(plan) => plan,
            Err(error) => {
                lead.withdraw().await?;
                return Err(error);
            }
        };
        if plan.is_empty() {
            if printer.is_json() {
                printer.json(&json!({"outcome": "unchanged", "unchanged": plan.unchanged}));
            } else {
                show(&plan, printer);
            }
            printer.next("openg2p status", "tells how the workloads are");
            return Ok(Exit::Done);
        }
        // every byte before the first effect: an altered member must not be found half way
        if let Err(error) = super::bundle::whole(&prepared.bundle) {
            lead.withdraw().await?;
            return Err(error);
        }
        send_bundle(&mut lead, &prepared, printer).await?;
        let node = prepared
            .site
            .lead()
            .map(|node| node.name.clone())
            .unwrap_or_default();
        let labels: Vec<(String, f64)> = plan
            .steps
            .iter()
            .map(|step| (label(step), step.estimate))
            .collect();
        let work = Work::Perform {
            command: "apply".into(),
            plan: Box::new(plan),
        };
        let job = Job {
            site: prepared.site.name.clone(),
            node,
            work,
        };
        let run = start(&mut lead, &Request::Start(job)).await?;
        printer.detail(&format!(
            "run {run} goes on even if this terminal closes; `openg2p attach {run}` watches it again"
        ));
        let ended = watch(&mut lead, &prepared.site, &args.lead, &run, printer, &labels).await?;
        let exit = ended.exit()?;
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
        Ok(exit)
    })
}

fn read_plan(path: &Path) -> Result<Plan, CliError> {
    let bad = |why: String| {
        CliError::bad_input("plan::unreadable", "the saved plan cannot be read")
            .at(path.display())
            .because(why)
            .hint("make one with `openg2p plan -o FILE`")
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if plan.api_version == Plan::API_VERSION {
        Ok(plan)
    } else {
        Err(bad(format!(
            "it is written in format `{}`, and this program reads `{}`",
            plan.api_version,
            Plan::API_VERSION
        )))
    }
}

/// The plan that shall be performed: the saved one if it still holds, or a fresh one that a person agreed to.
async fn agreed(
    lead: &mut Lead,
    prepared: &Prepared,
    saved: Option<Plan>,
    yes: bool,
    printer: &Printer,
) -> Result<Plan, CliError> {
    let fresh = make(lead, prepared, printer).await?;
    if let Some(saved) = saved {
        let moved = saved.moved(&fresh);
        if moved.is_empty() {
            return Ok(saved);
        }
        let mut error = CliError::refused(
            "plan::moved",
            "the saved plan no longer holds; nothing was changed",
        );
        for item in moved.iter().take(20) {
            error = error.because(format!(
                "{}: planned {}, now {}",
                item.what, item.planned, item.now
            ));
        }
        if moved.len() > 20 {
            error = error.because(format!("and {} more", moved.len() - 20));
        }
        return Err(error.hint("make a new plan: `openg2p plan -o FILE`"));
    }
    if fresh.is_empty() {
        return Ok(fresh);
    }
    let data = fresh.steps.iter().any(|step| step.risk == Risk::Data);
    if yes {
        return Ok(fresh);
    }
    if printer.is_interactive() {
        show(&fresh, printer);
        super::confirm(printer, "Make these changes?", "yes")?;
    } else if data {
        return Err(
            CliError::needs_person("apply::data", "this plan removes data, and nobody was asked")
                .because(summary(&fresh))
                .hint("look at `openg2p plan`, then say `openg2p apply --yes`"),
        );
    }
    Ok(fresh)
}

async fn send_bundle(lead: &mut Lead, prepared: &Prepared, printer: &Printer) -> Result<(), CliError> {
    let told = Cell::new(0);
    let progress = printer.progress();
    let started = Cell::new(false);
    lead.send_bundle(
        &prepared.bundle,
        &prepared.index,
        &prepared.index_text,
        &|sent, all| {
            if all < 8 << 20 {
                return;
            }
            if !started.replace(true) {
                progress.start(10);
                progress.message(&format!(
                    "sending {} MB of the bundle to the lead node",
                    all / 1_000_000
                ));
            }
            let tenth = sent * 10 / all;
            while told.get() < tenth {
                told.set(told.get() + 1);
                let id = format!("bundle {}%", told.get() * 10);
                progress.step_finished(&id, &crate::output::Outcome::Unchanged);
            }
        },
    )
    .await?;
    if started.get() {
        progress.finish("the bundle is there");
    }
    Ok(())
}
