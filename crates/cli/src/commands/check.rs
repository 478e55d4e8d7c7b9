//! `openg2p check`: every mistake in the site file.

use std::path::PathBuf;

use clap::Args;
use openg2p_spec::{Diagnostics, Severity};
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::shell_word;

/// What `check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Site file, instead of `--file`
    #[arg(value_name = "FILE")]
    pub site_file: Option<PathBuf>,
}

/// Reads the file and reports all that is wrong with it. It touches nothing else: no host, no network.
pub fn run(args: &CheckArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let path = args.site_file.as_ref().unwrap_or(&context.global.file);
    let name = path.display().to_string();
    let retry = match &args.site_file {
        Some(_) => format!("openg2p check {}", shell_word(&name)),
        None if name == "site.yaml" => "openg2p check".to_owned(),
        None => format!("openg2p check --file {}", shell_word(&name)),
    };
    let loaded = match super::site::load_file(path) {
        Ok(loaded) => loaded,
        Err(CliError {
            diagnostics: Some(diagnostics),
            ..
        }) => {
            if printer.is_json() {
                printer.json(&json!({"valid": false, "file": name, "diagnostics": diagnostics.items()}));
            } else {
                printer.people(&diagnostics.render(printer.paint_err().is_on(), printer.width()));
                printer.people(&format!("\n{}", count(&name, &diagnostics)));
            }
            printer.next(
                &retry,
                "after the change; `openg2p show --keys` explains every key",
            );
            return Ok(Exit::BadInput);
        }
        Err(error) => return Err(error),
    };
    if printer.is_json() {
        printer.json(&json!({"valid": true, "file": name, "diagnostics": loaded.warnings.items()}));
        return Ok(Exit::Done);
    }
    super::site::tell_warnings(&loaded, printer);
    let site = &loaded.site;
    let modules: usize = site
        .environments
        .values()
        .map(|environment| environment.modules.len())
        .sum();
    let parts = [
        counted(site.nodes.len(), "node"),
        counted(site.environments.len(), "environment"),
        counted(modules, "module"),
    ];
    let warned = match loaded.warnings.items().len() {
        0 => String::new(),
        warnings => format!("; {}", counted(warnings, "warning")),
    };
    printer.note(&format!(
        "`{name}` is good: site `{}` with {}{warned}",
        site.name,
        parts.join(", ")
    ));
    let file = if name == "site.yaml" {
        String::new()
    } else {
        format!(" --file {}", shell_word(&name))
    };
    printer.next(
        &format!("openg2p plan{file}"),
        "shows what would be done, and does nothing",
    );
    Ok(Exit::Done)
}

fn count(name: &str, diagnostics: &Diagnostics) -> String {
    let errors = diagnostics.error_count();
    let warnings = diagnostics
        .items()
        .iter()
        .filter(|item| item.severity == Severity::Warning)
        .count();
    let warned = if warnings == 0 {
        String::new()
    } else {
        format!(" and {}", counted(warnings, "warning"))
    };
    format!(
        "`{name}` has {}{warned}; nothing was done",
        counted(errors, "error")
    )
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
