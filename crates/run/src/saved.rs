//! A copy of the ledger that a person keeps with the site's backups, for the day on which the host's own files and the cluster are both
//! gone. It is the sealed ledger, packed by gzip. Put back, it lies beside the ledger's own files and counts as a copy like the one in
//! the cluster ([`crate::copy`]), until a run has written a ledger of its own behind it.

use openg2p_plan::Ledger;
use openg2p_ports::{PortError, State};

use crate::{RecordError, copy, generations};

/// Where it lies once it was put back. No name of a ledger's own file is like it.
pub(crate) const PUT_BACK: &str = "ledger/put-back";

/// The bytes to keep.
pub fn pack(ledger: &Ledger) -> Result<Vec<u8>, PortError> {
    copy::pack(ledger).map_err(|error| {
        PortError::new(
            "ledger::pack",
            "pack the ledger",
            ledger.site.clone(),
            error.to_string(),
        )
    })
}

/// The ledger of such bytes; none when one of them is missing or was changed.
pub fn unpack(bytes: &[u8]) -> Option<Ledger> {
    copy::unpack(bytes)
}

fn refused(code: &'static str, why: String) -> PortError {
    PortError::new(code, "put the ledger back", "this host", why)
}

/// Puts `ledger` back, for the next run to go on from it.
///
/// Errors: `ledger::not-lost` when this host can read its own; `ledger::older` when what is left here speaks of a later state, for then
/// things may stand there that `ledger` does not know. Nothing is changed by either.
pub async fn put_back(state: &dyn State, ledger: &Ledger) -> Result<(), RecordError> {
    match generations::read(state).await {
        Ok(read) if read.is_new() => {}
        Ok(read) => {
            let why = format!("this host has its own, of generation {}", read.ledger.generation);
            return Err(refused("ledger::not-lost", why)
                .hint(
                    "to go on from the kept one all the same, move /var/lib/openg2p/state/ledger aside first",
                )
                .into());
        }
        Err(RecordError::Lost(..)) => {}
        Err(other) => return Err(other),
    }
    let known = generations::known(state).await?;
    if known > ledger.generation {
        let why = format!(
            "it is of generation {}, and what is left on this host speaks of {known}",
            ledger.generation
        );
        return Err(refused("ledger::older", why)
            .hint("look for a later one; to go on from this one, move /var/lib/openg2p/state/ledger aside first: what was made since then counts as somebody else's")
            .into());
    }
    state.replace(PUT_BACK, &ledger.to_bytes()).await?;
    Ok(())
}

/// What was put back; none where nothing was.
pub(crate) async fn find(state: &dyn State) -> Result<Option<Ledger>, RecordError> {
    let Some(bytes) = state.read(PUT_BACK).await? else {
        return Ok(None);
    };
    Ledger::from_bytes(&bytes)
        .map(Some)
        .map_err(|error| RecordError::Lost(1, format!("{PUT_BACK}: {error}")))
}
