//! How long long steps took the last time on this machine, kept beside the other caches. The first time, an honest guess of the
//! caller's is shown instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Seconds by step.
pub(crate) struct Durations {
    path: PathBuf,
    known: Mutex<BTreeMap<String, f64>>,
}

impl Durations {
    /// Reads what earlier runs noted; a file that cannot be read is an empty one, for it only informs.
    pub(crate) fn read(cache: &Path) -> Self {
        let path = cache.join("durations.json");
        let known = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path,
            known: Mutex::new(known),
        }
    }

    /// The last duration of a step, if it was ever done here.
    pub(crate) fn last(&self, step: &str) -> Option<Duration> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(step)
            .and_then(|seconds| Duration::try_from_secs_f64(*seconds).ok())
    }

    /// Notes how long a step took.
    pub(crate) fn took(&self, step: &str, took: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        known.insert(step.to_owned(), seconds);
        let fresh = self.path.with_extension("json.new");
        // Nothing depends on it: without the file the next run guesses again.
        let _ = serde_json::to_vec_pretty(&*known)
            .map_err(std::io::Error::from)
            .and_then(|bytes| fs::write(&fresh, bytes))
            .and_then(|()| fs::rename(&fresh, &self.path));
    }
}

/// `25 s`, `4 min`, `1 h 5 min`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..5400 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
