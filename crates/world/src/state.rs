//! Durable storage below one directory, and the system's source of random bytes.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use openg2p_ports::{PortError, Random, State};

/// Files below a directory that only root may read.
pub struct StateDirectory {
    root: PathBuf,
}

impl StateDirectory {
    /// Storage below `root`; made when something is first written. Appending needs a runtime of tokio, for it waits on a thread of its own.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

pub(crate) fn failed(what: &str, path: &Path, error: &std::io::Error) -> PortError {
    let error_text = error.to_string();
    let made = PortError::new("host::file", what, path.display().to_string(), error_text);
    match error.raw_os_error() {
        Some(28) => made.hint("the disk is full: make room on this host, then run the same command again"),
        Some(30) => made.hint("the file system is mounted read-only: look at `dmesg` for the reason"),
        _ => made,
    }
}

/// Ending of a file that is being written.
const UNFINISHED: &str = ".openg2p-new";

/// The temporary file beside `path`.
fn unfinished(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(UNFINISHED);
    temporary.into()
}

/// Writes a file whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PortError> {
    write_filled(path, mode, |file| {
        file.write_all(bytes).map_err(|error| write_failed(path, &error))
    })
}

/// What a write that failed says.
pub(crate) fn write_failed(path: &Path, error: &std::io::Error) -> PortError {
    failed("write a file", path, error)
}

/// Lets `write` fill a temporary file beside `path`, and puts it in its place: fsync, rename, fsync of the directory. When anything
/// fails the file at `path` is what it was.
pub(crate) fn write_filled(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut std::fs::File) -> Result<(), PortError>,
) -> Result<(), PortError> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let temporary = unfinished(path);
    let begin = || {
        // a stale temporary file may have other permissions: never write a secret into it
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        Ok(file)
    };
    let put_in_place = |file: std::fs::File| {
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(parent) = path.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    let written = (|| {
        let mut file = begin().map_err(|error| write_failed(path, &error))?;
        write(&mut file)?;
        put_in_place(file).map_err(|error| write_failed(path, &error))
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn make_parent(path: &Path) -> Result<(), PortError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|error| failed("make a directory", parent, &error))
}

fn append(path: &Path, bytes: &[u8]) -> Result<(), PortError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    make_parent(path)?;
    let append = || {
        let new = !path.exists();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        // the name of a new file is on disk only when its folder is
        if let Some(parent) = path.parent().filter(|_| new) {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    append().map_err(|error| failed("append to a file", path, &error))
}

#[async_trait]
impl State for StateDirectory {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read a file", &path, &error)),
        }
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        let path = self.path(name);
        make_parent(&path)?;
        write_whole(&path, bytes, 0o600)
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        let path = self.path(name);
        let bytes = bytes.to_vec();
        // a disk takes milliseconds; the other steps go on meanwhile, and what they tell is written together
        let appended = tokio::task::spawn_blocking(move || append(&path, &bytes)).await;
        appended.unwrap_or_else(|error| {
            let path = self.path(name).display().to_string();
            Err(PortError::new(
                "host::file",
                "append to a file",
                path,
                error.to_string(),
            ))
        })
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        list_names(&self.path(folder))
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        remove_with_unfinished(&self.path(name))
    }
}

pub(crate) fn list_names(path: &Path) -> Result<Vec<String>, PortError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list a directory", path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("list a directory", path, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // what a write that was cut off left behind
        if !name.ends_with(UNFINISHED) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes a file, and what a write of it that was cut off left beside it: that may hold a secret, and keeps its folder from being
/// removed.
pub(crate) fn remove_with_unfinished(path: &Path) -> Result<(), PortError> {
    remove_file(path)?;
    remove_file(&unfinished(path))
}

fn remove_file(path: &Path) -> Result<(), PortError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("remove a file", path, &error))
        }
        _ => Ok(()),
    }
}

/// The kernel's generator.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // getrandom(2) fails only before the kernel's generator is seeded or on kernels older than 3.17, where no
        // secret may be made at all
        #[expect(clippy::expect_used, reason = "without random bytes no secret may be made")]
        getrandom::fill(buffer).expect("the kernel gives random bytes");
    }
}
