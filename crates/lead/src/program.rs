//! This program on the lead node: how it comes, where it is kept, which older ones go.
//!
//! It is started from the home of a login first, where it leaves nothing, and copies itself below `/var/lib/openg2p/bin` when a
//! run begins that must outlive the login. A host that is only looked at keeps nothing of it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use openg2p_bundle::index::Digest;
use openg2p_ports::PortError;
use sha2::{Digest as _, Sha256};

use crate::paths;

/// The file that the kernel runs, whatever became of its name.
const RUNNING: &str = "/proc/self/exe";
/// A copy in a home that is older was left behind by a connection that broke; a younger one may be another operator's.
const STALE: Duration = Duration::from_hours(1);
const PREFIX: &str = "openg2p-";

/// The file name of the program with this SHA-256.
pub fn name(digest: &str) -> String {
    format!("{PREFIX}{}", digest.get(..16).unwrap_or(digest))
}

/// Removes the file that this program was sent as, and the folder when nothing else is in it. The program runs on.
pub fn arrived() {
    if let Ok(own) = std::env::current_exe() {
        tidy_home(&own);
    }
}

fn tidy_home(own: &Path) {
    let Some(folder) = own.parent() else { return };
    if folder
        .file_name()
        .is_none_or(|name| name != openg2p_world::ssh::FOLDER)
    {
        return;
    }
    // whatever cannot be removed is a file in somebody's home, and no reason not to answer
    let _ = fs::remove_file(own);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map_or(Duration::ZERO, |time| {
                SystemTime::now().duration_since(time).unwrap_or_default()
            });
        if ours && age > STALE {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// The installed copy of this program, made if it is not there yet; older ones that nobody needs are removed.
///
/// Errors: `host::disk`, `host::file`.
pub(crate) fn install() -> Result<PathBuf, PortError> {
    let folder = Path::new(paths::BIN);
    let installed = install_into(folder, Path::new(RUNNING)).map_err(|error| {
        let full = error.kind() == io::ErrorKind::StorageFull;
        let code = if full { "host::disk" } else { "host::file" };
        PortError::new(code, "install the engine", paths::BIN, error.to_string())
            .hint("make room on this host, then run the same command again")
    })?;
    prune(folder, &installed, &running_programs());
    Ok(installed)
}

fn install_into(folder: &Path, running: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let own = fs::read_link(running)?;
    if own.parent() == Some(folder) && own.exists() {
        return Ok(own);
    }
    let mut hasher = Sha256::new();
    io::copy(&mut fs::File::open(running)?, &mut hasher)?;
    let path = folder.join(name(Digest::from_hash(&hasher.finalize()).as_str()));
    // the name is its digest, and it is given only to a copy that is whole
    if path.exists() {
        return Ok(path);
    }
    if let Some(root) = folder.parent() {
        fs::create_dir_all(root)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut temporary = path.clone().into_os_string();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let copied = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o755)
            .open(&temporary)?;
        io::copy(&mut fs::File::open(running)?, &mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    copied.map(|()| path)
}

/// Programs that some process runs.
fn running_programs() -> BTreeSet<PathBuf> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| fs::read_link(process.path().join("exe")).ok())
        .collect()
}

/// Keeps `current`, the one before it, and whatever runs.
fn prune(folder: &Path, current: &Path, running: &BTreeSet<PathBuf>) {
    let mut older: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| entry.path() != current)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    older.sort();
    older.reverse();
    for (_, path) in older.into_iter().skip(1) {
        if !running.contains(&path) {
            // a file too many is no reason not to run
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn age(path: &Path, hours: u64) {
        let time = SystemTime::now() - Duration::from_hours(hours);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    #[test]
    fn a_program_that_was_sent_leaves_the_home_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".openg2p");
        fs::create_dir(&folder).unwrap();
        let own = folder.join("openg2p-0123-7");
        let (stale, young) = (folder.join("openg2p-0123-5"), folder.join("openg2p-0123-6"));
        for path in [&own, &stale, &young] {
            fs::write(path, "").unwrap();
        }
        age(&stale, 2);
        tidy_home(&own);
        // a younger one may be another operator's that is about to start
        assert_eq!(names(&folder), ["openg2p-0123-6"]);
        tidy_home(&young);
        assert_eq!(names(home.path()), [""; 0]);
        // elsewhere nothing is touched
        let other = home.path().join("openg2p-1");
        fs::write(&other, "").unwrap();
        tidy_home(&other);
        assert!(other.exists());
    }

    #[test]
    fn the_running_program_is_copied_once_under_its_digest() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("openg2p/bin");
        let first = install_into(&folder, Path::new(RUNNING)).unwrap();
        assert_eq!(fs::read(&first).unwrap(), fs::read(RUNNING).unwrap());
        let digest = Digest::of(&fs::read(RUNNING).unwrap());
        assert_eq!(first, folder.join(name(digest.as_str())));
        age(&first, 1);
        let before = fs::metadata(&first).unwrap().modified().unwrap();
        assert_eq!(install_into(&folder, Path::new(RUNNING)).unwrap(), first);
        assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), before);
        assert_eq!(names(&folder).len(), 1);
    }

    #[test]
    fn the_current_program_the_one_before_and_a_running_one_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, hours) in [
            ("openg2p-now", 0),
            ("openg2p-before", 1),
            ("openg2p-old", 2),
            ("openg2p-runs", 3),
            ("openg2p-cut.new", 4),
        ] {
            fs::write(path(name), "").unwrap();
            age(&path(name), hours);
        }
        fs::write(path("else"), "").unwrap();
        prune(
            folder.path(),
            &path("openg2p-now"),
            &[path("openg2p-runs")].into(),
        );
        assert_eq!(
            names(folder.path()),
            ["else", "openg2p-before", "openg2p-now", "openg2p-runs"]
        );
    }
}
