//! A run, in a process of its own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use openg2p_plan::{Chain, Ledger, Plan, unseal};
use openg2p_ports::{PortError, State as _, World};
use openg2p_run::teardown::{self, Removed};
use openg2p_run::{Event, EventKind, Failure, Memory, RecordError, Refusal, RunInfo, Selection, Sink};
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, StateDirectory, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::protocol::{Dumps, Job, Removal, Work};
use crate::{fence, lock, paths};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// With what the chain of a run's events begins.
pub(crate) fn events_anchor(run: &str) -> String {
    format!("events {run}")
}

/// The unit of a run.
pub fn unit(run: &str) -> String {
    format!("openg2p-run-{run}.service")
}

/// A new id, sortable by time.
pub(crate) fn new_id() -> String {
    use openg2p_ports::Random as _;
    let seconds = now();
    let mut bytes = [0; 3];
    SystemRandom.fill(&mut bytes);
    let tail: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{seconds}-{tail}")
}

/// The real world of this host.
pub(crate) fn open_world(node: &str) -> World {
    let bundle = Arc::new(BundleDirectory::open_or_empty(Path::new(paths::BUNDLE)));
    World {
        host: Box::new(LocalHost::new(node, bundle.clone(), paths::APT)),
        cluster: Box::new(KubernetesApi::new(paths::KUBECONFIG)),
        bundle: Box::new(openg2p_world::SharedBundle(bundle)),
        random: Box::new(SystemRandom),
    }
}

/// Writes events as chained JSON lines, one write each.
struct EventFile {
    file: Mutex<(std::fs::File, Chain)>,
    sequence: AtomicU64,
}

impl EventFile {
    fn open(run: &str) -> std::io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = Path::new(paths::STATE).join("runs").join(run).join("events");
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file: Mutex::new((file, Chain::begin(&events_anchor(run)))),
            sequence: AtomicU64::new(0),
        })
    }
}

impl Sink for EventFile {
    fn emit(&self, kind: EventKind) {
        use std::io::Write as _;
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let event = Event {
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            time,
            kind,
        };
        if let Ok(event) = serde_json::to_value(&event) {
            let (file, chain) = &mut *file;
            // events inform; the journal is what must be written, and a full disk shows there
            let _ = file.write_all(&chain.line(&event));
        }
    }
}

/// Runs the job of that id to its end and gives the exit code.
pub async fn run(id: &str) -> u8 {
    let started = Instant::now();
    let Ok(events) = EventFile::open(id) else { return 3 };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        flag.store(true, Ordering::Relaxed);
    });
    let finish = |outcome: &str, counts: (usize, usize, usize), error: Option<Failure>, exit: u8| {
        events.emit(EventKind::RunFinished {
            outcome: outcome.into(),
            done: counts.0,
            failed: counts.1,
            skipped: counts.2,
            seconds: started.elapsed().as_secs_f64(),
            error,
            exit,
            peak_memory: peak_memory(),
        });
        exit
    };
    let (job, by) = match read_job(id).await {
        Ok(read) => read,
        Err(error) => return finish("refused", (0, 0, 0), Some(error.into()), 2),
    };
    let since = openg2p_world::timestamp(now());
    let _lock = match lock::take(
        Path::new(paths::STATE),
        &format!("run {id}, of {by}, since {since}"),
    ) {
        Ok(lock) => lock,
        Err(error) => return finish("refused", (0, 0, 0), Some(error.into()), 2),
    };
    if let Err(error) = fence::enter(Path::new(paths::STATE), id, &by).await {
        return finish("refused", (0, 0, 0), Some(error.into()), 2);
    }
    match job.work {
        Work::Perform {
            command,
            plan,
            removal,
        } => match perform(id, &command, &job.node, &plan, removal.as_ref(), &events, &stop).await {
            Ok(finished) => {
                let counts = (finished.done, finished.failed.len(), finished.skipped);
                let first = finished.failed.into_iter().next().map(|(_, failure)| failure);
                let (outcome, exit) = match (&first, finished.stopped) {
                    (Some(_), _) => ("failed", 3),
                    (None, true) => ("stopped", 3),
                    (None, false) => ("done", 0),
                };
                finish(outcome, counts, first, exit)
            }
            Err(failure) => finish("refused", (0, 0, 0), Some(failure), 2),
        },
        Work::Verify {
            environment,
            domain,
            edge,
            beneficiaries,
            deadline,
        } => {
            let request = crate::verify::Wish {
                environment,
                domain,
                edge,
                beneficiaries,
                deadline,
            };
            match crate::verify::run(&job.node, &request, &events).await {
                Ok(true) => finish("done", (1, 0, 0), None, 0),
                Ok(false) => finish("failed", (0, 1, 0), None, 3),
                Err(error) => finish("failed", (0, 1, 0), Some(error.into()), 3),
            }
        }
    }
}

/// The most memory that this process held, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The run's job, and who started it.
async fn read_job(id: &str) -> Result<(Job, String), PortError> {
    let failed = |why: String| PortError::new("run::job", "read the run's job", id, why);
    let bytes = StateDirectory::new(paths::STATE)
        .read(&format!("runs/{id}/job.json"))
        .await?;
    let bytes = bytes.ok_or_else(|| failed("it is not there".into()))?;
    let body = unseal(&bytes).map_err(|torn| failed(torn.to_string()))?;
    let order: Order<Job> = serde_json::from_slice(body).map_err(|error| failed(error.to_string()))?;
    Ok((order.job, order.by))
}

