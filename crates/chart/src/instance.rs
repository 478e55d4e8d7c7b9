//! A chart while it is rendered: its own copy of what dependencies and values change.

use std::sync::Arc;

use crate::load::{Chart, File};
use crate::metadata::Metadata;
use crate::template::value::{Map, Value};
use crate::yaml;

/// One chart of a rendering.
#[derive(Clone)]
pub(crate) struct Instance<'c> {
    pub(crate) metadata: Metadata,
    /// The name in its own `Chart.yaml`, which an alias replaces in `metadata`. Helm names the paths of the charts below it
    /// after this one.
    pub(crate) origin: String,
    /// The chart's default values; copied before anything is merged into them.
    pub(crate) values: Map,
    pub(crate) schema: Option<&'c [u8]>,
    pub(crate) templates: &'c [File],
    pub(crate) files: &'c [File],
    pub(crate) dependencies: Vec<Instance<'c>>,
}

impl<'c> Instance<'c> {
    pub(crate) fn new(chart: &'c Chart) -> Self {
        let values = Map::new(
            chart
                .values
                .iter()
                .map(|(key, value)| (Arc::clone(key), yaml::to_value(value)))
                .collect(),
        );
        Self {
            metadata: chart.metadata.clone(),
            origin: chart.metadata.name.clone(),
            values,
            schema: chart.schema.as_deref(),
            templates: &chart.templates,
            files: &chart.files,
            dependencies: chart.dependencies.iter().map(Self::new).collect(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }
}

/// A copy of a map that shares nothing with it.
pub(crate) fn copy(map: &Map) -> Map {
    let entries = map
        .snapshot()
        .into_iter()
        .map(|(key, value)| (key, copy_value(&value)))
        .collect();
    Map {
        nil: false,
        ..Map::typed(entries, map.kind)
    }
}

pub(crate) fn copy_value(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy(map)),
        Value::List(list) => {
            let items: Vec<Value> = list.items.iter().map(copy_value).collect();
            Value::List(crate::template::value::List {
                items: items.into(),
                ..list.clone()
            })
        }
        other => other.clone(),
    }
}
