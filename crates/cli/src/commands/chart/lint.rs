//! `openg2p chart lint`: what `helm lint` looks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use openg2p_chart::{Finding, Release, RenderOptions, Seeded, Severity, lint};
use serde_json::json;

use super::options::{SetArgs, capabilities};
use super::source;
use crate::commands::Context;
use crate::error::{CliError, Exit};

/// What `chart lint` takes.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Charts: folders or .tgz files
    #[arg(value_name = "CHART", default_value = ".")]
    pub charts: Vec<PathBuf>,
    /// Values.
    #[command(flatten)]
    pub set: SetArgs,
    /// Namespace of the release
    #[arg(
        short,
        long,
        value_name = "NAMESPACE",
        env = "HELM_NAMESPACE",
        default_value = "default",
        hide_env = true
    )]
    pub namespace: String,
    /// Kubernetes version that the chart is told, and whose plans for old APIs count
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// Let warnings fail too
    #[arg(long)]
    pub strict: bool,
    /// Look over the charts below charts/ too
    #[arg(long)]
    pub with_subcharts: bool,
    /// Leave out the check against the chart's schema
    #[arg(long)]
    pub skip_schema_validation: bool,
}

/// Prints the findings of each chart; an error among them ends with exit code 1.
pub(super) fn run(args: &LintArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let mut release = Release::new("test-release", &args.namespace);
    release.revision = 0;
    let mut options = RenderOptions::new(release)
        .with_values(args.set.values()?)
        .with_capabilities(capabilities(args.kube_version.as_deref())?)
        // Nothing of what is drawn is shown.
        .with_random(Arc::new(Seeded::new(b"lint", 0)));
    options.skip_schema = args.skip_schema_validation;
    let mut charts = args.charts.clone();
    if args.with_subcharts {
        for chart in &args.charts {
            below(&chart.join("charts"), 0, &mut charts);
        }
    }
    let quiet = context.global.quiet;
    let (mut text, mut failed, mut noticed) = (String::new(), 0, 0);
    let mut all = Vec::new();
    for path in &charts {
        let findings = look(path, &options)?;
        let worst = findings.iter().map(|finding| finding.severity).max();
        let fails = worst
            >= Some(if args.strict {
                Severity::Warning
            } else {
                Severity::Error
            });
        failed += usize::from(fails);
        let notable = worst > Some(Severity::Info);
        noticed += usize::from(notable);
        all.push(
            json!({"chart": path, "failed": fails, "findings": findings.iter().map(|finding| json!({
            "severity": format!("{:?}", finding.severity).to_lowercase(),
            "path": finding.path,
            "message": finding.message,
        })).collect::<Vec<_>>()}),
        );
        if quiet && !notable {
            continue;
        }
        text.push_str(&format!("==> Linting {}\n", path.display()));
        for finding in &findings {
            if !quiet || finding.severity > Severity::Info {
                text.push_str(&format!("{finding}\n"));
            }
        }
        text.push('\n');
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", charts.len());
    if context.printer.is_json() {
        context.printer.json(&all);
        return Ok(if failed > 0 { Exit::BadInput } else { Exit::Done });
    }
    if failed > 0 {
        context.printer.data(&text);
        return Err(CliError::bad_input("chart::lint", summary));
    }
    if !quiet || noticed > 0 {
        text.push_str(&summary);
    }
    if !text.is_empty() {
        context.printer.data(&text);
    }
    Ok(Exit::Done)
}

fn look(path: &Path, options: &RenderOptions) -> Result<Vec<Finding>, CliError> {
    let files = source::files(path)?;
    if !files.iter().any(|(name, _)| name == "Chart.yaml") {
        return Err(CliError::bad_input("chart::no-chart", "there is no Chart.yaml here").at(path.display()));
    }
    let directory = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(lint(files, options, &directory.display().to_string()))
}

/// Charts below a folder, in the order in which Helm walks it.
fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // As Helm, this does not follow links.
        let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
        if is_folder && depth < 20 {
            below(&path, depth + 1, found);
        } else if path.file_name().is_some_and(|name| name == "Chart.yaml") {
            found.push(folder.to_owned());
        } else if path.extension().is_some_and(|extension| extension == "tgz") {
            found.push(path);
        }
    }
}
