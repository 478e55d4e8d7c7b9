//! Looks at the world and asks each kind what would have to be done.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use openg2p_kinds::{Kind, Subject, kind};
use openg2p_plan::{
    Action, Assessed, Entry, EntryState, FieldChange, Ledger, Observed, Owned, Resource, ResourceId, Verdict,
    Weight,
};
use openg2p_ports::World;
use serde_json::Value;

/// Desired resources with their assessment, and what the ledger holds beyond them.
pub struct Situation {
    /// Desired resources.
    pub assessed: Vec<Assessed>,
    /// Owned, but no longer desired.
    pub orphans: Vec<Owned>,
}

/// A thing to look at.
pub(crate) struct Look<'a> {
    pub(crate) id: &'a ResourceId,
    pub(crate) desired: &'a Value,
    pub(crate) entry: Option<&'a Entry>,
}

impl<'a> Look<'a> {
    pub(crate) fn subject(&self) -> Subject<'a> {
        Subject {
            desired: self.desired,
            entry: self.entry,
        }
    }
}

/// What is there of each, in their order: kind by kind and side by side, so that a kind asks the outside once for all.
pub(crate) async fn observed(world: &World, looks: &[Look<'_>]) -> Vec<Observed> {
    let mut by_kind: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, look) in looks.iter().enumerate() {
        by_kind.entry(look.id.kind()).or_default().push(place);
    }
    let groups = by_kind.into_iter().map(|(name, places)| async move {
        let Some(kind) = kind(name) else {
            let unknown = Observed::Unknown(format!("this version has no kind `{name}`"));
            let seen = vec![unknown; places.len()];
            return (places, seen);
        };
        let subjects: Vec<Subject<'_>> = places.iter().map(|place| looks[*place].subject()).collect();
        let seen = kind.observe(world, &subjects).await;
        (places, seen)
    });
    let mut all: Vec<Option<Observed>> = looks.iter().map(|_| None).collect();
    for (places, seen) in join_all(groups).await {
        for (place, seen) in places.into_iter().zip(seen) {
            all[place] = Some(seen);
        }
    }
    all.into_iter()
        .map(|seen| seen.unwrap_or_else(|| Observed::Unknown("its kind said nothing of it".into())))
        .collect()
}

/// Observes all `resources` and compares.
pub async fn assess(world: &World, resources: Vec<Resource>, ledger: &Ledger) -> Situation {
    let wanted: BTreeSet<&ResourceId> = resources.iter().map(|resource| &resource.id).collect();
    let orphans: Vec<Entry> = ledger
        .entries
        .values()
        .filter(|entry| !wanted.contains(&entry.resource))
        .cloned()
        .collect();
    let looks: Vec<Look<'_>> = resources
        .iter()
        .map(|resource| Look {
            id: &resource.id,
            desired: &resource.desired,
            entry: ledger.entries.get(&resource.id),
        })
        .collect();
    let seen = observed(world, &looks).await;
    Situation {
        assessed: compared(resources, seen, ledger),
        orphans: entries_observed(world, orphans).await,
    }
}

/// Desired resources as on a host that has nothing yet: a plan for review, made without any machine.
pub fn assess_fresh(resources: Vec<Resource>) -> Vec<Assessed> {
    let seen = vec![Observed::Absent; resources.len()];
    compared(resources, seen, &Ledger::default())
}

/// Resources with what was seen of them, and what their kinds say of it. Pure.
pub fn compared(resources: Vec<Resource>, seen: Vec<Observed>, ledger: &Ledger) -> Vec<Assessed> {
    // the list of kinds is short, but it is walked for every resource
    let mut kinds: BTreeMap<String, Option<&'static dyn Kind>> = BTreeMap::new();
    resources
        .into_iter()
        .zip(seen)
        .map(|(resource, observed)| {
            let name = resource.id.kind();
            let known = match kinds.get(name) {
                Some(known) => *known,
                None => *kinds.entry(name.to_owned()).or_insert(kind(name)),
            };
            let entry = ledger.entries.get(&resource.id);
            let recorded = entry.is_some_and(|entry| entry.desired == resource.desired);
            let Some(kind) = known else {
                let verdict = Verdict::Unknown(format!("this version has no kind `{name}`"));
                return Assessed {
                    resource,
                    observed,
                    verdict,
                    weight: Weight::default(),
                    claims: Vec::new(),
                    recorded,
                };
            };
            let subject = Subject {
                desired: &resource.desired,
                entry,
            };
            let verdict = finished(subject, kind.compare(subject, &observed));
            let action = verdict.action().unwrap_or(Action::Create);
            Assessed {
                weight: kind.weight(action, &resource.desired),
                claims: kind.claims(&resource.id, &resource.desired),
                resource,
                observed,
                verdict,
                recorded,
            }
        })
        .collect()
}

/// A run that was cut off behind an effect leaves a thing as it should be and an entry that does not say so. The entry is
/// made good by a step of its own: otherwise it would stay unfinished for ever.
fn finished(subject: Subject<'_>, verdict: Verdict) -> Verdict {
    let unfinished = subject
        .entry
        .is_some_and(|entry| entry.state != EntryState::Present);
    if verdict == Verdict::Same && unfinished {
        let change = FieldChange::new("record", Some("not finished"), Some("finished"));
        return Verdict::Update(vec![change]);
    }
    verdict
}

/// Entries of the ledger with what is there of them now.
pub async fn entries_observed(world: &World, entries: Vec<Entry>) -> Vec<Owned> {
    let looks: Vec<Look<'_>> = entries
        .iter()
        .map(|entry| Look {
            id: &entry.resource,
            desired: &entry.desired,
            entry: Some(entry),
        })
        .collect();
    let seen = observed(world, &looks).await;
    entries
        .into_iter()
        .zip(seen)
        .map(|(entry, observed)| Owned {
            weight: kind(entry.resource.kind())
                .map(|kind| kind.weight(Action::Remove, &entry.desired))
                .unwrap_or_default(),
            entry,
            observed,
        })
        .collect()
}
