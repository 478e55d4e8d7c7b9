//! The API server's store: objects, who owns which field, uids and generations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openg2p_ports::{FieldConflict, ObjectRef, Ownership};
use serde_json::{Map, Value, json};

/// A field, as the keys that lead to it. Lists are one field.
pub(crate) type Field = Vec<String>;

/// An object with what the server remembers beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The object as the API gives it.
    pub value: Value,
    /// Fields by manager.
    pub(crate) managers: BTreeMap<String, BTreeSet<Field>>,
    /// A Job that has completed.
    pub(crate) done: bool,
    /// The template from which a StatefulSet's pod was made.
    pub(crate) running: Option<Value>,
}

/// Why the server does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: String,
    /// Fields of other managers, for which an apply was refused.
    pub(crate) conflicts: Vec<FieldConflict>,
}

impl Stored {
    /// The object as the API gives it: with the managers of its fields. Their times are not kept.
    pub(crate) fn with_managers(&self) -> Value {
        let mut value = self.value.clone();
        // one that manages no field any more is not told
        let managers = self.managers.iter().filter(|(_, fields)| !fields.is_empty());
        let managers: Vec<Value> = managers.map(|(name, _)| json!({"manager": name})).collect();
        value["metadata"]["managedFields"] = json!(managers);
        value
    }
}

pub(crate) fn refuse<T>(status: u16, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        status,
        why: why.into(),
        conflicts: Vec::new(),
    })
}

/// All objects of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    pub(crate) version: String,
    pub(crate) stored: BTreeMap<ObjectRef, Arc<Stored>>,
    revision: u64,
}

/// Kinds whose `metadata.generation` the server counts.
fn has_generation(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "Job"
            | "CronJob"
            | "NetworkPolicy"
            | "PodDisruptionBudget"
            | "Ingress"
            | "CustomResourceDefinition"
    )
}

fn cluster_wide(kind: &str) -> bool {
    matches!(
        kind,
        "Namespace"
            | "Node"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "APIService"
            | "StorageClass"
            | "PersistentVolume"
            | "PriorityClass"
            | "IngressClass"
            | "RuntimeClass"
    )
}

/// Fields below `spec` that can never change.
fn immutable(kind: &str) -> &'static [&'static str] {
    match kind {
        "Job" => &["template", "selector", "completions"],
        "Deployment" | "DaemonSet" => &["selector"],
        "StatefulSet" => &[
            "selector",
            "serviceName",
            "volumeClaimTemplates",
            "podManagementPolicy",
        ],
        "Service" => &["clusterIP"],
        _ => &[],
    }
}

/// What the server does not keep: nulls.
fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        for inner in map.values_mut() {
            prune(inner);
        }
        map.retain(|_, inner| !inner.is_null());
    }
}

fn leaves(value: &Value, at: &mut Field, found: &mut BTreeMap<Field, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                at.push(key.clone());
                leaves(inner, at, found);
                at.pop();
            }
        }
        other => {
            found.insert(at.clone(), other.clone());
        }
    }
}

fn fields(manifest: &Value) -> BTreeMap<Field, Value> {
    let mut found = BTreeMap::new();
    leaves(manifest, &mut Vec::new(), &mut found);
    found.retain(|field, _| {
        !matches!(
            field.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
            ["apiVersion" | "kind" | "metadata"] | ["metadata", "name" | "namespace"]
        )
    });
    found
}

fn at<'a>(value: &'a Value, field: &[String]) -> Option<&'a Value> {
    field.iter().try_fold(value, |inner, key| inner.get(key))
}

fn set(value: &mut Value, field: &[String], new: Value) {
    match field {
        [] => *value = new,
        [first, rest @ ..] => {
            if !value.is_object() {
                *value = json!({});
            }
            set(&mut value[first.as_str()], rest, new);
        }
    }
}

fn unset(value: &mut Value, field: &[String]) {
    let Value::Object(map) = value else { return };
    match field {
        [] => {}
        [last] => {
            map.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(inner) = map.get_mut(first) {
                unset(inner, rest);
                if inner.as_object().is_some_and(Map::is_empty) {
                    map.remove(first);
                }
            }
        }
    }
}

