//! What a chart turned into.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::error::ChartError;
use crate::hooks::{Hook, HookEvent};
use crate::images::images_of;
use crate::manifest::{self, Document, Documents};
use crate::yaml::{self, Yaml};

/// What a chart turned into.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The objects in Helm's install order, then the hooks in theirs.
    pub objects: Vec<RenderedObject>,
    /// `NOTES.txt`, where there is one.
    pub notes: Option<String>,
    /// The files of `crds/`, the chart's own and those of its subcharts.
    pub crds: Vec<Crd>,
    manifest: String,
    /// The objects without the hooks, as they come out of the templates.
    body: String,
    hooks: Vec<(bool, String)>,
}

/// One rendered object.
#[derive(Clone, Debug)]
pub struct RenderedObject {
    /// The template that wrote it, such as `chart/templates/service.yaml`.
    pub source: String,
    /// The object.
    pub value: Json,
    /// Its text as the template wrote it.
    pub text: String,
    /// What its hook annotations say, if it is a hook.
    pub hook: Option<Hook>,
}

/// A file of custom resource definitions.
#[derive(Clone, Debug)]
pub struct Crd {
    /// Its path, such as `chart/crds/gateway.yaml`.
    pub source: String,
    /// Its text.
    pub text: String,
    /// The objects in it.
    pub objects: Vec<Json>,
}

/// Which parts of a rendering [`Rendered::manifest_of`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The files of `crds/`, as with `--include-crds`.
    pub crds: bool,
    /// Hooks; `--no-hooks` leaves them out.
    pub hooks: bool,
    /// Hooks that test a release; `--skip-tests` leaves them out.
    pub tests: bool,
}

impl Default for Parts {
    /// What `helm template` prints without options.
    fn default() -> Self {
        Self {
            crds: false,
            hooks: true,
            tests: true,
        }
    }
}

fn document(source: &str, text: &str) -> String {
    format!("---\n# Source: {source}\n{text}\n")
}

fn object_of(document: Document) -> RenderedObject {
    RenderedObject {
        value: yaml::to_json(&document.value),
        source: document.source,
        text: document.text,
        hook: document.hook,
    }
}

impl Rendered {
    pub(crate) fn new(documents: Documents, notes: Option<String>, crds: Vec<Crd>) -> Self {
        let body: String = documents
            .objects
            .iter()
            .map(|object| document(&object.source, &object.text))
            .collect();
        let is_test = |hook: &Document| {
            hook.hook
                .as_ref()
                .is_some_and(|hook| hook.events.contains(&HookEvent::Test))
        };
        let hooks = documents
            .hooks
            .iter()
            .map(|hook| (is_test(hook), document(&hook.source, &hook.text)))
            .collect();
        let objects = documents
            .objects
            .into_iter()
            .chain(documents.hooks)
            .filter(|document| document.value != Yaml::Null)
            .map(object_of)
            .collect();
        let mut rendered = Self {
            objects,
            notes,
            crds,
            manifest: String::new(),
            body,
            hooks,
        };
        rendered.manifest = rendered.manifest_of(Parts::default());
        rendered
    }

    /// What `helm template` prints.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// What `helm template --include-crds` prints.
    pub fn manifest_with_crds(&self) -> String {
        self.manifest_of(Parts {
            crds: true,
            ..Parts::default()
        })
    }

    /// What `helm template` prints of these parts.
    pub fn manifest_of(&self, parts: Parts) -> String {
        let mut out = String::new();
        for crd in self.crds.iter().filter(|_| parts.crds) {
            out.push_str(&document(&crd.source, &crd.text));
        }
        out.push_str(&self.body);
        let mut out = format!("{}\n", out.trim());
        let shown = |is_test: bool| parts.hooks && (parts.tests || !is_test);
        for (_, text) in self.hooks.iter().filter(|(is_test, _)| shown(*is_test)) {
            out.push_str(text);
        }
        out
    }

    /// The image references in all objects and hooks, sorted.
    pub fn images(&self) -> Vec<String> {
        let all: BTreeSet<String> = self
            .objects
            .iter()
            .flat_map(|object| images_of(&object.value))
            .collect();
        all.into_iter().collect()
    }

    /// Hands the objects, as one text, to a function that may change them, and takes what it gives back: Helm's post
    /// renderer. Hooks are left alone, as Helm leaves them. The order is the function's.
    ///
    /// # Errors
    ///
    /// [`ChartError::PostRender`] with what the function says, or where it gives back what is no YAML.
    pub fn post_rendered(
        mut self,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Self, ChartError> {
        let failed = |reason: String| ChartError::PostRender { reason };
        let changed = change(&self.body).map_err(failed)?;
        let mut objects = Vec::new();
        for text in manifest::split(&changed) {
            let value = yaml::read(text.as_bytes())
                .map_err(|error| failed(format!("error converting YAML to JSON: {error}")))?;
            if value == Yaml::Null {
                continue;
            }
            let source = text
                .lines()
                .find_map(|line| line.strip_prefix("# Source: "))
                .unwrap_or_default();
            objects.push(RenderedObject {
                source: source.to_owned(),
                value: yaml::to_json(&value),
                text: text.to_owned(),
                hook: None,
            });
        }
        objects.extend(self.objects.into_iter().filter(|object| object.hook.is_some()));
        self.objects = objects;
        self.body = changed;
        self.manifest = self.manifest_of(Parts::default());
        Ok(self)
    }
}
