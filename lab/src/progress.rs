//! What the lab tells while it works. The lab prints nothing itself.

use std::time::{Duration, Instant};

/// One piece of news.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A step began.
    Started {
        /// What it does; the same text ends it.
        step: &'a str,
        /// How long it usually takes.
        usual: Duration,
    },
    /// A step ended well.
    Finished {
        /// The text of its start.
        step: &'a str,
        /// How long it took.
        took: Duration,
    },
    /// Something worth knowing.
    Note(&'a str),
}

/// Receives the news, from several threads.
pub trait Progress: Sync {
    /// Takes one.
    fn event(&self, event: Event<'_>);
}

/// Ignores all news.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}

/// Tells start and end of a step around `work`.
pub(crate) fn step<T, E>(
    progress: &dyn Progress,
    step: &str,
    usual: Duration,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    progress.event(Event::Started { step, usual });
    let start = Instant::now();
    let result = work()?;
    progress.event(Event::Finished {
        step,
        took: start.elapsed(),
    });
    Ok(result)
}
