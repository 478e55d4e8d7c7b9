//! The agent: one conversation over standard input and output.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openg2p_bundle::index::Index;
use openg2p_plan::{Chain, Ledger, Observed, Owned, Owner, seal};
use openg2p_ports::{Command, PortError, State as _, World};
use openg2p_run::{EventKind, Failure, Memory, RecordError, saved};
use openg2p_world::frames::{self, FrameError};
use openg2p_world::{BundleDirectory, StateDirectory, run_process};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::engine::{self, open_world};
use crate::preflight::check;
use crate::protocol::{Demand, Job, KeptLedger, Reply, Request, Work};
use crate::store::Store;
use crate::{lock, paths, runs};

/// How often the events of a run are looked for. They are a file that the engine appends to; a tenth of a second is below what
/// a person notices.
const LOOK: Duration = Duration::from_millis(100);

/// Serves one operator until the connection ends.
pub async fn serve<R, W>(input: &mut R, output: &mut W) -> Result<(), FrameError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut store = Store::new(paths::BUNDLE, paths::STATE);
    while let Some(request) = frames::receive::<_, Request>(input).await? {
        let reply = match request {
            Request::Blob { sha256, size } => {
                store.receive(&sha256, size, input).await?.map(|()| Reply::Done)
            }
            Request::Attach { run, from } => match runs::find(Path::new(paths::STATE), Some(&run)) {
                Ok(run) => {
                    attach(&run, from, output).await?;
                    Ok(Reply::Closed)
                }
                Err(error) => Err(error),
            },
            Request::OfferBundle { index } => store.offer(index).map(|blobs| Reply::Wanted { blobs }),
            Request::CommitBundle => store.commit().map(|()| Reply::Done),
            other => answer(other).await,
        };
        let reply = reply.unwrap_or_else(|error| Reply::Failed(error.into()));
        frames::send(output, &reply).await?;
    }
    Ok(())
}

fn unreadable(error: RecordError) -> PortError {
    match error {
        RecordError::Storage(error) => error,
        other => PortError::new("ledger::unreadable", "read the ledger", paths::STATE, other.to_string())
            .hint("docs/guide/operate.md, \"When the ledger is lost\", says what is left to do; nothing was changed"),
    }
}

/// The ledger, or a copy of it, and what was damaged.
async fn records(world: &World) -> Result<(Ledger, Vec<String>), PortError> {
    let state = StateDirectory::new(paths::STATE);
    let (ledger, damaged) = Memory::read_or_copy(world, &state).await.map_err(unreadable)?;
    let damaged = damaged
        .into_iter()
        .map(|text| format!("records of earlier runs: {text}"));
    Ok((ledger, damaged.collect()))
}

async fn ledger() -> Result<Ledger, PortError> {
    Ok(records(&open_world("this host")).await?.0)
}

/// Copies the ledger into the cluster where a run ended before it had done that.
async fn settle(node: &str) -> Result<(), PortError> {
    let state = Path::new(paths::STATE);
    if !state.exists() {
        return Ok(());
    }
    let world = open_world(node);
    let (ledger, _) = records(&world).await?;
    if openg2p_run::copy::is_current(&world, &ledger).await? {
        return Ok(());
    }
    // whoever holds the lock makes a copy in the end
    let Ok(_lock) = lock::take(state, "a copy of the ledger") else {
        return Ok(());
    };
    openg2p_run::copy::replicate(&world, &ledger).await.map(drop)
}

fn refused(code: &str, what: &str, list: impl IntoIterator<Item = (String, String)>, hint: &str) -> Reply {
    let failures = list
        .into_iter()
        .map(|(place, why)| Failure {
            code: code.into(),
            what: what.into(),
            place,
            why,
            hint: Some(hint.into()),
        })
        .collect();
    Reply::Refused { failures }
}

