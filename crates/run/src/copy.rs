//! The ledger's copy in the cluster, so that it outlives the node's own files.
//!
//! Behind each run the whole ledger, packed, is written to Secrets in `kube-system`: `openg2p-ledger-<slot>-<part>`, for one Secret
//! holds a megabyte at most. There are two slots. A run writes the one that does not hold the newest copy, so that one copy is whole
//! whatever happens on the way. The copy is as old as the last run that ended: it is asked only when the node's own ledger is gone
//! or damaged beyond healing, and never taken when the node is known to have been further. A run that was killed behind its last step made
//! none; the next command that has nothing to do does it ([`is_current`]).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_kinds::FIELD_MANAGER;
use openg2p_plan::{Ledger, unseal};
use openg2p_ports::{Object, ObjectRef, Ownership, PortError, State, World};
use serde_json::json;

use crate::generations::{self, Read};
use crate::{RecordError, saved};

const NAMESPACE: &str = "kube-system";
/// Tells our copies from other Secrets; the value is the slot.
const SLOT: &str = "openg2p.org/ledger-copy";
const SLOTS: [&str; 2] = ["a", "b"];
const GENERATION: &str = "openg2p.org/generation";
const PARTS: &str = "openg2p.org/parts";
/// Packed bytes of one part: with base64 and the rest of the object it stays below the megabyte that a Secret may have.
const PART: usize = 600 * 1024;
/// Unpacked bytes beyond which something is no copy of ours.
const LARGEST: u64 = 1 << 30;

/// A copy that was found whole.
struct Found {
    slot: &'static str,
    ledger: Ledger,
}

fn failed(why: impl std::fmt::Display) -> PortError {
    PortError::new(
        "ledger::copy",
        "copy the ledger into the cluster",
        NAMESPACE,
        why.to_string(),
    )
}

fn place(slot: &str, part: usize) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(NAMESPACE.into()),
        name: format!("openg2p-ledger-{slot}-{part}"),
    }
}

pub(crate) fn pack(ledger: &Ledger) -> std::io::Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&ledger.to_bytes())?;
    packer.finish()
}

/// The ledger of packed bytes; none when a bit of it is missing or changed.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Ledger> {
    let mut text = Vec::new();
    let mut unpacker = flate2::read::GzDecoder::new(bytes).take(LARGEST);
    unpacker.read_to_end(&mut text).ok()?;
    unseal(&text).ok()?;
    Ledger::from_bytes(&text).ok()
}

async fn parts(world: &World, slot: &str) -> Result<BTreeMap<usize, Object>, PortError> {
    let label = format!("{SLOT}={slot}");
    let found = world
        .cluster
        .list("v1", "Secret", Some(NAMESPACE), Some(&label))
        .await?;
    let beginning = format!("openg2p-ledger-{slot}-");
    Ok(found
        .into_iter()
        .filter_map(|object| {
            let number = object.metadata("name")?.strip_prefix(&beginning)?.parse().ok()?;
            Some((number, object))
        })
        .collect())
}

/// The copy that the parts of a slot make up; none when it is not whole.
fn joined(parts: &BTreeMap<usize, Object>) -> Option<Ledger> {
    let count: usize = parts.get(&0)?.annotation(PARTS)?.parse().ok()?;
    let mut bytes = Vec::new();
    for number in 0..count {
        let data = parts.get(&number)?.0["data"]["ledger"].as_str()?;
        bytes.extend(STANDARD.decode(data).ok()?);
    }
    unpack(&bytes)
}

/// All whole copies.
async fn whole(world: &World) -> Result<Vec<Found>, PortError> {
    let mut found = Vec::new();
    for slot in SLOTS {
        if let Some(ledger) = joined(&parts(world, slot).await?) {
            found.push(Found { slot, ledger });
        }
    }
    Ok(found)
}

/// The newest whole copy; none where there is no cluster or no copy in it.
pub async fn find(world: &World) -> Result<Option<Ledger>, PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(None);
    }
    let newest = whole(world)
        .await?
        .into_iter()
        .max_by_key(|found| found.ledger.generation);
    Ok(newest.map(|found| found.ledger))
}

