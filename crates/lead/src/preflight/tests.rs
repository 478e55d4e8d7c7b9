use openg2p_bundle::index::{Blob, Digest, Kind, Member};
use openg2p_plan::{EntryState, Owner, ResourceId};
use openg2p_ports::Listener;
use openg2p_sim::{SimBundle, Simulation};
use serde_json::{Value, json};

use super::*;

const MB: u64 = 1_000_000;

fn member(kind: Kind, name: &str, sizes: &[(&str, u64)]) -> Member {
    let blobs: Vec<Blob> = sizes
        .iter()
        .map(|(content, size)| Blob {
            sha256: Digest::of(content.as_bytes()),
            size: *size,
        })
        .collect();
    Member {
        kind,
        name: name.into(),
        version: "1".into(),
        reference: (kind == Kind::Image).then(|| format!("example.org/{name}:1")),
        architecture: None,
        control: None,
        sha256: blobs[0].sha256.clone(),
        size: blobs[0].size,
        licence: "MPL-2.0".into(),
        origin: "test".into(),
        blobs,
    }
}

/// Two images that share a layer, and a program.
fn index() -> Index {
    let members = vec![
        member(Kind::Binary, "kubelet", &[("kubelet", 100 * MB)]),
        member(
            Kind::Image,
            "a",
            &[("a", MB), ("base", 200 * MB), ("layer of a", 50 * MB)],
        ),
        member(
            Kind::Image,
            "b",
            &[("b", MB), ("base", 200 * MB), ("layer of b", 30 * MB)],
        ),
    ];
    Index {
        api_version: openg2p_bundle::index::API_VERSION.into(),
        debian_release: "trixie".into(),
        members,
    }
}

fn demand() -> Demand {
    Demand {
        site: "s".into(),
        index: String::new(),
        clock: 1_800_000_000,
        ports: vec![
            Port {
                port: 443,
                purpose: "the edge".into(),
                holder: ResourceId::new("systemd-unit", "box1:openg2p-nginx.service"),
            },
            Port {
                port: 6443,
                purpose: "the Kubernetes API".into(),
                holder: ResourceId::new("kubernetes-cluster", "box1:control-plane"),
            },
        ],
        packages: Vec::new(),
        images: ["a", "b"]
            .map(|name| Digest::of(name.as_bytes()).as_str().to_owned())
            .into(),
    }
}

fn ledger(entries: &[(&str, &str, Value, Value)]) -> Ledger {
    let mut ledger = Ledger {
        site: "s".into(),
        generation: 1,
        ..Ledger::default()
    };
    for (kind, name, desired, details) in entries {
        let resource = ResourceId::new(kind, name);
        let entry = Entry {
            resource: resource.clone(),
            owner: Owner::Site,
            part: "host".into(),
            state: EntryState::Present,
            desired: desired.clone(),
            details: details.clone(),
            needs: [].into(),
            created_by: "r1".into(),
            changed_by: "r1".into(),
            fingerprint: String::new(),
            created_at: 0,
            changed_at: 0,
        };
        ledger.entries.insert(resource, entry);
    }
    ledger
}

fn machine_with(change: impl FnOnce(&mut openg2p_sim::Machine)) -> Simulation {
    let simulation = Simulation::new(SimBundle::new([]), 1);
    simulation.change(|things| change(&mut things.machine));
    simulation
}

/// Codes and reasons of all failures.
fn found(simulation: &Simulation, ledger: &Ledger) -> Vec<(String, String)> {
    let world = simulation.world();
    let nowhere = Path::new("/nonexistent");
    let (failures, _) = simulation
        .drive(check(world.host.as_ref(), &demand(), &index(), ledger, nowhere))
        .unwrap()
        .unwrap();
    failures
        .into_iter()
        .map(|failure| (failure.code, failure.why))
        .collect()
}

fn codes(simulation: &Simulation, ledger: &Ledger) -> Vec<String> {
    found(simulation, ledger)
        .into_iter()
        .map(|(code, _)| code)
        .collect()
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let simulation = machine_with(|machine| {
        machine.facts.user = 1000;
        machine.facts.release = "bookworm".into();
        machine.facts.disk_free = 1;
        machine.facts.clock += 4000;
        machine.facts.architecture = "aarch64".into();
        machine.files.put("/etc/rancher/k3s", "");
        machine.packages.insert("docker-ce".into(), "5:28.0".into());
        machine.listeners.push(Listener {
            port: 443,
            address: "0.0.0.0".into(),
            process: Some("apache2 (7)".into()),
        });
    });
    assert_eq!(
        codes(&simulation, &Ledger::default()),
        [
            "host::not-root",
            "host::release",
            "host::architecture",
            "host::clock",
            "host::disk",
            "host::foreign-kubernetes",
            "host::foreign-containerd",
            "host::port-taken"
        ]
    );
    assert_eq!(codes(&machine_with(|_| {}), &Ledger::default()), [""; 0]);
}

