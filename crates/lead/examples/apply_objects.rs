//! Applies the objects of a file with the engine's own parts, and tells how long it took. `cargo xtask bench-charts` runs it beside Helm
//! and kubectl.
//!
//! `apply_objects KUBECONFIG OBJECTS STATE`: `OBJECTS` is a JSON list of Kubernetes (`{"items": [...]}`), `STATE` a folder for ledger and
//! journal. Prints one line of JSON: `plan` and `apply` (seconds), `steps`, `done`, `failed`, `unchanged`, `peak` (memory, MiB).
//!
//! `apply_objects KUBECONFIG OBJECTS` sends the same server-side applies and does nothing else, no look before and no record: the time that
//! is left then is the API server's, which no client can take away. Prints `apply` (seconds) and `failed`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use futures::StreamExt as _;
use openg2p_plan::{Fingerprint, Inputs, Owner, Resource, ResourceId};
use openg2p_ports::{Cluster as _, ObjectRef, Ownership, World};
use openg2p_run::{EventKind, Memory, RunInfo};
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, SharedBundle, StateDirectory, SystemRandom};
use serde_json::{Value, json};

fn resource(manifest: &Value, namespace: Option<&ResourceId>) -> Option<Resource> {
    let object = ObjectRef::of(manifest)?;
    Some(Resource {
        id: ResourceId::new("kubernetes-object", &object.to_string()),
        owner: Owner::Site,
        desired: json!({"manifest": manifest}),
        needs: namespace.into_iter().cloned().collect::<BTreeSet<_>>(),
        follows: BTreeSet::new(),
        why: "the bench wants it".into(),
        asked_by: String::new(),
        part: "bench".into(),
    })
}

fn items(path: &str) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let list: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

async fn run(kubeconfig: &str, objects: &str, folder: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let items = items(objects)?;
    let mut resources = Vec::new();
    let mut namespace = None;
    for manifest in &items {
        let is_namespace = manifest["kind"] == "Namespace";
        let made = resource(manifest, namespace.as_ref()).ok_or("an object has no kind or name")?;
        if is_namespace {
            namespace = Some(made.id.clone());
        }
        resources.push(made);
    }
    let bundle = Arc::new(BundleDirectory::open_or_empty(Path::new(folder)));
    let world = World {
        host: Box::new(LocalHost::new("bench", bundle.clone(), folder)),
        cluster: Box::new(KubernetesApi::new(kubeconfig)),
        bundle: Box::new(SharedBundle(bundle)),
        random: Box::new(SystemRandom),
    };
    let state = Arc::new(StateDirectory::new(folder));
    let info = RunInfo {
        id: "bench".into(),
        command: "apply".into(),
    };
    let start = Instant::now();
    let (memory, _) = Memory::open(state, info).await?;
    let ledger = memory.ledger();
    let inputs = Inputs {
        site: Fingerprint::of(&json!("bench")),
        bundle: String::new(),
        ledger_generation: ledger.generation,
        engine: String::new(),
    };
    let situation = openg2p_run::assess(&world, resources, &ledger).await;
    let plan = openg2p_plan::towards("bench", inputs, situation.assessed, situation.orphans, Vec::new())?;
    let planned = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let silent = |_: EventKind| {};
    let finished = openg2p_run::execute(&world, &memory, &plan, &silent, &AtomicBool::new(false)).await;
    Ok(json!({
        "plan": planned,
        "apply": start.elapsed().as_secs_f64(),
        "steps": plan.steps.len(),
        "unchanged": plan.unchanged,
        "peak": peak(),
        "done": finished.done,
        "failed": finished.failed.iter().map(|(_, failure)| &failure.why).collect::<Vec<_>>(),
    }))
}

/// How many requests are on their way at once, as in a run of the engine.
const WIDTH: usize = 16;

async fn requests_alone(kubeconfig: &str, objects: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let items = items(objects)?;
    let cluster = KubernetesApi::new(kubeconfig);
    let start = Instant::now();
    // what the others live in comes first
    let (first, rest): (Vec<&Value>, Vec<&Value>) =
        items.iter().partition(|manifest| manifest["kind"] == "Namespace");
    let mut failed = Vec::new();
    for manifests in [first, rest] {
        let sent = manifests
            .into_iter()
            .map(|manifest| cluster.apply(manifest, "openg2p", Ownership::Respect));
        let ended: Vec<_> = futures::stream::iter(sent)
            .buffer_unordered(WIDTH)
            .collect()
            .await;
        failed.extend(
            ended
                .into_iter()
                .filter_map(|result| Some(result.err()?.to_string())),
        );
    }
    Ok(json!({"apply": start.elapsed().as_secs_f64(), "failed": failed}))
}

/// The most memory that this process held, as the kernel counts it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.div_ceil(1024))
}

#[tokio::main]
async fn main() -> ExitCode {
    use std::io::Write as _;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.as_slice() {
        [kubeconfig, objects, folder] => run(kubeconfig, objects, folder).await,
        [kubeconfig, objects] => requests_alone(kubeconfig, objects).await,
        _ => return ExitCode::FAILURE,
    };
    let (line, code) = match ended {
        Ok(value) => (value.to_string(), ExitCode::SUCCESS),
        Err(error) => (json!({"error": error.to_string()}).to_string(), ExitCode::FAILURE),
    };
    let written = writeln!(std::io::stdout(), "{line}");
    if written.is_ok() { code } else { ExitCode::FAILURE }
}
