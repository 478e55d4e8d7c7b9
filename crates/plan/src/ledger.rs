//! What we own, per owner. The ledger is written before an effect and again behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::sealed::{Torn, seal, unseal};
use crate::{Desired, Owner, ResourceId};

/// How far a resource has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// Written before the first effect: the thing may be there, wholly or in part, and is ours if it is.
    Intended,
    /// The effect was seen.
    Present,
    /// Written before removal.
    Removing,
}

/// One owned thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is.
    pub resource: ResourceId,
    /// Who holds it.
    pub owner: Owner,
    /// Component or part of the site.
    pub part: String,
    /// How far it has come.
    pub state: EntryState,
    /// The desired state at the last change.
    pub desired: Desired,
    /// What the kind wants to remember for comparison and removal, e.g. which packages were not there before.
    pub details: Value,
    /// What it needs; removal goes the other way round.
    pub needs: BTreeSet<ResourceId>,
    /// The run that made it.
    pub created_by: String,
    /// The run that changed it last.
    pub changed_by: String,
    /// Fingerprint of `desired`; empty in ledgers of older versions.
    #[serde(default)]
    pub fingerprint: String,
    /// When it was made, in seconds since 1970; 0 where that is not known.
    #[serde(default)]
    pub created_at: i64,
    /// When it was changed last, likewise.
    #[serde(default)]
    pub changed_at: i64,
}

/// One change of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerChange {
    /// The ledger belongs to this site from now on.
    Site(String),
    /// This entry, new or anew.
    Set(Box<Entry>),
    /// No entry of this resource any more.
    Remove(ResourceId),
}

/// All owned things of a site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The site's name; empty before the first run.
    pub site: String,
    /// Counts writes; a plan made from another generation is refused.
    pub generation: u64,
    /// Entries by resource. Stored as `owned`: the version before reads `entries`, knows nothing of the log behind this file, and
    /// must not take it for the newest state.
    #[serde(rename = "owned", alias = "entries")]
    pub entries: BTreeMap<ResourceId, Entry>,
}

/// Why a ledger cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LedgerError {
    /// Bytes are missing or were altered.
    #[error("ledger::torn: {0}")]
    Torn(#[from] Torn),
    /// The digest holds, but the content is not a ledger of this version.
    #[error("ledger::format: the ledger's content is not readable: {0}")]
    Format(String),
}

impl Ledger {
    /// The whole ledger, sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(&serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// Reads what [`Ledger::to_bytes`] wrote; any missing or changed byte is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LedgerError> {
        serde_json::from_slice(unseal(bytes)?).map_err(|error| LedgerError::Format(error.to_string()))
    }

    /// Makes one change, which is the next generation.
    pub fn apply(&mut self, change: LedgerChange) {
        self.generation += 1;
        match change {
            LedgerChange::Site(site) => self.site = site,
            LedgerChange::Set(entry) => {
                self.entries.insert(entry.resource.clone(), *entry);
            }
            LedgerChange::Remove(resource) => {
                self.entries.remove(&resource);
            }
        }
    }

    /// Entries of one owner.
    pub fn of_owner<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Entry> {
        self.entries.values().filter(move |entry| &entry.owner == owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Ledger {
        let resource = ResourceId::new("host-file", "box1:/etc/x");
        let entry = Entry {
            resource: resource.clone(),
            owner: Owner::Environment("dev".into()),
            part: "spar".into(),
            state: EntryState::Present,
            desired: json!({"path": "/etc/x"}),
            details: Value::Null,
            needs: BTreeSet::new(),
            created_by: "r1".into(),
            changed_by: "r1".into(),
            fingerprint: String::new(),
            created_at: 0,
            changed_at: 0,
        };
        Ledger {
            site: "s".into(),
            generation: 3,
            entries: BTreeMap::from([(resource, entry)]),
        }
    }

    #[test]
    fn each_change_is_made_and_is_the_next_generation() {
        let mut ledger = sample();
        let (resource, entry) = ledger.entries.pop_first().unwrap();
        ledger.apply(LedgerChange::Site("other".into()));
        assert_eq!((ledger.site.as_str(), ledger.generation), ("other", 4));
        ledger.apply(LedgerChange::Set(Box::new(entry.clone())));
        assert_eq!((&ledger.entries[&resource], ledger.generation), (&entry, 5));
        let changed = Entry {
            part: "other".into(),
            ..entry
        };
        ledger.apply(LedgerChange::Set(Box::new(changed.clone())));
        assert_eq!(ledger.entries, BTreeMap::from([(resource.clone(), changed)]));
        ledger.apply(LedgerChange::Remove(resource));
        assert_eq!((ledger.entries.len(), ledger.generation), (0, 7));
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_detected() {
        let bytes = sample().to_bytes();
        assert_eq!(Ledger::from_bytes(&bytes).unwrap(), sample());
        for length in 0..bytes.len() {
            assert!(
                Ledger::from_bytes(&bytes[..length]).is_err(),
                "truncated to {length}"
            );
        }
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[position] ^= 1 << bit;
                assert!(Ledger::from_bytes(&altered).is_err(), "byte {position} bit {bit}");
            }
        }
    }
}
