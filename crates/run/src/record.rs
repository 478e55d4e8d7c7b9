//! Journal and ledger on the lead node.
//!
//! `ledger/<generation>` holds the last generations; a torn one is passed over for the one before it. `journal/<run>`
//! holds what the run intended, did and saw, one JSON line each.

use std::collections::BTreeMap;
use std::sync::Arc;

use openg2p_plan::{Entry, EntryState, Ledger, Owner, ResourceId, Step};
use openg2p_ports::{PortError, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::Mutex;

/// How many generations of the ledger are kept.
const KEPT: usize = 3;

/// Why the records cannot be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] PortError),
    /// No generation of the ledger is whole.
    #[error("ledger::lost: none of the {0} generations of the ledger is whole: {1}")]
    Lost(usize, String),
    /// The ledger is another site's.
    #[error("ledger::other-site: this host belongs to site `{0}`, the site file says `{1}`")]
    OtherSite(String, String),
}

/// Who runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunInfo {
    /// Sortable id, e.g. `20261123T220455-4f1c`.
    pub id: String,
    /// `apply`, `destroy`.
    pub command: String,
}

/// Ledger and journal of one run.
pub struct Memory {
    state: Arc<dyn State>,
    run: RunInfo,
    inner: Mutex<Ledger>,
}

fn name(generation: u64) -> String {
    format!("ledger/{generation:012}")
}

impl Memory {
    /// Opens the newest whole generation. Says which ones were torn.
    pub async fn open(state: Arc<dyn State>, run: RunInfo) -> Result<(Self, Vec<String>), RecordError> {
        let (ledger, torn) = Self::read(state.as_ref()).await?;
        Ok((
            Self {
                state,
                run,
                inner: Mutex::new(ledger),
            },
            torn,
        ))
    }

    /// The newest whole generation, and what was wrong with newer ones. An empty ledger where there never was one.
    pub async fn read(state: &dyn State) -> Result<(Ledger, Vec<String>), RecordError> {
        let mut names = state.list("ledger").await?;
        names.sort();
        names.reverse();
        let mut torn = Vec::new();
        for name in &names {
            let path = format!("ledger/{name}");
            let Some(bytes) = state.read(&path).await? else {
                continue;
            };
            match Ledger::from_bytes(&bytes) {
                Ok(ledger) => return Ok((ledger, torn)),
                Err(error) => torn.push(format!("{path}: {error}")),
            }
        }
        // The first generation only claims the site, before any effect: torn and alone, it says that nothing was made yet.
        let only_claimed = names.len() == 1
            && names
                .first()
                .is_some_and(|first| format!("ledger/{first}") == name(1));
        if torn.is_empty() || only_claimed {
            Ok((Ledger::default(), torn))
        } else {
            Err(RecordError::Lost(names.len(), torn.join("; ")))
        }
    }

    /// The ledger as it is now.
    pub async fn ledger(&self) -> Ledger {
        self.inner.lock().await.clone()
    }

    /// Claims the ledger for `site`.
    pub async fn claim(&self, site: &str) -> Result<(), RecordError> {
        let mut ledger = self.inner.lock().await;
        if ledger.site == site {
            return Ok(());
        }
        if !ledger.site.is_empty() {
            return Err(RecordError::OtherSite(ledger.site.clone(), site.into()));
        }
        site.clone_into(&mut ledger.site);
        self.save(&mut ledger).await?;
        Ok(())
    }

    /// One line in the journal, on disk when this returns.
    pub async fn journal(&self, what: &str, mut value: Value) -> Result<(), PortError> {
        value["record"] = json!(what);
        let line = format!("{value}\n");
        self.state
            .append(&format!("journal/{}", self.run.id), line.as_bytes())
            .await
    }

    /// Written before the effect of a creation or change.
    pub async fn intend(&self, step: &Step, details: &Value) -> Result<(), PortError> {
        self.journal(
            "intent",
            json!({"step": step.number, "resource": step.resource, "action": step.action}),
        )
        .await?;
        let mut ledger = self.inner.lock().await;
        let before = ledger.entries.get(&step.resource);
        let created_by = before.map_or(self.run.id.clone(), |entry| entry.created_by.clone());
        let entry = Entry {
            resource: step.resource.clone(),
            owner: step.owner.clone(),
            part: step.part.clone(),
            // a thing that was there stays known as there, so that a failed change of it is not taken for a
            // creation that never finished; its former inputs stay recorded until the change is seen
            state: EntryState::Intended,
            desired: step.desired.clone(),
            details: details.clone(),
            needs: step.resource_needs.iter().cloned().collect(),
            created_by,
            changed_by: self.run.id.clone(),
        };
        ledger.entries.insert(step.resource.clone(), entry);
        self.save(&mut ledger).await
    }

    /// Written behind the effect.
    pub async fn present(&self, resource: &ResourceId, details: Value) -> Result<(), PortError> {
        let mut ledger = self.inner.lock().await;
        if let Some(entry) = ledger.entries.get_mut(resource) {
            entry.state = EntryState::Present;
            entry.details = details;
        }
        self.save(&mut ledger).await?;
        drop(ledger);
        self.journal("present", json!({"resource": resource})).await
    }

    /// Written before a removal.
    pub async fn removing(&self, resource: &ResourceId) -> Result<Option<Entry>, PortError> {
        self.journal("removing", json!({"resource": resource})).await?;
        let mut ledger = self.inner.lock().await;
        let Some(entry) = ledger.entries.get_mut(resource) else {
            return Ok(None);
        };
        entry.state = EntryState::Removing;
        let entry = entry.clone();
        self.save(&mut ledger).await?;
        Ok(Some(entry))
    }

    /// Written behind a removal.
    pub async fn removed(&self, resource: &ResourceId) -> Result<(), PortError> {
        let mut ledger = self.inner.lock().await;
        ledger.entries.remove(resource);
        self.save(&mut ledger).await?;
        drop(ledger);
        self.journal("removed", json!({"resource": resource})).await
    }

    /// One entry.
    pub async fn entry(&self, resource: &ResourceId) -> Option<Entry> {
        self.inner.lock().await.entries.get(resource).cloned()
    }

    /// Entries of these owners, or all.
    pub async fn entries(&self, owners: Option<&[Owner]>) -> BTreeMap<ResourceId, Entry> {
        let ledger = self.inner.lock().await;
        ledger
            .entries
            .iter()
            .filter(|(_, entry)| owners.is_none_or(|owners| owners.contains(&entry.owner)))
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect()
    }

    async fn save(&self, ledger: &mut Ledger) -> Result<(), PortError> {
        ledger.generation += 1;
        self.state
            .replace(&name(ledger.generation), &ledger.to_bytes())
            .await?;
        let old = ledger.generation.saturating_sub(KEPT as u64);
        self.state.remove(&name(old)).await
    }
}
