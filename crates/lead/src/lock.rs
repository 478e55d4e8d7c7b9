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

/// Takes the lock for `holder` (`run 1764021600-a1b2c3`), or says who holds it.
pub(crate) fn take(state: &Path, holder: &str) -> Result<Lock, PortError> {
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
        return Err(held(&mut file, &path));
    }
    let line = format!("{holder}, process {}\n", std::process::id());
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(line.as_bytes()));
    written.map_err(|error| failed(error.to_string()))?;
    Ok(Lock { _file: file })
}

/// Refuses while somebody holds the lock; leaves nothing, not even the file.
pub(crate) fn free(state: &Path) -> Result<(), PortError> {
    let path = state.join("lock");
    let Ok(mut file) = File::open(&path) else {
        return Ok(());
    };
    // a shared lock is compatible with other looks, so that two of them do not see each other
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(()),
        Err(_) => Err(held(&mut file, &path)),
    }
}

/// The run that holds the lock.
pub(crate) fn holder(state: &Path) -> Option<String> {
    let mut file = File::open(state.join("lock")).ok()?;
    flock(&file, FlockOperation::NonBlockingLockShared).err()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    run(&text).map(str::to_owned)
}

/// `run ID, process PID` gives the id.
fn run(holder: &str) -> Option<&str> {
    let (run, _) = holder.strip_prefix("run ")?.split_once(',')?;
    Some(run)
}

fn held(file: &mut File, path: &Path) -> PortError {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let hint = match run(&holder) {
        Some(run) => format!("wait until that run ends, or watch it: `openg2p attach {run}`"),
        None => "try again in a moment".to_owned(),
    };
    PortError::new(
        "run::locked",
        "start",
        path.display().to_string(),
        format!("another one is at work: {}", holder.trim()),
    )
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path(), "run r1").unwrap();
        let Err(error) = take(directory.path(), "run r2") else {
            panic!("two holders")
        };
        assert!(error.why.contains("run r1"), "{error}");
        assert!(error.hint.unwrap().contains("`openg2p attach r1`"));
        assert_eq!(free(directory.path()).unwrap_err().code, "run::locked");
        drop(first);
        assert!(free(directory.path()).is_ok());
        assert!(take(directory.path(), "run r3").is_ok());
    }

    #[test]
    fn a_look_at_the_lock_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(free(directory.path()).is_ok());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