fn plan_refused(error: openg2p_plan::PlanError) -> Reply {
    use openg2p_plan::PlanError;
    let pairs = |list: Vec<(openg2p_plan::ResourceId, String)>| {
        list.into_iter()
            .map(|(id, why)| (id.to_string(), why))
            .collect::<Vec<_>>()
    };
    match error {
        PlanError::Conflict(list) => refused(
            "plan::conflict",
            "plan",
            pairs(list),
            "what is not ours is never overwritten; decide by hand, then try again",
        ),
        PlanError::Unknown(list) => refused(
            "plan::unknown",
            "plan",
            pairs(list),
            "make it readable again, then try again; nothing was changed",
        ),
        PlanError::ClaimedTwice(clashes) => refused(
            "plan::claimed-twice",
            "plan",
            clashes.into_iter().map(|clash| {
                (
                    clash.claim,
                    format!("claimed by {}", clash.claimants.join(" and by ")),
                )
            }),
            "one thing has one writer: take one of the claimants out, or give it another name",
        ),
        PlanError::Cycle(names) => refused(
            "plan::cycle",
            "plan",
            [(
                "the site".into(),
                format!("these need each other in a loop: {}", names.join(" -> ")),
            )],
            "this is a fault of the catalogue: report it",
        ),
    }
}

