//! One run at a time. The kernel holds the lock as long as its process lives, so a lock is never left behind; the file tells
//! people who holds it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use openg2p_ports::PortError;
use rustix::fs::{FlockOperation, flock};

/// Held until it is dropped.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock, or says who holds it.
pub(crate) fn take(state: &Path, run: &str) -> Result<Lock, PortError> {
    let path = state.join("lock");
    let failed = |why: String| PortError::new("run::lock", "take the lock", path.display().to_string(), why);
    std::fs::create_dir_all(state).map_err(|error| failed(error.to_string()))?;
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(error.to_string()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        return Err(PortError::new(
            "run::locked",
            "start a run",
            path.display().to_string(),
            format!("it is held by {}", holder.trim()),
        )
        .hint("wait until that run ends, or watch it with `openg2p attach`"));
    }
    let line = format!("run {run}, process {}\n", std::process::id());
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(line.as_bytes()));
    written.map_err(|error| failed(error.to_string()))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path(), "r1").unwrap();
        let Err(error) = take(directory.path(), "r2") else {
            panic!("two holders")
        };
        assert!(error.why.contains("run r1"), "{error}");
        drop(first);
        assert!(take(directory.path(), "r3").is_ok());
    }
}
