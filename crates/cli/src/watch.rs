//! Follows a run: progress for people, events as JSON lines for programs, Ctrl-C for whoever changes their mind.

use std::time::Duration;

use openg2p_lead::protocol::{Reply, Request};
use openg2p_plan::{Moved, Plan};
use openg2p_run::{EventKind, Failure, Outcome as StepOutcome};
use openg2p_spec::Site;
use serde_json::Value;

use crate::error::{CliError, Exit};
use crate::output::plan::label;
use crate::output::{Outcome, Printer, Progress, StepEstimate};
use crate::prepared::LeadArgs;
use crate::remote::{Lead, unexpected};

/// How a run ended, as far as it was watched.
pub(crate) struct Ended {
    /// The first failure.
    pub error: Option<Failure>,
    /// All failures with their resources.
    pub failures: Vec<(String, Failure)>,
    /// Exit code.
    pub exit: u8,
    /// What moved since the plan was made, where that is why the run was refused.
    pub moved: Vec<Moved>,
    /// Results that the run gave.
    pub results: Vec<Value>,
}

impl Ended {
    /// What the command returns.
    pub(crate) fn exit(self) -> Result<Exit, CliError> {
        match (self.exit, self.error) {
            (0, _) => Ok(Exit::Done),
            (2, _) if !self.moved.is_empty() => Err(crate::commands::apply::no_longer_holds(&self.moved)),
            (2, Some(failure)) => Err(crate::remote::refusal(
                vec![failure],
                "the run was refused; nothing was changed",
            )),
            (_, Some(failure)) => {
                let mut error = CliError::from(failure);
                let others = self.failures.len().saturating_sub(1);
                if others > 0 {
                    for (resource, failure) in self.failures.into_iter().skip(1).take(4) {
                        error.why.push(format!(
                            "also {resource}: {}",
                            failure.why.lines().next().unwrap_or_default()
                        ));
                    }
                    if others > 4 {
                        error.why.push(format!("and {} more", others - 4));
                    }
                }
                Err(error.hint("what was done is recorded: the same command goes on from here"))
            }
            (_, None) => Err(CliError::failed("run::stopped", "the run was stopped")
                .hint("the same command goes on from here")),
        }
    }
}

/// What is known of a run before its first event.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Its steps in their order: what is done, and expected seconds. None for a run without a plan.
    pub steps: Vec<(String, f64)>,
    /// How long it goes on already.
    pub elapsed: Duration,
}

impl Course {
    /// Of a run that begins now.
    pub(crate) fn of(plan: &Plan) -> Self {
        let steps = plan.steps.iter();
        Self {
            steps: steps.map(|step| (label(step), step.estimate.seconds)).collect(),
            elapsed: Duration::ZERO,
        }
    }
}

