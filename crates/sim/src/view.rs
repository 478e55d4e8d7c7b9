//! A world as lines of text that two runs can be compared by: what differs from run to run by nature (uids, revisions, keys,
//! certificates) is left out.

use std::collections::BTreeMap;

use openg2p_plan::{Fingerprint, canonical};
use serde_json::{Value, json};

use crate::files::Node;
use crate::things::Things;

/// Every visible thing by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View(pub BTreeMap<String, String>);

impl View {
    /// One number for everything.
    pub fn hash(&self) -> Fingerprint {
        Fingerprint::of(&json!(self.0))
    }

    /// Only what `keep` says of its name.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| keep(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }
}

/// What one world has and the other has not, as lines for people.
pub fn differences(before: &View, after: &View) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &before.0 {
        match after.0.get(name) {
            None => lines.push(format!("- {name} {value}")),
            Some(other) if other != value => lines.push(format!("~ {name} {value} -> {other}")),
            Some(_) => {}
        }
    }
    let new = after.0.iter().filter(|(name, _)| !before.0.contains_key(*name));
    lines.extend(new.map(|(name, value)| format!("+ {name} {value}")));
    lines
}

fn bytes(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    match text
        .split("-----BEGIN ")
        .nth(1)
        .and_then(|rest| rest.split("-----").next())
    {
        Some(kind) => format!("PEM {}", kind.to_lowercase()),
        None if text.starts_with("volume of claim ") => "a volume".into(),
        None => Fingerprint::of_bytes(content).short().to_owned(),
    }
}

fn object(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for name in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            metadata.remove(name);
        }
    }
    let secret = value["kind"] == "Secret";
    if let Some(labels) = value
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        // Helm's records bear their time
        for name in ["createdAt", "modifiedAt"] {
            labels.remove(name);
        }
    }
    for content in value
        .get_mut("data")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(serde_json::Map::values_mut)
    {
        if secret
            || content
                .as_str()
                .is_some_and(|text| text.starts_with("-----BEGIN "))
        {
            *content = json!("made on the box");
        }
    }
    if value["kind"] == "Service"
        && let Some(spec) = value["spec"].as_object_mut()
    {
        spec.remove("clusterIP");
    }
    value
}

impl Things {
    /// Everything but the engine's own storage.
    pub fn view(&self) -> View {
        let mut lines = BTreeMap::new();
        let machine = &self.machine;
        for (path, node) in machine.files.all() {
            let text = match node {
                Node::File { bytes: content, mode } => format!("{mode:o} {}", bytes(content)),
                Node::Directory { mode } => format!("{mode:o} directory"),
                Node::Link(target) => format!("-> {target}"),
            };
            lines.insert(format!("file {path}"), text);
        }
        let kernel = &machine.kernel;
        lines.extend(
            kernel
                .settings
                .iter()
                .map(|(name, value)| (format!("sysctl {name}"), value.clone())),
        );
        lines.extend(
            kernel
                .modules
                .iter()
                .map(|name| (format!("module {name}"), String::new())),
        );
        lines.extend(
            kernel
                .tables
                .iter()
                .map(|name| (format!("nftables {name}"), String::new())),
        );
        lines.extend(
            kernel
                .links
                .iter()
                .map(|name| (format!("link {name}"), String::new())),
        );
        lines.extend(
            kernel
                .sets
                .iter()
                .map(|name| (format!("ipset {name}"), String::new())),
        );
        lines.extend(
            kernel
                .groups
                .iter()
                .map(|name| (format!("cgroup {name}"), String::new())),
        );
        for (table, chains) in &kernel.chains {
            lines.extend(
                chains
                    .iter()
                    .map(|(chain, rules)| (format!("{table} {chain}"), format!("{rules:?}"))),
            );
        }
        lines.extend(
            machine
                .units
                .active
                .keys()
                .map(|name| (format!("running {name}"), String::new())),
        );
        lines.extend(
            machine
                .units
                .failed
                .iter()
                .map(|name| (format!("failed {name}"), String::new())),
        );
        lines.extend(
            machine
                .packages
                .iter()
                .map(|(name, version)| (format!("package {name}"), version.clone())),
        );
        lines.extend(
            machine
                .images
                .iter()
                .map(|(name, digest)| (format!("image {name}"), digest.clone())),
        );
        for (place, stored) in self.cluster.iter().flat_map(crate::Objects::all) {
            let done = if stored.done { " completed" } else { "" };
            let text = Fingerprint::of_bytes(canonical(&object(&stored.value)).as_bytes())
                .short()
                .to_owned();
            lines.insert(format!("object {place}"), format!("{text}{done}"));
        }
        View(lines)
    }
}
