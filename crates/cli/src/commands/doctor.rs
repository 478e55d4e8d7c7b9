//! `openg2p doctor`: from symptoms to causes, and what helps.

use clap::Args;
use openg2p_doctor::Finding;
use openg2p_lead::protocol::{Reply, Request};
use serde_json::json;

use super::Context;
use super::plan::lead_name;
use crate::error::{CliError, Exit};
use crate::output::{Paint, Printer};
use crate::prepared::{BundleArgs, LeadArgs, prepare};
use crate::remote::{Lead, unexpected};

/// Ways from a symptom to its cause beyond so many are counted only.
const SHOWN: usize = 6;

/// What `doctor` takes.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the lead node is reached.
    #[command(flatten)]
    pub lead: LeadArgs,
}

/// Looks at hosts, cluster, certificates, names, clock and disk, and tells causes before symptoms. Changes nothing.
pub fn run(args: &DoctorArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let prepared = prepare(context, &args.bundle.bundle)?;
    super::block_on(async {
        let mut lead = Lead::connect(&prepared.site, args.lead.identity.as_deref()).await?;
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
        let edge = prepared.site.lead().map(|node| node.address.to_string());
        let request = Request::Examine {
            node: lead_name(&prepared),
            resources: prepared.resources.clone(),
            edge: edge.unwrap_or_default(),
            clock,
        };
        let (findings, unread) = match lead.ask(&request).await? {
            Reply::Examined { findings, unread } => (findings, unread),
            other => return Err(unexpected(&other)),
        };
        if printer.is_json() {
            printer.json(&json!({"findings": findings, "unread": unread}));
        } else {
            for text in &unread {
                printer.warning(&format!("could not be looked at: {}", one_line(text)));
            }
            for finding in &findings {
                show(finding, printer);
            }
            if findings.is_empty() {
                printer.data("Nothing found that ails this site.");
            }
        }
        let Some(first) = findings.first() else {
            printer.next("openg2p status", "tells how each part stands");
            return Ok(Exit::Done);
        };
        if let Some(advice) = first.advice.first() {
            printer.next(&advice.command, &advice.why);
        }
        Ok(Exit::Failed)
    })
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

fn show(finding: &Finding, printer: &Printer) {
    let paint = printer.paint_out();
    printer.data(&format!(
        "{} {}: {}",
        paint.paint(Paint::Bad, &format!("cause[{}]", finding.code)),
        one_line(&finding.place),
        one_line(&finding.cause)
    ));
    for way in finding.symptoms.iter().take(SHOWN) {
        let way: Vec<String> = way.iter().map(|words| one_line(words)).collect();
        printer.data(&format!("  explains  {}", way.join("\n        <-  ")));
    }
    if finding.symptoms.len() > SHOWN {
        printer.data(&format!("  explains  {} more", finding.symptoms.len() - SHOWN));
    }
    for step in finding.steps.iter().take(SHOWN) {
        printer.data(&format!("  plan      {}", one_line(step)));
    }
    if finding.steps.len() > SHOWN {
        printer.data(&format!("  plan      {} more steps", finding.steps.len() - SHOWN));
    }
    for advice in &finding.advice {
        printer.data(&format!(
            "  helps     {}  {}",
            paint.paint(Paint::Literal, &one_line(&advice.command)),
            advice.why
        ));
    }
}
