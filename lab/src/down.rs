//! Removing a lab: by its record where there is one, and by the names of its things in any case.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cgroup::CgroupLayout;
use crate::command::Call;
use crate::error::{LabError, Result};
use crate::image;
use crate::lock::Lock;
use crate::machine;
use crate::names;
use crate::network;
use crate::progress::{self, Progress};
use crate::state::{LabState, Phase, Store};

/// Held by every command that changes one lab.
pub(crate) fn lock_lab(name: &str) -> Result<Lock> {
    Lock::acquire(&format!("lab {name}"), Duration::from_mins(1))
}

/// Removes a lab with all that belongs to it, complete or not.
pub fn down(store: &Store, name: &str, progress: &dyn Progress) -> Result<()> {
    names::check_lab(name)?;
    let layout = CgroupLayout::detect()?;
    let _lock = lock_lab(name)?;
    if !exists(store, &layout, name)? {
        image::sweep(store)?;
        return Err(LabError::Unknown {
            name: name.to_owned(),
        });
    }
    let text = format!("remove the lab {name}");
    progress::step(progress, &text, Duration::from_secs(3), || {
        remove(store, &layout, name)
    })
}

/// A lab as `list` shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its record, if there is a readable one.
    pub state: Option<LabState>,
    /// Whether every host runs.
    pub alive: bool,
}

/// Every lab of this machine: those with a record, and those of which only leftovers exist.
pub fn list(store: &Store) -> Result<Vec<Listed>> {
    let layout = CgroupLayout::detect()?;
    let mut names: BTreeSet<String> = store.names().into_iter().collect();
    names.extend(layout.owners().into_iter().map(|(lab, _)| lab));
    names.extend(network::owners()?);
    Ok(names
        .into_iter()
        .filter(|name| names::check_lab(name).is_ok())
        .map(|name| {
            let state = store.read(&name).ok().flatten();
            let alive = state.as_ref().is_some_and(LabState::is_alive);
            Listed { name, state, alive }
        })
        .collect())
}

/// Whether anything of a lab is on the machine.
pub(crate) fn exists(store: &Store, layout: &CgroupLayout, name: &str) -> Result<bool> {
    Ok(store.lab(name).exists()
        || layout.owners().iter().any(|(lab, _)| lab == name)
        || !network::leftovers(name)?.is_empty())
}

/// Whether a lab runs that another cache directory holds the record of.
pub(crate) fn runs_elsewhere(store: &Store, layout: &CgroupLayout, name: &str) -> bool {
    let mut owners = layout.owners().into_iter().filter(|(lab, _)| lab == name);
    !store.lab(name).exists()
        && owners.any(|(lab, host)| !layout.processes(&names::cgroup(&lab, &host)).is_empty())
}

/// Removes everything of a lab and checks that it is gone. The caller holds the lab's lock.
pub(crate) fn remove(store: &Store, layout: &CgroupLayout, name: &str) -> Result<()> {
    // A record that cannot be read does not hinder: names suffice.
    let state = store.read(name).ok().flatten();
    if let Some(state) = &state
        && state.phase != Phase::Stopping
    {
        store.write(&LabState {
            phase: Phase::Stopping,
            ..state.clone()
        })?;
    }
    let mut hosts: BTreeSet<String> = layout
        .owners()
        .into_iter()
        .filter(|(lab, _)| lab == name)
        .map(|(_, host)| host)
        .collect();
    hosts.extend(
        state
            .iter()
            .flat_map(|state| &state.hosts)
            .map(|host| host.name.clone()),
    );
    hosts.extend(store.hosts(name));
    for host in &hosts {
        // The file systems of hosts are thrown away, so nothing is won by asking their services to end.
        layout.destroy(&names::cgroup(name, host), Duration::from_secs(30))?;
    }
    network::down(name)?;
    for host in &hosts {
        for trace in machine::traces(&names::machine(name, host), &store.host(name, host).join("root")) {
            remove_tree(&trace)?;
        }
    }
    unmount_below(&store.lab(name))?;
    remove_tree(&store.lab(name))?;
    // The directory of all labs goes with the last of them.
    let _ = fs::remove_dir(store.labs());
    image::sweep(store)?;
    let mut left = network::leftovers(name)?;
    left.extend(
        layout
            .owners()
            .into_iter()
            .filter(|(lab, _)| lab == name)
            .map(|(_, host)| format!("cgroup of {host}")),
    );
    if left.is_empty() {
        Ok(())
    } else {
        Err(LabError::Leftover {
            name: name.to_owned(),
            left,
        })
    }
}

/// Nothing of the lab is mounted outside of its hosts, but somebody may have mounted something into them; deleting
/// through such a mount would destroy what is not ours.
fn unmount_below(directory: &Path) -> Result<()> {
    let table = Path::new("/proc/self/mounts");
    let mounts = fs::read_to_string(table).map_err(LabError::file("reading the mount table", table))?;
    for mount in mounts_below(&mounts, directory).into_iter().rev() {
        Call::new("unmounting something in a lab", "umount")
            .args(["--", &mount])
            .run()?;
    }
    Ok(())
}

fn mounts_below(mounts: &str, directory: &Path) -> Vec<String> {
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|path| path.replace("\\040", " "))
        .filter(|path| Path::new(path).starts_with(directory))
        .collect()
}

fn remove_tree(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::file("removing files of a lab", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_directory_are_found_with_blanks() {
        let mounts = "a / ext4 rw 0 0\nb /c/labs/dev/root/mnt ext4 rw 0 0\nc /c/labs/dev2/x ext4 rw 0 0\n\
                      d /c/labs/dev/a\\040b tmpfs rw 0 0\n";
        let found = mounts_below(mounts, Path::new("/c/labs/dev"));
        assert_eq!(found, ["/c/labs/dev/root/mnt", "/c/labs/dev/a b"]);
    }
}