/// Watches `run` to its end. The first Ctrl-C stops the run after the steps that have begun; the second one leaves it
/// alone and detaches.
pub(crate) async fn watch(
    lead: &mut Lead,
    site: &Site,
    args: &LeadArgs,
    run: &str,
    printer: &Printer,
    course: &Course,
) -> Result<Ended, CliError> {
    let progress = printer.progress();
    let labels = course.steps.as_slice();
    if !labels.is_empty() {
        let steps = labels
            .iter()
            .enumerate()
            .map(|(number, (_, seconds))| StepEstimate {
                id: number.to_string(),
                time: Some(Duration::from_secs_f64(seconds.max(0.0))),
            })
            .collect();
        progress.start_with(steps, course.elapsed);
    }
    lead.attach(run, 0).await?;
    let mut ended = None;
    let mut failures = Vec::new();
    let mut results = Vec::new();
    let mut moved = Vec::new();
    let mut not_begun = 0;
    let mut interrupts = 0;
    loop {
        let event = tokio::select! {
            event = lead.event() => event?,
            _ = tokio::signal::ctrl_c() => {
                interrupts += 1;
                if interrupts > 1 {
                    progress.finish("");
                    return Err(CliError::failed("run::detached", "detached; the run goes on")
                        .hint(format!("watch it again with `openg2p attach {run}`")));
                }
                progress.message("stopping after the steps that have begun (Ctrl-C again: leave it to itself and detach)");
                // the connection carries the events, so the wish goes over one of its own
                let mut other = Lead::connect(site, args.identity.as_deref()).await?;
                other.ask(&Request::Stop { run: run.into() }).await?;
                continue;
            }
        };
        let Some(event) = event else { break };
        if printer.is_json() {
            printer.json_line(&event);
        }
        show(&event.kind, &progress, &course.steps);
        match event.kind {
            EventKind::StepFinished {
                resource,
                error: Some(failure),
                ..
            } => failures.push((resource, failure)),
            EventKind::StepFinished {
                outcome: StepOutcome::Skipped,
                ..
            } => not_begun += 1,
            EventKind::Moved { moved: item } => moved.push(item),
            EventKind::Result { value } => results.push(value),
            EventKind::Warning { text } => printer.warning(&text),
            EventKind::RunFinished {
                outcome,
                done,
                error,
                exit,
                peak_memory,
                ..
            } => {
                if let Some(bytes) = peak_memory {
                    printer.detail(&format!("the engine held {} MB at most", bytes / 1_000_000));
                }
                ended = Some((outcome, done, error, exit));
            }
            _ => {}
        }
    }
    if let Some((outcome, done, ..)) = &ended {
        let word = if outcome == "done" {
            "all".to_owned()
        } else {
            format!("{outcome} after")
        };
        let steps = if *done == 1 { "step" } else { "steps" };
        if !labels.is_empty() {
            let left = if not_begun > 0 {
                format!(", {not_begun} not begun")
            } else {
                String::new()
            };
            progress.finish(&format!("{word} {done} {steps}{left}"));
        }
    }
    let Some((_, _, error, exit)) = ended else {
        return Err(CliError::failed("run::lost", "the engine ended without a word")
            .at(run)
            .because("it was killed, or the machine went down")
            .hint("the same command goes on from here; `journalctl` on the lead node tells more"));
    };
    Ok(Ended {
        error,
        failures,
        exit,
        moved,
        results,
    })
}

fn show(event: &EventKind, progress: &Progress, labels: &[(String, f64)]) {
    match event {
        EventKind::StepStarted {
            step,
            resource,
            action,
            ..
        } => {
            let known = labels.get(*step).map(|(label, _)| label.clone());
            let label = known.unwrap_or_else(|| format!("{} {resource}", action.verb()));
            progress.step_started(&step.to_string(), &label);
        }
        EventKind::StepProgress { step, text } => {
            progress.step_detail(&step.to_string(), text);
        }
        EventKind::StepFinished {
            step, outcome, error, ..
        } => {
            let outcome = match outcome {
                StepOutcome::Done => Outcome::Done,
                // it never began; the sum at the end tells how many there were
                StepOutcome::Skipped => Outcome::Unchanged,
                StepOutcome::Failed => {
                    let why = error
                        .as_ref()
                        .map(|failure| failure.why.lines().next().unwrap_or_default().to_owned());
                    Outcome::Failed(why.unwrap_or_default())
                }
            };
            progress.step_finished(&step.to_string(), &outcome);
        }
        EventKind::Message { text } => progress.message(text),
        _ => {}
    }
}

/// Starts a job, tells people its id, and gives it.
pub(crate) async fn start(lead: &mut Lead, request: &Request, printer: &Printer) -> Result<String, CliError> {
    match lead.ask(request).await? {
        Reply::Started { run } => {
            printer.note(&format!(
                "run {run} goes on even if this terminal closes; `openg2p attach` watches it again"
            ));
            Ok(run)
        }
        other => Err(unexpected(&other)),
    }
}
