//! What a chart turned into.

use std::collections::BTreeSet;
use std::sync::OnceLock;

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
    /// The objects without the hooks, as they come out of the templates.
    body: String,
    hooks: Vec<(bool, String)>,
}

/// One rendered object.
#[derive(Clone, Debug)]
pub struct RenderedObject {
    /// The template that wrote it, such as `chart/templates/service.yaml`.
    pub source: String,
    /// Its text as the template wrote it.
    pub text: String,
    /// What its hook annotations say, if it is a hook.
    pub hook: Option<Hook>,
    value: OnceLock<Json>,
}

impl RenderedObject {
    /// From a text that was read already, and found to be an object.
    fn new(source: String, text: String, hook: Option<Hook>) -> Self {
        Self {
            source,
            text,
            hook,
            value: OnceLock::new(),
        }
    }

    /// The object. It is made when it is first asked for: who only prints a manifest does without.
    pub fn value(&self) -> &Json {
        self.value.get_or_init(|| {
            yaml::read(self.text.as_bytes()).map_or(Json::Null, |document| yaml::to_json(&document))
        })
    }
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

/// Writes a document as `helm template` prints it.
fn write(out: &mut String, source: &str, text: &str) {
    for part in ["---\n# Source: ", source, "\n", text, "\n"] {
        out.push_str(part);
    }
}

/// Cuts white space off at both ends.
fn trim(text: &mut String) {
    text.truncate(text.trim_end().len());
    let leading = text.len() - text.trim_start().len();
    text.drain(..leading);
}

impl Rendered {
    pub(crate) fn new(documents: Documents, notes: Option<String>, crds: Vec<Crd>) -> Self {
        let length = |document: &Document| document.source.len() + document.text.len() + 32;
        let mut body = String::with_capacity(documents.objects.iter().map(length).sum());
        for object in &documents.objects {
            write(&mut body, &object.source, &object.text);
        }
        let is_test = |hook: &Document| {
            hook.hook
                .as_ref()
                .is_some_and(|hook| hook.events.contains(&HookEvent::Test))
        };
        let hooks = documents
            .hooks
            .iter()
            .map(|hook| {
                let mut text = String::new();
                write(&mut text, &hook.source, &hook.text);
                (is_test(hook), text)
            })
            .collect();
        let objects = documents
            .objects
            .into_iter()
            .chain(documents.hooks)
            .filter(|document| document.is_object)
            .map(|document| RenderedObject::new(document.source, document.text, document.hook))
            .collect();
        Self {
            objects,
            notes,
            crds,
            body,
            hooks,
        }
    }

    /// What `helm template` prints.
    pub fn manifest(&self) -> String {
        self.manifest_of(Parts::default())
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
        let hooks: usize = self.hooks.iter().map(|(_, text)| text.len()).sum();
        let mut out = String::with_capacity(self.body.len() + hooks + 1);
        for crd in self.crds.iter().filter(|_| parts.crds) {
            write(&mut out, &crd.source, &crd.text);
        }
        out.push_str(&self.body);
        trim(&mut out);
        out.push('\n');
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
            .flat_map(|object| images_of(object.value()))
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
            let is_null = yaml::examine(text.as_bytes(), |value| matches!(value, Yaml::Null))
                .map_err(|error| failed(format!("error converting YAML to JSON: {error}")))?;
            if is_null {
                continue;
            }
            let source = text
                .lines()
                .find_map(|line| line.strip_prefix("# Source: "))
                .unwrap_or_default();
            objects.push(RenderedObject::new(source.to_owned(), text.to_owned(), None));
        }
        objects.extend(self.objects.into_iter().filter(|object| object.hook.is_some()));
        self.objects = objects;
        self.body = changed;
        Ok(self)
    }
}
