//! A run from its beginning to its end: proves that the plan still holds, performs it, and closes the journal.

use std::sync::atomic::AtomicBool;

use openg2p_plan::{Moved, Plan};
use openg2p_ports::World;

use crate::moved::{Engine, moved};
use crate::{EventKind, Finished, Memory, RecordError, Sink, execute};

/// Why a run ended before its first effect.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The ledger cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The plan is not whole, or was altered.
    #[error("plan::altered: {0}")]
    Altered(String),
    /// Something that the plan rests on is not what it was.
    #[error("plan::moved: {}", .0.iter().map(Moved::words).collect::<Vec<_>>().join("; "))]
    Moved(Vec<Moved>),
}

/// Performs `plan` if everything that it rests on still holds; otherwise nothing is changed and nothing is written. The
/// caller holds the lock, so that no other run of ours comes between the proof and the first effect; each step then looks
/// once more at its own resource.
pub async fn perform(
    world: &World,
    memory: &Memory,
    plan: &Plan,
    engine: &Engine,
    sink: &dyn Sink,
    interrupted: &AtomicBool,
) -> Result<Finished, Refusal> {
    if let Some(fault) = plan.fault() {
        return Err(Refusal::Altered(fault));
    }
    let ledger = memory.ledger();
    let found = moved(world, memory.state(), &ledger, plan, engine).await;
    if !found.is_empty() {
        return Err(Refusal::Moved(found));
    }
    memory.claim(&plan.site).await?;
    let run = memory.run();
    sink.emit(EventKind::RunStarted {
        run: run.id.clone(),
        command: run.command.clone(),
        steps: plan.steps.len(),
        unchanged: plan.unchanged,
        estimate: plan.critical_path(),
    });
    let finished = execute(world, memory, plan, sink, interrupted).await;
    let outcome = match (finished.failed.is_empty(), finished.stopped) {
        (false, _) => "failed",
        (true, true) => "stopped",
        (true, false) => "done",
    };
    if let Err(error) = memory.close(outcome).await {
        sink.emit(EventKind::Warning {
            text: format!("the journal has no last line: {error}"),
        });
    }
    Ok(finished)
}
