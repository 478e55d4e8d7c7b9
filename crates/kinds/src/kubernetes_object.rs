//! A Kubernetes object, applied on the server's side.
//!
//! Desired: `manifest` (whole, with our labels), `deadline` (seconds to become ready). The object bears the fingerprint of its
//! manifest as an annotation; together with `metadata.generation`, kept in the ledger, one list per kind tells
//! whether anybody changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use openg2p_plan::{
    Action, Entry, EntryState, FieldChange, Fingerprint, Observed, Risk, Verdict, difference,
};
use openg2p_ports::{Object, ObjectRef, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct KubernetesObject;

/// Holds the fingerprint of the manifest that was applied last.
pub const DESIRED_ANNOTATION: &str = "openg2p.org/desired";
/// Our name in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "openg2p";
/// Label with the owner: `site` or `environment.<name>`.
pub const OWNER_LABEL: &str = "openg2p.org/owner";

/// Whether readiness of this kind of object means anything beyond its existence.
pub fn waits(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CustomResourceDefinition" | "APIService"
    )
}

fn reference(desired: &Value) -> Option<ObjectRef> {
    ObjectRef::of(&desired["manifest"])
}

fn place(desired: &Value) -> String {
    reference(desired).map_or_else(|| "an object without a name".into(), |object| object.to_string())
}

fn summary(object: &Object, desired: &Value) -> Value {
    let mut summary = json!({
        "desired": object.annotation(DESIRED_ANNOTATION),
        "generation": object.generation(),
        "uid": object.metadata("uid"),
        "owner": object.label(OWNER_LABEL),
    });
    if object.metadata("deletionTimestamp").is_some() {
        summary["deleting"] = json!(true);
    }
    if object.generation() == 0 {
        // Kinds without a generation (ConfigMap, ServiceAccount, Role, Service, ...) are compared field by field.
        let changes = difference(&desired["manifest"], &object.0);
        if !changes.is_empty() && object.0["kind"] != "Secret" {
            summary["changed"] = json!(changes);
        }
    }
    summary
}

/// Deletes the object when it is the one that the ledger records, by uid.
pub(crate) async fn delete_ours(world: &World, object: &ObjectRef, entry: &Entry) -> Result<(), PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(());
    }
    let Some(live) = world.cluster.get(object).await? else {
        return Ok(());
    };
    let uid = live.metadata("uid").unwrap_or_default().to_owned();
    let recorded = text(&entry.details, "uid");
    let ours = if recorded.is_empty() {
        // the run ended between the effect and its record: our label and the intended entry prove it
        live.label(OWNER_LABEL).is_some()
    } else {
        recorded == uid
    };
    if !ours {
        // somebody removed ours and made another of the same name: not ours to delete
        return Ok(());
    }
    world.cluster.delete(object, &uid, Duration::from_mins(3)).await
}

