//! Looks at the world and asks each kind what would have to be done.

use std::collections::BTreeMap;

use futures::future::join_all;
use openg2p_kinds::{Subject, kind};
use openg2p_plan::{
    Action, Assessed, Entry, EntryState, FieldChange, Ledger, Observed, Resource, Risk, Verdict,
};
use openg2p_ports::World;

/// Desired resources with their assessment, and what the ledger holds beyond them.
pub struct Situation {
    /// Desired resources.
    pub assessed: Vec<Assessed>,
    /// Owned, but no longer desired.
    pub orphans: Vec<(Entry, Observed, Risk, f64)>,
}

/// Observes all `resources`, kind by kind and side by side, and compares.
pub async fn assess(world: &World, resources: Vec<Resource>, ledger: &Ledger) -> Situation {
    let orphans: Vec<Entry> = ledger
        .entries
        .values()
        .filter(|entry| !resources.iter().any(|resource| resource.id == entry.resource))
        .cloned()
        .collect();
    let mut by_kind: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
    for resource in resources {
        by_kind
            .entry(resource.id.kind().to_owned())
            .or_default()
            .push(resource);
    }
    let groups = by_kind.into_iter().map(|(name, group)| async move {
        let Some(kind) = kind(&name) else {
            return group
                .into_iter()
                .map(|resource| {
                    let verdict = Verdict::Unknown(format!("this version has no kind `{name}`"));
                    Assessed {
                        observed: Observed::Unknown(String::new()),
                        resource,
                        verdict,
                        risk: Risk::Harmless,
                        estimate: 0.0,
                    }
                })
                .collect::<Vec<_>>();
        };
        let subjects: Vec<Subject<'_>> = group
            .iter()
            .map(|resource| Subject {
                desired: &resource.desired,
                entry: ledger.entries.get(&resource.id),
            })
            .collect();
        let observed = kind.observe(world, &subjects).await;
        let verdicts: Vec<Verdict> = subjects
            .iter()
            .zip(&observed)
            .map(|(subject, seen)| recorded(*subject, kind.compare(*subject, seen)))
            .collect();
        group
            .into_iter()
            .zip(observed)
            .zip(verdicts)
            .map(|((resource, observed), verdict)| Assessed {
                risk: kind.risk(&resource.desired),
                estimate: kind.estimate(Action::Update, &resource.desired),
                resource,
                observed,
                verdict,
            })
            .collect()
    });
    let assessed = join_all(groups).await.into_iter().flatten().collect();
    Situation {
        assessed,
        orphans: entries_observed(world, orphans).await,
    }
}

/// A run that was cut off behind an effect leaves a thing as it should be and an entry that does not say so. The entry is
/// made good by a step of its own: otherwise it would stay unfinished for ever.
fn recorded(subject: Subject<'_>, verdict: Verdict) -> Verdict {
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
pub async fn entries_observed(world: &World, entries: Vec<Entry>) -> Vec<(Entry, Observed, Risk, f64)> {
    let mut by_kind: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_kind
            .entry(entry.resource.kind().to_owned())
            .or_default()
            .push(entry);
    }
    let groups = by_kind.into_iter().map(|(name, group)| async move {
        let Some(kind) = kind(&name) else {
            return group
                .into_iter()
                .map(|entry| {
                    (
                        entry,
                        Observed::Unknown(format!("no kind `{name}`")),
                        Risk::Harmless,
                        0.0,
                    )
                })
                .collect::<Vec<_>>();
        };
        let subjects: Vec<Subject<'_>> = group
            .iter()
            .map(|entry| Subject {
                desired: &entry.desired,
                entry: Some(entry),
            })
            .collect();
        let observed = kind.observe(world, &subjects).await;
        group
            .into_iter()
            .zip(observed)
            .map(|(entry, observed)| {
                let risk = kind.risk(&entry.desired);
                let estimate = kind.estimate(Action::Remove, &entry.desired);
                (entry, observed, risk, estimate)
            })
            .collect()
    });
    join_all(groups).await.into_iter().flatten().collect()
}
