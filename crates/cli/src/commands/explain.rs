//! `openg2p explain STEP|RESOURCE`: why it is there.

use std::path::PathBuf;

use clap::Args;
use openg2p_plan::{Action, Plan, ResourceId, Step, explain, meant};
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::plan::time;
use crate::output::{Paint, Printer};
use crate::prepared::{BundleArgs, prepare};

/// How many names of a list are shown.
const SHOWN: usize = 8;

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The number of a step of `--plan`, or a resource: its id, or a part of it that no other has
    #[arg(value_name = "STEP|RESOURCE")]
    pub what: String,
    /// Plan saved by `openg2p plan -o FILE`; without it the plan for a bare host
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// Explains one resource. Asks no machine.
pub fn run(args: &ExplainArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let saved = args.plan.as_deref().map(super::plan::read).transpose()?;
    let prepared = prepare(context, &args.bundle.bundle)?;
    let is_saved = saved.is_some();
    let plan = match saved {
        Some(plan) => plan,
        None => super::plan::fresh(&prepared)?,
    };
    let of_plan = plan.steps.iter().map(|step| &step.resource);
    let of_site = prepared.resources.iter().map(|resource| &resource.id);
    let id = chosen(&args.what, &plan, of_plan.chain(of_site))?;
    let step = plan.steps.iter().find(|step| step.resource == id);
    let explanation = explain(&prepared.resources, &id);
    let undo = step.map(|step| step.undo.clone()).or_else(|| {
        let resource = prepared.resources.iter().find(|resource| resource.id == id)?;
        let kind = openg2p_run::kind(id.kind())?;
        Some(kind.undo(Action::Create, &resource.desired))
    });
    if printer.is_json() {
        printer.json(&json!({
            "resource": id, "explanation": explanation, "step": step.filter(|_| is_saved), "undo": undo,
        }));
        return Ok(Exit::Done);
    }
    let bold = |text: &str| printer.paint_out().paint(Paint::Bold, text);
    printer.data(&bold(id.as_str()));
    if let Some(found) = &explanation {
        field(printer, "why", &found.why);
        field(printer, "part of", &format!("{} ({})", found.part, found.owner));
        field(printer, "asked for", &found.asked_by);
        list(printer, "needs", found.needs.iter());
        list(printer, "comes after", found.follows.iter());
        list(printer, "needed by", found.needed_by.iter());
        if found.needed_by_in_all > found.needed_by.len() {
            let more = found.needed_by_in_all - found.needed_by.len();
            field(printer, "", &format!("and {more} more through these"));
        }
        if found.leads_to.len() > 1 {
            let way: Vec<&str> = found.leads_to.iter().map(ResourceId::as_str).collect();
            field(printer, "leads to", &way.join("\n  -> "));
        }
    } else {
        field(
            printer,
            "why",
            "the site file does not ask for it; the ledger holds it",
        );
    }
    if let (Some(step), true) = (step, is_saved) {
        tell_step(printer, step);
    } else if is_saved {
        field(printer, "plan", "nothing to do: it is as it should be");
    }
    if let Some(undo) = undo {
        field(printer, "undone by", &undo);
    }
    Ok(Exit::Done)
}

fn chosen<'a>(
    what: &str,
    plan: &'a Plan,
    ids: impl Iterator<Item = &'a ResourceId>,
) -> Result<ResourceId, CliError> {
    if let Ok(number) = what.parse::<usize>() {
        return match plan.steps.get(number) {
            Some(step) => Ok(step.resource.clone()),
            None => Err(
                CliError::bad_input("explain::step", format!("the plan has no step {number}"))
                    .because(format!("it has {} steps, from 0", plan.steps.len())),
            ),
        };
    }
    let mut ids: Vec<&ResourceId> = ids.collect();
    ids.sort();
    ids.dedup();
    meant(ids, what).cloned().map_err(|found| {
        let error = CliError::bad_input("explain::resource", format!("`{what}` names no single resource"));
        if found.is_empty() {
            return error
                .because("no resource of this site has that in its id")
                .hint("`openg2p plan --fresh` lists all of them");
        }
        let mut error = error.because(format!("{} resources have it in their ids", found.len()));
        for id in found.iter().take(SHOWN) {
            error = error.hint(format!("openg2p explain {id}"));
        }
        error
    })
}

fn field(printer: &Printer, name: &str, text: &str) {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or("not known");
    printer.data(&format!("  {name:<12}{first}"));
    for line in lines {
        printer.data(&format!("  {:<12}{line}", ""));
    }
}

fn list<'a>(printer: &Printer, name: &str, ids: impl ExactSizeIterator<Item = &'a ResourceId>) {
    let count = ids.len();
    if count == 0 {
        return;
    }
    let mut lines: Vec<String> = ids.take(SHOWN).map(ToString::to_string).collect();
    if count > SHOWN {
        lines.push(format!("and {} more", count - SHOWN));
    }
    field(printer, name, &lines.join("\n"));
}

fn tell_step(printer: &Printer, step: &Step) {
    field(
        printer,
        "step",
        &format!(
            "{}: {} it, because: {}",
            step.number,
            step.action.verb(),
            step.why
        ),
    );
    for change in &step.changes {
        let from = change.from.as_deref().unwrap_or("(unset)");
        let to = change.to.as_deref().unwrap_or("(unset)");
        field(printer, "", &format!("{}: {from} -> {to}", change.path));
    }
    field(printer, "before", &step.before.words());
    field(printer, "after", &step.after.words());
    field(printer, "risk", step.risk.word());
    field(printer, "time", &time(&step.estimate));
}
