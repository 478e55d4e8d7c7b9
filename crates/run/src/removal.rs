//! What a removal takes, and in which order: from the ledger and the world, never from names.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_kinds::{foreign, kind};
use openg2p_plan::{Entry, Ledger, Owner, ResourceId};
use openg2p_ports::{ObjectRef, PortError, World};
use serde::{Deserialize, Serialize};

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// All that the ledger holds.
    Site,
    /// An environment, by its id.
    Environment(String),
    /// Modules of an environment, by its id and their names.
    Modules(String, BTreeSet<String>),
}

impl Selection {
    /// Whether an entry is part of it.
    pub fn holds(&self, entry: &Entry) -> bool {
        match self {
            Self::Site => true,
            Self::Environment(id) => entry.owner == Owner::Environment(id.clone()),
            Self::Modules(id, names) => {
                entry.owner == Owner::Environment(id.clone()) && names.contains(&entry.part)
            }
        }
    }

    /// The environment's id where one environment is meant.
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Site => None,
            Self::Environment(id) | Self::Modules(id, _) => Some(id),
        }
    }

    /// The ledger's entries that are part of it, and all others.
    pub fn split(&self, ledger: &Ledger) -> (Vec<Entry>, Vec<Entry>) {
        ledger
            .entries
            .values()
            .cloned()
            .partition(|entry| self.holds(entry))
    }

    /// In words: `the site`, `environment dev`, `spar of environment dev`.
    pub fn words(&self) -> String {
        match self {
            Self::Site => "the site".into(),
            Self::Environment(id) => format!("environment {id}"),
            Self::Modules(id, names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("{} of environment {id}", names.join(", "))
            }
        }
    }

    /// Whose things they are, for the plan.
    pub fn owners(&self) -> Vec<Owner> {
        let environment = self.environment();
        vec![environment.map_or(Owner::Site, |id| Owner::Environment(id.into()))]
    }
}

/// Modules that stay and cannot work without one that goes: pairs of the one that needs and the one that is needed. `needs` says what each
/// component of the catalogue needs.
pub fn still_needed(
    ledger: &Ledger,
    selection: &Selection,
    needs: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<(String, String)> {
    let Selection::Modules(id, names) = selection else {
        return Vec::new();
    };
    let owner = Owner::Environment(id.clone());
    let staying: BTreeSet<&str> = ledger
        .of_owner(&owner)
        .map(|entry| entry.part.as_str())
        .filter(|part| !names.contains(*part))
        .collect();
    staying
        .into_iter()
        .flat_map(|part| {
            let needed = needs.get(part).into_iter().flatten();
            needed
                .filter(|need| names.contains(*need))
                .map(move |need| (part.to_owned(), need.clone()))
        })
        .collect()
}

/// Namespaces of Kubernetes itself. What a person puts there is not looked for.
const OF_KUBERNETES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What somebody else keeps in the cluster and would lose with it, such as `namespace monitoring`, sorted; nothing where the cluster stays
/// or is gone.
pub async fn lost_with_cluster(
    world: &World,
    ledger: &Ledger,
    selection: &Selection,
) -> Result<Vec<String>, PortError> {
    let goes = |entry: &Entry| entry.resource.kind() == "kubernetes-cluster" && selection.holds(entry);
    if !ledger.entries.values().any(goes) || world.cluster.reachable().await?.is_none() {
        return Ok(Vec::new());
    }
    let ours: BTreeSet<&str> = ledger
        .entries
        .values()
        .map(|entry| &entry.desired["manifest"])
        .filter(|manifest| manifest["kind"] == "Namespace")
        .filter_map(|manifest| manifest["metadata"]["name"].as_str())
        .collect();
    let mut lost = Vec::new();
    for namespace in world.cluster.list("v1", "Namespace", None, None).await? {
        let name = namespace.metadata("name").unwrap_or_default();
        if ours.contains(name) || name == "default" {
            // the service of the API itself is in that one
            let theirs = foreign(world, name).await?.into_iter();
            let theirs = theirs.filter(|what| !(name == "default" && what == "Service kubernetes"));
            lost.extend(theirs.map(|what| format!("{what} in namespace {name}")));
        } else if !OF_KUBERNETES.contains(&name) {
            lost.push(format!("namespace {name}"));
        }
    }
    lost.sort();
    Ok(lost)
}

/// The entries of a selection, with needs that give the order of removal. What lives inside another thing that goes too (a database
/// in its server) goes behind it, for it is gone with it then; what something uses to its end goes behind that.
pub fn selected(ledger: &Ledger, selection: &Selection) -> Vec<Entry> {
    let (held, _) = selection.split(ledger);
    let mut entries: BTreeMap<ResourceId, Entry> = held
        .into_iter()
        .map(|entry| (entry.resource.clone(), entry))
        .collect();
    let objects: BTreeMap<ObjectRef, ResourceId> = entries
        .values()
        .filter_map(|entry| {
            let object = ObjectRef::of(entry.desired.get("manifest")?)?;
            Some((object, entry.resource.clone()))
        })
        .collect();
    let inside: Vec<(ResourceId, ResourceId)> = entries
        .values()
        .filter_map(|entry| {
            let holder = kind(entry.resource.kind())?.inside(&entry.desired)?;
            Some((entry.resource.clone(), objects.get(&holder)?.clone()))
        })
        .collect();
    for (inner, holder) in inside {
        if let Some(entry) = entries.get_mut(&inner) {
            entry.needs.remove(&holder);
        }
        if let Some(entry) = entries.get_mut(&holder) {
            entry.needs.insert(inner);
        }
    }
    after_their_users(&mut entries);
    entries.into_values().collect()
}

/// What provisions volumes goes behind the namespaces that may have claimed some: nothing else removes the data of a claim that is gone.
/// Folders go behind the cluster, for what runs in it writes into them until it is gone.
fn after_their_users(entries: &mut BTreeMap<ResourceId, Entry>) {
    let part = |entry: &Entry| (entry.owner.clone(), entry.part.clone());
    let is = |entry: &Entry, wanted: &str| entry.desired["manifest"]["kind"] == wanted;
    let storage: BTreeSet<_> = entries
        .values()
        .filter(|entry| is(entry, "StorageClass"))
        .map(part)
        .collect();
    let provisioners: Vec<ResourceId> = entries
        .values()
        .filter(|entry| storage.contains(&part(entry)))
        .map(|entry| entry.resource.clone())
        .collect();
    let folders: Vec<ResourceId> = entries
        .keys()
        .filter(|id| id.kind() == "host-directory")
        .cloned()
        .collect();
    for entry in entries.values_mut() {
        if entry.resource.kind() == "kubernetes-cluster" {
            entry.needs.extend(folders.iter().cloned());
        }
        if is(entry, "Namespace") && !storage.contains(&part(entry)) {
            entry.needs.extend(provisioners.iter().cloned());
        }
    }
}
