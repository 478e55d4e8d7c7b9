//! Runs that this host remembers: one folder each with its job and its events.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openg2p_plan::{Chain, unseal};
use openg2p_ports::PortError;
use openg2p_run::{Event, EventKind};

use crate::protocol::{Job, Run, RunSummary, Work};
use crate::{engine, lock};

/// How many runs are remembered.
const KEPT: usize = 20;

/// Whether a text may be a run's id; everything else is no folder of ours.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Ids of all runs below `state`, oldest first: an id begins with its time.
pub(crate) fn ids(state: &Path) -> Vec<String> {
    let mut ids: Vec<String> = std::fs::read_dir(state.join("runs"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_id(name))
        .collect();
    ids.sort();
    ids
}

/// The id of the run that was asked for: the one that holds the lock or else the last one when none was named.
///
/// Errors: `run::unknown` with the runs that there are, `run::none`.
pub(crate) fn find(state: &Path, wanted: Option<&str>) -> Result<String, PortError> {
    let mut known = ids(state);
    let place = state.join("runs").display().to_string();
    let Some(wanted) = wanted else {
        let current = lock::holder(state).filter(|id| known.contains(id));
        return match current.or_else(|| known.pop()) {
            Some(id) => Ok(id),
            None => Err(
                PortError::new("run::none", "find a run", place, "this host remembers no run")
                    .hint("`openg2p apply` starts one"),
            ),
        };
    };
    if known.iter().any(|id| id == wanted) {
        return Ok(wanted.to_owned());
    }
    let why = if known.is_empty() {
        format!("there is no run `{wanted}`, nor any other")
    } else {
        format!(
            "there is no run `{wanted}`; the last one is {}",
            known[known.len() - 1]
        )
    };
    Err(PortError::new("run::unknown", "find a run", place, why)
        .hint("`openg2p attach --list` has all of them; without an id, `openg2p attach` takes the current or last one"))
}

fn events(state: &Path, id: &str) -> Vec<Event> {
    let bytes = std::fs::read(state.join("runs").join(id).join("events")).unwrap_or_default();
    let mut chain = Chain::begin(&engine::events_anchor(id));
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map_while(|line| event(&mut chain, line.strip_suffix(b"\n")?).ok())
        .collect()
}

/// One line of a run's events, or why it cannot be used. Runs of the version before wrote bare events, without a chain.
pub(crate) fn event(chain: &mut Chain, line: &[u8]) -> Result<Event, String> {
    match chain.take(line) {
        Ok(record) => serde_json::from_value(record).map_err(|_| "it is of another version".to_owned()),
        Err(why) => serde_json::from_slice(line).map_err(|_| why.to_owned()),
    }
}

fn finished(events: &[Event]) -> Option<&str> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::RunFinished { outcome, .. } => Some(outcome.as_str()),
        _ => None,
    })
}

fn job(state: &Path, id: &str) -> Option<Job> {
    let bytes = std::fs::read(state.join("runs").join(id).join("job.json")).ok()?;
    let order: engine::Order<Job> = serde_json::from_slice(unseal(&bytes).ok()?).ok()?;
    Some(order.job)
}

