//! A Kubernetes object, applied on the server's side.
//!
//! Desired: `manifest` (whole, with our labels), `deadline` (seconds to become ready), `takeOver` (a list of Helm releases, each as
//! `namespace/release`, whose objects are taken over: `openg2p plan --take-over`).
//!
//! The object bears the fingerprint of its manifest as an annotation; the ledger keeps its `metadata.generation` and
//! `metadata.resourceVersion`. One list per kind tells which objects are as they were left. Only what differs is asked about further:
//! the server says in a dry run what an apply would change, who else manages those fields, and whether it can be done in place.

mod fields;
mod trial;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use openg2p_plan::{
    Action, Entry, EntryState, FieldChange, Fingerprint, Observed, ResourceId, Risk, Verdict,
};
use openg2p_ports::{Object, ObjectRef, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};
pub(crate) use fields::changes;
pub use fields::fields_of;
pub use trial::defines;

pub(crate) struct KubernetesObject;

/// Holds the fingerprint of the manifest that was applied last.
pub const DESIRED_ANNOTATION: &str = "openg2p.org/desired";
/// Our name in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "openg2p";
/// Label with the owner: `site` or `environment.<name>`.
pub const OWNER_LABEL: &str = "openg2p.org/owner";
/// Helm's marks on what a release of it made.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// Most requests at once while looking.
const WIDTH: usize = 8;

