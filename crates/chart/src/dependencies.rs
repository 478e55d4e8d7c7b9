//! Which dependencies take part, under which names, and what they hand up to their parents.

use crate::coalesce::{coalesce_values, table_at, tables, value_at};
use crate::error::ChartError;
use crate::functions::semver::is_compatible;
use crate::instance::{Instance, copy};
use crate::metadata::{Dependency, Import};
use crate::template::value::{Entries, Map, Value};

/// Switches dependencies by condition and tags, gives them their aliases and imports their values.
pub(crate) fn process(chart: &mut Instance<'_>, values: &Map) -> Result<(), ChartError> {
    enable(chart, values, "")?;
    import_all(chart)
}

fn fits(wanted: &Dependency, chart: &Instance<'_>) -> bool {
    chart.name() == wanted.name && is_compatible(&wanted.version, &chart.metadata.version)
}

fn enable<'c>(chart: &mut Instance<'c>, values: &Map, path: &str) -> Result<(), ChartError> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    // Charts that Chart.yaml does not mention come first and stay.
    let mut present: Vec<Instance<'c>> = chart
        .dependencies
        .iter()
        .filter(|existing| {
            !chart
                .metadata
                .dependencies
                .iter()
                .any(|wanted| fits(wanted, existing))
        })
        .cloned()
        .collect();
    for wanted in &mut chart.metadata.dependencies {
        if let Some(found) = chart.dependencies.iter().find(|existing| fits(wanted, existing)) {
            let mut found = found.clone();
            if !wanted.alias.is_empty() {
                found.metadata.name.clone_from(&wanted.alias);
            }
            present.push(found);
        }
        if !wanted.alias.is_empty() {
            wanted.name.clone_from(&wanted.alias);
        }
        wanted.enabled = true;
    }
    chart.dependencies = present;
    // Helm joins them to the chart anew, under its new name.
    chart.origin.clone_from(&chart.metadata.name);
    let merged = coalesce_values(chart, values, false)?;
    by_tags(&mut chart.metadata.dependencies, &merged);
    by_conditions(&mut chart.metadata.dependencies, &merged, path);
    let disabled: Vec<String> = chart
        .metadata
        .dependencies
        .iter()
        .filter(|dependency| !dependency.enabled)
        .map(|dependency| dependency.name.clone())
        .collect();
    chart
        .dependencies
        .retain(|dependency| !disabled.iter().any(|name| name == dependency.name()));
    chart
        .metadata
        .dependencies
        .retain(|dependency| !disabled.contains(&dependency.name));
    for dependency in &mut chart.dependencies {
        let inner = format!("{path}{}.", dependency.name());
        enable(dependency, &merged, &inner)?;
    }
    Ok(())
}

fn by_tags(dependencies: &mut [Dependency], values: &Map) {
    let Some(tags) = table_at(values, "tags") else {
        return;
    };
    for dependency in dependencies {
        let switches: Vec<bool> = dependency
            .tags
            .iter()
            .filter_map(|tag| match tags.get(tag) {
                Some(Value::Bool(on)) => Some(on),
                _ => None,
            })
            .collect();
        dependency.enabled = switches.is_empty() || switches.contains(&true);
    }
}

fn by_conditions(dependencies: &mut [Dependency], values: &Map, path: &str) {
    for dependency in dependencies {
        let decided = dependency
            .condition
            .trim()
            .split(',')
            .filter(|condition| !condition.is_empty())
            .find_map(
                |condition| match value_at(values, &format!("{path}{condition}")) {
                    Some(Value::Bool(on)) => Some(on),
                    _ => None,
                },
            );
        if let Some(on) = decided {
            dependency.enabled = on;
        }
    }
}

fn import_all(chart: &mut Instance<'_>) -> Result<(), ChartError> {
    for dependency in &mut chart.dependencies {
        import_all(dependency)?;
    }
    import(chart)
}

fn import(chart: &mut Instance<'_>) -> Result<(), ChartError> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let merged = coalesce_values(chart, &Map::new(Entries::new()), true)?;
    let imported = Map::new(Entries::new());
    for dependency in &mut chart.metadata.dependencies {
        let mut seen = Vec::new();
        for entry in &dependency.import_values {
            let (child, parent) = match entry {
                Import::Export(name) => (format!("exports.{name}"), ".".to_owned()),
                Import::Path { child, parent } => (child.clone(), parent.clone()),
            };
            // What is not there is skipped, with a warning in Helm.
            if let Some(found) = table_at(&merged, &format!("{}.{child}", dependency.name)) {
                // An empty table is not shared: Helm makes another one of it.
                let found = if found.len() == 0 {
                    Map::new(Entries::new())
                } else {
                    found
                };
                tables(&imported, &under(&parent, &found), true);
            }
            seen.push(Import::Path { child, parent });
        }
        dependency.import_values = seen;
    }
    let own = copy(&merged);
    tables(&own, &imported, true);
    chart.values = own;
    Ok(())
}

/// The table placed at a dotted path.
fn under(path: &str, table: &Map) -> Map {
    if path == "." {
        return table.clone();
    }
    path.split('.').rev().fold(table.clone(), |inner, name| {
        Map::new([(name.into(), Value::Map(inner))].into_iter().collect())
    })
}
