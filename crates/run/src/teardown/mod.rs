//! What is left of an owner behind its removal: every store is looked at once more, and the answer is a report.
//!
//! A store is one file here and a line in `STORES`. It says what it found of the removed entries (each must be gone), what
//! bears the owner's mark though no entry records it, and what is somebody else's and stays.

mod cluster;
mod databases;
mod edge;
mod host;
mod images;
mod unrecorded;

use std::collections::BTreeSet;

use async_trait::async_trait;
use openg2p_kinds::{Subject, kind};
use openg2p_plan::{Entry, Observed};
use openg2p_ports::{PortError, World};
use serde::{Deserialize, Serialize};

use crate::Selection;

/// What was removed, for the stores to look for.
pub struct Removed<'a> {
    /// What was asked for.
    pub selection: &'a Selection,
    /// The ledger's entries of it, as they were before.
    pub entries: &'a [Entry],
    /// Entries of others, which stay.
    pub others: &'a [Entry],
}

/// Something that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// What, as people name it.
    pub what: String,
    /// Why it is there.
    pub why: String,
}

impl Found {
    /// What the ledger does not know.
    fn unrecorded(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: "no entry of the ledger records it".into(),
        }
    }
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The store.
    pub store: String,
    /// What was looked for and is gone.
    pub gone: Vec<String>,
    /// What is not ours, or not this owner's, and stays.
    pub kept: Vec<Found>,
    /// What should be gone and is not.
    pub left: Vec<Found>,
    /// What could not be looked at.
    pub unknown: Vec<Found>,
}

/// The report of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `openg2p.org/removal/v1`.
    pub api_version: String,
    /// What was removed, in words.
    pub removed: String,
    /// The run that did.
    pub run: String,
    /// One per store.
    pub stores: Vec<Checked>,
}

impl Report {
    /// The format.
    pub const API_VERSION: &'static str = "openg2p.org/removal/v1";

    /// Whether nothing of the owner is left, and every store could be looked at.
    pub fn is_clean(&self) -> bool {
        self.stores
            .iter()
            .all(|store| store.left.is_empty() && store.unknown.is_empty())
    }
}

/// A place where things of an owner can be.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Kinds of resources whose things are in it.
    fn kinds(&self) -> &'static [&'static str];
    /// Looks for what no entry records: what bears the owner's mark, and what is somebody else's in the owner's places.
    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError>;
}

/// All stores.
pub(crate) const STORES: &[&dyn Store] = &[
    &host::Host,
    &edge::NGINX,
    &edge::CERTIFICATES,
    &images::Images,
    &cluster::Kubernetes,
    &databases::Databases,
];

/// Looks at every store.
pub async fn report(world: &World, run: &str, removed: &Removed<'_>) -> Report {
    let mut stores = Vec::with_capacity(STORES.len());
    for store in STORES {
        let mut checked = Checked {
            store: store.name().into(),
            ..Checked::default()
        };
        entries(world, *store, removed, &mut checked).await;
        if let Err(error) = store.search(world, removed, &mut checked).await {
            checked.unknown.push(Found {
                what: store.name().into(),
                why: error.to_string(),
            });
        }
        checked.kept.sort();
        checked.kept.dedup();
        checked.left.sort();
        checked.left.dedup();
        stores.push(checked);
    }
    Report {
        api_version: Report::API_VERSION.into(),
        removed: removed.selection.words(),
        run: run.into(),
        stores,
    }
}

/// Asks each entry's kind whether its thing is still there.
async fn entries(world: &World, store: &dyn Store, removed: &Removed<'_>, checked: &mut Checked) {
    let kept: BTreeSet<_> = removed.others.iter().map(|entry| &entry.resource).collect();
    for name in store.kinds() {
        let Some(kind) = kind(name) else { continue };
        let mine: Vec<&Entry> = removed
            .entries
            .iter()
            .filter(|entry| entry.resource.kind() == *name && !kept.contains(&entry.resource))
            .collect();
        let subjects: Vec<Subject<'_>> = mine
            .iter()
            .map(|entry| Subject {
                desired: &entry.desired,
                entry: Some(entry),
            })
            .collect();
        for (entry, seen) in mine.iter().zip(kind.observe(world, &subjects).await) {
            let what = entry.resource.to_string();
            match seen {
                Observed::Absent => checked.gone.push(what),
                Observed::Unknown(why) => checked.unknown.push(Found { what, why }),
                Observed::Present(seen) => match kind.stays(entry, &seen) {
                    Some(why) => checked.kept.push(Found { what, why }),
                    None => checked.left.push(Found {
                        what,
                        why: "it is still there".into(),
                    }),
                },
            }
        }
    }
}
