//! Journal and ledger on the lead node.
//!
//! The ledger is written before an effect and behind it, see [`crate::generations`]. `journal/<run>` holds what the run saw
//! (observation), was about to do (intent), did (effect) and how each step ended (result), one chained line each, on disk before the
//! run goes on. No run decides by the journal: what was cut off is looked at anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openg2p_plan::{
    Action, Entry, EntryState, Fingerprint, Ledger, LedgerChange, Observed, Owner, ResourceId, Step,
};
use openg2p_ports::{PortError, State, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::generations::{self, Read, journal_name};
use crate::writer::Writer;
use crate::{copy, older};

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

/// What the records need of a step.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// Its number in the plan.
    pub number: usize,
    /// What is changed.
    pub resource: &'a ResourceId,
    /// Who holds it.
    pub owner: &'a Owner,
    /// Component or part of the site.
    pub part: &'a str,
    /// What is done.
    pub action: Action,
    /// The state that it leaves.
    pub desired: &'a Value,
    /// Resources that it needs.
    pub needs: &'a [ResourceId],
}

impl<'a> Intent<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            number: step.number,
            resource: &step.resource,
            owner: &step.owner,
            part: &step.part,
            action: step.action,
            desired: &step.desired,
            needs: &step.resource_needs,
        }
    }
}

/// Gives the time, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Ledger and journal of one run.
pub struct Memory {
    run: RunInfo,
    clock: Clock,
    writer: Writer,
}

impl Memory {
    /// Opens the newest state of the ledger. Says what was damaged, and which steps the run before left open. Writes nothing.
    pub async fn open(state: Arc<dyn State>, run: RunInfo) -> Result<(Self, Vec<String>), RecordError> {
        let read = generations::read(state.as_ref()).await?;
        Self::with(state, run, read).await
    }

    /// The same; when the ledger on this node is gone or lost, with its copy in the cluster, which is told.
    pub async fn open_or_copy(
        world: &World,
        state: Arc<dyn State>,
        run: RunInfo,
    ) -> Result<(Self, Vec<String>), RecordError> {
        let read = copy::newest(world, state.as_ref()).await?;
        Self::with(state, run, read).await
    }

    async fn with(
        state: Arc<dyn State>,
        run: RunInfo,
        mut read: Read,
    ) -> Result<(Self, Vec<String>), RecordError> {
        let mut warnings = std::mem::take(&mut read.warnings);
        if let Some(last) = read.epochs.last().filter(|epoch| epoch.run != older::BEFORE) {
            warnings.extend(left_open(state.as_ref(), &last.run).await?);
        }
        let mut part = 0;
        let journals = state.list("journal").await?;
        while journals.contains(&journal_name(&run.id, part).replacen("journal/", "", 1)) {
            part += 1;
        }
        let memory = Self {
            writer: Writer::new(state, &run.id, read, part),
            run,
            clock: Arc::new(|| 0),
        };
        Ok((memory, warnings))
    }

    /// The same with a clock, so that entries tell when.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same behind the fence: every write first makes sure that no later run has taken over, see [`crate::fence`].
    #[must_use]
    pub fn behind_fence(mut self) -> Self {
        self.writer.fence();
        self
    }

    /// The newest state of the ledger, and what was damaged. An empty one where there never was one.
    pub async fn read(state: &dyn State) -> Result<(Ledger, Vec<String>), RecordError> {
        let read = generations::read(state).await?;
        Ok((read.ledger, read.warnings))
    }

    /// The same; when the ledger on this node is gone or lost, its copy in the cluster.
    pub async fn read_or_copy(
        world: &World,
        state: &dyn State,
    ) -> Result<(Ledger, Vec<String>), RecordError> {
        let read = copy::newest(world, state).await?;
        Ok((read.ledger, read.warnings))
    }

    /// Copies the ledger into the cluster, see [`crate::copy`]. A run that another one took over copies nothing.
    pub async fn replicate(&self, world: &World) -> Result<bool, PortError> {
        self.writer.holds().await?;
        copy::replicate(world, &self.ledger()).await
    }

    /// Reads every file of the records, also those that no run needs, and tells all that is damaged.
    pub async fn audit(state: &dyn State) -> Result<Vec<String>, RecordError> {
        generations::audit(state).await
    }

    /// Who runs.
    pub fn run(&self) -> &RunInfo {
        &self.run
    }

    /// Where the records are.
    pub(crate) fn state(&self) -> &dyn State {
        self.writer.state()
    }

    /// The ledger as it is now.
    pub fn ledger(&self) -> Ledger {
        self.writer.ledger().clone()
    }

    /// Claims the ledger for `site`.
    pub async fn claim(&self, site: &str) -> Result<(), RecordError> {
        let holder = self.writer.ledger().site.clone();
        if holder == site {
            return Ok(());
        }
        if !holder.is_empty() {
            return Err(RecordError::OtherSite(holder, site.into()));
        }
        let change = LedgerChange::Site(site.into());
        let record = json!({"record": "claim", "site": site});
        self.writer.write(Some(change), record).await?;
        Ok(())
    }

