//! One chart with options, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use openg2p_chart::{Capabilities, Chart, ChartError, Release, RenderOptions, Seeded, Values, render};

/// What both programs are asked.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) values: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) kube: String,
    pub(crate) apis: Vec<String>,
    pub(crate) upgrade: bool,
    pub(crate) crds: bool,
    /// Assignments: which option, in the order of Helm's, and its text.
    pub(crate) set: Vec<(&'static str, String)>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            values: String::new(),
            name: "r".to_owned(),
            namespace: "default".to_owned(),
            kube: "v1.36.3".to_owned(),
            apis: Vec::new(),
            upgrade: false,
            crds: false,
            set: Vec::new(),
        }
    }
}

/// What a program answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) manifest: String,
    pub(crate) notes: String,
    pub(crate) error: String,
}

impl Case {
    /// A chart with the given `Chart.yaml`-less files gets a plain one.
    pub(crate) fn with_default_metadata(mut self) -> Self {
        self.files
            .entry("Chart.yaml".to_owned())
            .or_insert_with(|| b"apiVersion: v2\nname: c\nversion: 0.1.0\nappVersion: \"1.2.3\"\n".to_vec());
        self
    }

    pub(crate) fn ours(&self) -> Answer {
        self.render(None).unwrap_or_else(|error| Answer {
            error: error.to_string(),
            ..Answer::default()
        })
    }

    /// As [`Case::ours`], with a source for random values.
    pub(crate) fn ours_seeded(&self) -> Answer {
        let seeded = Arc::new(Seeded::new(b"test", 1_700_000_000));
        self.render(Some(seeded)).unwrap_or_else(|error| Answer {
            error: error.to_string(),
            ..Answer::default()
        })
    }

    /// The assignments of one option.
    pub(crate) fn lines(&self, option: &str) -> Vec<&str> {
        self.set
            .iter()
            .filter(|(known, _)| *known == option)
            .map(|(_, line)| line.as_str())
            .collect()
    }

    fn user_values(&self) -> Result<Values, ChartError> {
        let mut values = Values::read(self.values.as_bytes())?;
        for (option, line) in &self.set {
            match *option {
                "setJSON" => values.set_json(line)?,
                "set" => values.set(line)?,
                "setString" => values.set_string(line)?,
                _ => values.set_literal(line)?,
            }
        }
        Ok(values)
    }

    fn render(&self, random: Option<Arc<Seeded>>) -> Result<Answer, ChartError> {
        let chart = Chart::load(self.files.clone())?;
        let mut release = Release::new(self.name.clone(), self.namespace.clone());
        release.is_upgrade = self.upgrade;
        let capabilities = Capabilities::default()
            .with_kube_version(self.kube.clone())
            .with_api_versions(self.apis.clone());
        let mut options = RenderOptions::new(release)
            .with_values(self.user_values()?)
            .with_capabilities(capabilities);
        if let Some(random) = random {
            options = options.with_random(random);
        }
        let rendered = render(&chart, &options)?;
        let manifest = if self.crds {
            rendered.manifest_with_crds()
        } else {
            rendered.manifest()
        };
        Ok(Answer {
            manifest,
            notes: rendered.notes.unwrap_or_default(),
            error: String::new(),
        })
    }
}
