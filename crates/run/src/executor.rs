//! Performs the steps of a plan, side by side where their needs allow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openg2p_kinds::{Subject, kind};
use openg2p_plan::{Action, Plan, Presence, Step, Verdict};
use openg2p_ports::{PortError, World};

use crate::event::Failure;
use crate::schedule::{Next, Schedule};
use crate::{EventKind, Memory, Outcome, Sink};

/// How a plan ended.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Steps done.
    pub done: usize,
    /// Steps failed, with their errors, in the order in which they failed.
    pub failed: Vec<(usize, Failure)>,
    /// Steps not begun.
    pub skipped: usize,
    /// True when a person stopped it.
    pub stopped: bool,
    /// Seconds of each step that was done.
    pub seconds: Vec<(usize, f64)>,
}

/// Performs `plan`, which is without fault. `interrupted` ends it between steps: what has begun is finished.
pub async fn execute(
    world: &World,
    memory: &Memory,
    plan: &Plan,
    sink: &dyn Sink,
    interrupted: &AtomicBool,
) -> Finished {
    let mut finished = Finished::default();
    let mut running = FuturesUnordered::new();
    let mut schedule = Schedule::new(plan);
    loop {
        finished.stopped |= interrupted.load(Ordering::Relaxed);
        while let Some(next) = schedule.next() {
            let (number, begins) = match next {
                Next::Begin(number) => (number, !finished.stopped),
                Next::Skip(number) => (number, false),
            };
            let step = &plan.steps[number];
            if !begins {
                if matches!(next, Next::Begin(_)) {
                    schedule.release(number);
                }
                finished.skipped += 1;
                sink.emit(EventKind::StepFinished {
                    step: number,
                    resource: step.resource.to_string(),
                    outcome: Outcome::Skipped,
                    seconds: 0.0,
                    error: None,
                });
                schedule.ended(number, step.action, Outcome::Skipped);
                continue;
            }
            sink.emit(EventKind::StepStarted {
                step: number,
                resource: step.resource.to_string(),
                part: step.part.clone(),
                action: step.action,
                estimate: step.estimate.seconds,
            });
            running.push(async move {
                let started = Instant::now();
                let result = perform(world, memory, plan, step, sink).await;
                if let Err(error) = &result {
                    // what failed is told; that the journal could not hold it changes nothing of it
                    let _ = memory.failed(step, error.code, &error.why).await;
                }
                (number, result, started.elapsed().as_secs_f64())
            });
        }
        let Some((number, result, seconds)) = running.next().await else {
            debug_assert!(schedule.is_over(), "a step waits for nothing");
            break;
        };
        let step = &plan.steps[number];
        let (outcome, error) = match result {
            Ok(()) => {
                finished.done += 1;
                finished.seconds.push((number, seconds));
                (Outcome::Done, None)
            }
            Err(error) => {
                let failure = Failure::from(error);
                finished.failed.push((number, failure.clone()));
                (Outcome::Failed, Some(failure))
            }
        };
        schedule.release(number);
        schedule.ended(number, step.action, outcome);
        sink.emit(EventKind::StepFinished {
            step: number,
            resource: step.resource.to_string(),
            outcome,
            seconds,
            error,
        });
    }
    finished
}

async fn perform(
    world: &World,
    memory: &Memory,
    plan: &Plan,
    step: &Step,
    sink: &dyn Sink,
) -> Result<(), PortError> {
    let name = step.resource.kind();
    let Some(kind) = kind(name) else {
        return Err(PortError::new(
            "run::kind",
            "perform a step",
            step.resource.to_string(),
            "no such kind",
        ));
    };
    let progress = |text: &str| {
        sink.emit(EventKind::StepProgress {
            step: step.number,
            text: text.into(),
        });
    };
    if step.action == Action::Remove {
        if step.needs.is_empty() && step.before.is == Presence::Present {
            // nothing of this run can have touched it yet; what its dependants' removal does to it is no surprise
            still_there(world, memory, step, kind).await?;
        }
        let Some(entry) = memory.removing(&step.resource).await? else {
            return Ok(());
        };
        kind.remove(world, &entry, &progress).await?;
        return memory.removed(&step.resource).await;
    }

    let entry = memory.entry(&step.resource);
    let entry = entry.as_ref();
    let subject = Subject {
        desired: &step.desired,
        entry,
    };
    let seen = kind.observe(world, &[subject]).await.into_iter().next();
    if let Some(seen) = &seen {
        memory.observed(step, seen);
        let moved = |why: String| {
            let what = format!("{} {}", step.action.verb(), step.resource);
            Err(PortError::new("run::moved", what, world.host.name(), why)
                .hint("make a new plan and apply that"))
        };
        match kind.compare(subject, seen) {
            // Somebody was faster, or a run was cut off behind the effect: it needs nothing but its record.
            Verdict::Same => {
                if let Some(entry) = entry {
                    memory.intend(step, &entry.details).await?;
                }
                let details = entry.map_or_else(Default::default, |entry| entry.details.clone());
                return memory.present(&step.resource, details).await;
            }
            // What the kind refuses or cannot read is never changed.
            Verdict::Conflict(why) | Verdict::Unknown(why) => return moved(why),
            _ if seen.mark() == step.before => {}
            // what held it was made anew by this run, and it could not be read before
            Verdict::Create if step.before.is == Presence::Unread => {}
            // steps of this very run brought it there: packages bring units, a restart brings a cluster's API back
            Verdict::Update(_) if shaped_by_needs(plan, step) => {}
            _ => {
                let by = kind.changed_by(world, subject).await;
                let by = by.map_or_else(String::new, |by| format!(", by {by}"));
                return moved(format!(
                    "the plan expects it {}, and it is {}{by}",
                    step.before.words(),
                    seen.mark().words()
                ));
            }
        }
    }
    let details = kind.intend(world, subject).await?;
    memory.intend(step, &details).await?;
    let details = kind
        .change(world, step.action, subject, details, &progress)
        .await?;
    memory.present(&step.resource, details).await
}

/// Refuses the removal of a thing that somebody changed since the plan was made.
async fn still_there(
    world: &World,
    memory: &Memory,
    step: &Step,
    kind: &dyn openg2p_kinds::Kind,
) -> Result<(), PortError> {
    let entry = memory.entry(&step.resource);
    let subject = Subject {
        desired: &step.desired,
        entry: entry.as_ref(),
    };
    let seen = kind.observe(world, &[subject]).await.into_iter().next();
    match seen.map(|seen| seen.mark()) {
        Some(mark) if mark.is == Presence::Present && mark != step.before => Err(PortError::new(
            "run::moved",
            format!("remove {}", step.resource),
            world.host.name(),
            format!(
                "the plan expects it {}, and it is {}",
                step.before.words(),
                mark.words()
            ),
        )
        .hint("make a new plan and apply that")),
        _ => Ok(()),
    }
}

/// Whether what is seen of a step's resource follows from what its needs do, so that the step may meet another state than the plan saw.
fn shaped_by_needs(plan: &Plan, step: &Step) -> bool {
    match step.resource.kind() {
        "systemd-unit" | "kubernetes-cluster" => !step.needs.is_empty(),
        // what an apply changes in a custom resource, the server knows only with the definition that this plan brings
        "kubernetes-object" => step.needs.iter().any(|need| {
            let definition = &plan.steps[*need].desired["manifest"];
            openg2p_kinds::defines(definition, &step.desired["manifest"])
        }),
        _ => false,
    }
}
