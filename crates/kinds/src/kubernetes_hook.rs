//! A chart's hook: an object that is made at a point of its release's life, does its work and may go again.
//!
//! Desired: `manifest`, `deadline`, and `hook`: `install` (it runs when the release is installed), `release` (a fingerprint of the
//! release, for hooks that run when it changes), `deletePolicies` as Helm names them. What counts is that it ran for the present state of
//! the release, which the ledger knows; whether its object is still there does not. A hook of upgrades alone runs at the first
//! change behind the installation.

use std::time::Duration;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, EntryState, Fingerprint, Observed, Verdict};
use openg2p_ports::{ObjectRef, Ownership, PortError, World};
use serde_json::{Value, json};

use crate::kubernetes_object::{FIELD_MANAGER, delete_ours, leaves, live, on_its_way, waits};
use crate::{Kind, Progress, Subject, unknown};

pub(crate) struct KubernetesHook;

/// What the hook must have run for: the release, or once and for all.
fn due(desired: &Value) -> Value {
    match desired["hook"].get("release") {
        Some(release) => {
            let both = json!({"release": release, "manifest": desired["manifest"]});
            json!(Fingerprint::of(&both))
        }
        None => json!("installed"),
    }
}

fn reference(desired: &Value) -> Option<ObjectRef> {
    ObjectRef::of(&desired["manifest"])
}

fn goes(desired: &Value, policy: &str) -> bool {
    let policies = desired["hook"]["deletePolicies"].as_array();
    policies.into_iter().flatten().any(|named| named == policy)
}

#[async_trait]
impl Kind for KubernetesHook {
    fn name(&self) -> &'static str {
        "kubernetes-hook"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        match world.cluster.reachable().await {
            Ok(None) => return vec![Observed::Absent; subjects.len()],
            Err(error) => return vec![unknown(&error); subjects.len()],
            Ok(Some(_)) => {}
        }
        let wanted: Vec<ObjectRef> = subjects
            .iter()
            .filter_map(|subject| reference(subject.desired))
            .collect();
        let found = live(world, &wanted).await;
        let look = |subject: &Subject<'_>| match reference(subject.desired).map(|place| found.get(&place)) {
            None => Observed::Unknown("the manifest has no kind or name".into()),
            Some(None) => Observed::Absent,
            Some(Some(Err(error))) => unknown(error),
            // it ran and goes, or makes place for the next one: it may be gone at any moment, and what runs the hook waits for that
            Some(Some(Ok(object))) if leaves(object, subject.entry) => Observed::Absent,
            Some(Some(Ok(object))) => Observed::Present(json!({"uid": object.metadata("uid")})),
        };
        subjects.iter().map(look).collect()
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        if let Observed::Unknown(why) = observed {
            return Verdict::Unknown(why.clone());
        }
        let ran = subject.entry.is_some_and(|entry| {
            entry.state == EntryState::Present && entry.details["ran"] == due(subject.desired)
        });
        match (ran, observed, subject.entry) {
            (true, ..) => Verdict::Same,
            (false, Observed::Present(_), None) => {
                let place = reference(subject.desired).map(|place| place.to_string());
                Verdict::Conflict(format!(
                    "{} is there and was not made by openg2p",
                    place.unwrap_or_default()
                ))
            }
            (false, Observed::Present(_), Some(_)) => {
                Verdict::Replace("the hook runs again, for the release is another".into())
            }
            (false, ..) => Verdict::Create,
        }
    }

    fn estimate(&self, _action: Action, desired: &Value) -> f64 {
        if waits(&desired["manifest"]) { 20.0 } else { 0.1 }
    }

    async fn intend(&self, _world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        Ok(on_its_way(subject))
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let ran = due(subject.desired);
        let Some(object) = reference(subject.desired) else {
            let why = "it has no kind or name";
            return Err(PortError::new(
                "kubernetes::manifest",
                "run a hook",
                "a manifest",
                why,
            ));
        };
        // The entry of before this run knows whether there was an installation: a hook that ran has `ran`.
        let installed = subject
            .entry
            .is_some_and(|entry| entry.details.get("ran").is_some());
        if subject.desired["hook"]["install"] != true && !installed {
            return Ok(json!({"ran": ran}));
        }
        if let Some(entry) = subject.entry {
            delete_ours(world, &object, entry).await?;
        }
        let manifest = &subject.desired["manifest"];
        let live = world
            .cluster
            .apply(manifest, FIELD_MANAGER, Ownership::Respect)
            .await?;
        let uid = live.metadata("uid").unwrap_or_default().to_owned();
        if waits(manifest) {
            let deadline = Duration::from_secs(subject.desired["deadline"].as_u64().unwrap_or(300));
            let waited = world.cluster.wait(&object, deadline, progress).await;
            // what other hooks of the release may still use (accounts, roles) stays until the release goes
            let over = if waited.is_ok() {
                "hook-succeeded"
            } else {
                "hook-failed"
            };
            if goes(subject.desired, over) {
                world
                    .cluster
                    .delete(&object, &uid, Duration::from_mins(3))
                    .await?;
            }
            waited?;
        }
        Ok(json!({"uid": uid, "ran": ran}))
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        let Some(object) = reference(&entry.desired) else {
            return Ok(());
        };
        progress(&format!("waiting until {object} is gone"));
        delete_ours(world, &object, entry).await
    }
}
