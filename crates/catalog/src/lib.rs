//! Component folders: what can be deployed, as data.
//!
//! A component is a folder below `catalog/` with a `component.yaml`. Adding one takes no code; its shape is [`Component`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// What sort of thing a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// Once per site.
    Platform,
    /// A shared service of an environment.
    Commons,
    /// An OpenG2P module.
    Module,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// Name, equal to its folder's.
    pub name: String,
    /// What sort of thing it is.
    pub kind: ComponentKind,
    /// Chart in the bundle.
    pub chart: String,
    /// Helm release; components that share one share its chart.
    pub release: String,
    /// Namespace of a platform component; others live in their environment's.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Nothing of an environment starts before its workloads run.
    #[serde(default)]
    pub guards: bool,
    /// Key of the chart's values under which this component's stand, and whose `enabled` turns it on. Absent: the whole
    /// chart is this component's.
    #[serde(default)]
    pub section: Option<String>,
    /// Components of the same environment that it cannot work without.
    #[serde(default)]
    pub needs: BTreeSet<String>,
    /// Image members of the bundle that it runs.
    #[serde(default)]
    pub images: Vec<String>,
    /// Fixed chart values.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Databases of its own.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Secrets made on the box.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Senders of its own that are registered with partner-keys.
    #[serde(default)]
    pub partners: Vec<Partner>,
    /// Host names that the edge serves.
    #[serde(default)]
    pub hosts: Vec<Host>,
}

/// A database with its own role.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Secret with `username` and `password`.
    pub secret: String,
    /// Chart value that takes `name`, `username` and `existingSecret`.
    pub value: String,
}

/// A Kubernetes Secret made on the box.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Chart value (below the component's section) that takes the name.
    #[serde(default)]
    pub value: Option<String>,
    /// A new content would not open what the old one guards, so a lost one is never made anew.
    #[serde(default)]
    pub guards_data: bool,
    /// Recipes by key, as the kind `kubernetes-secret` reads them.
    pub keys: BTreeMap<String, Value>,
}

/// A sender whose certificate partner-keys knows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partner {
    /// Secret with its private key.
    pub secret: String,
    /// Key of that Secret.
    pub key: String,
    /// Reference id without `PARTNER_`.
    pub reference: String,
}

/// A host name that the edge serves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// First label; `<name>.<environment>.<domain>`.
    pub name: String,
    /// Service in the environment's namespace.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// Paths that the edge answers with 403.
    #[serde(default)]
    pub refuse: Vec<String>,
}

/// Every component by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    components: BTreeMap<String, Component>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CatalogError {
    /// A file is not readable.
    #[error("catalog::format: {0}/component.yaml: {1}")]
    Format(String, String),
    /// A name differs from its folder's.
    #[error("catalog::name: {0}/component.yaml says `name: {1}`")]
    Name(String, String),
    /// A need is not in the catalogue.
    #[error("catalog::need: {0} needs `{1}`, which the catalogue does not have")]
    Need(String, String),
}

const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

impl Catalog {
    /// The catalogue that this program was built with.
    pub fn embedded() -> Result<Self, CatalogError> {
        Self::read(EMBEDDED.iter().copied())
    }

    /// Reads `(folder, component.yaml)` pairs.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut components = BTreeMap::new();
        for (folder, text) in files {
            let component: Component = serde_saphyr::from_str(text)
                .map_err(|error| CatalogError::Format(folder.into(), error.to_string()))?;
            let name = folder.rsplit('/').next().unwrap_or(folder);
            if component.name != name {
                return Err(CatalogError::Name(folder.into(), component.name));
            }
            components.insert(component.name.clone(), component);
        }
        for component in components.values() {
            for need in &component.needs {
                if !components.contains_key(need) {
                    return Err(CatalogError::Need(component.name.clone(), need.clone()));
                }
            }
        }
        Ok(Self { components })
    }

    /// One component.
    pub fn get(&self, name: &str) -> Option<&Component> {
        self.components.get(name)
    }

    /// Components of a kind, by name.
    pub fn of_kind(&self, kind: ComponentKind) -> impl Iterator<Item = &Component> {
        self.components
            .values()
            .filter(move |component| component.kind == kind)
    }

    /// `names` with all that they need, so that each comes behind its needs.
    pub fn with_needs<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a Component> {
        let mut found = Vec::new();
        for name in names {
            self.collect(name, &mut found, &mut Vec::new());
        }
        found
    }

    fn collect<'a>(&'a self, name: &str, found: &mut Vec<&'a Component>, path: &mut Vec<String>) {
        let Some(component) = self.components.get(name) else {
            return;
        };
        if found.iter().any(|known| known.name == name) || path.iter().any(|seen| seen == name) {
            return;
        }
        path.push(name.into());
        for need in &component.needs {
            self.collect(need, found, path);
        }
        path.pop();
        found.push(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_whole() {
        let catalog = Catalog::embedded().unwrap();
        assert!(catalog.of_kind(ComponentKind::Module).count() >= 3);
        let names: Vec<&str> = catalog
            .with_needs(["example-bank"])
            .iter()
            .map(|component| component.name.as_str())
            .collect();
        let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
        assert!(place("postgresql") < place("spar") && place("spar") < place("g2p-bridge"));
        assert_eq!(names.last(), Some(&"example-bank"));
    }

    #[test]
    fn a_need_that_nobody_provides_is_named() {
        let text = "name: a\nkind: module\nchart: a\nrelease: a\nneeds: [b]\n";
        assert_eq!(
            Catalog::read([("modules/a", text)]),
            Err(CatalogError::Need("a".into(), "b".into()))
        );
    }
}
