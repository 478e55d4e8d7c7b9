//! `values.schema.json`.

use crate::error::ChartError;
use crate::functions::serialize;
use crate::instance::Instance;
use crate::template::value::{Map, Value};

/// Checks the values of a chart and its subcharts.
pub(crate) fn validate(chart: &Instance<'_>, values: &Map) -> Result<(), ChartError> {
    let mut reason = String::new();
    collect(chart, values, &mut reason);
    if reason.is_empty() {
        Ok(())
    } else {
        Err(ChartError::Schema { reason })
    }
}

fn collect(chart: &Instance<'_>, values: &Map, reason: &mut String) {
    if let Some(schema) = chart.schema
        && let Err(errors) = check(schema, values)
    {
        reason.push_str(&format!("{}:\n{errors}\n", chart.name()));
    }
    for dependency in &chart.dependencies {
        match values.get(dependency.name()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(inner)) => collect(dependency, &inner, reason),
            Some(other) => reason.push_str(&format!(
                "{}:\ninvalid type for values: expected object (map), got {}\n",
                dependency.name(),
                other.type_name()
            )),
        }
    }
}

/// Checks one table of values against one schema.
pub(crate) fn check(schema: &[u8], values: &Map) -> Result<(), String> {
    let schema: serde_json::Value = serde_json::from_slice(schema).map_err(|error| error.to_string())?;
    let values = serialize::to_json_value(&Value::Map(values.clone()))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let errors: Vec<String> = validator
        .iter_errors(&values)
        .map(|error| format!("- at '{}': {error}", error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}
