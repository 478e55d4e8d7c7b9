//! Who may write. The kernel's lock keeps two runs apart; the fence is for what a lock cannot stop: a run that lost it without
//! noticing, because somebody removed the lock's file, and that writes late. The file `fence` names the run that took over last. Every
//! write of the ledger, and so every effect, looks there first; a run that is no longer named writes nothing any more. What it
//! wrote before stands in files of its own name, which the later run does not read as newer.

use openg2p_plan::{seal, unseal};
use openg2p_ports::{PortError, State};
use serde::{Deserialize, Serialize};

const NAME: &str = "fence";

/// The run that holds the fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Its id.
    pub run: String,
    /// Who started it, e.g. `asha@laptop`.
    pub by: String,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Its process.
    pub process: u32,
    /// When that process began, in ticks since the machine started; a number that no other process of this id has.
    pub started: u64,
    /// Id of the machine's start.
    pub boot: String,
}

fn failed(why: String) -> PortError {
    PortError::new("run::fence", "read who may write", NAME, why)
}

/// Who holds it; none where nobody ever did.
pub async fn holder(state: &dyn State) -> Result<Option<Holder>, PortError> {
    let Some(bytes) = state.read(NAME).await? else {
        return Ok(None);
    };
    let body = unseal(&bytes).map_err(|torn| failed(torn.to_string()))?;
    serde_json::from_slice(body)
        .map(Some)
        .map_err(|error| failed(error.to_string()))
}

/// Takes it for a run. The caller holds the lock and has made sure that the holder before is gone.
pub async fn take(state: &dyn State, holder: &Holder) -> Result<(), PortError> {
    let text = serde_json::to_string(holder).map_err(|error| failed(error.to_string()))?;
    state.replace(NAME, &seal(&text)).await
}

/// Refuses when another run has taken over.
pub(crate) async fn holds(state: &dyn State, run: &str) -> Result<(), PortError> {
    match holder(state).await? {
        Some(holder) if holder.run == run => Ok(()),
        other => {
            let why = match other {
                Some(holder) => format!("run {} of {} has taken over", holder.run, holder.by),
                None => "the record of who may write is gone".to_owned(),
            };
            Err(
                PortError::new("run::fenced", format!("write for run {run}"), NAME, why)
                    .hint("nothing was changed; watch the other run with `openg2p attach`"),
            )
        }
    }
}
