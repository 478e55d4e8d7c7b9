//! `openg2p destroy`: removes what the ledger says is ours, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use openg2p_catalog::ComponentKind;
use openg2p_lead::protocol::{Dumps, Job, Removal, Reply, Request, Work};
use openg2p_plan::Plan;
use openg2p_run::Selection;
use openg2p_run::teardown::Report;
use openg2p_spec::Site;
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
    /// Remove this module of the environment only, with its database and its role; may be given several times
    #[arg(long, value_name = "MODULE", requires = "env")]
    pub module: Vec<String>,
    /// Answer to the question: the name of what is removed (the module, the environment, the site)
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// First dump the databases that go, into files on the host below `/var/backups/openg2p`; nothing is removed when that fails
    #[arg(long)]
    pub dump: bool,
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
        let selection = selection(args, &site);
        let request = Request::PlanRemoval {
            node: node.clone(),
            selection: selection.clone(),
            needs: needs()?,
            inputs: inputs(&site, ""),
        };
        let plan = match lead.ask(&request).await? {
            Reply::Planned(plan) => *plan,
            other => return Err(unexpected(&other)),
        };
        if plan.is_empty() {
            lead.settle(&node, context.printer).await;
            return nothing(&selection, context, lead).await;
        }
        let wanted = wanted(args, &site);
        agree(args, context, &plan, &wanted)?;
        let course = Course::of(&plan);
        let count = plan.steps.len();
        let work = Work::Perform {
            command: "destroy".into(),
            plan: Box::new(plan),
            removal: Some(Removal {
                selection: selection.clone(),
                dump: args.dump,
            }),
        };
        let job = Job {
            site: site.name.clone(),
            node,
            work,
        };
        let run = start(&mut lead, &Request::Start(job), printer).await?;
        let mut ended = watch(&mut lead, &site, &args.lead, &run, printer, &course).await?;
        let results = std::mem::take(&mut ended.results);
        let exit = ended.exit()?;
        let dumps = results
            .iter()
            .filter_map(|value| serde_json::from_value::<Dumps>(value.clone()).ok());
        for dumped in dumps.flat_map(|dumps| dumps.dumps) {
            printer.note(&format!(
                "database {} is kept in {} on the host ({} bytes)",
                dumped.database, dumped.path, dumped.bytes
            ));
        }
        let report: Option<Report> = results
            .into_iter()
            .find_map(|value| serde_json::from_value(value).ok());
        if let Some(report) = report.as_ref().filter(|_| !printer.is_json()) {
            super::removal::show(report, printer);
        }
        if report.as_ref().is_none_or(|report| !report.is_clean()) {
            return Err(left(report.as_ref(), &run));
        }
        if selection == Selection::Site {
            lead.ask(&Request::Forget).await?;
            printer.note(&format!(
                "the host is as it was before openg2p: {count} resources removed, nothing of ours left"
            ));
        } else {
            printer.note(&format!(
                "{} is gone: {count} resources removed, nothing of it left",
                selection.words()
            ));
            printer.next(
                "openg2p apply",
                "makes it anew, empty, while the site file still names it",
            );
        }
        Ok(exit)
    })
}

/// What is asked for. An environment is known by its id; a name that the site file does not have is taken for an id, so that what was
/// taken out of the file can be removed too.
fn selection(args: &DestroyArgs, site: &Site) -> Selection {
    let Some(name) = &args.env else {
        return Selection::Site;
    };
    let id = site
        .environments
        .get(name)
        .map_or_else(|| name.clone(), |environment| environment.id.clone());
    if args.module.is_empty() {
        Selection::Environment(id)
    } else {
        Selection::Modules(id, args.module.iter().cloned().collect())
    }
}

/// The word that a person types to agree.
fn wanted(args: &DestroyArgs, site: &Site) -> String {
    match (args.module.as_slice(), &args.env) {
        ([], None) => site.name.clone(),
        ([], Some(environment)) => environment.clone(),
        (modules, _) => modules.join(","),
    }
}

/// What each component of the catalogue needs.
fn needs() -> Result<BTreeMap<String, BTreeSet<String>>, CliError> {
    let catalog = super::site::catalog()?;
    let kinds = [ComponentKind::Commons, ComponentKind::Module];
    Ok(kinds
        .into_iter()
        .flat_map(|kind| catalog.of_kind(kind))
        .map(|component| (component.name.clone(), component.needs.clone()))
        .collect())
}

fn left(report: Option<&Report>, run: &str) -> CliError {
    let Some(report) = report else {
        return CliError::failed(
            "destroy::no-report",
            "the run ended without the report of its removal",
        )
        .at(run)
        .hint("run the same command again: it looks once more");
    };
    let mut error = CliError::needs_person(
        "destroy::left",
        format!("not all of {} could be shown to be gone", report.removed),
    );
    for found in report
        .stores
        .iter()
        .flat_map(|store| store.left.iter().chain(&store.unknown))
        .take(20)
    {
        error = error.because(format!("{}: {}", found.what, found.why));
    }
    error.hint("look at what is named; what bears our mark and no record is never removed without you")
}

async fn nothing(selection: &Selection, context: &Context<'_>, mut lead: Lead) -> Result<Exit, CliError> {
    let what = selection.words();
    if *selection == Selection::Site {
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
