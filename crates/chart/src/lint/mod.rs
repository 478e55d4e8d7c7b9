//! What `helm lint` looks for.

mod chart_file;
mod dependencies;
mod names;
mod templates;

use std::fmt;
use std::sync::Arc;

use crate::coalesce;
use crate::error::ChartError;
use crate::load::{self, Chart};
use crate::render::{RenderOptions, on_large_stack};
use crate::schema;
use crate::template::value::{Entries, Map};
use crate::yaml;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Against the conventions; it probably works.
    Warning,
    /// It will not work.
    Error,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file or folder below the chart's folder; the chart's folder itself, as the caller named it, for dependencies.
    pub path: String,
    /// What is not as it should be.
    pub message: String,
}

impl fmt::Display for Finding {
    /// As `helm lint` prints it, for example `[INFO] Chart.yaml: icon is recommended`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(out, "[{word}] {}: {}", self.path, self.message)
    }
}

/// The findings of one chart, in the order in which they are made.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds what a rule found, and tells whether it found nothing.
    fn rule(&mut self, severity: Severity, path: &str, result: Result<(), String>) -> bool {
        match result {
            Ok(()) => true,
            Err(message) => {
                self.0.push(Finding {
                    severity,
                    path: path.to_owned(),
                    message,
                });
                false
            }
        }
    }
}

/// The files of a chart that may be a broken one.
struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, data)| data.as_slice())
    }

    fn load(&self) -> Result<Chart, ChartError> {
        Chart::load(self.0.iter().cloned())
    }
}

/// Looks a chart over, with the rules of `helm lint` and its words.
///
/// `directory` is how findings about the chart as a whole name it. Of the options, values, the namespace, the Kubernetes
/// version and whether the schema is skipped count; `required` and `fail` stop nothing here.
pub fn lint(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    options: &RenderOptions,
    directory: &str,
) -> Vec<Finding> {
    let files = Files(files.into_iter().collect());
    let looked = on_large_stack(|| {
        let mut findings = Findings::default();
        chart_file::look(&files, &mut findings);
        values(&files, options, &mut findings);
        templates::look(&files, options, &mut findings);
        dependencies::look(&files, directory, &mut findings);
        Ok(findings.0)
    });
    looked.unwrap_or_else(|error| {
        vec![Finding {
            severity: Severity::Error,
            path: String::new(),
            message: error.to_string(),
        }]
    })
}

/// `values.yaml` can be read, and fits the schema together with the user's values.
fn values(files: &Files, options: &RenderOptions, findings: &mut Findings) {
    const FILE: &str = "values.yaml";
    let Some(text) = files.get(FILE) else {
        findings.rule(Severity::Info, FILE, Err("file does not exist".to_owned()));
        return;
    };
    let checked = load::read_values(text)
        .map_err(|reason| {
            let reason = reason
                .strip_prefix("cannot load values.yaml: ")
                .unwrap_or(&reason);
            format!("unable to parse YAML: {reason}")
        })
        .and_then(|defaults| {
            let Some(schema) = files
                .get("values.schema.json")
                .filter(|schema| !schema.is_empty())
            else {
                return Ok(());
            };
            let defaults: Entries = defaults
                .iter()
                .map(|(key, value)| (Arc::clone(key), yaml::to_value(value)))
                .collect();
            let values = Map::new(options.values.entries());
            coalesce::tables(&values, &Map::new(defaults), false);
            schema::check(schema, &values)
        });
    findings.rule(Severity::Error, FILE, checked);
}