async fn answer(request: Request) -> Result<Reply, PortError> {
    let remembered = Path::new(paths::STATE);
    Ok(match request {
        Request::Greet => Reply::Done,
        Request::Runs => {
            let mut list = Vec::new();
            for id in runs::ids(remembered) {
                let going = !runs::has_ended(remembered, &id) && running(&id).await;
                list.push(runs::summary(remembered, &id, going));
            }
            Reply::Runs { runs: list }
        }
        Request::Describe { run } => {
            let id = runs::find(remembered, run.as_deref())?;
            Reply::Run(runs::describe(remembered, &id))
        }
        Request::Hello => Reply::Hello {
            facts: openg2p_world::host_facts()?,
            site: ledger().await?.site,
            bundle: BundleDirectory::open(Path::new(paths::BUNDLE))
                .ok()
                .map(|bundle| {
                    use openg2p_ports::Bundle as _;
                    bundle.digest().to_owned()
                }),
        },
        Request::Check(demand) => looked_at(&demand).await?,
        Request::Plan {
            site,
            node,
            resources,
            mut inputs,
        } => {
            let world = open_world(&node);
            let (ledger, damaged) = records(&world).await?;
            inputs.ledger_generation = ledger.generation;
            let situation = openg2p_run::assess(&world, resources, &ledger).await;
            match openg2p_plan::towards(&site, inputs, situation.assessed, situation.orphans, damaged) {
                Ok(mut plan) => {
                    plan.host = openg2p_run::host_words(&world.host.facts().await?);
                    plan.estimate_with(&openg2p_run::experience(state().as_ref()).await);
                    Reply::Planned(Box::new(plan))
                }
                Err(error) => plan_refused(error),
            }
        }
        Request::Holds { node, plan } => {
            let world = open_world(&node);
            let (ledger, _) = records(&world).await?;
            let mut own = engine::own(&world).await?;
            // the bundle of the plan is sent only when the plan holds
            own.bundle_is_to_come = true;
            let moved = openg2p_run::moved(&world, state().as_ref(), &ledger, &plan, &own).await;
            Reply::Moved { moved }
        }
        Request::PlanRemoval {
            node,
            selection,
            needs,
            mut inputs,
        } => {
            let world = open_world(&node);
            let (ledger, damaged) = records(&world).await?;
            inputs.ledger_generation = ledger.generation;
            let needed = openg2p_run::still_needed(&ledger, &selection, &needs);
            if !needed.is_empty() {
                let list = needed.into_iter().map(|(who, need)| {
                    (
                        who.clone(),
                        format!("{who} stays, and cannot work without {need}"),
                    )
                });
                return Ok(refused(
                    "destroy::needed",
                    "remove",
                    list,
                    "name it too, with another `--module`, or leave both",
                ));
            }
            let mut warnings = damaged;
            match openg2p_run::lost_with_cluster(&world, &ledger, &selection).await {
                Ok(lost) if lost.is_empty() => {}
                Ok(lost) => {
                    return Ok(refused(
                        "destroy::foreign",
                        "remove the cluster",
                        lost.into_iter()
                            .map(|what| (what, "it is not ours and would be lost with the cluster".into())),
                        "move it elsewhere, or delete it with kubectl if nobody wants it, and destroy again",
                    ));
                }
                // a cluster that does not answer can be removed all the same
                Err(error) => warnings.push(format!(
                    "whether others keep things in the cluster cannot be known: {error}"
                )),
            }
            let entries = openg2p_run::selected(&ledger, &selection);
            let observed = openg2p_run::entries_observed(&world, entries).await;
            warnings.extend(observed.iter().filter_map(|owned| match &owned.observed {
                Observed::Unknown(why) => Some(format!("{} cannot be read: {why}", owned.entry.resource)),
                _ => None,
            }));
            warnings.extend(stays(&world, &observed).await);
            match openg2p_plan::removal(&ledger, inputs, observed, &selection.owners(), warnings) {
                Ok(mut plan) => {
                    plan.estimate_with(&openg2p_run::experience(state().as_ref()).await);
                    Reply::Planned(Box::new(plan))
                }
                Err(error) => plan_refused(error),
            }
        }
        Request::Settle { node } => {
            settle(&node).await?;
            Reply::Done
        }
        Request::Start(job) => Reply::Started {
            run: start(&job).await?,
        },
        Request::Stop { run } => {
            let run = runs::find(remembered, Some(&run))?;
            let unit = engine::unit(&run);
            // the engine alone, which ends behind the steps that have begun: a signal to the whole unit would end the programs that
            // these steps run, and they would fail
            run_process(
                Command::new(
                    "systemctl",
                    ["kill", "--kill-whom=main", "--signal=SIGINT", &unit],
                ),
                "this host",
            )
            .await?;
            Reply::Done
        }
        Request::Status { node, resources } => {
            let world = open_world(&node);
            let (ledger, _) = records(&world).await?;
            let workloads = match world.cluster.reachable().await {
                Ok(Some(_)) => openg2p_run::workloads(world.cluster.as_ref(), &ledger).await,
                // a cluster that does not answer is told by its own resource
                _ => Vec::new(),
            };
            let situation = openg2p_run::assess(&world, resources, &ledger).await;
            let parts = openg2p_run::judge(&situation, &workloads);
            Reply::Status { parts, workloads }
        }
        Request::Examine {
            node,
            resources,
            edge,
            clock,
        } => {
            let world = open_world(&node);
            let (ledger, _) = records(&world).await?;
            let situation = openg2p_run::assess(&world, resources, &ledger).await;
            let facts = openg2p_run::examine(&world, &ledger, &situation, &edge, clock).await;
            Reply::Examined {
                findings: openg2p_doctor::diagnose(&facts),
                unread: facts.unread,
            }
        }
        Request::Authority => Reply::Text(std::fs::read_to_string(paths::AUTHORITY).map_err(|error| {
            PortError::new(
                "pki::authority",
                "read the authority's certificate",
                paths::AUTHORITY,
                error.to_string(),
            )
        })?),
        Request::Ledger => Reply::Ledger(KeptLedger::new(&saved::pack(&ledger().await?)?)),
        Request::PutBack(kept) => {
            let _lock = lock::take(remembered, "putting the ledger back")?;
            let ledger = kept.bytes().and_then(|bytes| saved::unpack(&bytes));
            let ledger = ledger.ok_or_else(|| {
                PortError::new(
                    "ledger::torn",
                    "put the ledger back",
                    "this host",
                    "it was damaged on the way",
                )
            })?;
            saved::put_back(state().as_ref(), &ledger)
                .await
                .map_err(unreadable)?;
            Reply::Done
        }
        Request::Forget => {
            let ledger = ledger().await?;
            if ledger.entries.is_empty() {
                forget()?;
                Reply::Done
            } else {
                let left = ledger
                    .entries
                    .keys()
                    .map(|id| (id.to_string(), "the ledger still holds it".to_owned()));
                refused(
                    "ledger::not-empty",
                    "remove the engine's own files",
                    left,
                    "run `openg2p destroy` again",
                )
            }
        }
        Request::Blob { .. }
        | Request::Attach { .. }
        | Request::OfferBundle { .. }
        | Request::CommitBundle => {
            return Err(PortError::new(
                "agent::order",
                "answer",
                "this host",
                "that request is answered elsewhere",
            ));
        }
    })
}

