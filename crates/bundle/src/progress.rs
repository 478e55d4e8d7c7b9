//! What a bundle's making tells about itself while it runs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::lock::Moved;

/// Something that happened. Names are `kind/name`, or words for what is shared, such as `base debian:bookworm-slim`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// How many members there are, how many of them have to be made, and about how long it takes.
    Planned {
        /// All members that the catalogue names.
        members: usize,
        /// Those that the cache does not have; members that are made in one go have one name. What they need besides comes up on the way.
        to_make: &'a [&'a str],
        /// A guess from earlier runs on this machine, or from the recipes; `None` if there is nothing to go by.
        expected: Option<Duration>,
    },
    /// Work on one thing began.
    Started {
        /// What.
        what: &'a str,
        /// How long it took last time here, or the recipe's guess.
        expected: Option<Duration>,
    },
    /// Work on one thing ended well.
    Finished {
        /// What.
        what: &'a str,
        /// How long it took.
        took: Duration,
    },
    /// Nothing had to be done for one thing.
    Cached {
        /// What.
        what: &'a str,
    },
    /// A server or the line failed; it is asked once more.
    Again {
        /// What is fetched.
        what: &'a str,
        /// What went wrong.
        why: &'a str,
        /// How long is waited first.
        pause: Duration,
    },
    /// Work on one thing failed; the error follows when the others have ended.
    Failed {
        /// What.
        what: &'a str,
    },
    /// A member is not what the lock file says, and that was accepted.
    Moved(&'a Moved),
    /// Bytes of the bundle that were read and checked so far.
    Checked {
        /// Bytes done.
        bytes: u64,
        /// Bytes in all.
        of: u64,
    },
}

/// Where events go: a terminal, a log, nothing.
pub trait Progress: Sync {
    /// Takes one event. Called from several threads.
    fn event(&self, event: Event<'_>);
}

/// Takes no notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}

/// Counts bytes of several threads and tells of every few megabytes.
pub(crate) struct Meter<'a> {
    progress: &'a dyn Progress,
    of: u64,
    done: AtomicU64,
    told: AtomicU64,
}

impl<'a> Meter<'a> {
    const STEP: u64 = 16 << 20;

    pub(crate) fn new(progress: &'a dyn Progress, of: u64) -> Self {
        Self {
            progress,
            of,
            done: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        let told = self.told.load(Ordering::Relaxed);
        // Of several threads that get here at once, the one whose exchange succeeds tells.
        if done >= told + Self::STEP
            && self
                .told
                .compare_exchange(told, done, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            // Altered files may be longer than promised.
            self.progress.event(Event::Checked {
                bytes: done.min(self.of),
                of: self.of,
            });
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}
