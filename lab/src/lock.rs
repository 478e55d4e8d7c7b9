//! Locks between lab commands: a bound abstract socket. The kernel drops it with the process that holds it, whatever
//! ends that process, it leaves no file, and it reaches as far as bridges and addresses do (one network namespace).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};

/// Held while it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _socket: UnixListener,
}

impl Lock {
    /// Takes the lock on `what`, waiting for its holder up to the deadline.
    pub(crate) fn acquire(what: &str, deadline: Duration) -> Result<Self> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(lock) = Self::try_acquire(what)? {
                return Ok(lock);
            }
            if Instant::now() >= end {
                return Err(LabError::Busy {
                    what: what.to_owned(),
                    seconds: deadline.as_secs(),
                });
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_acquire(what: &str) -> Result<Option<Self>> {
        let failed = |source| LabError::File {
            what: "locking",
            path: Path::new(what).to_path_buf(),
            source,
        };
        let address = SocketAddr::from_abstract_name(format!("openg2p-lab/{what}")).map_err(failed)?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Some(Self { _socket: socket })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let what = format!("test of locks {}", std::process::id());
        let held = Lock::try_acquire(&what).unwrap().unwrap();
        assert!(Lock::try_acquire(&what).unwrap().is_none());
        let refused = Lock::acquire(&what, Duration::from_millis(60)).unwrap_err();
        assert_eq!(refused.code(), "lab::busy");
        drop(held);
        assert!(Lock::try_acquire(&what).unwrap().is_some());
    }
}