/// Whether readiness of this object means anything beyond its existence.
pub fn waits(manifest: &Value) -> bool {
    let group = manifest["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'))
        .map_or("", |(group, _)| group);
    // what a custom resource waits for, its controller says in its status
    let custom = group.contains('.') && !group.ends_with(".k8s.io") && !group.ends_with(".istio.io");
    custom
        || matches!(
            manifest["kind"].as_str().unwrap_or_default(),
            "Deployment"
                | "StatefulSet"
                | "DaemonSet"
                | "ReplicaSet"
                | "ReplicationController"
                | "Pod"
                | "Job"
                | "PersistentVolumeClaim"
                | "CustomResourceDefinition"
                | "APIService"
        )
}

/// Kinds that hold what cannot be made again: they are never deleted in order to be made anew.
fn precious(manifest: &Value) -> bool {
    matches!(
        manifest["kind"].as_str().unwrap_or_default(),
        "PersistentVolumeClaim" | "PersistentVolume" | "Namespace" | "CustomResourceDefinition" | "Secret"
    ) || manifest["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
}

fn reference(desired: &Value) -> Option<ObjectRef> {
    ObjectRef::of(&desired["manifest"])
}

fn place(desired: &Value) -> String {
    reference(desired).map_or_else(|| "an object without a name".into(), |object| object.to_string())
}

/// The manifest as it is applied: with the mark by which it is known again.
fn marked(desired: &Value) -> Value {
    let mut manifest = desired["manifest"].clone();
    let fingerprint = Fingerprint::of(&manifest);
    manifest["metadata"]["annotations"][DESIRED_ANNOTATION] = json!(fingerprint);
    manifest
}

/// The Helm release that made an object, as `namespace/name`.
fn helm_release(object: &Object) -> Option<String> {
    let name = object.annotation(HELM_RELEASE)?;
    let namespace = object.annotation(HELM_NAMESPACE).unwrap_or_default();
    Some(format!("{namespace}/{name}"))
}

/// Whether a desired state asks for the objects of this Helm release.
pub(crate) fn takes(desired: &Value, release: &str) -> bool {
    let releases = desired["takeOver"].as_array();
    !release.is_empty() && releases.into_iter().flatten().any(|asked| asked == release)
}

/// What was found, by place. What is not there is not in it.
pub(crate) type Found = BTreeMap<ObjectRef, Result<Object, PortError>>;

/// All live objects that `wanted` names, with one list per kind.
pub(crate) async fn live(world: &World, wanted: &[ObjectRef]) -> Found {
    let mut kinds: BTreeMap<(String, String), Vec<ObjectRef>> = BTreeMap::new();
    for object in wanted {
        let kind = (object.api_version.clone(), object.kind.clone());
        kinds.entry(kind).or_default().push(object.clone());
    }
    let lists: Vec<BoxFuture<'_, Found>> = kinds
        .into_values()
        .map(|objects| of_one_kind(world, objects).boxed())
        .collect();
    let found: Vec<Found> = futures::stream::iter(lists)
        .buffer_unordered(WIDTH)
        .collect()
        .await;
    found.into_iter().flatten().collect()
}

/// The live ones among objects of one kind, with one request.
async fn of_one_kind(world: &World, objects: Vec<ObjectRef>) -> Found {
    if let [object] = objects.as_slice() {
        let found = world.cluster.get(object).await.transpose();
        return found.map(|found| (object.clone(), found)).into_iter().collect();
    }
    let Some(first) = objects.first().cloned() else {
        return Found::new();
    };
    let same = objects.iter().all(|object| object.namespace == first.namespace);
    let namespace = first.namespace.as_deref().filter(|_| same);
    let list = match world
        .cluster
        .list(&first.api_version, &first.kind, namespace, None)
        .await
    {
        Ok(list) => list,
        Err(error) => {
            let unread = objects.into_iter().map(|object| (object, Err(error.clone())));
            return unread.collect();
        }
    };
    let mut by_name: BTreeMap<(Option<String>, String), Object> = BTreeMap::new();
    for object in list {
        let name = object.metadata("name").unwrap_or_default().to_owned();
        by_name.insert((object.metadata("namespace").map(str::to_owned), name), object);
    }
    let find = |object: ObjectRef| {
        let found = by_name.remove(&(object.namespace.clone(), object.name.clone()))?;
        Some((object, Ok(found)))
    };
    objects.into_iter().filter_map(find).collect()
}

/// What there is to say of one object.
async fn look(world: &World, found: &Found, defined: &[&Value], subject: Subject<'_>) -> Observed {
    let Some(object) = reference(subject.desired) else {
        return Observed::Unknown("the manifest has no kind or name".into());
    };
    match found.get(&object) {
        None => Observed::Absent,
        Some(Err(error)) => unknown(error),
        Some(Ok(live)) if leaves(live, subject.entry) => Observed::Absent,
        Some(Ok(live)) => Observed::Present(summary(world, live, defined, subject).await),
    }
}

/// Whether the object is as the last apply left it, as far as can be told without asking again.
fn as_left(object: &Object, subject: Subject<'_>) -> bool {
    let manifest = &subject.desired["manifest"];
    if object.annotation(DESIRED_ANNOTATION) != Some(Fingerprint::of(manifest).as_str()) {
        return false;
    }
    let recorded = |key: &str| subject.entry.map(|entry| &entry.details[key]);
    if object
        .metadata("resourceVersion")
        .is_some_and(|now| recorded("resourceVersion") == Some(&json!(now)))
    {
        return true;
    }
    // a generation counts changes of the specification, but not those of labels and annotations
    let generation = object.generation();
    if generation != 0 && recorded("generation") == Some(&json!(generation)) {
        return fields::holds(&manifest["metadata"], &object.0["metadata"]);
    }
    fields::holds(manifest, &object.0)
}

async fn summary(world: &World, object: &Object, defined: &[&Value], subject: Subject<'_>) -> Value {
    let mut summary = json!({
        "desired": object.annotation(DESIRED_ANNOTATION),
        "uid": object.metadata("uid"),
        "owner": object.label(OWNER_LABEL),
    });
    if object.metadata("deletionTimestamp").is_some() {
        summary["deleting"] = json!(true);
        return summary;
    }
    let helm = helm_release(object);
    if let Some(helm) = &helm {
        summary["helm"] = json!(helm);
    }
    let taken = subject.entry.is_none() && helm.is_some_and(|helm| takes(subject.desired, &helm));
    if subject.entry.is_none() && !taken || subject.entry.is_some() && as_left(object, subject) {
        return summary;
    }
    let trial = trial::of(world, object, subject.desired, defined, taken).await;
    summary["trial"] = trial.unwrap_or_else(|error| json!({"unknown": error.to_string()}));
    summary
}

/// The field manager that wrote to the object last, besides those that only report a status, with the time.
pub(crate) async fn last_manager(world: &World, object: &ObjectRef) -> Option<String> {
    let live = world.cluster.get(object).await.ok()??;
    let writers = live.0["metadata"]["managedFields"].as_array()?;
    let last = writers
        .iter()
        .filter(|writer| writer["subresource"].as_str() != Some("status"))
        // of writers within one second the stranger is the one to look at
        .max_by_key(|writer| {
            let stranger = writer["manager"].as_str() != Some(FIELD_MANAGER);
            (writer["time"].as_str().unwrap_or_default(), stranger)
        })?;
    let manager = last["manager"].as_str()?;
    Some(match last["time"].as_str() {
        Some(time) => format!("{manager} at {time}"),
        None => manager.to_owned(),
    })
}

/// What the ledger remembers while a change is on its way: it may delete the object and make another one, whose uid is not known before.
pub(crate) fn on_its_way(subject: Subject<'_>) -> Value {
    let mut details = subject.entry.map_or(Value::Null, |entry| entry.details.clone());
    if details["uid"].is_string() {
        details["remade"] = json!(true);
    }
    details
}

/// Whether the object is the one that the ledger records, by uid.
fn is_recorded(live: &Object, entry: &Entry) -> bool {
    let recorded = text(&entry.details, "uid");
    // the run ended between the effect and its record: our label and the intended entry prove it
    let unrecorded = recorded.is_empty() || entry.details["remade"] == true;
    Some(recorded) == live.metadata("uid") || unrecorded && live.label(OWNER_LABEL).is_some()
}

/// Whether the object is on its way out because a run began to delete it and was cut off. It may be gone at any moment, and nothing brings it
/// back: it counts as gone, and what changes or removes it waits for its end.
pub(crate) fn leaves(live: &Object, entry: Option<&Entry>) -> bool {
    live.metadata("deletionTimestamp").is_some()
        && entry.is_some_and(|entry| entry.state != EntryState::Present && is_recorded(live, entry))
}

/// Deletes the object when it is the one that the ledger records, by uid.
pub(crate) async fn delete_ours(world: &World, object: &ObjectRef, entry: &Entry) -> Result<(), PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(());
    }
    let Some(live) = world.cluster.get(object).await? else {
        return Ok(());
    };
    if !is_recorded(&live, entry) {
        // somebody removed ours and made another of the same name: not ours to delete
        return Ok(());
    }
    let uid = live.metadata("uid").unwrap_or_default();
    world.cluster.delete(object, uid, Duration::from_mins(3)).await
}