/// A job as it is written for the engine, sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order<J> {
    /// Who started it.
    pub(crate) by: String,
    pub(crate) job: J,
}

/// What this program and this host are, to be compared with what a plan says.
pub(crate) async fn own(world: &World) -> Result<openg2p_run::Engine, PortError> {
    Ok(openg2p_run::Engine {
        version: env!("CARGO_PKG_VERSION").into(),
        host: Some(openg2p_run::host_words(&world.host.facts().await?)),
        bundle_is_to_come: false,
    })
}

async fn perform(
    id: &str,
    command: &str,
    node: &str,
    plan: &Plan,
    removal: Option<&Removal>,
    events: &EventFile,
    stop: &AtomicBool,
) -> Result<openg2p_run::Finished, Failure> {
    let state = Arc::new(StateDirectory::new(paths::STATE));
    let info = RunInfo {
        id: id.into(),
        command: command.into(),
    };
    let world = open_world(node);
    let own = own(&world).await?;
    let (memory, damaged) = Memory::open_or_copy(&world, state.clone(), info)
        .await
        .map_err(|error| refused(node, error.into(), events))?;
    let memory = memory.with_clock(Arc::new(now)).behind_fence();
    for text in damaged {
        events.emit(EventKind::Warning {
            text: format!("records of earlier runs: {text}"),
        });
    }
    let before = memory.ledger();
    if let Some(removal) = removal.filter(|removal| removal.dump) {
        dump(&world, id, &removal.selection, &before, events).await?;
    }
    let finished = openg2p_run::perform(&world, &memory, plan, &own, events, stop)
        .await
        .map_err(|refusal| refused(node, refusal, events))?;
    // what steps took is good to know for the next plan, and nothing else: a full disk must not make a failure of it
    if let Err(error) = openg2p_run::learn(state.as_ref(), plan, &finished).await {
        events.emit(EventKind::Warning {
            text: format!("how long the steps took could not be kept: {error}"),
        });
    }
    // without a copy the site is as it should be; only a later loss of this host's files would not be made good
    if let Err(error) = memory.replicate(&world).await {
        events.emit(EventKind::Warning {
            text: format!("the ledger has no new copy in the cluster: {error}"),
        });
    }
    if let Some(Removal { selection, .. }) = removal {
        tell_removal(&world, id, selection, &before, &memory.ledger(), events).await;
    }
    Ok(finished)
}

/// Dumps the databases of a removal, and tells where they are.
async fn dump(
    world: &World,
    run: &str,
    selection: &Selection,
    ledger: &Ledger,
    events: &EventFile,
) -> Result<(), PortError> {
    let (entries, _) = selection.split(ledger);
    let folder = format!("{}/{}-{run}", paths::DUMPS, ledger.site);
    let tell = |text: &str| events.emit(EventKind::Message { text: text.into() });
    let dumps = openg2p_run::dump::dump(world, &entries, paths::KUBECONFIG, &folder, &tell).await?;
    events.emit(EventKind::Result {
        value: serde_json::to_value(Dumps { dumps }).unwrap_or_default(),
    });
    Ok(())
}

/// Looks at what is left behind a removal, tells it, and keeps it with the run.
async fn tell_removal(
    world: &World,
    run: &str,
    selection: &Selection,
    before: &Ledger,
    after: &Ledger,
    events: &EventFile,
) {
    let (entries, _) = selection.split(before);
    let (_, others) = selection.split(after);
    let removed = Removed {
        selection,
        entries: &entries,
        others: &others,
    };
    let report = teardown::report(world, run, &removed).await;
    let value = serde_json::to_value(&report).unwrap_or_default();
    let kept = StateDirectory::new(paths::STATE)
        .replace(&format!("runs/{run}/removal.json"), value.to_string().as_bytes())
        .await;
    if let Err(error) = kept {
        events.emit(EventKind::Warning {
            text: format!("the report could not be kept with the run: {error}"),
        });
    }
    events.emit(EventKind::Result { value });
}

/// A refusal as one failure; each thing that moved is an event of its own.
fn refused(node: &str, refusal: Refusal, events: &EventFile) -> Failure {
    let failure = |code: &str, what: &str, why: String, hint: &str| Failure {
        code: code.into(),
        what: what.into(),
        place: node.into(),
        why,
        hint: Some(hint.into()),
    };
    match refusal {
        Refusal::Record(error) => {
            let code = match error {
                RecordError::OtherSite(..) => "ledger::other-site",
                RecordError::Lost(..) => "ledger::lost",
                RecordError::Storage(_) => "ledger::storage",
            };
            failure(
                code,
                "open the ledger",
                error.to_string(),
                "docs/guide/operate.md, \"When the ledger is lost\", says what is left to do; nothing was changed",
            )
        }
        Refusal::Altered(why) => failure(
            "plan::altered",
            "perform the plan",
            why,
            "make a new plan: a saved one is not for editing",
        ),
        Refusal::Moved(list) => {
            let count = list.len();
            for moved in list {
                events.emit(EventKind::Moved { moved });
            }
            let things = if count == 1 { "thing" } else { "things" };
            failure(
                "plan::moved",
                "perform the plan",
                format!("{count} {things} that it was made from moved since"),
                "make a new plan, look at it, and apply that",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_the_peak() {
        let before = super::peak_memory().unwrap();
        assert!(before > 1 << 20, "{before}");
        let much = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(super::peak_memory().unwrap() >= before.max(much.len() as u64));
    }
}
