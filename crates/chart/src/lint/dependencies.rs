//! Rules about a chart's dependencies.

use super::{Files, Findings, Severity};
use crate::load::Chart;

pub(super) fn look(files: &Files, directory: &str, findings: &mut Findings) {
    let chart = match files.load() {
        Ok(chart) => chart,
        Err(error) => {
            findings.rule(
                Severity::Error,
                "",
                Err(format!("unable to load chart\n\t{error}")),
            );
            return;
        }
    };
    let wanted = &chart.metadata().dependencies;
    let there: Vec<&str> = chart.dependencies().iter().map(Chart::name).collect();
    let named: Vec<&str> = wanted.iter().map(|dependency| dependency.name.as_str()).collect();
    let list = |names: Vec<&str>, what: &str| {
        if names.is_empty() {
            Ok(())
        } else {
            Err(format!("{what}: {}", names.join(",")))
        }
    };
    let unnamed = there
        .iter()
        .filter(|name| !named.contains(name))
        .copied()
        .collect();
    findings.rule(
        Severity::Error,
        directory,
        list(unnamed, "chart metadata is missing these dependencies"),
    );
    let mut seen = Vec::new();
    let mut twice = Vec::new();
    for dependency in wanted {
        let name = dependency.effective_name();
        if seen.contains(&name) {
            twice.push(name);
        }
        seen.push(name);
    }
    findings.rule(
        Severity::Error,
        directory,
        list(twice, "multiple dependencies with name or alias"),
    );
    let missing = named
        .iter()
        .filter(|name| !there.contains(name))
        .copied()
        .collect();
    findings.rule(
        Severity::Warning,
        directory,
        list(missing, "chart directory is missing these dependencies"),
    );
}