/// Looks whether this host can take a site.
async fn looked_at(demand: &Demand) -> Result<Reply, PortError> {
    let place = "this host";
    let index = Index::parse(demand.index.as_bytes())
        .map_err(|error| PortError::new(error.code(), "read the bundle's index", place, error.to_string()))?;
    let world = open_world(place);
    let bundle = Path::new(paths::BUNDLE);
    let (mut failures, warnings) =
        check(world.host.as_ref(), demand, &index, &ledger().await?, bundle).await?;
    // Trying out the packages is slow and needs some room; where the release is another one or the disk is full, it would only
    // say the same in apt's words.
    let fits = |failure: &Failure| {
        ![
            "host::release",
            "host::architecture",
            "host::not-root",
            "host::disk",
        ]
        .contains(&&*failure.code)
    };
    if failures.iter().all(fits)
        && let Err(error) = openg2p_world::rehearse_packages(&index, &demand.packages, place).await
    {
        failures.push(error.into());
    }
    Ok(Reply::Checked { failures, warnings })
}

/// Removes the engine's own directory: bundle, apt lists, ledger, journals and programs, this one included.
fn forget() -> Result<(), PortError> {
    match std::fs::remove_dir_all(paths::ROOT) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PortError::new(
            "host::file",
            "remove the engine's files",
            paths::ROOT,
            error.to_string(),
        )),
        _ => Ok(()),
    }
}

/// What is somebody else's in the namespaces that are to go: it stays, and its namespace with it.
async fn stays(world: &World, removed: &[Owned]) -> Vec<String> {
    let mut told = Vec::new();
    for owned in removed {
        let manifest = &owned.entry.desired["manifest"];
        let Some(name) = manifest["metadata"]["name"]
            .as_str()
            .filter(|_| manifest["kind"] == "Namespace")
        else {
            continue;
        };
        match openg2p_kinds::foreign(world, name).await {
            Ok(found) if found.is_empty() => {}
            Ok(found) => told.push(format!(
                "in namespace {name} things are not ours and stay, and so does the namespace: {}",
                found.join(", ")
            )),
            Err(error) => told.push(format!("namespace {name} could not be looked at: {error}")),
        }
    }
    told
}

/// Refuses what cannot go well before anything is written for it.
fn possible(job: &Job, ledger: &Ledger) -> Result<(), PortError> {
    let Work::Verify { environment, .. } = &job.work else {
        return Ok(());
    };
    let owner = Owner::Environment(environment.clone());
    if ledger.of_owner(&owner).next().is_some() {
        return Ok(());
    }
    Err(PortError::new(
        "verify::not-installed",
        "verify",
        &job.node,
        format!("environment `{environment}` is in the site file and not on this host yet"),
    )
    .hint("make it first: `openg2p apply`"))
}

