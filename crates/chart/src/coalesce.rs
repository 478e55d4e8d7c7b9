//! How values of users, charts and subcharts come together, step by step as Helm does it.
//!
//! Maps are shared here as they are in Go, because Helm's result depends on it: a nested table of the globals is one
//! and the same for a chart and its subcharts.

use crate::error::ChartError;
use crate::instance::{Instance, copy};
use crate::template::value::{Entries, Map, Value};

const GLOBAL: &str = "global";

/// Merges a chart's values under those of the user. With `keep_nulls` a null stays, as it must while values are merged
/// more than once; without it a null removes the key.
pub(crate) fn coalesce_values(
    chart: &Instance<'_>,
    values: &Map,
    keep_nulls: bool,
) -> Result<Map, ChartError> {
    let values = copy(values);
    coalesce(chart, &values, keep_nulls)?;
    Ok(values)
}

fn coalesce(chart: &Instance<'_>, target: &Map, merge: bool) -> Result<(), ChartError> {
    chart_values(chart, target, merge);
    for dependency in &chart.dependencies {
        let name = dependency.name();
        if name == GLOBAL {
            // Its values would be the globals of its parent, and hold themselves where its own dependency is called so too.
            return Err(ChartError::Values {
                chart: chart.name().to_owned(),
                reason: "a dependency cannot be called `global`: give it an alias".to_owned(),
            });
        }
        let table = match target.get(name) {
            None => {
                let table = Map::new(Entries::new());
                target.insert(name, Value::Map(table.clone()));
                table
            }
            Some(Value::Map(table)) => table,
            Some(_) => {
                return Err(ChartError::Values {
                    chart: chart.name().to_owned(),
                    reason: format!("type mismatch on {name}: the values of a subchart must be a table"),
                });
            }
        };
        globals(&table, target);
        coalesce(dependency, &table, merge)?;
    }
    Ok(())
}

/// Hands the globals of a chart down to a subchart.
fn globals(target: &Map, source: &Map) {
    let target_globals = match target.get(GLOBAL) {
        None => Map::new(Entries::new()),
        Some(Value::Map(globals)) => globals,
        Some(_) => return,
    };
    let source_globals = match source.get(GLOBAL) {
        None => Map::new(Entries::new()),
        Some(Value::Map(globals)) => globals,
        Some(_) => return,
    };
    for (key, value) in source_globals.snapshot() {
        match (&value, target_globals.get(&key)) {
            (Value::Map(table), None) => target_globals.insert(key, Value::Map(shallow(table))),
            (Value::Map(table), Some(Value::Map(existing))) => {
                let top = shallow(table);
                tables(&top, &existing, true);
                target_globals.insert(key, Value::Map(top));
            }
            // Helm warns of both and leaves the subchart's value alone.
            (Value::Map(_), Some(_)) | (_, Some(Value::Map(_))) => {}
            _ => target_globals.insert(key, value),
        }
    }
    target.insert(GLOBAL, Value::Map(target_globals));
}

fn shallow(map: &Map) -> Map {
    Map::typed(map.snapshot().into_iter().collect(), map.kind)
}

/// Puts a chart's own values under the given ones.
fn chart_values(chart: &Instance<'_>, target: &Map, merge: bool) {
    for (key, value) in copy(&chart.values).snapshot() {
        match target.get(&key) {
            None => target.insert(key, value),
            Some(Value::Nil) if !merge => {
                target.remove(&key);
            }
            Some(Value::Map(existing)) => {
                if let Value::Map(defaults) = &value {
                    // A null for a subchart is for the subchart to act on.
                    let subchart = chart
                        .dependencies
                        .iter()
                        .any(|dependency| dependency.name() == &*key);
                    tables(&existing, defaults, merge || subchart);
                }
            }
            Some(_) => {}
        }
    }
}

/// Merges one table under another; `target` wins.
pub(crate) fn tables(target: &Map, source: &Map, merge: bool) {
    if target.same(source) {
        return;
    }
    let defaults: Vec<_> = source
        .snapshot()
        .into_iter()
        .filter(|(_, value)| !value.is_nil())
        .map(|(key, _)| key)
        .collect();
    for (key, value) in target.snapshot() {
        if value.is_nil() {
            source.insert(key, Value::Nil);
        }
    }
    for (key, value) in source.snapshot() {
        match (target.get(&key), &value) {
            (Some(Value::Nil), _) if !merge && defaults.contains(&key) => {
                target.remove(&key);
            }
            (None, _) => target.insert(key, value),
            (Some(Value::Map(existing)), Value::Map(table)) => tables(&existing, table, merge),
            _ => {}
        }
    }
}

/// The table under a dotted path.
pub(crate) fn table_at(map: &Map, path: &str) -> Option<Map> {
    path.split('.')
        .try_fold(map.clone(), |table, name| match table.get(name) {
            Some(Value::Map(inner)) => Some(inner),
            _ => None,
        })
}

/// The value under a dotted path, if it is no table.
pub(crate) fn value_at(map: &Map, path: &str) -> Option<Value> {
    let (table, name) = match path.rsplit_once('.') {
        Some((tables, name)) => (table_at(map, tables)?, name),
        None => (map.clone(), path),
    };
    table.get(name).filter(|value| !matches!(value, Value::Map(_)))
}
