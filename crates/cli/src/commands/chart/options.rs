//! Options that the verbs share: Helm's names, Helm's order of what wins.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use openg2p_chart::{Capabilities, ChartError, Release, RenderOptions, Rendered, Seeded, Values, render};

use super::{failed, source};
use crate::error::CliError;

/// The Kubernetes that Helm 3.22 assumes without a cluster.
const KUBERNETES: &str = "v1.37.0";

/// Values from files and from the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct SetArgs {
    /// Values file, `-` for standard input; later ones win; `-f` is short for it here, as in Helm
    #[arg(
        long = "values",
        value_name = "FILE",
        value_delimiter = ',',
        help_heading = "Values"
    )]
    pub values_files: Vec<PathBuf>,
    /// Assignments with typed values: `a.b=1,c[0]=x,d={y,z}`
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Values"
    )]
    pub set: Vec<String>,
    /// Assignments whose values are strings
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Values"
    )]
    pub set_string: Vec<String>,
    /// Assignments whose values are JSON
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Values"
    )]
    pub set_json: Vec<String>,
    /// Assignments whose values are the contents of files
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Values"
    )]
    pub set_file: Vec<String>,
    /// One assignment whose value is taken as it is
    #[arg(
        long,
        value_name = "ASSIGNMENT",
        allow_hyphen_values = true,
        help_heading = "Values"
    )]
    pub set_literal: Vec<String>,
}

/// What a chart is rendered for.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// Name of the release, which may be left out, and the chart: a folder or a .tgz
    #[arg(value_name = "[NAME] CHART", num_args = 1..=2, required = true)]
    pub name_and_chart: Vec<String>,
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
    /// Kubernetes version that the chart is told
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// API versions that the cluster has besides the usual ones
    #[arg(short, long, value_name = "VERSION", value_delimiter = ',')]
    pub api_versions: Vec<String>,
    /// Render as for an upgrade instead of an installation
    #[arg(long)]
    pub is_upgrade: bool,
    /// Leave out the check against the chart's schema
    #[arg(long)]
    pub skip_schema_validation: bool,
    /// Draw random values from this text, so that they are the same every time
    #[arg(long, value_name = "TEXT", conflicts_with = "draw")]
    pub seed: Option<String>,
    /// Draw random values from the system and take its time, as Helm does
    #[arg(long)]
    pub draw: bool,
}

impl SetArgs {
    /// All values, merged in Helm's order.
    pub fn values(&self) -> Result<Values, CliError> {
        let mut values = Values::new();
        for file in &self.values_files {
            let text = read(file).map_err(|error| {
                CliError::bad_input("chart::values-unreadable", "a values file cannot be read")
                    .at(file.display())
                    .because(error)
            })?;
            let later = Values::read(&text).map_err(|error| failed(&error).at(file.display()))?;
            values.merge(later);
        }
        self.assign(&mut values).map_err(|error| failed(&error))?;
        Ok(values)
    }

    fn assign(&self, values: &mut Values) -> Result<(), ChartError> {
        for line in &self.set_json {
            values.set_json(line)?;
        }
        for line in &self.set {
            values.set(line)?;
        }
        for line in &self.set_string {
            values.set_string(line)?;
        }
        for line in &self.set_file {
            values.set_file(line, |path| {
                fs::read(path)
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .map_err(|error| format!("{path}: {error}"))
            })?;
        }
        for line in &self.set_literal {
            values.set_literal(line)?;
        }
        Ok(())
    }
}

fn read(file: &PathBuf) -> std::io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return fs::read(file);
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// The capabilities for a version that was given, or for Helm's.
pub(super) fn capabilities(version: Option<&str>) -> Result<Capabilities, CliError> {
    let capabilities = Capabilities::default().with_kube_version(KUBERNETES);
    match version {
        Some(version) => capabilities
            .try_kube_version(version)
            .map_err(|error| failed(&error)),
        None => Ok(capabilities),
    }
}

impl RenderArgs {
    /// The chart's path.
    pub(super) fn chart(&self) -> PathBuf {
        self.name_and_chart.last().map(PathBuf::from).unwrap_or_default()
    }

    /// Reads the chart, with all that it depends on, and renders it. Errors name the chart, or the file and line in it.
    pub(super) fn rendered(&self) -> Result<Rendered, CliError> {
        let options = self.options()?;
        let path = self.chart();
        let chart = source::chart(&path)?;
        chart
            .check_dependencies()
            .map_err(|error| failed(&error).at(path.display()))?;
        render(&chart, &options).map_err(|error| failed(&error))
    }

    /// Everything that the rendering depends on besides the chart.
    pub(super) fn options(&self) -> Result<RenderOptions, CliError> {
        let name = match self.name_and_chart.as_slice() {
            [name, _] => name.as_str(),
            _ => "release-name",
        };
        let mut release = Release::new(name, &self.namespace);
        release.is_upgrade = self.is_upgrade;
        release.check_name().map_err(|error| failed(&error))?;
        let capabilities =
            capabilities(self.kube_version.as_deref())?.with_api_versions(self.api_versions.iter().cloned());
        let mut options = RenderOptions::new(release)
            .with_values(self.set.values()?)
            .with_capabilities(capabilities);
        options.skip_schema = self.skip_schema_validation;
        if let Some(source) = self.random()? {
            options = options.with_random(Arc::new(source));
        }
        Ok(options)
    }

    fn random(&self) -> Result<Option<Seeded>, CliError> {
        if let Some(seed) = &self.seed {
            return Ok(Some(Seeded::new(seed.as_bytes(), 0)));
        }
        if !self.draw {
            return Ok(None);
        }
        let mut seed = [0_u8; 32];
        fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut seed))
            .map_err(|error| {
                CliError::failed("chart::no-randomness", "the system gives no random bytes").because(error)
            })?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        Ok(Some(Seeded::new(&seed, now)))
    }
}