#[test]
fn a_container_runtime_of_others_is_found_before_it_is_taken_over() {
    let docker = |machine: &mut openg2p_sim::Machine| {
        machine.packages.insert("containerd.io".into(), "2.1".into());
        machine
            .files
            .put("/usr/lib/systemd/system/containerd.service", "[Service]\n");
    };
    let simulation = machine_with(docker);
    let found = found(&simulation, &Ledger::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "host::foreign-containerd");
    assert!(found[0].1.contains("unit containerd.service"), "{found:?}");
    assert!(found[0].1.contains("package containerd.io 2.1"), "{found:?}");
    // one entry in the ledger says nothing of containerd
    let begun = ledger(&[("host-directory", "box1:/etc/openg2p", json!({}), Value::Null)]);
    assert_eq!(codes(&simulation, &begun), ["host::foreign-containerd"]);
    // ours is ours, from the moment its packages are intended
    let ours = ledger(&[(
        "host-packages",
        "box1:debian",
        json!({}),
        json!({"installed": ["containerd", "runc"]}),
    )]);
    assert_eq!(codes(&simulation, &ours), [""; 0]);
}

#[test]
fn a_half_installed_host_is_looked_at_for_all_that_is_not_ours_yet() {
    let simulation = machine_with(|machine| {
        machine.files.put("/etc/kubernetes/admin.conf", "");
        for port in [443, 6443] {
            machine.listeners.push(Listener {
                port,
                address: "0.0.0.0".into(),
                process: None,
            });
        }
    });
    let edge = (
        "systemd-unit",
        "box1:openg2p-nginx.service",
        json!({}),
        Value::Null,
    );
    let found = found(&simulation, &ledger(std::slice::from_ref(&edge)));
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["host::foreign-kubernetes", "host::port-taken"]);
    assert!(found[1].1.contains("6443"), "{found:?}");
    let cluster = ("kubernetes-cluster", "box1:control-plane", json!({}), Value::Null);
    assert_eq!(self::codes(&simulation, &ledger(&[edge, cluster])), [""; 0]);
}

#[test]
fn room_is_counted_from_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let need = |ledger: &Ledger| room::Need::of(&demand(), &index(), ledger, folder.path());
    // the shared layer counts once
    let first = need(&Ledger::default());
    assert_eq!(first.blobs, 382 * MB);
    assert_eq!(first.unpacked, 3 * 282 * MB + 4 * 100 * MB);
    // An installation that broke off after its first entry still needs nearly all of it.
    let begun = need(&ledger(&[(
        "host-directory",
        "box1:/etc/openg2p",
        json!({}),
        Value::Null,
    )]));
    assert_eq!((begun.blobs, begun.unpacked), (382 * MB, 3 * 282 * MB));
    // what was sent and what was imported is not needed again
    std::fs::write(blobs.join(Digest::of(b"base").as_str()), "").unwrap();
    let digest = format!("sha256:{}", Digest::of(b"a").as_str());
    let image = (
        "container-image",
        "box1:a",
        json!({"digest": digest}),
        Value::Null,
    );
    let half = need(&ledger(&[image]));
    assert_eq!((half.blobs, half.unpacked), (182 * MB, 3 * 31 * MB));
    // an image that the site does not run is never unpacked
    let mut less = demand();
    less.images.pop();
    let less = room::Need::of(&less, &index(), &Ledger::default(), folder.path());
    assert_eq!(less.unpacked, 3 * 251 * MB + 4 * 100 * MB);
}

#[test]
fn a_full_disk_is_told_in_bytes() {
    let need = room::Need {
        blobs: 1,
        unpacked: 2,
        data: 3,
    };
    assert_eq!(room::short("box1", 6, &need), None);
    let failure = room::short("box1", 5, &need).unwrap();
    assert_eq!(failure.code, "host::disk");
    assert!(
        failure.why.contains("(5 bytes)") && failure.why.contains("(6 bytes)"),
        "{}",
        failure.why
    );
}

#[test]
fn a_look_that_fails_hides_nothing() {
    let simulation = machine_with(|machine| machine.facts.disk_free = 1);
    simulation.fault(openg2p_sim::Fault::named(
        "host.packages",
        "",
        openg2p_sim::Trouble::FailBefore,
    ));
    let codes = codes(&simulation, &Ledger::default());
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert_eq!(codes[0], "host::disk");
}
