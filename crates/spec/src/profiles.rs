//! Profiles: folders of defaults. Numbered fragments are merged in the order of their numbers; `components/<name>.yaml` holds
//! default chart values of one component.

use std::collections::BTreeMap;

use crate::declaration::{COMPONENT_VALUES, PROFILE_FRAGMENT};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::node::{Content, Node};
use crate::walk::walk;
use crate::yaml;

/// All profiles, read and checked.
#[derive(Clone, Debug)]
pub struct Profiles {
    profiles: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) site: Node,
    pub(crate) components: BTreeMap<String, Node>,
}

impl Profiles {
    /// Reads profiles from files, each a path such as `small/10-site.yaml` with its text. The first file with errors
    /// ends it, with all of that file's errors.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Diagnostics> {
        let mut files: Vec<_> = files.into_iter().collect();
        // The number decides, then the name: 9 comes before 10.
        files.sort_by_key(|(path, _)| (number(path), *path));
        let mut profiles: BTreeMap<String, Profile> = BTreeMap::new();
        for (path, text) in files {
            let name = format!("profiles/{path}");
            let failed = |problems| Diagnostics::new(&name, text, problems);
            let (profile, file) = path.split_once('/').unwrap_or(("", path));
            let component = file
                .strip_prefix("components/")
                .and_then(|file| file.strip_suffix(".yaml"));
            if profile.is_empty()
                || file.strip_suffix(".yaml").is_none()
                || (component.is_none() && number(path).is_none())
            {
                let start = Span {
                    file: name.clone(),
                    line: 1,
                    column: 1,
                    bytes: 0..0,
                };
                let message = "a profile has `<number>-<name>.yaml` and `components/<component>.yaml`";
                return Err(failed(vec![Diagnostic::error(
                    "profile::unknown-file",
                    message,
                    start,
                )]));
            }
            let (node, mut problems) = yaml::read(&name, text);
            let node = node.unwrap_or_else(Node::empty_mapping);
            let shape = if component.is_some() {
                &COMPONENT_VALUES
            } else {
                &PROFILE_FRAGMENT
            };
            problems.extend(walk(&node, shape, None));
            if !problems.is_empty() {
                return Err(failed(problems));
            }
            let entry = profiles.entry(profile.to_owned()).or_insert_with(|| Profile {
                site: Node::empty_mapping(),
                components: BTreeMap::new(),
            });
            match component {
                Some(component) => {
                    // A file of comments only is an empty mapping.
                    let values = if node.content == Content::Null {
                        Node::empty_mapping()
                    } else {
                        node
                    };
                    entry.components.insert(component.to_owned(), values);
                }
                None => entry.site = entry.site.merged(&node),
            }
        }
        Ok(Self { profiles })
    }

    /// The profiles that are part of this program.
    pub fn embedded() -> Result<Self, Diagnostics> {
        Self::new(EMBEDDED.iter().copied())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// Names of the components for which any profile has values or which it adds to environments.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.profiles.values().flat_map(|profile| {
            let added = profile
                .site
                .at(&["eachEnvironment", "commons"])
                .map(Node::entries)
                .unwrap_or_default();
            profile
                .components
                .keys()
                .map(String::as_str)
                .chain(added.iter().map(|entry| entry.key.as_str()))
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }
}

/// The number before the first `-` of the file's name.
fn number(path: &str) -> Option<u32> {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split_once('-')?.0.parse().ok()
}

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../profiles/", $path)))),*]
    };
}

/// A test walks the folder and fails when a file is missing here.
const EMBEDDED: &[(&str, &str)] = embedded![
    "production/10-site.yaml",
    "production/20-environments.yaml",
    "production/components/g2p-bridge.yaml",
    "production/components/postgresql.yaml",
    "production/components/redis.yaml",
    "production/components/spar.yaml",
    "sandbox/10-site.yaml",
    "sandbox/20-environments.yaml",
    "sandbox/components/g2p-bridge.yaml",
    "sandbox/components/postgresql.yaml",
    "sandbox/components/redis.yaml",
    "sandbox/components/spar.yaml",
    "small/10-site.yaml",
    "small/20-environments.yaml",
    "small/components/g2p-bridge.yaml",
    "small/components/postgresql.yaml",
    "small/components/redis.yaml",
    "small/components/spar.yaml",
];

/// Paths of the embedded files, for the test that walks the folder.
pub fn embedded_paths() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(path, _)| *path)
}
