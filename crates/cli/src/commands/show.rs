//! `openg2p show`: the site file as it is understood.

use clap::Args;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Paint, Table};

/// What `show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The complete site, and the file and line that each value comes from
    #[arg(long)]
    pub effective: bool,
    /// Every key that a site file may have
    #[arg(long, conflicts_with_all = ["effective", "schema"])]
    pub keys: bool,
    /// JSON Schema of the site file, for editors
    #[arg(long, conflicts_with = "effective")]
    pub schema: bool,
}

/// Prints an overview, or one of the longer views.
pub fn run(args: &ShowArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    if args.schema {
        printer.data(&openg2p_spec::site_schema_text());
    } else if args.keys {
        keys(context);
    } else if args.effective {
        effective(context)?;
    } else {
        overview(context)?;
    }
    Ok(Exit::Done)
}

fn keys(context: &Context<'_>) {
    let keys = openg2p_spec::reference();
    if context.printer.is_json() {
        return context.printer.json(&keys);
    }
    let paint = context.printer.paint_out();
    for key in keys {
        let presence = if key.presence.is_empty() {
            String::new()
        } else {
            format!("  ({})", key.presence)
        };
        context.printer.data(&format!(
            "{}{presence}\n    {}",
            paint.paint(Paint::Bold, &key.path),
            key.about
        ));
    }
}

fn effective(context: &Context<'_>) -> Result<(), CliError> {
    let printer = context.printer;
    let loaded = super::site::load(context)?;
    if printer.is_json() {
        printer.json(&json!({"site": loaded.site, "values": loaded.effective.values()}));
        return Ok(());
    }
    let lines = loaded.effective.lines();
    // One very long value must not push all remarks out of sight.
    let widest = lines
        .iter()
        .map(|line| line.text.width())
        .filter(|width| *width <= 60)
        .max()
        .unwrap_or(0);
    let paint = printer.paint_out();
    for line in lines {
        match line.from {
            Some(from) => {
                let gap = " ".repeat(widest.saturating_sub(line.text.width()));
                let remark = paint.paint(Paint::Dim, &format!("# {from}"));
                printer.data(&format!("{}{gap}  {remark}", line.text));
            }
            None => printer.data(&line.text),
        }
    }
    Ok(())
}

fn overview(context: &Context<'_>) -> Result<(), CliError> {
    let printer = context.printer;
    let loaded = super::site::load(context)?;
    let site = &loaded.site;
    if printer.is_json() {
        printer.json(site);
        return Ok(());
    }
    printer.data(&format!(
        "site {}, domain {}, profile {}",
        site.name, site.domain, site.profile
    ));
    printer.data("");
    let mut nodes = Table::new(["node", "address", "roles"]);
    for node in &site.nodes {
        let roles: Vec<String> = node
            .roles
            .iter()
            .map(|role| format!("{role:?}").to_lowercase())
            .collect();
        nodes.row([node.name.clone(), node.address.to_string(), roles.join(", ")]);
    }
    printer.table(&nodes);
    let mut environments = Table::new(["environment", "profile", "access", "commons", "modules"]);
    for (name, environment) in &site.environments {
        environments.row([
            name.clone(),
            environment.profile.clone(),
            format!("{:?}", environment.access).to_lowercase(),
            environment.commons.keys().cloned().collect::<Vec<_>>().join(", "),
            environment.modules.keys().cloned().collect::<Vec<_>>().join(", "),
        ]);
    }
    if !environments.is_empty() {
        printer.data("");
        printer.table(&environments);
    }
    printer.next("openg2p show --effective", "tells where each value comes from");
    Ok(())
}