/// Seconds since 1970 with which an id begins.
fn began(id: &str) -> f64 {
    let seconds = id.split('-').next().and_then(|text| text.parse::<u32>().ok());
    f64::from(seconds.unwrap_or(0))
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

fn command(job: &Job) -> String {
    match &job.work {
        Work::Perform { command, .. } => command.clone(),
        Work::Verify { environment, .. } => format!("verify {environment}"),
    }
}

/// One line of a list of runs. `running` says whether its process is there.
pub(crate) fn summary(state: &Path, id: &str, running: bool) -> RunSummary {
    let events = events(state, id);
    let outcome = match finished(&events) {
        Some(outcome) => outcome,
        None if running => "running",
        None => "lost",
    };
    RunSummary {
        id: id.to_owned(),
        command: job(state, id).map_or_else(String::new, |job| command(&job)),
        outcome: outcome.to_owned(),
        age: (now() - began(id)).max(0.0),
    }
}

/// Whether a run wrote its last event.
pub(crate) fn has_ended(state: &Path, id: &str) -> bool {
    finished(&events(state, id)).is_some()
}

/// What somebody who watches a run must know before its first event.
pub(crate) fn describe(state: &Path, id: &str) -> Run {
    let events = events(state, id);
    let start = events.first().map_or_else(|| began(id), |event| event.time);
    let end = match (finished(&events), events.last()) {
        (Some(_), Some(last)) => last.time,
        _ => now(),
    };
    let job = job(state, id);
    let steps = match job.as_ref().map(|job| &job.work) {
        Some(Work::Perform { plan, .. }) => plan
            .steps
            .iter()
            .map(|step| {
                (
                    format!("{} {}", step.action.verb(), step.resource),
                    step.estimate.seconds,
                )
            })
            .collect(),
        _ => Vec::new(),
    };
    Run {
        id: id.to_owned(),
        command: job.as_ref().map_or_else(String::new, command),
        steps,
        elapsed: (end - start).max(0.0),
    }
}

/// Removes all but the last runs. One that goes on is never removed; `going` is asked for those that wrote no last event.
pub(crate) async fn prune<F: Future<Output = bool>>(state: &Path, going: impl Fn(String) -> F) {
    let ids = ids(state);
    for id in ids.iter().rev().skip(KEPT) {
        if has_ended(state, id) || !going(id.clone()).await {
            // an old folder too many is no reason not to run
            let _ = std::fs::remove_dir_all(state.join("runs").join(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(state: &Path, id: &str, lines: &[serde_json::Value]) {
        let folder = state.join("runs").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        let mut chain = Chain::begin(&engine::events_anchor(id));
        let bytes: Vec<u8> = lines.iter().flat_map(|line| chain.line(line)).collect();
        std::fs::write(folder.join("events"), bytes).unwrap();
    }

    fn started(time: f64) -> serde_json::Value {
        json!({"sequence": 0, "time": time, "event": "message", "text": "x"})
    }

    fn ended(time: f64, outcome: &str) -> serde_json::Value {
        json!({"sequence": 1, "time": time, "event": "run-finished", "outcome": outcome, "done": 1, "failed": 0, "skipped": 0,
            "seconds": 1.0, "error": null, "exit": 0})
    }

    #[test]
    fn without_an_id_the_current_or_last_run_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        assert_eq!(find(state, None).unwrap_err().code, "run::none");
        write(state, "100-a", &[started(1.0), ended(2.0, "done")]);
        write(state, "200-b", &[started(1.0), ended(2.0, "failed")]);
        assert_eq!(find(state, None).unwrap(), "200-b");
        // the second one goes on, the third was refused because of it
        write(state, "300-c", &[ended(3.0, "refused")]);
        let lock = lock::take(state, "run 200-b").unwrap();
        assert_eq!(find(state, None).unwrap(), "200-b");
        drop(lock);
        assert_eq!(find(state, None).unwrap(), "300-c");
        assert_eq!(find(state, Some("100-a")).unwrap(), "100-a");
    }

    #[test]
    fn an_unknown_id_is_told_at_once_and_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "100-a", &[started(1.0)]);
        for id in ["100-b", "..", "../runs/100-a", ""] {
            let error = find(folder.path(), Some(id)).unwrap_err();
            assert_eq!(error.code, "run::unknown", "{id}");
            assert!(error.why.contains("100-a"), "{error}");
        }
    }

    #[test]
    fn events_of_the_version_before_are_read_and_damaged_ones_end_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        write(state, "200-b", &[started(1.0), ended(2.0, "done")]);
        let path = |id: &str| state.join("runs").join(id).join("events");
        let mut bytes = std::fs::read(path("200-b")).unwrap();
        bytes[20] ^= 1;
        std::fs::write(path("200-b"), bytes).unwrap();
        assert_eq!(summary(state, "200-b", false).outcome, "lost");
        std::fs::create_dir_all(state.join("runs/100-a")).unwrap();
        let lines = format!("{}\n{}\n", started(1.0), ended(2.0, "done"));
        std::fs::write(path("100-a"), lines).unwrap();
        assert_eq!(summary(state, "100-a", false).outcome, "done");
    }

    #[test]
    fn a_run_is_told_with_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        write(state, "100-a", &[started(100.0), ended(160.0, "failed")]);
        write(state, "200-b", &[started(200.0)]);
        assert_eq!(summary(state, "100-a", false).outcome, "failed");
        assert_eq!(summary(state, "200-b", true).outcome, "running");
        assert_eq!(summary(state, "200-b", false).outcome, "lost");
        let elapsed = describe(state, "100-a").elapsed;
        assert!((elapsed - 60.0).abs() < 0.001, "{elapsed}");
    }

    #[tokio::test]
    async fn the_last_twenty_runs_and_whatever_goes_on_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        for number in 10..40 {
            let end = if number == 12 || number == 13 {
                vec![started(1.0)]
            } else {
                vec![ended(2.0, "done")]
            };
            write(state, &format!("{number}-a"), &end);
        }
        prune(state, |id| async move { id == "12-a" }).await;
        let left = ids(state);
        assert_eq!(left.len(), 21);
        assert_eq!((left[0].as_str(), left[1].as_str()), ("12-a", "20-a"));
    }
}
