//! How long planning takes, and how much memory, without any machine: `cargo xtask bench-plan`. Prints; asserts nothing.
//!
//! Each size is measured in a process of its own, so that its peak of memory is its own. In the development profile.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use openg2p_plan::{
    Entry, EntryState, Fingerprint, Inputs, Ledger, Observed, Owner, Resource, ResourceId, towards,
};
use openg2p_run::{assess_fresh, compared};
use serde_json::{Value, json};

const SIZES: [usize; 5] = [10_000, 25_000, 50_000, 75_000, 100_000];
const CASES: [&str; 3] = ["fresh", "edited", "unchanged"];
/// Resources of one environment.
const ENVIRONMENT: usize = 80;
/// One thing in so many is wanted otherwise than it was.
const EDITED: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, size] = arguments.as_slice() {
        return measure(case, size.parse().unwrap_or(0));
    }
    println!("target: 10,000 resources planned in under 200 ms and 100 MiB; linear to 100,000");
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    for case in CASES {
        let mut points = Vec::new();
        for size in SIZES {
            let output = Command::new(&program).args([case, &size.to_string()]).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let text = text.unwrap_or_default();
            let numbers: Vec<f64> = text
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect();
            let [elapsed, processor, before, peak, steps] = numbers.as_slice() else {
                println!("{case} {size}: no figures: {text}");
                continue;
            };
            println!(
                "{case:<10} {size:>7} resources  {elapsed:>8.1} ms, {processor:>8.1} ms of one processor  {:>6.1} MiB for \
                 planning, {peak:>6.1} MiB in all  {steps:>7} steps",
                peak - before
            );
            points.push((size as f64, *processor, *peak - before));
        }
        let time = fit(points.iter().map(|(size, time, _)| (*size, *time)));
        let memory = fit(points.iter().map(|(size, _, memory)| (*size, *memory)));
        println!(
            "{case:<10} processor = {:.2} ms + {:.3} ms per 1,000, R² {:.4}",
            time.0,
            time.1 * 1e3,
            time.2
        );
        println!(
            "{case:<10} planning  = {:.1} MiB + {:.2} MiB per 1,000, R² {:.4}",
            memory.0,
            memory.1 * 1e3,
            memory.2
        );
    }
}

/// The straight line through points by least squares: where it starts, how steep it is, and how well it fits.
fn fit(points: impl Iterator<Item = (f64, f64)>) -> (f64, f64, f64) {
    let points: Vec<(f64, f64)> = points.collect();
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let across: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let wide: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let tall: f64 = points.iter().map(|point| (point.1 - y).powi(2)).sum();
    let slope = if wide > 0.0 { across / wide } else { 0.0 };
    let quality = if wide * tall > 0.0 {
        across * across / (wide * tall)
    } else {
        1.0
    };
    (y - slope * x, slope, quality)
}

/// MiB of a line of /proc/self/status.
fn memory(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    let kilobytes = line.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}

fn measure(case: &str, size: usize) {
    let resources = site(size);
    let ledger = if case == "fresh" {
        Ledger::default()
    } else {
        ledger(&resources)
    };
    let is_edited = |place: usize| case == "edited" && place.is_multiple_of(EDITED);
    let seen: Vec<Observed> = if case == "fresh" {
        Vec::new()
    } else {
        let looks = resources.iter().enumerate();
        looks
            .map(|(place, resource)| seen(resource, is_edited(place)))
            .collect()
    };
    let resources = if case == "edited" {
        edited(resources)
    } else {
        resources
    };
    let inputs = Inputs {
        site: Fingerprint::of(&Value::Null),
        bundle: String::new(),
        ledger_generation: 1,
        engine: String::new(),
    };
    let before = memory("VmRSS:");
    let started = Instant::now();
    let worked = processor();
    let assessed = if case == "fresh" {
        assess_fresh(resources)
    } else {
        compared(resources, seen, &ledger)
    };
    match towards("bench", inputs, assessed, Vec::new(), Vec::new()) {
        Ok(plan) => println!(
            "{:.3} {:.3} {before:.1} {:.1} {}",
            started.elapsed().as_secs_f64() * 1e3,
            processor() - worked,
            memory("VmHWM:"),
            plan.steps.len()
        ),
        Err(error) => println!("{error}"),
    }
}

