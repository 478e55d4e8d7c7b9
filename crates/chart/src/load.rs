//! A chart and how it is loaded from files.

use std::collections::BTreeMap;

use crate::archive;
use crate::error::ChartError;
use crate::ignore::IgnoreRules;
use crate::metadata::Metadata;
use crate::yaml::{self, Table, Yaml};

/// Helm's limit for one file.
pub(crate) const MAX_FILE: usize = 5 << 20;
/// Helm's limit for a chart.
pub(crate) const MAX_CHART: usize = 100 << 20;
/// How deep charts may lie in one another.
const MAX_DEPTH: usize = 20;

/// A chart with its dependencies.
#[derive(Clone, Debug)]
pub struct Chart {
    pub(crate) metadata: Metadata,
    pub(crate) values: Table,
    pub(crate) schema: Option<Vec<u8>>,
    pub(crate) templates: Vec<File>,
    pub(crate) files: Vec<File>,
    pub(crate) dependencies: Vec<Chart>,
}

/// A file of a chart.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
}

impl Chart {
    /// Loads a chart from its files, named by their paths below the chart's folder.
    ///
    /// As Helm does for a folder, a `.helmignore` among the files is obeyed.
    ///
    /// # Errors
    ///
    /// A file is too large or has an unsafe path, `Chart.yaml` is missing or wrong, a YAML file cannot be read.
    pub fn load(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, ChartError> {
        let files: Vec<(String, Vec<u8>)> = files.into_iter().collect();
        let rules = match files.iter().find(|(name, _)| name == ".helmignore") {
            Some((_, text)) => IgnoreRules::read(text)?,
            None => IgnoreRules::default(),
        };
        let mut kept = Vec::new();
        let mut total = 0;
        for (name, data) in files {
            let name = archive::safe_path(&name)?;
            // What is left out may be of any size.
            if rules.ignores(&name) {
                continue;
            }
            total += data.len();
            if data.len() > MAX_FILE {
                return Err(ChartError::Archive {
                    reason: format!("chart file {name:?} is larger than the maximum file size {MAX_FILE}"),
                });
            }
            if total > MAX_CHART {
                return Err(ChartError::Archive {
                    reason: format!("the chart is larger than the maximum size {MAX_CHART}"),
                });
            }
            kept.push(File {
                name,
                data: archive::without_mark(data),
            });
        }
        kept.sort_by(|left, right| left.name.cmp(&right.name));
        Self::from_files(kept, "", 0)
    }

    /// Loads a chart from the bytes of a `.tgz`, which are also those of a chart's layer in an OCI registry.
    ///
    /// # Errors
    ///
    /// As [`Chart::load`]; also an archive with links, absolute paths, parent paths, or one that unpacks to more than
    /// Helm allows.
    pub fn from_tgz(bytes: &[u8]) -> Result<Self, ChartError> {
        Self::from_archive(bytes, "", 0)
    }

    fn from_archive(bytes: &[u8], parent: &str, depth: usize) -> Result<Self, ChartError> {
        Self::from_files(archive::unpack(bytes)?, parent, depth)
    }

    /// What `Chart.yaml` says.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The name of the chart.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The charts inside this one, enabled or not.
    pub fn dependencies(&self) -> &[Chart] {
        &self.dependencies
    }

    /// The dependencies that `Chart.yaml` names are there. Rendering does without this check, as Helm's engine does; its
    /// commands make it first.
    ///
    /// # Errors
    ///
    /// [`ChartError::MissingDependencies`]
    pub fn check_dependencies(&self) -> Result<(), ChartError> {
        let there = |name: &str| self.dependencies.iter().any(|chart| chart.name() == name);
        let names: Vec<String> = self
            .metadata
            .dependencies
            .iter()
            .filter(|dependency| !there(&dependency.name))
            .map(|dependency| dependency.name.clone())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(ChartError::MissingDependencies { names })
    }

    /// The chart's default values, as JSON.
    pub fn default_values(&self) -> serde_json::Value {
        yaml::to_json(&Yaml::Map(self.values.clone()))
    }

    /// The bytes of `values.schema.json`.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// The names of the templates, such as `templates/service.yaml`.
    pub fn template_names(&self) -> impl Iterator<Item = &str> {
        self.templates.iter().map(|file| file.name.as_str())
    }

    fn from_files(files: Vec<File>, parent: &str, depth: usize) -> Result<Self, ChartError> {
        let path = |name: &str| {
            if parent.is_empty() {
                name.to_owned()
            } else {
                format!("{parent}/charts/{name}")
            }
        };
        if depth > MAX_DEPTH {
            return Err(ChartError::Archive {
                reason: format!("charts are nested more than {MAX_DEPTH} levels deep in {parent}"),
            });
        }
        let mut metadata = Metadata::default();
        let described = files.iter().find(|file| file.name == "Chart.yaml");
        let unnamed = path("?");
        if let Some(file) = described {
            metadata.read(&file.data).map_err(|reason| ChartError::Metadata {
                chart: unnamed.clone(),
                reason: format!("cannot load Chart.yaml: {reason}"),
            })?;
            if metadata.api_version.is_empty() {
                "v1".clone_into(&mut metadata.api_version);
            }
        }
        let chart_path = if metadata.name.is_empty() {
            unnamed
        } else {
            path(&metadata.name)
        };
        let file_error = |file: &str, reason: String| ChartError::File {
            chart: chart_path.clone(),
            file: file.to_owned(),
            reason,
        };
        let mut chart = Self {
            metadata,
            values: Table::default(),
            schema: None,
            templates: Vec::new(),
            files: Vec::new(),
            dependencies: Vec::new(),
        };
        let first_version = chart.metadata.api_version == "v1";
        let mut inner: BTreeMap<String, Vec<File>> = BTreeMap::new();
        for file in files {
            match file.name.as_str() {
                "Chart.yaml" => {}
                "Chart.lock" => {
                    yaml::read(&file.data).map_err(|error| {
                        file_error(
                            "Chart.lock",
                            format!("cannot load Chart.lock: error converting YAML to JSON: {error}"),
                        )
                    })?;
                }
                "values.yaml" => {
                    chart.values =
                        read_values(&file.data).map_err(|reason| file_error("values.yaml", reason))?;
                }
                "values.schema.json" => chart.schema = Some(file.data),
                "requirements.yaml" => {
                    chart.metadata.read(&file.data).map_err(|reason| {
                        file_error(
                            "requirements.yaml",
                            format!("cannot load requirements.yaml: {reason}"),
                        )
                    })?;
                    if first_version {
                        chart.files.push(file);
                    }
                }
                "requirements.lock" => {
                    if first_version {
                        chart.files.push(file);
                    }
                }
                name if name.starts_with("templates/") => chart.templates.push(file),
                name if name.starts_with("charts/") => {
                    if name
                        .rsplit_once('.')
                        .is_some_and(|(_, extension)| extension == "prov")
                    {
                        chart.files.push(file);
                        continue;
                    }
                    let rest = name["charts/".len()..].to_owned();
                    let folder = rest.split('/').next().unwrap_or_default().to_owned();
                    inner.entry(folder).or_default().push(File {
                        name: rest,
                        data: file.data,
                    });
                }
                _ => chart.files.push(file),
            }
        }
        if described_missing(&chart.metadata) {
            return Err(ChartError::Metadata {
                chart: chart_path,
                reason: "Chart.yaml file is missing".to_owned(),
            });
        }
        chart.metadata.validate().map_err(|reason| ChartError::Metadata {
            chart: chart_path.clone(),
            reason,
        })?;
        for (name, files) in inner {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let is_archive = name
                .rsplit_once('.')
                .is_some_and(|(_, extension)| extension == "tgz");
            let dependency = if is_archive {
                let Some(file) = files.first().filter(|file| file.name == name) else {
                    let found = files.first().map_or("", |file| file.name.as_str());
                    let reason = format!(
                        "error unpacking subchart tar in {}: expected {name}, got {found}",
                        chart.metadata.name
                    );
                    return Err(file_error(&format!("charts/{name}"), reason));
                };
                Self::from_archive(&file.data, &chart_path, depth + 1)?
            } else {
                let files: Vec<File> = files
                    .into_iter()
                    .filter_map(|file| {
                        let (_, rest) = file.name.split_once('/')?;
                        Some(File {
                            name: rest.to_owned(),
                            data: file.data,
                        })
                    })
                    .collect();
                Self::from_files(files, &chart_path, depth + 1)?
            };
            chart.dependencies.push(dependency);
        }
        Ok(chart)
    }
}

/// The files of a chart's archive, named by their paths below the chart's folder; what [`Chart::load`] takes.
///
/// # Errors
///
/// As [`Chart::from_tgz`], as far as the archive itself is concerned.
pub fn unpack(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ChartError> {
    let files = archive::unpack(bytes)?;
    Ok(files.into_iter().map(|file| (file.name, file.data)).collect())
}

/// Nothing was read: neither `Chart.yaml` nor `requirements.yaml`.
fn described_missing(metadata: &Metadata) -> bool {
    metadata.api_version.is_empty() && metadata.name.is_empty()
}

/// Reads a values file; the error is in Helm's words.
pub(crate) fn read_values(text: &[u8]) -> Result<Table, String> {
    // Helm has this limit for the files of a chart only; a user's file of that size would take gigabytes of memory.
    if text.len() > MAX_FILE {
        return Err(format!(
            "the values have {} bytes, and any file of a chart may have {MAX_FILE}",
            text.len()
        ));
    }
    match yaml::read(text) {
        Ok(Yaml::Map(entries)) => Ok(entries),
        Ok(Yaml::Null) => Ok(Table::default()),
        Ok(other) => Err(format!(
            "cannot load values.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            other.json_type()
        )),
        Err(error) => Err(format!(
            "cannot load values.yaml: error converting YAML to JSON: {error}"
        )),
    }
}
