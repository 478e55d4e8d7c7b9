//! Nginx' files and the certificates of host names.

use std::collections::BTreeSet;

use async_trait::async_trait;
use openg2p_plan::Entry;
use openg2p_ports::{PortError, World};

use super::{Checked, Found, Removed, Store, environment};

pub(crate) struct Nginx;
pub(crate) struct Certificates;

/// Files in the folder of `kind`'s paths that no entry records: of the owner's host names, or of nobody that is known.
async fn unrecorded(
    world: &World,
    removed: &Removed<'_>,
    kind: &str,
    endings: &[&str],
    checked: &mut Checked,
) -> Result<(), PortError> {
    let path = |entry: &Entry| entry.desired["path"].as_str().unwrap_or_default().to_owned();
    let of_kind = |entries: &[Entry]| -> BTreeSet<String> {
        entries
            .iter()
            .filter(|entry| entry.resource.kind() == kind)
            .map(path)
            .collect()
    };
    let (mine, theirs) = (of_kind(removed.entries), of_kind(removed.others));
    let folders: BTreeSet<String> = mine
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    for folder in folders {
        for name in world.host.list(&folder).await? {
            let path = format!("{folder}/{name}");
            let stem = endings
                .iter()
                .find_map(|ending| path.strip_suffix(ending))
                .unwrap_or(&path);
            if theirs.contains(stem) || theirs.contains(&path) || mine.contains(stem) || mine.contains(&path)
            {
                continue;
            }
            let owners = environment(removed).is_some_and(|id| name.contains(&format!(".{id}.")));
            if owners {
                checked.kept.push(Found {
                    what: path,
                    why: "it looks like the owner's, and no entry of the ledger records it".into(),
                });
            }
        }
    }
    Ok(())
}

#[async_trait]
impl Store for Nginx {
    fn name(&self) -> &'static str {
        "Nginx"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["nginx-site"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        unrecorded(world, removed, "nginx-site", &[], checked).await
    }
}

#[async_trait]
impl Store for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["certificate", "certificate-authority"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        unrecorded(world, removed, "certificate", &[".crt", ".key"], checked).await
    }
}
