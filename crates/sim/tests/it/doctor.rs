//! The doctor finds the cause of each trouble that somebody made, and what helps.

use openg2p_doctor::{Finding, diagnose};
use openg2p_ports::ObjectRef;
use openg2p_run::{assess, examine};
use openg2p_sim::{Simulation, Things};
use serde_json::{Value, json};

use crate::operator::{Wish, apply, converge, delete_by_hand, read_ledger};
use crate::small;
use crate::whole::bare;

/// Where the edge is, and a moment of the operator's clock.
const EDGE: &str = "192.0.2.10";

fn site() -> (Simulation, Wish) {
    let wish = small::wish(&["dev"], false);
    let simulation = bare(71);
    simulation.change(|things| {
        let line = format!("{EDGE} app.dev.example.org\n");
        things.machine.files.put("/etc/hosts", line);
    });
    apply(&simulation, &wish, "install").well();
    (simulation, wish)
}

fn findings(simulation: &Simulation, wish: &Wish, clock: i64) -> Vec<Finding> {
    let work = async {
        let ledger = read_ledger(simulation).await;
        let world = simulation.world();
        let situation = assess(&world, wish.resources.clone(), &ledger).await;
        let facts = examine(&world, &ledger, &situation, EDGE, clock).await;
        assert_eq!(facts.unread, Vec::<String>::new());
        diagnose(&facts)
    };
    simulation.drive(work).unwrap()
}

fn object(kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: if kind == "Deployment" { "apps/v1" } else { "v1" }.into(),
        kind: kind.into(),
        namespace: Some("dev".into()),
        name: name.into(),
    }
}

fn delete(things: &mut Things, kind: &str, name: &str) {
    delete_by_hand(things, &object(kind, name));
}

fn put(things: &mut Things, manifest: &Value) {
    let Things {
        cluster: Some(cluster),
        uids,
        ..
    } = things
    else {
        panic!("no cluster")
    };
    cluster.apply(manifest, "kubelet", 0, uids).unwrap();
}

fn pod(things: &mut Things, ready: &str) {
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app-0", "namespace": "dev"},
        "status": {"conditions": [{"type": "Ready", "status": ready}]}});
    put(things, &manifest);
}

/// A warning of a pod.
fn event(things: &mut Things, reason: &str, message: &str) {
    let manifest: Value = json!({"apiVersion": "v1", "kind": "Event", "type": "Warning",
        "metadata": {"name": reason.to_lowercase(), "namespace": "dev"}, "reason": reason, "message": message,
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "dev", "name": "app-0"}});
    put(things, &manifest);
}

#[test]
fn nothing_ails_a_site_that_is_well() {
    let (simulation, wish) = site();
    let clock = simulation.things().machine.facts.clock;
    assert_eq!(findings(&simulation, &wish, clock), []);
}

/// Kubernetes keeps warnings for an hour.
#[test]
fn a_warning_of_a_pod_that_runs_since_or_is_gone_is_no_trouble() {
    let (simulation, wish) = site();
    let clock = simulation.things().machine.facts.clock;
    let warn = |things: &mut Things| {
        event(
            things,
            "FailedMount",
            "MountVolume.SetUp failed for volume \"ca\" : configmap \"kube-root-ca.crt\" not found",
        );
    };
    simulation.change(warn);
    assert_eq!(findings(&simulation, &wish, clock), []);
    simulation.change(|things| pod(things, "True"));
    assert_eq!(findings(&simulation, &wish, clock), []);
    simulation.change(|things| pod(things, "False"));
    let found = findings(&simulation, &wish, clock);
    assert_eq!(
        found.first().map(|first| first.code.as_str()),
        Some("doctor::object"),
        "{found:#?}"
    );
}

type Change = fn(&mut Things);