/// Starts a run as a transient unit of systemd, which outlives this connection.
async fn start(job: &Job) -> Result<String, PortError> {
    let failed = |why: String| PortError::new("run::start", "start the engine", "this host", why);
    possible(job, &ledger().await?)?;
    let remembered = Path::new(paths::STATE);
    lock::free(remembered)?;
    let program = crate::program::install()?;
    let run = engine::new_id();
    let state = StateDirectory::new(paths::STATE);
    let order = engine::Order { by: operator(), job };
    let text = serde_json::to_string(&order).map_err(|error| failed(error.to_string()))?;
    state
        .replace(&format!("runs/{run}/job.json"), &seal(&text))
        .await?;
    runs::prune(remembered, |id| async move { running(&id).await }).await;
    let unit = engine::unit(&run);
    let command = Command::new(
        "systemd-run",
        [
            "--quiet".to_owned(),
            "--collect".into(),
            format!("--unit={unit}"),
            format!("--description=openg2p run {run}"),
            "--property=KillMode=process".into(),
            "--".into(),
            program.display().to_string(),
            "engine".into(),
            run.clone(),
        ],
    );
    let output = run_process(command, "this host").await?;
    if output.status == Some(0) {
        return Ok(run);
    }
    Err(failed(output.reason()).hint("systemd must run on this host: `systemctl is-system-running`"))
}

/// Who speaks: the account of this connection and where it comes from.
fn operator() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let account = variable("SUDO_USER")
        .or_else(|| variable("LOGNAME"))
        .or_else(|| variable("USER"));
    let account = account.unwrap_or_else(|| "somebody".into());
    let from =
        variable("SSH_CONNECTION").and_then(|connection| connection.split(' ').next().map(str::to_owned));
    from.map_or_else(|| account.clone(), |from| format!("{account} from {from}"))
}

/// Sends the events of a run as they come, until it ends.
async fn attach<W: AsyncWrite + Unpin>(run: &str, from: u64, output: &mut W) -> Result<(), FrameError> {
    let path = Path::new(paths::STATE).join("runs").join(run).join("events");
    let mut sent = 0_usize;
    let mut chain = Chain::begin(&engine::events_anchor(run));
    let mut idle = 0_u32;
    loop {
        let text = std::fs::read(&path).unwrap_or_default();
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text
            .get(sent..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
        {
            if line.is_empty() {
                continue;
            }
            let event = match runs::event(&mut chain, line) {
                Ok(event) => event,
                Err(why) => {
                    let text =
                        format!("the events of run {run} were damaged: {why}; the journal tells what it did");
                    let kind = EventKind::Warning { text };
                    let event = openg2p_run::Event {
                        sequence: from,
                        time: 0.0,
                        kind,
                    };
                    frames::send(output, &Reply::Event(event)).await?;
                    return Ok(());
                }
            };
            let last = matches!(event.kind, EventKind::RunFinished { .. });
            if event.sequence >= from {
                frames::send(output, &Reply::Event(event)).await?;
            }
            if last {
                return Ok(());
            }
        }
        idle = if whole > sent { 0 } else { idle + 1 };
        sent = whole.max(sent);
        // an engine that was killed writes no last event: ask systemd from time to time
        if idle > 0 && idle.is_multiple_of(20) && !running(run).await && unchanged(&path, sent) {
            return Ok(());
        }
        output.flush().await?;
        tokio::time::sleep(LOOK).await;
    }
}

fn unchanged(path: &Path, length: usize) -> bool {
    std::fs::metadata(path).map_or(true, |metadata| metadata.len() == length as u64)
}

async fn running(run: &str) -> bool {
    let unit = engine::unit(run);
    let command = Command::new("systemctl", ["is-active", "--quiet", &unit]);
    // when systemd cannot be asked, the run is taken to go on
    run_process(command, "this host")
        .await
        .map_or(true, |output| output.status == Some(0))
}

/// The world of this host without a bundle, for callers that only look.
pub fn state() -> Arc<StateDirectory> {
    Arc::new(StateDirectory::new(paths::STATE))
}