/// Waits until an object is gone that a run began to delete before it was cut off.
async fn await_its_end(world: &World, object: &ObjectRef, entry: &Entry) -> Result<(), PortError> {
    match world.cluster.get(object).await? {
        Some(live) if leaves(&live, Some(entry)) => delete_ours(world, object, entry).await,
        _ => Ok(()),
    }
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
        let wanted: Vec<ObjectRef> = subjects
            .iter()
            .filter_map(|subject| reference(subject.desired))
            .collect();
        let found = live(world, &wanted).await;
        let defined = trial::definitions_to_change(&found, subjects);
        let looks: Vec<BoxFuture<'_, Observed>> = subjects
            .iter()
            .map(|subject| look(world, &found, &defined, *subject).boxed())
            .collect();
        futures::stream::iter(looks).buffered(WIDTH).collect().await
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        let place = place(subject.desired);
        let helm = text(state, "helm");
        let taken = subject.entry.is_none() && takes(subject.desired, helm);
        if subject.entry.is_none() && !taken {
            return Verdict::Conflict(if helm.is_empty() {
                format!("{place} is there and was not made by openg2p")
            } else {
                format!(
                    "{place} belongs to the Helm release {helm}; take the release over with `--take-over {helm}`, or \
                     remove it with Helm"
                )
            });
        }
        if state["deleting"] == true {
            return Verdict::Conflict(format!(
                "{place} is being deleted by somebody; wait until it is gone, then try again"
            ));
        }
        let trial = &state["trial"];
        if let Some(why) = trial["unknown"].as_str() {
            return Verdict::Unknown(why.into());
        }
        if let Some(others) = trial["conflict"].as_str() {
            return Verdict::Conflict(format!(
                "{place}: other programs manage fields that the site describes: {others}; take the fields out of one of the two"
            ));
        }
        if let Some(why) = trial["refused"].as_str() {
            return Verdict::Conflict(format!("{place}: the API server does not accept it: {why}"));
        }
        let manifest = &subject.desired["manifest"];
        if let Some(why) = trial["immutable"].as_str() {
            if precious(manifest) {
                return Verdict::Conflict(format!(
                    "{place} cannot be changed in place and is not deleted for a change, for its content would be lost: {why}"
                ));
            }
            return Verdict::Replace(format!("it cannot be changed in place: {why}"));
        }
        if let Ok(mut changes) = serde_json::from_value::<Vec<FieldChange>>(trial["changes"].clone()) {
            if manifest["kind"] == "Job" && text(state, "desired") != Fingerprint::of(manifest).as_str() {
                return Verdict::Replace("a Job runs once: a changed one is made anew".into());
            }
            if taken {
                let owner = format!("Helm release {helm}");
                changes.insert(0, FieldChange::new("owner", Some(&owner), Some("openg2p")));
            } else if changes.is_empty() && text(state, "desired") != Fingerprint::of(manifest).as_str() {
                let mark = Fingerprint::of(manifest);
                changes.push(FieldChange::new("mark", None, Some(mark.short())));
            }
            if !changes.is_empty() {
                return Verdict::Update(changes);
            }
        }
        let unfinished = subject
            .entry
            .is_some_and(|entry| entry.state != EntryState::Present);
        if unfinished {
            let change = FieldChange::new("readiness", Some("not seen yet"), Some("ready"));
            return Verdict::Update(vec![change]);
        }
        Verdict::Same
    }

    fn risk(&self, action: Action, desired: &Value) -> Risk {
        let removed = matches!(action, Action::Remove | Action::Replace);
        match desired["manifest"]["kind"].as_str() {
            // a namespace takes all that is in it along, a claim its volume
            Some("PersistentVolumeClaim" | "Namespace" | "CustomResourceDefinition") if removed => Risk::Data,
            Some("Deployment" | "DaemonSet" | "StatefulSet" | "Service" | "APIService") if removed => {
                Risk::Downtime
            }
            Some("Deployment" | "DaemonSet") => Risk::Restart,
            Some("StatefulSet") => Risk::Downtime,
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

    fn claims(&self, _id: &ResourceId, desired: &Value) -> Vec<String> {
        reference(desired)
            .map(|object| {
                let namespace = object.namespace.as_deref().unwrap_or_default();
                crate::object_claim(object.group(), &object.kind, namespace, &object.name)
            })
            .into_iter()
            .collect()
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        last_manager(world, &reference(subject.desired)?).await
    }

    async fn intend(&self, _world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        Ok(on_its_way(subject))
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
        match subject.entry {
            Some(entry) if action == Action::Replace => delete_ours(world, &object, entry).await?,
            Some(entry) if entry.state != EntryState::Present => {
                await_its_end(world, &object, entry).await?;
            }
            _ => {}
        }
        let manifest = marked(subject.desired);
        let ownership = trial::ownership(world, &object, subject).await?;
        let live = world.cluster.apply(&manifest, FIELD_MANAGER, ownership).await?;
        if action == Action::Update && object.kind == "StatefulSet" {
            world.cluster.release_stuck_pods(&object).await?;
        }
        if waits(&manifest) {
            let deadline = subject.desired["deadline"].as_u64().unwrap_or(300);
            world
                .cluster
                .wait(&object, Duration::from_secs(deadline), progress)
                .await?;
        }
        Ok(json!({
            "uid": live.metadata("uid"),
            "generation": live.generation(),
            "resourceVersion": live.metadata("resourceVersion"),
        }))
    }

    fn stays(&self, entry: &Entry, seen: &Value) -> Option<String> {
        if entry.details["uid"].is_string() && seen["uid"] != entry.details["uid"] {
            return Some("it is another one of this name, and not ours".into());
        }
        (entry.desired["manifest"]["kind"] == "Namespace" && seen["deleting"] != true)
            .then(|| "things that are not ours are in it".into())
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        let Some(object) = reference(&entry.desired) else {
            return Ok(());
        };
        if object.kind == "Namespace" {
            let others = crate::foreign(world, &object.name).await?;
            if !others.is_empty() {
                // deleting a namespace deletes all that is in it: what is not ours keeps it
                progress(&format!("{object} stays, for {} is not ours", others.join(", ")));
                return Ok(());
            }
        }
        progress(&format!("waiting until {object} is gone"));
        delete_ours(world, &object, entry).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(desired: &Value) -> Subject<'_> {
        Subject { desired, entry: None }
    }

    #[test]
    fn what_holds_data_is_never_made_anew() {
        let seen = Observed::Present(json!({"trial": {"immutable": "spec is immutable after creation"}}));
        let entry = Entry {
            resource: openg2p_plan::ResourceId::new("kubernetes-object", "x"),
            owner: openg2p_plan::Owner::Site,
            part: String::new(),
            state: EntryState::Present,
            desired: json!({}),
            details: json!({}),
            needs: std::collections::BTreeSet::new(),
            created_by: String::new(),
            changed_by: String::new(),
            fingerprint: String::new(),
            created_at: 0,
            changed_at: 0,
        };
        let verdict = |kind: &str| {
            let desired = json!({"manifest": {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}}});
            let subject = Subject {
                desired: &desired,
                entry: Some(&entry),
            };
            KubernetesObject.compare(subject, &seen)
        };
        assert!(matches!(verdict("Deployment"), Verdict::Replace(_)));
        for kind in [
            "PersistentVolumeClaim",
            "Namespace",
            "CustomResourceDefinition",
            "Secret",
        ] {
            assert!(matches!(verdict(kind), Verdict::Conflict(_)), "{kind}");
        }
    }

    #[test]
    fn a_release_of_helm_is_taken_over_only_when_it_was_asked_for_by_name() {
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "dev"}});
        let seen = Observed::Present(json!({"helm": "dev/shop", "trial": {"changes": []}}));
        let desired = json!({"manifest": manifest});
        let Verdict::Conflict(why) = KubernetesObject.compare(subject(&desired), &seen) else {
            panic!("it was taken")
        };
        assert!(why.contains("--take-over dev/shop"), "{why}");
        let other = json!({"manifest": manifest, "takeOver": ["dev/other"]});
        assert!(matches!(
            KubernetesObject.compare(subject(&other), &seen),
            Verdict::Conflict(_)
        ));
        let asked = json!({"manifest": manifest, "takeOver": ["dev/shop"]});
        assert!(matches!(
            KubernetesObject.compare(subject(&asked), &seen),
            Verdict::Update(_)
        ));
    }
}
