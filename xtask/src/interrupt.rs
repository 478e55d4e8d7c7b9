//! Ctrl-C and SIGTERM. Chores that made something take note, end their children, clean up and only then end themselves.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// After so many wishes to end, nothing is cleaned up any more.
const AT_ONCE: u32 = 3;

/// How often an end was wished for.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicU32>);

impl Interrupt {
    /// From now on signals are counted and do not end the process.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let count = Arc::clone(&interrupt.0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no thread for signals")?;
        let (mut typed, mut ended) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! { _ = typed.recv() => {}, _ = ended.recv() => {} }
                    if count.fetch_add(1, Ordering::SeqCst) + 1 >= AT_ONCE {
                        // The person insists; `lab down` finds what stays.
                        process::exit(130);
                    }
                }
            });
        });
        Ok(interrupt)
    }

    /// How often.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether at all.
    pub(crate) fn wished(&self) -> bool {
        self.count() > 0
    }
}
