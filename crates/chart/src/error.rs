//! What can go wrong with a chart.

/// An error of a chart: what failed, where, why and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// The archive is no chart archive, or an unsafe one.
    #[error("cannot read the chart archive: {reason}")]
    Archive {
        /// Why.
        reason: String,
    },
    /// A file of the chart cannot be used.
    #[error("cannot load chart {chart}: {file}: {reason}")]
    File {
        /// The path of the chart inside the outermost chart.
        chart: String,
        /// The file.
        file: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// `Chart.yaml` is missing or breaks a rule.
    #[error("cannot load chart {chart}: Chart.yaml: {reason}")]
    Metadata {
        /// The path of the chart inside the outermost chart.
        chart: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// The values do not fit together with the chart.
    #[error("cannot merge the values of chart {chart}: {reason}")]
    Values {
        /// The name of the chart.
        chart: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// The values cannot be written as YAML.
    #[error("the values cannot be written as YAML: {reason}")]
    Unwritable {
        /// Why, in Helm's words.
        reason: String,
    },
    /// An assignment such as those of `--set` cannot be read.
    #[error("{reason}")]
    Assignment {
        /// Why, in Helm's words.
        reason: String,
    },
    /// The values break `values.schema.json`.
    #[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{reason}")]
    Schema {
        /// The violations, by chart.
        reason: String,
    },
    /// What was given as the version of Kubernetes is none.
    #[error("invalid kube version '{version}': {reason}")]
    KubernetesVersion {
        /// What was given.
        version: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// The name of the release breaks a rule.
    #[error("release name {name:?}: {reason}")]
    ReleaseName {
        /// The name.
        name: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// A pattern of `--show-only` fits no template.
    #[error("could not find template {pattern} in chart")]
    NoSuchTemplate {
        /// The pattern.
        pattern: String,
    },
    /// Dependencies that `Chart.yaml` names are not below `charts/`.
    #[error(
        "an error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch \
         missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}", names.join(", ")
    )]
    MissingDependencies {
        /// Their names.
        names: Vec<String>,
    },
    /// A program behind the rendering refused it, or gave back what is no YAML.
    #[error("error while running post render on files: {reason}")]
    PostRender {
        /// Why.
        reason: String,
    },
    /// The chart wants another Kubernetes version.
    #[error(
        "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {found}; choose another chart version or cluster"
    )]
    Kubernetes {
        /// The range in `Chart.yaml`.
        wanted: String,
        /// The version of the capabilities.
        found: String,
    },
    /// A template does not follow the grammar, or names an unknown function or variable.
    #[error("parse error at ({template}:{line}): {reason}")]
    Parse {
        /// The template's path, such as `chart/templates/service.yaml`.
        template: String,
        /// The line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A template failed while it ran.
    #[error("{reason}")]
    Template {
        /// The template that was rendered.
        template: String,
        /// The line in it, from 1; 0 where none is known.
        line: usize,
        /// The file and line where the failure began, if a helper was involved.
        origin: Option<(String, usize)>,
        /// The whole chain in Helm's words.
        reason: String,
    },
    /// A template called `fail` or `required`.
    #[error("execution error at ({template}:{line}:{column}): {message}")]
    Refusal {
        /// The template that was rendered.
        template: String,
        /// The line in it, from 1.
        line: usize,
        /// The column in it, as Helm counts.
        column: usize,
        /// What the chart's author says.
        message: String,
    },
    /// A template wants a random value or the time, and no source was given.
    #[error(
        "{template}:{line}: the chart calls {function}, whose result differs at every rendering; set the values that \
         keep the chart from calling it ({values}), or render with a source of randomness"
    )]
    Random {
        /// The file that calls the function.
        template: String,
        /// The line of the call.
        line: usize,
        /// The function.
        function: String,
        /// The values that are mentioned around the call.
        values: String,
    },
    /// What a template wrote is no YAML, or no Kubernetes object.
    #[error("YAML parse error on {template}: {reason}")]
    Manifest {
        /// The template that wrote it.
        template: String,
        /// Why, in Helm's words.
        reason: String,
    },
    /// The machine refused to help, for example with a thread.
    #[error("cannot render: {reason}")]
    Internal {
        /// Why.
        reason: String,
    },
}

impl ChartError {
    /// A stable code, for programs and for the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive { .. } => "chart::archive",
            Self::File { .. } => "chart::file",
            Self::Metadata { .. } => "chart::metadata",
            Self::Values { .. } => "chart::values",
            Self::Unwritable { .. } => "chart::values-unwritable",
            Self::Assignment { .. } => "chart::assignment",
            Self::Schema { .. } => "chart::schema",
            Self::Kubernetes { .. } => "chart::kubernetes-version",
            Self::KubernetesVersion { .. } => "chart::not-a-kubernetes-version",
            Self::ReleaseName { .. } => "chart::release-name",
            Self::NoSuchTemplate { .. } => "chart::no-such-template",
            Self::MissingDependencies { .. } => "chart::missing-dependencies",
            Self::PostRender { .. } => "chart::post-render",
            Self::Parse { .. } => "chart::template-syntax",
            Self::Template { .. } => "chart::template",
            Self::Refusal { .. } => "chart::refused-by-chart",
            Self::Random { .. } => "chart::random-without-source",
            Self::Manifest { .. } => "chart::manifest",
            Self::Internal { .. } => "chart::internal",
        }
    }

    /// The template file and the line that the error points at.
    pub fn location(&self) -> Option<(&str, usize)> {
        match self {
            Self::Parse { template, line, .. }
            | Self::Template { template, line, .. }
            | Self::Refusal { template, line, .. }
            | Self::Random { template, line, .. } => Some((template, *line)),
            Self::Manifest { template, .. } => Some((template, 0)),
            _ => None,
        }
    }
}
