//! Where a chart's hooks stand among the steps of its release.
//!
//! Helm runs hooks at fixed points: `pre-install` before everything, `post-install` behind everything. Our steps wait until what they
//! made is ready, so that order can stand against itself: a Job behind a Deployment that cannot start before the Job ran. Helm's
//! `--wait` hangs there until its time is over. Here manifests are read for who waits for whom; Helm's order gives way where it
//! contradicts what is seen, with an explanation, and a chart whose parts wait for one another in a ring is refused.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_chart::{Hook, HookEvent};
use serde_json::Value;

/// When Helm would make an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Before the release's own objects, by weight.
    Before(i64),
    /// Together with the release's own objects.
    Main,
    /// Behind the release's own objects, by weight.
    After(i64),
}

impl Phase {
    /// The phase of a hook; none for hooks that run at a rollback, a test or the end of a release, which are no part of what a
    /// site should be.
    pub(super) fn of(hook: &Hook) -> Option<Self> {
        let on = |events: &[HookEvent]| hook.events.iter().any(|event| events.contains(event));
        if on(&[HookEvent::PreInstall, HookEvent::PreUpgrade]) {
            Some(Self::Before(hook.weight))
        } else if on(&[HookEvent::PostInstall, HookEvent::PostUpgrade]) {
            Some(Self::After(hook.weight))
        } else {
            None
        }
    }

    fn is_hook(self) -> bool {
        self != Self::Main
    }
}

/// One object of a release.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) manifest: Value,
    pub(super) phase: Phase,
}

impl Piece {
    fn label(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// What each piece needs of the others, and why where that is not Helm's order.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) needs: Vec<BTreeSet<usize>>,
    pub(super) why: BTreeMap<usize, String>,
}

/// How sure it is that one piece waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    /// The manifest says so.
    Certain,
    /// Names and images suggest it.
    Probable,
}

/// The order of a release. `chain` are needs among its own objects, which give way to what manifests say. The error is the
/// ring of pieces that wait for one another, in words.
pub(super) fn order(pieces: &[Piece], chain: &[(usize, usize)]) -> Result<Order, String> {
    let mut seen: BTreeMap<(usize, usize), (Certainty, String)> = BTreeMap::new();
    for (at, waiter) in pieces.iter().enumerate() {
        for (other, awaited) in pieces.iter().enumerate() {
            // among the release's own objects `chain` decides: a program there may well come up before what it calls
            let binds = waiter.kind.ends_with("RoleBinding");
            if at == other || !(waiter.phase.is_hook() || awaited.phase.is_hook() || binds) {
                continue;
            }
            if let Some(evidence) = waits_for(waiter, awaited, pieces) {
                seen.insert((at, other), evidence);
            }
        }
    }
    let mut order = Order {
        needs: vec![BTreeSet::new(); pieces.len()],
        why: BTreeMap::new(),
    };
    let of = |wanted: Certainty| {
        seen.iter()
            .filter(move |(_, (certainty, _))| *certainty == wanted)
    };
    for ((waiter, awaited), (_, why)) in of(Certainty::Certain) {
        if let Some(ring) = path(&order.needs, *awaited, *waiter) {
            let mut lines = vec![format!("{} {why}", pieces[*waiter].label())];
            lines.extend(ring.windows(2).map(|pair| {
                let why = seen
                    .get(&(pair[0], pair[1]))
                    .map_or("waits", |(_, why)| why.as_str());
                format!("{} {why}", pieces[pair[0]].label())
            }));
            return Err(lines.join("; "));
        }
        order.needs[*waiter].insert(*awaited);
    }
    for ((waiter, awaited), _) in of(Certainty::Probable) {
        if path(&order.needs, *awaited, *waiter).is_none() {
            order.needs[*waiter].insert(*awaited);
        }
    }
    for (waiter, awaited) in chain.iter().copied().chain(by_phase(pieces)) {
        if let Some(way) = path(&order.needs, awaited, waiter) {
            let reason = way
                .windows(2)
                .find_map(|pair| Some((pair[0], &seen.get(&(pair[0], pair[1]))?.1)));
            if let Some((who, why)) = reason {
                let text = format!(
                    "Helm would make it behind {}; it comes first because {} {why}",
                    pieces[awaited].label(),
                    pieces[who].label()
                );
                order.why.entry(waiter).or_insert(text);
            }
        } else {
            order.needs[waiter].insert(awaited);
        }
    }
    Ok(order)
}

