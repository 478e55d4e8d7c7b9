//! Performs the steps of a plan, side by side where their needs allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openg2p_kinds::{Subject, kind};
use openg2p_plan::{Action, Plan, Step, Verdict};
use openg2p_ports::{PortError, World};

use crate::event::Failure;
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
}

/// Most steps at once. Steps mostly wait for others (pods, units); the host's package manager and Nginx take one at a
/// time of themselves.
const WIDTH: usize = 16;

/// Performs `plan`. `interrupted` ends it between steps: what has begun is finished.
pub async fn execute(
    world: &World,
    memory: &Memory,
    plan: &Plan,
    sink: &dyn Sink,
    interrupted: &AtomicBool,
) -> Finished {
    let mut finished = Finished::default();
    let mut waiting: BTreeSet<usize> = (0..plan.steps.len()).collect();
    let mut outcome: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    let mut busy: BTreeMap<&'static str, usize> = BTreeMap::new();
    let urgencies = urgency(plan);
    loop {
        finished.stopped |= interrupted.load(Ordering::Relaxed);
        let mut ready: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|number| {
                plan.steps[*number]
                    .needs
                    .iter()
                    .all(|need| outcome.contains_key(need))
            })
            .collect();
        // what most other work waits for goes first
        ready.sort_by(|a, b| urgencies[*b].total_cmp(&urgencies[*a]).then(a.cmp(b)));
        for number in ready {
            let step = &plan.steps[number];
            let blocked = step
                .needs
                .iter()
                .any(|need| outcome.get(need) != Some(&Outcome::Done));
            if blocked || finished.stopped {
                waiting.remove(&number);
                outcome.insert(number, Outcome::Skipped);
                finished.skipped += 1;
                sink.emit(EventKind::StepFinished {
                    step: number,
                    resource: step.resource.to_string(),
                    outcome: Outcome::Skipped,
                    seconds: 0.0,
                    error: None,
                });
                continue;
            }
            let shared = shared(step);
            let full = shared.is_some_and(|(name, most)| busy.get(name).is_some_and(|count| *count >= most));
            if running.len() >= WIDTH || full {
                continue;
            }
            if let Some((name, _)) = shared {
                *busy.entry(name).or_default() += 1;
            }
            waiting.remove(&number);
            sink.emit(EventKind::StepStarted {
                step: number,
                resource: step.resource.to_string(),
                part: step.part.clone(),
                action: step.action,
                estimate: step.estimate,
            });
            running.push(async move {
                let started = Instant::now();
                let result = perform(world, memory, step, sink).await;
                (number, result, started.elapsed().as_secs_f64())
            });
        }
        let Some((number, result, seconds)) = running.next().await else {
            if waiting.is_empty() {
                break;
            }
            // steps whose needs were skipped just now become ready in the next turn
            continue;
        };
        let step = &plan.steps[number];
        if let Some((name, _)) = shared(step)
            && let Some(count) = busy.get_mut(name)
        {
            *count -= 1;
        }
        let error = match result {
            Ok(()) => {
                finished.done += 1;
                outcome.insert(number, Outcome::Done);
                None
            }
            Err(error) => {
                outcome.insert(number, Outcome::Failed);
                let failure = Failure::from(error);
                finished.failed.push((number, failure.clone()));
                Some(failure)
            }
        };
        sink.emit(EventKind::StepFinished {
            step: number,
            resource: step.resource.to_string(),
            outcome: outcome[&number],
            seconds,
            error,
        });
    }
    finished
}

/// What steps share, and how many at once: the package manager, Nginx and systemd take one change at a time; unpacking images
/// keeps a disk and a processor busy, and more than two at once only make each other late.
fn shared(step: &Step) -> Option<(&'static str, usize)> {
    match step.resource.kind() {
        "host-packages" => Some(("dpkg", 1)),
        "nginx-site" | "certificate" => Some(("nginx", 1)),
        "systemd-unit" => Some(("systemd", 1)),
        "container-image" => Some(("images", 2)),
        _ => None,
    }
}

/// Seconds of work from the beginning of each step to the end of the longest chain that needs it.
fn urgency(plan: &Plan) -> Vec<f64> {
    let mut urgency: Vec<f64> = plan.steps.iter().map(|step| step.estimate).collect();
    for step in plan.steps.iter().rev() {
        let own = urgency[step.number];
        for need in &step.needs {
            urgency[*need] = urgency[*need].max(plan.steps[*need].estimate + own);
        }
    }
    urgency
}

async fn perform(world: &World, memory: &Memory, step: &Step, sink: &dyn Sink) -> Result<(), PortError> {
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
        let Some(entry) = memory.removing(&step.resource).await? else {
            return Ok(());
        };
        kind.remove(world, &entry, &progress).await?;
        return memory.removed(&step.resource).await;
    }

    let entries = memory.entries(None).await;
    let entry = entries.get(&step.resource);
    let subject = Subject {
        desired: &step.desired,
        entry,
    };
    let seen = kind.observe(world, &[subject]).await.into_iter().next();
    if let Some(seen) = &seen {
        // Somebody was faster, or a run was cut off behind the effect. What is as it should be needs nothing but its record; a
        // change that the kind itself would still make safely from here goes on only for things that were absent by reason
        // of their needs. What the kind refuses or cannot read is never changed.
        let moved = |why: String| {
            let what = format!("{} {}", step.action.verb(), step.resource);
            Err(PortError::new("run::moved", what, world.host.name(), why)
                .hint("make a new plan and apply that"))
        };
        match kind.compare(subject, seen) {
            Verdict::Same => {
                if let Some(entry) = entry {
                    memory.intend(step, &entry.details).await?;
                }
                let details = entry.map_or_else(Default::default, |entry| entry.details.clone());
                return memory.present(&step.resource, details).await;
            }
            Verdict::Conflict(why) | Verdict::Unknown(why) => return moved(why),
            _ if seen.fingerprint() == step.expects => {}
            Verdict::Create if step.action == Action::Create => {}
            Verdict::Update(_) if step.action == Action::Update => {}
            Verdict::Update(_) if matches!(name, "systemd-unit" | "kubernetes-cluster") => {}
            _ => return moved("it is no longer in the state that the plan expects".into()),
        }
    }
    let details = kind.intend(world, subject).await?;
    memory.intend(step, &details).await?;
    let details = kind
        .change(world, step.action, subject, details, &progress)
        .await?;
    memory.present(&step.resource, details).await
}
