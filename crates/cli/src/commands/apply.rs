//! `openg2p apply`: makes the site what its file says.

use std::cell::Cell;
use std::path::PathBuf;

use clap::Args;
use openg2p_lead::protocol::{Job, Reply, Request, Work};
use openg2p_plan::{Moved, Plan, Risk};
use serde_json::json;

use super::Context;
use super::plan::{Purpose, check, lead_name, make};
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::output::plan::{show, summary};
use crate::prepared::{BundleArgs, LeadArgs, Prepared, TakeOverArgs, prepare};
use crate::remote::{Lead, unexpected};
use crate::watch::{Course, start, watch};

/// What `apply` takes.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Plan saved by `openg2p plan -o FILE`; exactly its steps are performed, or none
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
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

/// Plans, asks, sends the bundle and watches the run.
pub fn run(args: &ApplyArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let saved = args.plan.as_deref().map(super::plan::read).transpose()?;
    let mut prepared = prepare(context, &args.bundle.bundle)?;
    args.take_over.apply_to(&mut prepared, saved.as_ref());
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let plan = agreed(&mut lead, &prepared, saved, args.yes, printer).await?;
        if plan.is_empty() {
            lead.settle(&lead_name(&prepared), printer).await;
            if printer.is_json() {
                printer.json(&json!({"outcome": "unchanged", "unchanged": plan.unchanged}));
            } else {
                show(&plan, printer);
            }
            printer.next("openg2p status", "tells how the workloads are");
            return Ok(Exit::Done);
        }
        // every byte before the first effect: an altered member must not be found half way
        super::bundle::whole(&prepared.bundle)?;
        send_bundle(&mut lead, &prepared, printer).await?;
        let node = lead_name(&prepared);
        let course = Course::of(&plan);
        let work = Work::Perform {
            command: "apply".into(),
            plan: Box::new(plan),
            removal: None,
        };
        let job = Job {
            site: prepared.site.name.clone(),
            node,
            work,
        };
        let run = start(&mut lead, &Request::Start(job), printer).await?;
        let ended = watch(&mut lead, &prepared.site, &args.lead, &run, printer, &course).await?;
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

/// The plan that shall be performed: the saved one if it still holds, or a fresh one that a person agreed to.
async fn agreed(
    lead: &mut Lead,
    prepared: &Prepared,
    saved: Option<Plan>,
    yes: bool,
    printer: &Printer,
) -> Result<Plan, CliError> {
    if let Some(saved) = saved {
        let mut moved = saved.inputs_moved(&prepared.site.name, &prepared.inputs);
        moved.extend(saved.wishes_moved(&prepared.resources));
        if moved.is_empty() {
            check(lead, prepared, Purpose::Change, printer).await?;
            let request = Request::Holds {
                node: lead_name(prepared),
                plan: Box::new(saved.clone()),
            };
            moved = match lead.ask(&request).await? {
                Reply::Moved { moved } => moved,
                other => return Err(unexpected(&other)),
            };
        }
        if moved.is_empty() {
            return Ok(saved);
        }
        return Err(no_longer_holds(&moved));
    }
    let fresh = make(lead, prepared, Purpose::Change, printer).await?;
    consent(&fresh, yes, printer)?;
    Ok(fresh)
}

/// What becomes of a plan that was not saved and looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    Given,
    /// A person is there and is asked.
    Ask,
    /// Nobody's silence is a yes.
    Missing,
}

impl Consent {
    fn of(nothing_to_do: bool, yes: bool, interactive: bool) -> Self {
        if nothing_to_do || yes {
            Self::Given
        } else if interactive {
            Self::Ask
        } else {
            Self::Missing
        }
    }
}

/// Whether a person wants these changes: by `--yes`, or by the answer to a question.
fn consent(plan: &Plan, yes: bool, printer: &Printer) -> Result<(), CliError> {
    match Consent::of(plan.is_empty(), yes, printer.is_interactive()) {
        Consent::Given => Ok(()),
        Consent::Missing => {
            let data = plan.steps.iter().any(|step| step.risk == Risk::Data);
            Err(unasked(data, &summary(plan)))
        }
        Consent::Ask => {
            show(plan, printer);
            super::confirm(printer, "Make these changes?", "yes")
        }
    }
}

/// Changes that nobody saw and nobody asked for are not made, whatever their risk.
fn unasked(data: bool, summary: &str) -> CliError {
    let (code, what) = if data {
        (
            "apply::data",
            "this plan removes data, and nobody was asked; nothing was changed",
        )
    } else {
        (
            "apply::unconfirmed",
            "nobody was asked: this is no terminal; nothing was changed",
        )
    };
    CliError::needs_person(code, what)
        .because(summary)
        .hint("look at `openg2p plan`, then say `openg2p apply --yes`")
}

/// The refusal of a plan, with each thing that moved.
pub(crate) fn no_longer_holds(moved: &[Moved]) -> CliError {
    let mut error = CliError::refused("plan::moved", "the plan no longer holds; nothing was changed");
    for item in moved.iter().take(20) {
        error = error.because(item.words());
    }
    if moved.len() > 20 {
        error = error.because(format!("and {} more", moved.len() - 20));
    }
    error.hint("make a new plan, look at it, and apply that: `openg2p plan -o FILE`")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_only_yes_is_a_yes() {
        // nothing to do, --yes, a terminal
        assert_eq!(Consent::of(false, false, false), Consent::Missing);
        assert_eq!(Consent::of(false, false, true), Consent::Ask);
        assert_eq!(Consent::of(false, true, false), Consent::Given);
        assert_eq!(Consent::of(true, false, false), Consent::Given);
        for data in [false, true] {
            let error = unasked(data, "3 to create");
            assert_eq!(error.kind.exit(), Exit::NeedsPerson);
            assert!(error.hints[0].contains("--yes"), "{:?}", error.hints);
        }
    }
}