/// What is done, the code of the first finding, a part of its words or place, and a part of what helps.
const CASES: &[(Change, &str, &str, &str)] = &[
    (
        |things| things.machine.facts.disk_free = 100_000_000,
        "doctor::disk",
        "100 MB free",
        "du -xh",
    ),
    (
        // certificates of the next years are not valid yet, all at once: one cause
        |things| things.machine.facts.clock -= 10 * 365 * 86_400,
        "doctor::clock",
        "behind",
        "timedatectl",
    ),
    (
        |things| things.machine.files.put("/etc/hosts", "127.0.0.1 localhost\n"),
        "doctor::dns",
        "does not exist",
        "A 192.0.2.10",
    ),
    (
        |things| {
            things
                .machine
                .files
                .put("/etc/hosts", "192.0.2.99 app.dev.example.org\n");
        },
        "doctor::dns",
        "192.0.2.99",
        "A 192.0.2.10",
    ),
    (
        |things| {
            things.machine.systemctl(&["stop", "openg2p-nginx.service"]);
        },
        "doctor::unit",
        "openg2p-nginx.service",
        "openg2p apply",
    ),
    (
        |things| things.machine.files.put("/etc/openg2p/containerd.toml", "mine"),
        "doctor::drift",
        "containerd.toml",
        "openg2p plan",
    ),
    (
        |things| things.cluster = None,
        "doctor::api",
        "does not answer",
        "crictl ps",
    ),
    (
        |things| {
            things.machine.facts.disk_free = 5_000_000;
            pod(things, "False");
            event(
                things,
                "Evicted",
                "The node was low on resource: ephemeral-storage.",
            );
        },
        "doctor::disk",
        "5 MB free",
        "du -xh",
    ),
    (
        |things| {
            pod(things, "False");
            event(
                things,
                "FailedScheduling",
                "0/1 nodes are available: 1 Insufficient memory.",
            );
        },
        "doctor::memory",
        "memory",
        "smaller profile",
    ),
];

#[test]
fn each_trouble_is_led_back_to_its_cause() {
    let (simulation, wish) = site();
    let installed = simulation.things();
    let clock = installed.machine.facts.clock;
    for (change, code, words, help) in CASES {
        let simulation = Simulation::resume(installed.clone(), simulation.bundle().clone(), 72);
        simulation.change(change);
        let found = findings(&simulation, &wish, clock);
        let first = found
            .first()
            .unwrap_or_else(|| panic!("nothing found for {code}"));
        assert_eq!(first.code, *code, "{found:#?}");
        let told = format!("{} {}", first.place, first.cause);
        assert!(told.contains(words), "no `{words}` in {first:#?}");
        let helps = first
            .advice
            .iter()
            .map(|advice| format!("{} {}", advice.command, advice.why));
        let helps: Vec<String> = helps.collect();
        assert!(
            helps.iter().any(|text| text.contains(help)),
            "no `{help}` in {helps:?}"
        );
    }
}

#[test]
fn a_pod_without_its_image_is_led_back_to_the_image_and_mended_by_the_plan() {
    let (simulation, wish) = site();
    let clock = simulation.things().machine.facts.clock;
    simulation.change(|things| {
        things.machine.images.retain(|name, _| !name.contains("redis"));
        // the pod starts anew
        let cluster = things.cluster.as_mut().unwrap();
        cluster
            .edit(&object("Deployment", "app"), "kubectl-edit", |value| {
                value["spec"]["template"]["metadata"]["annotations"] = json!({"restarted": "now"});
            })
            .unwrap();
    });
    let found = findings(&simulation, &wish, clock);
    let image = found.iter().find(|finding| finding.code == "doctor::image");
    let image = image.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(
        image
            .steps
            .iter()
            .any(|step| step.contains("container-image/redis")),
        "{image:#?}"
    );
    assert!(
        image
            .symptoms
            .iter()
            .any(|way| way[0].contains("Deployment dev/app")),
        "{image:#?}"
    );
}

#[test]
fn a_pod_without_its_settings_is_led_back_to_them() {
    let (simulation, wish) = site();
    let clock = simulation.things().machine.facts.clock;
    simulation.change(|things| delete(things, "ConfigMap", "settings"));
    let found = findings(&simulation, &wish, clock);
    let first = &found[0];
    assert!(
        first
            .steps
            .contains(&"create kubernetes-object/dev/ConfigMap/settings".to_owned()),
        "{found:#?}"
    );
    assert!(
        first
            .advice
            .iter()
            .any(|advice| advice.command == "openg2p apply"),
        "{found:#?}"
    );
    converge(&simulation, &wish);
    assert_eq!(findings(&simulation, &wish, clock), []);
}

#[test]
fn an_old_certificate_is_told_with_its_step() {
    let (simulation, wish) = site();
    simulation.change(|things| things.machine.facts.clock += 390 * 86_400);
    let clock = simulation.things().machine.facts.clock;
    let found = findings(&simulation, &wish, clock);
    let old = found.iter().find(|finding| finding.code == "doctor::certificate");
    let old = old.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(old.cause.contains("expires in"), "{old:#?}");
    assert!(
        old.steps
            .iter()
            .any(|step| step.starts_with("update certificate/")),
        "{old:#?}"
    );
}