fn overlap(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

impl Objects {
    pub(crate) fn new(version: &str) -> Self {
        Self {
            version: version.into(),
            stored: BTreeMap::new(),
            revision: 1,
        }
    }

    /// Every object.
    pub fn all(&self) -> impl Iterator<Item = (&ObjectRef, &Stored)> {
        self.stored.iter().map(|(place, stored)| (place, stored.as_ref()))
    }

    /// One object.
    pub fn get(&self, place: &ObjectRef) -> Option<&Value> {
        self.stored.get(place).map(|stored| &stored.value)
    }

    fn namespace(name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: "Namespace".into(),
            namespace: None,
            name: name.into(),
        }
    }

    fn admit(&self, place: &ObjectRef, exists: bool) -> Result<(), Refusal> {
        if cluster_wide(&place.kind) != place.namespace.is_none() {
            return refuse(400, format!("{place}: the kind does not live there"));
        }
        let Some(name) = &place.namespace else {
            return Ok(());
        };
        match self.get(&Self::namespace(name)) {
            None => refuse(404, format!("namespaces \"{name}\" not found")),
            Some(namespace) if !exists && namespace["metadata"].get("deletionTimestamp").is_some() => refuse(
                403,
                format!("unable to create new content in namespace {name} because it is being terminated"),
            ),
            Some(_) => Ok(()),
        }
    }

    /// Server-side apply, not forced.
    pub fn apply(
        &mut self,
        manifest: &Value,
        manager: &str,
        clock: i64,
        uids: &mut u64,
    ) -> Result<Value, Refusal> {
        self.apply_with(manifest, manager, Ownership::Respect, clock, uids)
    }

    /// Server-side apply.
    pub fn apply_with(
        &mut self,
        manifest: &Value,
        manager: &str,
        ownership: Ownership,
        clock: i64,
        uids: &mut u64,
    ) -> Result<Value, Refusal> {
        let Some(place) = ObjectRef::of(manifest) else {
            return refuse(400, "the manifest has no apiVersion, kind or name");
        };
        let mut manifest = manifest.clone();
        prune(&mut manifest);
        if place.kind == "Secret" && manifest.get("stringData").is_some() {
            return refuse(501, "stringData is not simulated");
        }
        let wanted = fields(&manifest);
        self.admit(&place, self.stored.contains_key(&place))?;
        self.declared(&place, wanted.keys())?;
        let Some(known) = self.stored.get(&place) else {
            return Ok(self.create(&place, manifest, manager, wanted, clock, uids));
        };
        let mut stored = known.as_ref().clone();
        let mut conflicts = Vec::new();
        for (field, new) in &wanted {
            if at(&stored.value, field) == Some(new) {
                continue;
            }
            for (other, theirs) in &stored.managers {
                if other != manager && theirs.iter().any(|owned| overlap(owned, field)) {
                    conflicts.push(FieldConflict {
                        manager: other.clone(),
                        field: format!(".{}", field.join(".")),
                    });
                }
            }
        }
        conflicts.dedup();
        if !conflicts.is_empty() && ownership == Ownership::Respect {
            let words: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
            return Err(Refusal {
                status: 409,
                why: words.join(", "),
                conflicts,
            });
        }
        for (other, theirs) in &mut stored.managers {
            if other != manager {
                theirs.retain(|owned| {
                    let taken = |field: &Field| {
                        overlap(owned, field) && at(&stored.value, field) != wanted.get(field)
                    };
                    !wanted.keys().any(taken)
                });
            }
        }
        let mut value = stored.value.clone();
        let mine = stored.managers.remove(manager).unwrap_or_default();
        for field in mine.iter().filter(|field| !wanted.contains_key(*field)) {
            let shared = stored
                .managers
                .values()
                .flatten()
                .any(|owned| overlap(owned, field));
            if !shared && !wanted.keys().any(|wanted| overlap(wanted, field)) {
                unset(&mut value, field);
            }
        }
        for (field, new) in &wanted {
            set(&mut value, field, new.clone());
        }
        stored
            .managers
            .insert(manager.into(), wanted.into_keys().collect());
        self.put(&place, stored, value)
    }

    /// A change by other means than apply, as `kubectl edit` makes it: `manager` takes over the fields that it changes.
    pub fn edit(
        &mut self,
        place: &ObjectRef,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Refusal> {
        let Some(known) = self.stored.get(place) else {
            return refuse(404, format!("{place} not found"));
        };
        let mut stored = known.as_ref().clone();
        let before = fields(&stored.value);
        let mut value = stored.value.clone();
        change(&mut value);
        let taken: BTreeSet<Field> = fields(&value)
            .into_iter()
            .filter(|(field, new)| before.get(field) != Some(new) && *new != json!({}))
            .map(|(field, _)| field)
            .collect();
        for theirs in stored.managers.values_mut() {
            theirs.retain(|owned| {
                !taken.iter().any(|field| overlap(owned, field)) && at(&value, owned).is_some()
            });
        }
        stored.managers.entry(manager.into()).or_default().extend(taken);
        self.put(place, stored, value)
    }

    fn create(
        &mut self,
        place: &ObjectRef,
        manifest: Value,
        manager: &str,
        wanted: BTreeMap<Field, Value>,
        clock: i64,
        uids: &mut u64,
    ) -> Value {
        *uids += 1;
        let mut value = manifest;
        value["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{uids:012}"));
        value["metadata"]["creationTimestamp"] = json!(clock.to_string());
        if has_generation(&place.kind) {
            value["metadata"]["generation"] = json!(1);
        }
        match place.kind.as_str() {
            "Namespace" => {
                value["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(place.name);
                value["spec"]["finalizers"] = json!(["kubernetes"]);
                value["status"]["phase"] = json!("Active");
            }
            "Service" if value["spec"].get("clusterIP").is_none() => {
                value["spec"]["clusterIP"] = json!(format!("10.96.1.{uids}"));
                value["spec"]["sessionAffinity"] = json!("None");
            }
            _ => {}
        }
        self.revision += 1;
        value["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let running = value
            .pointer("/spec/template")
            .cloned()
            .filter(|_| place.kind == "StatefulSet");
        let managers = BTreeMap::from([(manager.to_owned(), wanted.into_keys().collect())]);
        let stored = Stored {
            value: value.clone(),
            managers,
            done: false,
            running,
        };
        self.stored.insert(place.clone(), Arc::new(stored));
        value
    }

    fn put(&mut self, place: &ObjectRef, mut stored: Stored, mut value: Value) -> Result<Value, Refusal> {
        for name in immutable(&place.kind) {
            if stored.value["spec"].get(*name) != value["spec"].get(*name) {
                return refuse(
                    422,
                    format!("{place} is invalid: spec.{name}: Invalid value: field is immutable"),
                );
            }
        }
        if value != stored.value {
            let outside = |value: &Value| {
                let mut map = value.as_object().cloned().unwrap_or_default();
                map.remove("metadata");
                map.remove("status");
                map
            };
            if has_generation(&place.kind) && outside(&value) != outside(&stored.value) {
                value["metadata"]["generation"] =
                    json!(stored.value["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
            }
            self.revision += 1;
            value["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        stored.value = value.clone();
        self.stored.insert(place.clone(), Arc::new(stored));
        Ok(value)
    }

    /// Deletes an object with this uid; what has finalizers is only marked. True when it is gone.
    pub fn delete(&mut self, place: &ObjectRef, uid: &str, clock: i64) -> Result<bool, Refusal> {
        let Some(stored) = self.stored.get_mut(place) else {
            return Ok(true);
        };
        if stored.value["metadata"]["uid"] != uid {
            return refuse(409, format!("Precondition failed: UID in precondition: {uid}"));
        }
        let finalizers = |value: &Value| {
            value["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
        };
        let inside = |place: &ObjectRef, inner: &ObjectRef| {
            place.kind == "Namespace" && inner.namespace.as_deref() == Some(place.name.as_str())
        };
        Arc::make_mut(stored).value["metadata"]["deletionTimestamp"] = json!(clock.to_string());
        if finalizers(&stored.value) {
            return Ok(false);
        }
        let held = self
            .stored
            .iter()
            .any(|(inner, stored)| inside(place, inner) && finalizers(&stored.value));
        self.stored
            .retain(|inner, stored| !inside(place, inner) || finalizers(&stored.value));
        if held {
            return Ok(false);
        }
        self.stored.remove(place);
        Ok(true)
    }
}