/// Helm's order: hooks one by one around the release's own objects.
fn by_phase(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    let key = |at: usize| (pieces[at].phase, pieces[at].name.as_str(), at);
    for waiter in 0..pieces.len() {
        for awaited in 0..pieces.len() {
            let (one, other) = (pieces[waiter].phase, pieces[awaited].phase);
            if (one.is_hook() || other.is_hook()) && key(awaited) < key(waiter) {
                edges.push((waiter, awaited));
            }
        }
    }
    edges
}

/// How `from` comes to need `to`, if it does.
fn path(needs: &[BTreeSet<usize>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = vec![from];
    let mut seen = BTreeSet::from([from]);
    while let Some(at) = open.pop() {
        if at == to {
            let mut way = vec![to];
            while let Some(previous) = way.last().and_then(|last| before.get(last)) {
                way.push(*previous);
            }
            way.reverse();
            return Some(way);
        }
        for need in &needs[at] {
            if seen.insert(*need) {
                before.insert(*need, at);
                open.push(*need);
            }
        }
    }
    None
}

/// Why `waiter` cannot be ready before `awaited` is, in words that follow its name.
fn waits_for(waiter: &Piece, awaited: &Piece, all: &[Piece]) -> Option<(Certainty, String)> {
    let certain = |why: String| Some((Certainty::Certain, why));
    let name = awaited.name.as_str();
    if awaited.kind == "CustomResourceDefinition" {
        let spec = &awaited.manifest["spec"];
        let group = waiter.manifest["apiVersion"]
            .as_str()
            .and_then(|it| it.split_once('/'));
        let made = spec["names"]["kind"] == waiter.manifest["kind"]
            && group.is_some_and(|(group, _)| spec["group"] == group);
        return made.then(|| {
            (
                Certainty::Certain,
                format!("is of the kind that {} defines", awaited.label()),
            )
        });
    }
    let pod = pod_of(&waiter.manifest);
    if let Some(pod) = pod {
        if references(pod).contains(&(awaited.kind.as_str(), name)) {
            return certain(format!("uses {}", awaited.label()));
        }
        let account = pod["serviceAccountName"].as_str().unwrap_or_default();
        let bound = list(&awaited.manifest, "subjects").any(|subject| subject["name"] == account);
        if awaited.kind.ends_with("RoleBinding") && !account.is_empty() && bound {
            return certain(format!("uses the rights that {} gives", awaited.label()));
        }
    }
    if waiter.kind.ends_with("RoleBinding")
        && waiter.manifest["roleRef"]["kind"] == awaited.kind
        && waiter.manifest["roleRef"]["name"] == name
    {
        return certain(format!("gives the rights of {}", awaited.label()));
    }
    let pod = pod?;
    let early = list(pod, "initContainers");
    // a Job's own program waits as well as one that runs before it
    let programs: Vec<&Value> = if waiter.kind == "Job" {
        early.chain(list(pod, "containers")).collect()
    } else {
        early.collect()
    };
    if awaited.kind == "Job" && programs.iter().any(|it| says(it, &["command", "args"], name)) {
        return certain(format!("waits for {} in a container", awaited.label()));
    }
    if is_server(&awaited.kind) && waiter.kind == "Job" {
        let services = all
            .iter()
            .filter(|piece| piece.kind == "Service" && selects(piece, awaited));
        let names: Vec<&str> = services.map(|piece| piece.name.as_str()).chain([name]).collect();
        let called = |fields: &[&str]| {
            let mut names = names.iter();
            names
                .find(|name| programs.iter().any(|it| says(it, fields, name)))
                .map(|name| format!("calls {name}, which {} serves", awaited.label()))
        };
        if let Some(why) = called(&["command", "args"]) {
            return certain(why);
        }
        if let Some(why) = called(&["env"]) {
            return Some((Certainty::Probable, why));
        }
    }
    if awaited.kind == "Job" && is_server(&waiter.kind) && prepares(awaited) {
        let shared = store(pod, &pod_of(&awaited.manifest).cloned().unwrap_or_default())?;
        return Some((
            Certainty::Probable,
            format!("uses {shared}, which {} prepares", awaited.label()),
        ));
    }
    None
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn is_server(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "Pod")
}

fn pod_of(manifest: &Value) -> Option<&Value> {
    match manifest["kind"].as_str()? {
        "Pod" => Some(&manifest["spec"]),
        "CronJob" => manifest.pointer("/spec/jobTemplate/spec/template/spec"),
        _ => manifest.pointer("/spec/template/spec"),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "initContainers").chain(list(pod, "containers"))
}

/// What a pod cannot start without, as kind and name.
fn references(pod: &Value) -> BTreeSet<(&'static str, &str)> {
    let mut places: Vec<(&'static str, &Value, &str)> = vec![("ServiceAccount", pod, "serviceAccountName")];
    for container in containers(pod) {
        for from in list(container, "envFrom") {
            places.push(("Secret", &from["secretRef"], "name"));
            places.push(("ConfigMap", &from["configMapRef"], "name"));
        }
        for variable in list(container, "env") {
            let from = &variable["valueFrom"];
            places.push(("Secret", &from["secretKeyRef"], "name"));
            places.push(("ConfigMap", &from["configMapKeyRef"], "name"));
        }
    }
    for volume in list(pod, "volumes") {
        for source in std::iter::once(volume).chain(list(&volume["projected"], "sources")) {
            places.push(("Secret", &source["secret"], "secretName"));
            places.push(("Secret", &source["secret"], "name"));
            places.push(("ConfigMap", &source["configMap"], "name"));
            places.push((
                "PersistentVolumeClaim",
                &source["persistentVolumeClaim"],
                "claimName",
            ));
        }
    }
    let needed = places
        .into_iter()
        .filter(|(_, reference, _)| reference["optional"] != true);
    needed
        .filter_map(|(kind, reference, key)| Some((kind, reference[key].as_str()?)))
        .collect()
}

/// Whether these fields of a container hold `name` as a word of its own.
fn says(container: &Value, fields: &[&str], name: &str) -> bool {
    let word = |text: &str| {
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
            .any(|word| word == name)
    };
    fields.iter().any(|field| {
        list(container, field).any(|entry| {
            let text = entry.as_str().or_else(|| entry["value"].as_str());
            text.is_some_and(word)
        })
    })
}

/// Whether a Service leads to the pods of a workload.
fn selects(service: &Piece, workload: &Piece) -> bool {
    let labels = match workload.kind.as_str() {
        "Pod" => &workload.manifest["metadata"]["labels"],
        _ => &workload.manifest["spec"]["template"]["metadata"]["labels"],
    };
    let selector = service.manifest["spec"]["selector"].as_object();
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// Whether a Job makes what programs need to start, by its name and images. Seeding is left out: it fills tables that the program
/// itself makes.
fn prepares(job: &Piece) -> bool {
    let images = pod_of(&job.manifest).map(|pod| {
        containers(pod)
            .filter_map(|container| container["image"].as_str())
            .collect::<Vec<_>>()
            .join(" ")
    });
    let text = format!("{} {}", job.name, images.unwrap_or_default()).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["init", "migrat", "schema", "bootstrap"]) && !has(&["seed"])
}

/// A database or Secret that two pods share.
fn store(one: &Value, other: &Value) -> Option<String> {
    let databases = |pod: &Value| -> BTreeSet<String> {
        let variables = containers(pod).flat_map(|container| list(container, "env"));
        variables
            .filter(|variable| {
                let name = variable["name"].as_str().unwrap_or_default().to_uppercase();
                ["DB", "DATABASE", "POSTGRES", "PG"]
                    .iter()
                    .any(|word| name.contains(word))
                    && ["NAME", "DATABASE", "_DB"]
                        .iter()
                        .any(|word| name.ends_with(word))
            })
            .filter_map(|variable| variable["value"].as_str().map(str::to_owned))
            .collect()
    };
    let ours = databases(one);
    if let Some(name) = ours.intersection(&databases(other)).next() {
        return Some(format!("database {name}"));
    }
    let secrets = |pod| {
        let all = references(pod).into_iter();
        all.filter(|(kind, _)| *kind == "Secret").collect::<BTreeSet<_>>()
    };
    let ours = secrets(one);
    ours.intersection(&secrets(other))
        .next()
        .map(|(_, name)| format!("Secret {name}"))
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` stands in the calls")]
#[path = "hooks_test.rs"]
mod tests;
