//! The Kubernetes API.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::PortError;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// e.g. `apps/v1`.
    pub api_version: String,
    /// e.g. `Deployment`.
    pub kind: String,
    /// Absent for cluster-wide objects.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The reference that a manifest bears.
    pub fn of(manifest: &Value) -> Option<Self> {
        let metadata = manifest.get("metadata")?;
        Some(Self {
            api_version: manifest.get("apiVersion")?.as_str()?.into(),
            kind: manifest.get("kind")?.as_str()?.into(),
            namespace: metadata.get("namespace").and_then(Value::as_str).map(Into::into),
            name: metadata.get("name")?.as_str()?.into(),
        })
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(formatter, "{} {}", self.kind, self.name),
        }
    }
}

/// An object as the API gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(pub Value);

impl Object {
    /// A string of its metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(key)?.as_str()
    }

    /// One annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// One label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    /// `metadata.generation`, 0 where the kind has none.
    pub fn generation(&self) -> i64 {
        self.0["metadata"]["generation"].as_i64().unwrap_or(0)
    }
}

/// A field that another program manages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldConflict {
    /// The other program's name in `metadata.managedFields`.
    pub manager: String,
    /// The field, e.g. `.spec.replicas`.
    pub field: String,
}

impl std::fmt::Display for FieldConflict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}` manages {}", self.manager, self.field)
    }
}

/// What the API server would do with a manifest; nothing was changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// The object as it would be then.
    Accepted(Object),
    /// Other programs manage these fields.
    Conflict(Vec<FieldConflict>),
    /// The change cannot be made in place; the server's words.
    Immutable(String),
    /// The manifest is not acceptable: an unknown field, a wrong value, a policy; the server's words.
    Refused(String),
    /// The server cannot try it (a webhook with side effects, a namespace that is still to come); its words.
    Impossible(String),
}

/// What happens to fields that another program manages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// They stay with it, and the apply is refused.
    #[default]
    Respect,
    /// They become ours.
    Take,
}

/// What a wait saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does what it is for.
    Ready,
    /// Not yet; what it waits for, in words.
    Waiting(Waiting),
    /// It will not get there without a change; the cause in words, with the last log lines.
    Stuck(String),
}

/// What an object waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting(pub String);

/// The Kubernetes API of the site.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Whether a cluster of ours answers: `None` when there is no credential for it on this machine.
    async fn reachable(&self) -> Result<Option<String>, PortError>;
    /// One object.
    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, PortError>;
    /// All objects of a kind in one namespace, or of the whole cluster, that bear `label` (`key=value`).
    async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        label: Option<&str>,
    ) -> Result<Vec<Object>, PortError>;
    /// Server-side apply with strict field validation. With [`Ownership::Respect`], fields of other managers are an error with
    /// code `kubernetes::conflict` that names them.
    async fn apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Object, PortError>;
    /// What [`Cluster::apply`] would do, as the server sees it (a dry run). Nothing is changed.
    async fn try_apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Trial, PortError>;
    /// Deletes the object if its uid is `uid`, and waits until it is gone.
    async fn delete(&self, object: &ObjectRef, uid: &str, deadline: Duration) -> Result<(), PortError>;
    /// Waits by watch until the object is ready, it is stuck, or the deadline passes. `progress` hears what it
    /// waits for whenever that changes.
    async fn wait(
        &self,
        object: &ObjectRef,
        deadline: Duration,
        progress: &(dyn for<'p> Fn(&'p str) + Send + Sync),
    ) -> Result<(), PortError>;
    /// Deletes the pods of a StatefulSet that cannot run. Its controller would wait for them for ever before it brings a
    /// change that mends them (Kubernetes documents this as "forced rollback").
    async fn release_stuck_pods(&self, object: &ObjectRef) -> Result<(), PortError>;
    /// How ready it is now.
    async fn readiness(&self, object: &ObjectRef) -> Result<Readiness, PortError>;
}
