//! Kernel settings that all hosts and the machine share. Labs need one of them, and what runs on their hosts changes
//! others (a kubelet sets how the kernel treats a panic). The first lab notes them, the last one puts them back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{LabError, Result};

/// Where hosts of labs leave the machine.
const FORWARDING: &str = "net/ipv4/ip_forward";

/// What is noted, below /proc/sys. All but forwarding is what kubelet, containerd and database packages are known to
/// set; namespaces of their own keep everything else apart.
const NOTED: [&str; 13] = [
    FORWARDING,
    "fs/aio-max-nr",
    "fs/file-max",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "fs/nr_open",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// The note.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    settings: BTreeMap<String, String>,
}

/// It lives as long as the settings themselves, till a reboot, and there is one per network namespace, as of forwarding.
fn note_path() -> PathBuf {
    let namespace = fs::metadata("/proc/self/ns/net").map_or(0, |meta| meta.ino());
    PathBuf::from(format!("/run/openg2p-lab-{namespace}.json"))
}

/// Notes all settings unless an earlier lab did, then lets packets through. The caller holds the network's lock.
pub(crate) fn prepare() -> Result<()> {
    let path = note_path();
    if read(&path).is_none() {
        let settings = current(Path::new("/proc/sys"));
        let text = serde_json::to_string(&Note { settings }).map_err(|source| LabError::State {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, text).map_err(LabError::file("noting kernel settings", &path))?;
    }
    set(Path::new("/proc/sys"), FORWARDING, "1")
}

/// Puts all settings back. The caller holds the network's lock and knows that no lab is left.
pub(crate) fn put_back() -> Result<()> {
    let path = note_path();
    if !path.exists() {
        return Ok(());
    }
    restore(Path::new("/proc/sys"), &read(&path).unwrap_or_default())?;
    fs::remove_file(&path).map_err(LabError::file("removing the note of kernel settings", &path))
}

/// A note that cannot be read was cut off before any setting changed, so it counts as none.
fn read(path: &Path) -> Option<Note> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

fn current(root: &Path) -> BTreeMap<String, String> {
    // Kernels differ in what they have.
    let values = NOTED
        .iter()
        .filter_map(|&name| Some((name, fs::read_to_string(root.join(name)).ok()?)));
    values
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn restore(root: &Path, note: &Note) -> Result<()> {
    let now = current(root);
    let changed = note
        .settings
        .iter()
        .filter(|(name, value)| now.get(*name).is_some_and(|now| now != *value));
    changed
        .into_iter()
        .try_for_each(|(name, value)| set(root, name, value))
}

fn set(root: &Path, name: &str, value: &str) -> Result<()> {
    let path = root.join(name);
    fs::write(&path, value).map_err(LabError::file("changing a kernel setting", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_settings_are_put_back() {
        let root = tempfile::tempdir().unwrap();
        for name in [FORWARDING, "kernel/panic", "vm/overcommit_memory"] {
            fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
            set(root.path(), name, "0\n").unwrap();
        }
        let note = Note {
            settings: current(root.path()),
        };
        assert_eq!(note.settings.len(), 3);
        set(root.path(), "kernel/panic", "10").unwrap();
        fs::remove_file(root.path().join("vm/overcommit_memory")).unwrap();
        restore(root.path(), &note).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("kernel/panic")).unwrap(), "0");
        assert_eq!(
            fs::read_to_string(root.path().join(FORWARDING)).unwrap(),
            "0\n",
            "untouched"
        );
        assert!(!root.path().join("vm/overcommit_memory").exists());
    }

    #[test]
    fn a_cut_off_note_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note");
        assert!(read(&path).is_none());
        fs::write(&path, "{\"settings\": {\"ke").unwrap();
        assert!(read(&path).is_none());
    }
}
