//! `openg2p attach [RUN]`: watches a run that goes on without you.

use std::time::Duration;

use clap::Args;
use openg2p_lead::protocol::{Reply, Request, RunSummary};

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Printer, Table, human_duration};
use crate::prepared::{LeadArgs, site};
use crate::remote::{Lead, unexpected};
use crate::watch::{Course, watch};

/// What `attach` takes.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run's id; without it the current run, or the last one
    #[arg(value_name = "RUN", conflicts_with = "list")]
    pub run: Option<String>,
    /// List the runs that the host remembers, and watch none
    #[arg(long)]
    pub list: bool,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Shows all events of the run from its beginning, then those to come.
pub fn run(args: &AttachArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let site = site(context)?;
    super::block_on(async {
        let mut lead = Lead::connect(&site, args.lead.identity.as_deref()).await?;
        if args.list {
            return match lead.ask(&Request::Runs).await? {
                Reply::Runs { runs } => {
                    list(&runs, printer);
                    Ok(Exit::Done)
                }
                other => Err(unexpected(&other)),
            };
        }
        let request = Request::Describe {
            run: args.run.clone(),
        };
        let known = match lead.ask(&request).await? {
            Reply::Run(run) => run,
            other => return Err(unexpected(&other)),
        };
        printer.note(&format!("run {}: {}", known.id, known.command));
        let course = Course {
            steps: known.steps,
            elapsed: Duration::try_from_secs_f64(known.elapsed).unwrap_or_default(),
        };
        let ended = watch(&mut lead, &site, &args.lead, &known.id, printer, &course).await?;
        if !printer.is_json() {
            for report in &ended.results {
                super::report::show(report, printer);
            }
        }
        ended.exit()
    })
}

fn list(runs: &[RunSummary], printer: &Printer) {
    if printer.is_json() {
        printer.json(&serde_json::json!({ "runs": runs }));
        return;
    }
    let mut table = Table::new(["RUN", "COMMAND", "OUTCOME", "BEGAN"]);
    for run in runs {
        let age = human_duration(Duration::try_from_secs_f64(run.age).unwrap_or_default());
        table.row([&run.id, &run.command, &run.outcome, &format!("{age} ago")]);
    }
    if table.is_empty() {
        printer.data("This host remembers no run.\n");
    } else {
        printer.table(&table);
        printer.next(
            "openg2p attach RUN",
            "shows what a run did; without RUN the current or last one",
        );
    }
}