    /// What a step saw before it decided. It is on disk before anything that the step writes next.
    pub fn observed(&self, step: &Step, seen: &Observed) {
        self.writer.note(json!({"record": "observation", "step": step.number, "resource": step.resource, "seen": seen.fingerprint()}));
    }

    /// How a step ended that did not do what it was to do.
    pub async fn failed(&self, step: &Step, code: &str, why: &str) -> Result<(), PortError> {
        let record = json!({"record": "result", "step": step.number, "resource": step.resource, "outcome": "failed", "code": code, "why": why});
        self.writer.write(None, record).await
    }

    /// The last line of a journal: the run ended by itself.
    pub async fn close(&self, outcome: &str) -> Result<(), PortError> {
        let record = json!({"record": "end", "outcome": outcome, "ledger": self.writer.ledger().generation});
        self.writer.write(None, record).await
    }

    /// Written before the effect of a creation or change.
    pub async fn intend(&self, step: &Step, details: &Value) -> Result<(), PortError> {
        self.intend_as(&Intent::of(step), details).await
    }

    /// Written before the effect of a creation or change, for what is no step of a plan.
    pub async fn intend_as(&self, step: &Intent<'_>, details: &Value) -> Result<(), PortError> {
        let now = (self.clock)();
        let before = self.entry(step.resource);
        let (created_by, created_at) = before.map_or((self.run.id.clone(), now), |entry| {
            (entry.created_by, entry.created_at)
        });
        let entry = Entry {
            resource: step.resource.clone(),
            owner: step.owner.clone(),
            part: step.part.into(),
            // a thing that was there stays known as there, so that a failed change of it is not taken for a
            // creation that never finished; its former inputs stay recorded until the change is seen
            state: EntryState::Intended,
            desired: step.desired.clone(),
            details: details.clone(),
            needs: step.needs.iter().cloned().collect(),
            created_by,
            changed_by: self.run.id.clone(),
            fingerprint: Fingerprint::of(step.desired).as_str().into(),
            created_at,
            changed_at: now,
        };
        let record = json!({"record": "intent", "step": step.number, "resource": step.resource, "action": step.action});
        self.set(entry, record).await
    }

    /// Written behind the effect.
    pub async fn present(&self, resource: &ResourceId, details: Value) -> Result<(), PortError> {
        let Some(mut entry) = self.entry(resource) else {
            return Ok(());
        };
        entry.state = EntryState::Present;
        entry.details = details;
        entry.changed_at = (self.clock)();
        let record = json!({"record": "effect", "resource": resource, "outcome": "done"});
        self.set(entry, record).await
    }

    /// Written before a removal.
    pub async fn removing(&self, resource: &ResourceId) -> Result<Option<Entry>, PortError> {
        let Some(mut entry) = self.entry(resource) else {
            return Ok(None);
        };
        entry.state = EntryState::Removing;
        let record = json!({"record": "intent", "resource": resource, "action": "remove"});
        self.set(entry.clone(), record).await?;
        Ok(Some(entry))
    }

    /// Written behind a removal.
    pub async fn removed(&self, resource: &ResourceId) -> Result<(), PortError> {
        let record = json!({"record": "effect", "resource": resource, "outcome": "removed"});
        let change = LedgerChange::Remove(resource.clone());
        self.writer.write(Some(change), record).await
    }

    /// One entry.
    pub fn entry(&self, resource: &ResourceId) -> Option<Entry> {
        self.writer.ledger().entries.get(resource).cloned()
    }

    /// Entries of these owners, or all.
    pub fn entries(&self, owners: Option<&[Owner]>) -> BTreeMap<ResourceId, Entry> {
        self.writer
            .ledger()
            .entries
            .iter()
            .filter(|(_, entry)| owners.is_none_or(|owners| owners.contains(&entry.owner)))
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect()
    }

    async fn set(&self, entry: Entry, record: Value) -> Result<(), PortError> {
        let change = LedgerChange::Set(Box::new(entry));
        self.writer.write(Some(change), record).await
    }
}

/// Steps that the journal of a run begins and does not end, when the run did not end by itself.
async fn left_open(state: &dyn State, run: &str) -> Result<Vec<String>, RecordError> {
    let (records, _) = generations::read_journal(state, run).await?;
    let mut open: BTreeSet<String> = BTreeSet::new();
    for record in &records {
        let resource = record["resource"].as_str().unwrap_or_default().to_owned();
        match record["record"].as_str() {
            Some("end") => return Ok(Vec::new()),
            Some("intent") => {
                open.insert(resource);
            }
            Some("effect" | "result") => {
                open.remove(&resource);
            }
            _ => {}
        }
    }
    let open: Vec<String> = open.into_iter().collect();
    Ok(vec![if open.is_empty() {
        format!(
            "run {run} left no last word: it was killed, or its journal lost lines; no step of it is open"
        )
    } else {
        format!(
            "run {run} was cut off while it worked at {}; what is there is looked at anew",
            open.join(", ")
        )
    }])
}
