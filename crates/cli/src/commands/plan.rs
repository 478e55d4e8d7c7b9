//! `openg2p plan`: what apply would do.

use std::path::{Path, PathBuf};

use clap::Args;
use openg2p_lead::protocol::{Reply, Request};
use openg2p_plan::{Plan, Step, picture, plan_schema_text, towards};
use openg2p_run::Failure;

use super::Context;
use crate::demand::demand;
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::output::diff;
use crate::output::plan::{show, summary};
use crate::prepared::{BundleArgs, LeadArgs, Prepared, TakeOverArgs, prepare};
use crate::remote::{Lead, refusal, unexpected};

/// What `plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Show each field that changes, old and new; values of secrets stay hidden
    #[arg(long)]
    pub diff: bool,
    /// Plan for a bare host without asking any machine: for the review of a site file
    #[arg(long)]
    pub fresh: bool,
    /// Also draw which step waits for which: a file that ends in `.svg` or `.dot`
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Print the JSON Schema of plans and do nothing else
    #[arg(long, conflicts_with_all = ["diff", "fresh", "picture"])]
    pub schema: bool,
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
    if args.schema {
        context.printer.data(&plan_schema_text());
        return Ok(Exit::Done);
    }
    let draw = args.picture.as_deref().map(picture_of).transpose()?;
    let mut prepared = prepare(context, &args.bundle.bundle)?;
    args.take_over.apply_to(&mut prepared, None);
    let plan = if args.fresh {
        fresh(&prepared)?
    } else {
        super::block_on(async {
            let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
            make(&mut lead, &prepared, Purpose::Change, context.printer).await
        })?
    };
    if let Some((path, draw)) = draw {
        write(path, "plan::picture", "the picture cannot be saved", &draw(&plan))?;
    }
    if let Some(path) = context.global.output_file() {
        write(path, "plan::save", "the plan cannot be saved", &plan.to_text())?;
    }
    if context.printer.is_json() {
        context.printer.json(&plan);
    } else if args.diff {
        let fields = |step: &Step| openg2p_run::fields_of(&step.desired);
        let printer = context.printer;
        printer.data(&diff(&plan, printer.paint_out(), fields));
        printer.note(&summary(&plan));
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
    } else if args.fresh {
        context
            .printer
            .next("openg2p plan", "asks the machines what of this is there already");
    } else {
        context.printer.next(&apply, "makes exactly these changes");
    }
    Ok(Exit::Done)
}

type Draw = fn(&Plan) -> String;

fn picture_of(path: &Path) -> Result<(&Path, Draw), CliError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok((path, picture::svg)),
        Some("dot") => Ok((path, picture::dot)),
        _ => Err(
            CliError::bad_input("plan::picture", "this is no sort of picture that can be drawn")
                .at(path.display())
                .hint("name a file that ends in `.svg` (for a browser) or `.dot` (for Graphviz)"),
        ),
    }
}

fn write(path: &Path, code: &str, message: &str, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::failed(code, message).at(path.display()).because(error))
}

/// The plan for a bare host. Nothing is asked: the same site file and bundle give the same plan, byte for byte.
pub fn fresh(prepared: &Prepared) -> Result<Plan, CliError> {
    let assessed = openg2p_run::assess_fresh(prepared.resources.clone());
    let warnings = vec!["made without any machine: everything is taken to be absent".to_owned()];
    let (site, inputs) = (&prepared.site.name, prepared.inputs.clone());
    towards(site, inputs, assessed, Vec::new(), warnings).map_err(|error| {
        let text = error.to_string();
        let (code, why) = text.split_once(": ").unwrap_or(("plan::impossible", &text));
        CliError::bad_input(code, "there is no plan for this site").because(why)
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

/// Checks that the lead node may be used. Nothing is changed.
pub async fn check(
    lead: &mut Lead,
    prepared: &Prepared,
    purpose: Purpose,
    printer: &Printer,
) -> Result<(), CliError> {
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
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}

/// The name of the lead node.
pub fn lead_name(prepared: &Prepared) -> String {
    prepared
        .site
        .lead()
        .map(|node| node.name.clone())
        .unwrap_or_default()
}

/// Checks that the lead node may be used and plans there. Nothing is changed.
pub async fn make(
    lead: &mut Lead,
    prepared: &Prepared,
    purpose: Purpose,
    printer: &Printer,
) -> Result<Plan, CliError> {
    check(lead, prepared, purpose, printer).await?;
    let request = Request::Plan {
        site: prepared.site.name.clone(),
        node: lead_name(prepared),
        resources: prepared.resources.clone(),
        inputs: prepared.inputs.clone(),
    };
    match lead.ask(&request).await? {
        Reply::Planned(plan) => Ok(*plan),
        other => Err(unexpected(&other)),
    }
}

/// Reads a plan that `openg2p plan -o FILE` saved, and refuses one that is not whole.
pub fn read(path: &Path) -> Result<Plan, CliError> {
    let bad = |why: String| {
        CliError::bad_input("plan::unreadable", "the saved plan cannot be read")
            .at(path.display())
            .because(why)
            .hint("make one with `openg2p plan -o FILE`")
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    Plan::from_text(&text).map_err(bad)
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
