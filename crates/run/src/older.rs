//! Ledgers of the version before this one: each change was a whole file of its own (`ledger/<generation>`), and the last three were
//! kept. They are read as they are. The first run of this version writes the newest of them as an epoch of its own, which no run
//! made, and removes them; from then on that older version refuses the ledger, for it does not know its format.

use openg2p_plan::{Entry, Fingerprint, Ledger, ResourceId};
use openg2p_ports::State;

use crate::RecordError;
use crate::generations::Epoch;

/// Stands for a run in the epoch that is taken over.
pub(crate) const BEFORE: &str = "before";

/// The generation of such a file; none for any other name.
pub(crate) fn generation(name: &str) -> Option<u64> {
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// The newest whole one of `generations`, oldest first, and what was wrong with newer ones.
pub(crate) async fn read(
    state: &dyn State,
    generations: &[u64],
) -> Result<(Ledger, Vec<String>), RecordError> {
    let mut torn = Vec::new();
    for generation in generations.iter().rev() {
        let path = name(*generation);
        let Some(bytes) = state.read(&path).await? else {
            continue;
        };
        match Ledger::from_bytes(&bytes) {
            Ok(ledger) => return Ok((of_today(ledger), torn)),
            Err(error) => torn.push(format!("{path}: {error}")),
        }
    }
    // The first generation only claimed the site, before any effect: torn and alone, it says that nothing was made yet.
    if torn.is_empty() || generations == [1] {
        Ok((Ledger::default(), torn))
    } else {
        Err(RecordError::Lost(torn.len(), torn.join("; ")))
    }
}

/// Name of a file.
pub(crate) fn name(generation: u64) -> String {
    format!("ledger/{generation:012}")
}

/// The epoch under which a ledger is taken over.
pub(crate) fn epoch(ledger: &Ledger) -> Epoch {
    Epoch {
        generation: ledger.generation,
        run: BEFORE.into(),
    }
}

/// The ledger as this version writes it: what had another id then would be taken for somebody else's.
fn of_today(mut ledger: Ledger) -> Ledger {
    let entries = ledger.entries.values();
    let renamed: Vec<(ResourceId, Entry)> = entries
        .filter_map(|entry| Some((entry.resource.clone(), openg2p_kinds::entry_of_today(entry)?)))
        .collect();
    for (before, today) in renamed {
        for entry in ledger.entries.values_mut() {
            if entry.needs.remove(&before) {
                entry.needs.insert(today.resource.clone());
            }
        }
        ledger.entries.remove(&before);
        ledger.entries.insert(today.resource.clone(), today);
    }
    for entry in ledger.entries.values_mut() {
        entry.fingerprint = Fingerprint::of(&entry.desired).as_str().into();
    }
    ledger
}

/// Whether a journal is one of that version: lines without a chain.
pub(crate) fn is_journal(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
    lines.all(|line| line.is_ok_and(|record| record["record"].is_string() && record.get("chain").is_none()))
}