#[async_trait]
impl Kind for KubernetesObject {
    fn name(&self) -> &'static str {
        "kubernetes-object"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        match world.cluster.reachable().await {
            // no cluster yet: there are no objects either
            Ok(None) => return vec![Observed::Absent; subjects.len()],
            Err(error) => return vec![unknown(&error); subjects.len()],
            Ok(Some(_)) => {}
        }
        if let [subject] = subjects {
            let Some(object) = reference(subject.desired) else {
                return vec![Observed::Unknown("the manifest has no kind or name".into())];
            };
            return vec![match world.cluster.get(&object).await {
                Ok(None) => Observed::Absent,
                Ok(Some(live)) => Observed::Present(summary(&live, subject.desired)),
                Err(error) => unknown(&error),
            }];
        }
        let groups: BTreeSet<(String, String, Option<String>)> = subjects
            .iter()
            .filter_map(|subject| reference(subject.desired))
            .map(|object| (object.api_version, object.kind, object.namespace))
            .collect();
        let mut found: BTreeMap<ObjectRef, Object> = BTreeMap::new();
        let mut failed: BTreeMap<(String, String, Option<String>), PortError> = BTreeMap::new();
        for group in groups {
            match world
                .cluster
                .list(&group.0, &group.1, group.2.as_deref(), None)
                .await
            {
                Ok(objects) => {
                    for object in objects {
                        let name = object.metadata("name").unwrap_or_default().to_owned();
                        let (api_version, kind, namespace) = group.clone();
                        found.insert(
                            ObjectRef {
                                api_version,
                                kind,
                                namespace,
                                name,
                            },
                            object,
                        );
                    }
                }
                Err(error) => {
                    failed.insert(group, error);
                }
            }
        }
        subjects
            .iter()
            .map(|subject| {
                let Some(object) = reference(subject.desired) else {
                    return Observed::Unknown("the manifest has no kind or name".into());
                };
                let group = (
                    object.api_version.clone(),
                    object.kind.clone(),
                    object.namespace.clone(),
                );
                match (failed.get(&group), found.get(&object)) {
                    (Some(error), _) => unknown(error),
                    (None, Some(live)) => Observed::Present(summary(live, subject.desired)),
                    (None, None) => Observed::Absent,
                }
            })
            .collect()
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        let Some(entry) = subject.entry else {
            return Verdict::Conflict(format!(
                "{} is there and was not made by openg2p",
                place(subject.desired)
            ));
        };
        if state["deleting"] == true {
            return Verdict::Conflict(format!(
                "{} is being deleted by somebody; wait until it is gone, then try again",
                place(subject.desired)
            ));
        }
        let wanted = Fingerprint::of(&subject.desired["manifest"]);
        let mut changes = Vec::new();
        if text(state, "desired") != wanted.as_str() {
            changes = difference(&subject.desired["manifest"], &entry.desired["manifest"]);
            if changes.is_empty() {
                changes.push(FieldChange::new("manifest", None, Some(wanted.short())));
            }
            if subject.desired["manifest"]["kind"] == "Job" {
                return Verdict::Replace("a Job's template cannot be changed in place".into());
            }
        } else if let Some(changed) = state.get("changed") {
            changes = serde_json::from_value(changed.clone()).unwrap_or_default();
        } else if entry.state != EntryState::Present {
            changes.push(FieldChange::new("readiness", Some("not seen yet"), Some("ready")));
        } else if entry.details["generation"] != state["generation"] {
            changes.push(FieldChange::new(
                "metadata.generation",
                Some(&state["generation"].to_string()),
                Some(&format!(
                    "{} (changed by somebody else since)",
                    entry.details["generation"]
                )),
            ));
        }
        if changes.is_empty() {
            Verdict::Same
        } else {
            Verdict::Update(changes)
        }
    }

    fn risk(&self, desired: &Value) -> Risk {
        match desired["manifest"]["kind"].as_str() {
            Some("Deployment" | "DaemonSet") => Risk::Restart,
            Some("StatefulSet") => Risk::Downtime,
            Some("PersistentVolumeClaim" | "Namespace") => Risk::Data,
            _ => Risk::Harmless,
        }
    }

    fn estimate(&self, action: Action, desired: &Value) -> f64 {
        match (action, desired["manifest"]["kind"].as_str()) {
            (Action::Remove, Some("Namespace")) => 15.0,
            (Action::Remove, _) => 0.3,
            (_, Some("Deployment" | "StatefulSet" | "Job")) => 30.0,
            (_, Some("DaemonSet" | "APIService")) => 8.0,
            _ => 0.1,
        }
    }

    async fn change(
        &self,
        world: &World,
        action: Action,
        subject: Subject<'_>,
        _details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let Some(object) = reference(subject.desired) else {
            return Err(PortError::new(
                "kubernetes::manifest",
                "apply",
                "a manifest",
                "it has no kind or name",
            ));
        };
        if action == Action::Replace
            && let Some(entry) = subject.entry
        {
            delete_ours(world, &object, entry).await?;
        }
        let mut manifest = subject.desired["manifest"].clone();
        let fingerprint = Fingerprint::of(&manifest);
        manifest["metadata"]["annotations"][DESIRED_ANNOTATION] = json!(fingerprint);
        let live = world.cluster.apply(&manifest, FIELD_MANAGER).await?;
        if action == Action::Update && object.kind == "StatefulSet" {
            world.cluster.release_stuck_pods(&object).await?;
        }
        if waits(&object.kind) {
            let deadline = subject.desired["deadline"].as_u64().unwrap_or(300);
            world
                .cluster
                .wait(&object, Duration::from_secs(deadline), progress)
                .await?;
        }
        Ok(json!({"uid": live.metadata("uid"), "generation": live.generation()}))
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        let Some(object) = reference(&entry.desired) else {
            return Ok(());
        };
        progress(&format!("waiting until {object} is gone"));
        delete_ours(world, &object, entry).await
    }
}
