//! How much room an installation still needs, from what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openg2p_bundle::index::{Index, Kind, Member};
use openg2p_plan::{EntryState, Ledger};
use openg2p_run::Failure;

use super::{failure, gigabytes};
use crate::protocol::Demand;

/// An image that is imported takes its packed size once more in containerd's store, and unpacked about twice that.
const IMPORTED: u64 = 3;
/// Packages and programs, unpacked, in multiples of what they are in the bundle.
const INSTALLED: u64 = 4;
/// Data of a first environment and of the control plane, in bytes.
const FIRST_DATA: u64 = 1 << 30;
/// Ledger, journals, logs and the databases' next hours, in bytes. Below it a database stops.
const MARGIN: u64 = 256 << 20;

/// What is still missing, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// Blobs of the bundle that are not there.
    pub(super) blobs: u64,
    /// Images to be imported, packages and programs to be installed.
    pub(super) unpacked: u64,
    /// What the running site needs.
    pub(super) data: u64,
}

impl Need {
    /// From the index, the blobs below `bundle`, and what the ledger holds already.
    pub(super) fn of(demand: &Demand, index: &Index, ledger: &Ledger, bundle: &Path) -> Self {
        let blobs = bundle.join("blobs/sha256");
        let missing = sum(index.members.iter(), |sha256| !blobs.join(sha256).exists());
        let present: BTreeSet<&str> = ledger
            .entries
            .values()
            .filter(|entry| entry.resource.kind() == "container-image" && entry.state == EntryState::Present)
            .filter_map(|entry| entry.desired["digest"].as_str())
            .map(|digest| digest.trim_start_matches("sha256:"))
            .collect();
        let (imported, coming): (Vec<&Member>, Vec<&Member>) = index
            .of_kind(Kind::Image)
            .filter(|member| {
                let sha256 = member.sha256.as_str();
                present.contains(sha256) || demand.images.iter().any(|wanted| wanted == sha256)
            })
            .partition(|member| present.contains(member.sha256.as_str()));
        // layers that an imported image has are there
        let there: BTreeSet<&str> = imported
            .iter()
            .flat_map(|member| &member.blobs)
            .map(|blob| blob.sha256.as_str())
            .collect();
        let images = sum(coming.into_iter(), |sha256| !there.contains(sha256));
        let first = ledger.entries.is_empty();
        let programs = if first {
            let programs = [Kind::Binary, Kind::DebianPackage];
            let members = index
                .members
                .iter()
                .filter(|member| programs.contains(&member.kind));
            sum(members, |_| true)
        } else {
            0
        };
        Self {
            blobs: missing,
            unpacked: images * IMPORTED + programs * INSTALLED,
            data: MARGIN + if first { FIRST_DATA } else { 0 },
        }
    }

    fn all(&self) -> u64 {
        self.blobs.saturating_add(self.unpacked).saturating_add(self.data)
    }
}

/// Bytes of the blobs of `members` that `counts`, each once.
fn sum<'a>(members: impl Iterator<Item = &'a Member>, counts: impl Fn(&str) -> bool) -> u64 {
    members
        .flat_map(|member| &member.blobs)
        .map(|blob| (blob.sha256.as_str(), blob.size))
        .filter(|(sha256, _)| counts(sha256))
        .collect::<BTreeMap<_, _>>()
        .values()
        .sum()
}

/// The failure when `free` bytes do not suffice.
pub(super) fn short(name: &str, free: u64, need: &Need) -> Option<Failure> {
    let needed = need.all();
    if free >= needed {
        return None;
    }
    Some(failure(
        "host::disk",
        name,
        format!(
            "/var/lib has {} free ({free} bytes), and about {} are needed ({needed} bytes): {} for what is still to be sent, {} \
             for images and packages to be unpacked, {} for data",
            gigabytes(free),
            gigabytes(needed),
            gigabytes(need.blobs),
            gigabytes(need.unpacked),
            gigabytes(need.data),
        ),
        "make room or enlarge the disk, then try again",
    ))
}
