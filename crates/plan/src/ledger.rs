//! What we own, per owner. The ledger is written before an effect and again behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{Desired, Fingerprint, Owner, ResourceId};

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
}

/// All owned things of a site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The site's name; empty before the first run.
    pub site: String,
    /// Counts writes; a plan made from another generation is refused.
    pub generation: u64,
    /// Entries by resource.
    pub entries: BTreeMap<ResourceId, Entry>,
}

/// Why a ledger cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LedgerError {
    /// Bytes are missing or were altered.
    #[error("ledger::torn: the ledger is cut off or was altered (expected digest {expected}, found {found})")]
    Torn {
        /// As the trailer says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// The digest holds, but the content is not a ledger of this version.
    #[error("ledger::format: the ledger's content is not readable: {0}")]
    Format(String),
}

impl Ledger {
    /// Bytes with a trailer line that holds the SHA-256 of all before it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        let digest = Fingerprint::of_bytes(text.as_bytes());
        text.push_str("sha256 ");
        text.push_str(digest.as_str());
        text.push('\n');
        text.into_bytes()
    }

    /// Reads what [`Ledger::to_bytes`] wrote; any missing or changed byte is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LedgerError> {
        const TRAILER: usize = "sha256 ".len() + 64 + 1;
        let torn = |found: &str| LedgerError::Torn {
            expected: "a trailer".into(),
            found: found.into(),
        };
        let split = bytes
            .len()
            .checked_sub(TRAILER)
            .ok_or_else(|| torn("too short"))?;
        let (body, trailer) = bytes.split_at(split);
        let trailer = std::str::from_utf8(trailer).map_err(|_| torn("not text"))?;
        let expected = trailer
            .strip_prefix("sha256 ")
            .and_then(|rest| rest.strip_suffix('\n'))
            .ok_or_else(|| torn("no trailer"))?;
        let found = Fingerprint::of_bytes(body);
        if found.as_str() != expected {
            return Err(LedgerError::Torn {
                expected: expected.into(),
                found: found.as_str().into(),
            });
        }
        serde_json::from_slice(body).map_err(|error| LedgerError::Format(error.to_string()))
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
        };
        Ledger {
            site: "s".into(),
            generation: 3,
            entries: BTreeMap::from([(resource, entry)]),
        }
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
