//! Debian packages on a host, from the bundle, at exact versions.
//!
//! Desired: `packages`, a list of `{name, version}` wanted for themselves, and `leftovers`, files that their purge is known to leave behind. The ledger remembers which packages were
//! not there before, dependencies included; only those are removed again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Risk, Verdict};
use openg2p_ports::{PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct HostPackages;

fn wanted(desired: &Value) -> Vec<(String, String)> {
    desired["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|package| {
            (
                text(package, "name").to_owned(),
                text(package, "version").to_owned(),
            )
        })
        .collect()
}

#[async_trait]
impl Kind for HostPackages {
    fn name(&self) -> &'static str {
        "host-packages"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let names: Vec<String> = wanted(subject.desired)
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            seen.push(match world.host.packages(&names).await {
                Ok(installed) if installed.is_empty() => Observed::Absent,
                Ok(installed) => Observed::Present(json!(installed)),
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let installed: BTreeMap<String, String> = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(installed) => serde_json::from_value(installed.clone()).unwrap_or_default(),
        };
        // A package that was there before at another version stays as it is: the host's own updates are not ours
        // to undo. What is missing is installed.
        let missing: Vec<FieldChange> = wanted(subject.desired)
            .into_iter()
            .filter(|(name, _)| !installed.contains_key(name))
            .map(|(name, version)| FieldChange::new(&name, None, Some(&version)))
            .collect();
        let unfinished = subject
            .entry
            .is_some_and(|entry| entry.state == openg2p_plan::EntryState::Intended);
        if missing.is_empty() && !unfinished {
            Verdict::Same
        } else {
            Verdict::Update(missing)
        }
    }

    fn risk(&self, _action: Action, _desired: &Value) -> Risk {
        Risk::Restart
    }

    fn estimate(&self, _action: Action, _desired: &Value) -> f64 {
        20.0
    }

    async fn intend(&self, world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        let mut ours: Vec<String> = match subject.entry {
            Some(entry) => serde_json::from_value(entry.details["installed"].clone()).unwrap_or_default(),
            None => Vec::new(),
        };
        ours.extend(world.host.simulate_packages(&wanted(subject.desired)).await?);
        ours.sort();
        ours.dedup();
        Ok(json!({ "installed": ours }))
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        wanted(desired)
            .into_iter()
            .map(|(name, _)| format!("{} package {name}", crate::node(id)))
            .collect()
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        progress("installing Debian packages from the bundle");
        world.host.install_packages(&wanted(subject.desired)).await?;
        Ok(details)
    }

    fn stays(&self, entry: &Entry, seen: &Value) -> Option<String> {
        let ours: Vec<String> =
            serde_json::from_value(entry.details["installed"].clone()).unwrap_or_default();
        let left = ours.iter().any(|name| seen.get(name).is_some());
        (!left).then(|| "these packages were there before".into())
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        let ours: Vec<String> =
            serde_json::from_value(entry.details["installed"].clone()).unwrap_or_default();
        if ours.is_empty() {
            return Ok(());
        }
        progress("removing the Debian packages that this site brought");
        // also those that are not installed any more: a removal that was cut off leaves their configuration
        world.host.purge_packages(&ours).await?;
        for path in entry.desired["leftovers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            world.host.remove(path).await?;
        }
        Ok(())
    }
}