/// Whether the cluster's copy is this ledger. Without a cluster, or of an empty ledger, there is none.
pub async fn is_current(world: &World, ledger: &Ledger) -> Result<bool, PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(true);
    }
    if ledger.entries.is_empty() {
        for slot in SLOTS {
            if !parts(world, slot).await?.is_empty() {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let found = whole(world).await?;
    let newest = found.into_iter().max_by_key(|found| found.ledger.generation);
    Ok(newest.is_some_and(|newest| newest.ledger == *ledger))
}

/// Copies `ledger` into the cluster; an empty one takes its copies away. Gives whether there is a cluster to copy it to.
///
/// Error `ledger::copy-newer` when the copy there is of a later generation: the node's own ledger went back in time, and its later
/// self must not be lost.
pub async fn replicate(world: &World, ledger: &Ledger) -> Result<bool, PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(false);
    }
    let found = whole(world).await?;
    let newest = found.iter().max_by_key(|found| found.ledger.generation);
    if let Some(newest) = newest
        && newest.ledger.generation > ledger.generation
    {
        let why = format!(
            "the copy in the cluster is of generation {}, and this host's ledger of {}: its files were put back to an earlier state",
            newest.ledger.generation, ledger.generation
        );
        return Err(
            PortError::new("ledger::copy-newer", "copy the ledger into the cluster", NAMESPACE, why).hint(
                "the copy stays as it is; see docs/guide/operate.md, \"When the ledger is lost\", before the next change",
            ),
        );
    }
    if ledger.entries.is_empty() {
        for slot in SLOTS {
            remove(world, slot, 0).await?;
        }
        return Ok(true);
    }
    if newest.is_some_and(|newest| newest.ledger == *ledger) {
        return Ok(true);
    }
    let slot = match newest {
        Some(newest) if newest.slot == SLOTS[0] => SLOTS[1],
        _ => SLOTS[0],
    };
    let bytes = pack(ledger).map_err(failed)?;
    let chunks: Vec<&[u8]> = bytes.chunks(PART).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let place = place(slot, number);
        let manifest = json!({
            "apiVersion": place.api_version, "kind": place.kind, "type": "Opaque",
            "metadata": {
                "name": place.name, "namespace": place.namespace,
                "labels": {SLOT: slot},
                "annotations": {GENERATION: ledger.generation.to_string(), PARTS: chunks.len().to_string()},
            },
            "data": {"ledger": STANDARD.encode(chunk)},
        });
        world
            .cluster
            .apply(&manifest, FIELD_MANAGER, Ownership::Take)
            .await?;
    }
    remove(world, slot, chunks.len()).await?;
    Ok(true)
}

/// Removes the parts of a slot from number `from` on.
async fn remove(world: &World, slot: &str, from: usize) -> Result<(), PortError> {
    for (number, object) in parts(world, slot).await?.split_off(&from) {
        let uid = object.metadata("uid").unwrap_or_default();
        world
            .cluster
            .delete(&place(slot, number), uid, Duration::from_mins(1))
            .await?;
    }
    Ok(())
}

/// The newest copy that can be had, and what it is called.
async fn best(world: &World, state: &dyn State) -> Result<Option<(Ledger, &'static str)>, RecordError> {
    let put_back = saved::find(state)
        .await?
        .map(|ledger| (ledger, "the copy that was put back"));
    let in_cluster = match find(world).await {
        Ok(found) => found.map(|ledger| (ledger, "the copy in the cluster")),
        // a person put the other one back, and may well have done so because the cluster is no more
        Err(_) if put_back.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let both = put_back.into_iter().chain(in_cluster);
    Ok(both.max_by_key(|(ledger, _)| ledger.generation))
}

/// The ledger on this node, or else the newest copy of it: the one in the cluster, or one that a person put back.
pub(crate) async fn newest(world: &World, state: &dyn State) -> Result<Read, RecordError> {
    let (mut read, lost) = match generations::read(state).await {
        Ok(read) if read.is_new() => (read, None),
        Ok(read) => return Ok(read),
        Err(RecordError::Lost(count, why)) => {
            let empty = Read {
                ledger: Ledger::default(),
                epochs: generations::epochs(state).await?,
                warnings: Vec::new(),
                older: Vec::new(),
                put_back: true,
            };
            (empty, Some((count, why)))
        }
        Err(other) => return Err(other),
    };
    let copy = best(world, state).await;
    let Some((count, why)) = lost else {
        match copy {
            Ok(Some((copy, what))) => {
                read.warnings.push(format!(
                    "this host has no ledger any more; {what} is used, of generation {}",
                    copy.generation
                ));
                read.ledger = copy;
            }
            Err(error @ RecordError::Lost(..)) => return Err(error),
            // without a trace of a ledger here and with no cluster that answers, this is a bare host
            Ok(None) | Err(_) => {}
        }
        return Ok(read);
    };
    let known = generations::known(state).await?;
    match copy {
        Ok(Some((copy, what))) if copy.generation >= known => {
            read.warnings.push(format!(
                "{why}; {what} is used instead, of generation {}",
                copy.generation
            ));
            read.ledger = copy;
            Ok(read)
        }
        Ok(Some((copy, what))) => Err(RecordError::Lost(
            count,
            format!(
                "{why}; and {what} is of generation {}, while this host was at {known}",
                copy.generation
            ),
        )),
        Ok(None) => Err(RecordError::Lost(
            count,
            format!("{why}; and there is no copy in the cluster"),
        )),
        Err(error) => Err(RecordError::Lost(
            count,
            format!("{why}; and its copy could not be read: {error}"),
        )),
    }
}