/// Milliseconds that this thread has had of a processor: what a busy machine adds is not in it.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e6
}

/// A site of so many resources: environments with settings, services, secrets and workloads that need them, as charts bring them.
fn site(size: usize) -> Vec<Resource> {
    let mut all = Vec::with_capacity(size);
    let mut environment = 0;
    while all.len() < size {
        let name = format!("env{environment}");
        let mut basis: Vec<ResourceId> = Vec::new();
        for place in 0..ENVIRONMENT.min(size - all.len()) {
            let (kind, version, group) = match place {
                0 => ("Namespace", "v1", ""),
                place if place % 8 == 7 => ("Deployment", "apps/v1", ".apps"),
                place if place % 3 == 0 => ("Service", "v1", ""),
                _ => ("ConfigMap", "v1", ""),
            };
            let own = format!("part-{place}");
            let id = ResourceId::new("kubernetes-object", &format!("{name}/{kind}{group}/{own}"));
            let needs = if kind == "Deployment" {
                // its release's basis
                basis.iter().rev().take(8).chain(basis.first()).cloned().collect()
            } else {
                basis.first().cloned().into_iter().collect()
            };
            all.push(Resource {
                desired: json!({"manifest": manifest(kind, version, &name, &own)}),
                owner: Owner::Environment(name.clone()),
                needs,
                follows: std::collections::BTreeSet::new(),
                why: "chart bench brings it".into(),
                asked_by: format!("site.yaml:{environment}"),
                part: format!("module-{}", place / 20),
                id: id.clone(),
            });
            if kind != "Deployment" {
                basis.push(id);
            }
        }
        environment += 1;
    }
    all
}

fn manifest(kind: &str, version: &str, namespace: &str, name: &str) -> Value {
    let labels =
        json!({"app.kubernetes.io/name": name, "openg2p.org/owner": format!("environment.{namespace}")});
    let mut manifest = json!({"apiVersion": version, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels}});
    match kind {
        "Deployment" => {
            manifest["spec"] = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": format!("example.org/{name}:1.0"),
                    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                    "env": [{"name": "DATABASE", "value": "postgresql"}, {"name": "PORT", "value": "8000"}],
                    "readinessProbe": {"httpGet": {"path": "/ping", "port": 8000}, "periodSeconds": 5}}]}}});
        }
        "Service" => {
            manifest["spec"] = json!({"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]});
        }
        "ConfigMap" => {
            manifest["data"] = json!({"settings.yaml": "level: info\n".repeat(20), "mode": "shared"});
        }
        _ => {}
    }
    manifest
}

/// As the kind sees an object that the ledger records. What is wanted otherwise was tried at the API server, which told the change.
fn seen(resource: &Resource, edited: bool) -> Observed {
    let mut seen = json!({
        "desired": Fingerprint::of(&resource.desired["manifest"]), "generation": 1, "uid": resource.id, "owner": "environment",
    });
    if edited {
        seen["trial"] = json!({"changes": [{"path": "metadata.labels.edited", "from": null, "to": "yes"}]});
    }
    Observed::Present(seen)
}

fn ledger(resources: &[Resource]) -> Ledger {
    let entry = |resource: &Resource| Entry {
        resource: resource.id.clone(),
        owner: resource.owner.clone(),
        part: resource.part.clone(),
        state: EntryState::Present,
        desired: resource.desired.clone(),
        details: json!({"uid": resource.id, "generation": 1}),
        needs: resource.needs.clone(),
        created_by: "1".into(),
        changed_by: "1".into(),
        fingerprint: String::new(),
        created_at: 0,
        changed_at: 0,
    };
    let entries: BTreeMap<ResourceId, Entry> = resources
        .iter()
        .map(|resource| (resource.id.clone(), entry(resource)))
        .collect();
    Ledger {
        site: "bench".into(),
        generation: 1,
        entries,
    }
}

/// The site file changed.
fn edited(mut resources: Vec<Resource>) -> Vec<Resource> {
    for resource in resources.iter_mut().step_by(EDITED) {
        resource.desired["manifest"]["metadata"]["labels"]["edited"] = json!("yes");
    }
    resources
}
