//! What others change is seen; what is not ours is refused and left as it is.

use openg2p_ports::ObjectRef;
use openg2p_sim::{Simulation, Things, differences};
use serde_json::{Value, json};

use crate::operator::{Ended, Wish, apply, converge, delete_by_hand, plan};
use crate::small;
use crate::whole::bare;

fn object(kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "Deployment" | "StatefulSet" => "apps/v1",
        "Job" => "batch/v1",
        _ => "v1",
    };
    let namespace = (kind != "Namespace").then(|| "dev".to_owned());
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace,
        name: name.into(),
    }
}

fn edit(things: &mut Things, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
    things
        .cluster
        .as_mut()
        .unwrap()
        .edit(&object(kind, name), "kubectl-edit", change)
        .unwrap();
}

fn delete(things: &mut Things, kind: &str, name: &str) {
    delete_by_hand(things, &object(kind, name));
}

/// What the plan would do now, as `verb resource`.
fn steps(simulation: &Simulation, wish: &Wish) -> Vec<String> {
    let plan = simulation.drive(plan(simulation, wish)).unwrap().unwrap();
    plan.steps
        .iter()
        .map(|step| format!("{} {}", step.action.verb(), step.resource))
        .collect()
}

type Change = fn(&mut Things);

/// Every kind once at least: what somebody did, and the step that must be planned for it.
const MENDED: &[(&str, Change)] = &[
    ("update host-file//etc/openg2p/containerd.toml", |things| {
        things.machine.files.put("/etc/openg2p/containerd.toml", "mine");
    }),
    ("create host-file//etc/openg2p/link", |things| {
        things.machine.files.erase("/etc/openg2p/link");
    }),
    ("create host-directory//etc/openg2p/nginx/sites", |things| {
        things.machine.files.erase("/etc/openg2p/nginx/sites");
    }),
    ("update systemd-unit/containerd.service", |things| {
        things.machine.systemctl(&["stop", "containerd.service"]);
    }),
    ("update systemd-unit/kubelet.service", |things| {
        things.machine.systemctl(&["disable", "kubelet.service"]);
    }),
    ("update systemd-unit/nginx.service", |things| {
        things.machine.systemctl(&["unmask", "nginx.service"]);
    }),
    ("update systemd-unit/openg2p-nginx.service", |things| {
        things.machine.systemctl(&["stop", "openg2p-nginx.service"]);
    }),
    ("update sysctl//etc/sysctl.d/90-openg2p.conf", |things| {
        things
            .machine
            .kernel
            .settings
            .insert("net.ipv4.ip_forward".into(), "0".into());
    }),
    ("create sysctl//etc/sysctl.d/90-openg2p.conf", |things| {
        things.machine.files.erase("/etc/sysctl.d/90-openg2p.conf");
    }),
    ("create kernel-module/overlay", |things| {
        things.machine.kernel.modules.remove("overlay");
    }),
    ("update host-packages/debian", |things| {
        things.machine.apt_purge("ipset");
    }),
    ("create container-image/redis", |things| {
        things.machine.images.retain(|name, _| !name.contains("redis"));
    }),
    ("update container-image/redis", |things| {
        let image = things
            .machine
            .images
            .iter_mut()
            .find(|(name, _)| name.contains("redis"));
        *image.unwrap().1 = "sha256:other".into();
    }),
    ("create kubernetes-object/dev/Deployment/app", |things| {
        delete(things, "Deployment", "app");
    }),
    ("create kubernetes-object/dev/StatefulSet/store", |things| {
        delete(things, "StatefulSet", "store");
    }),
    ("create kubernetes-object/dev/Job/migrate", |things| {
        delete(things, "Job", "migrate");
    }),
    ("create postgresql-database/dev/dev_app", |things| {
        delete(things, "Job", "database");
    }),
    ("create helm-record/dev/app", |things| {
        delete(things, "Secret", "sh.helm.release.v1.app.v1");
    }),
    ("update kubernetes-object/dev/ConfigMap/settings", |things| {
        edit(things, "ConfigMap", "settings", |value| {
            value["data"].as_object_mut().unwrap().remove("a");
        });
    }),
    ("update kubernetes-secret/dev/password", |things| {
        edit(things, "Secret", "password", |value| {
            value["data"].as_object_mut().unwrap().remove("username");
        });
    }),
    ("create kubernetes-secret/dev/signing", |things| {
        delete(things, "Secret", "signing");
    }),
    ("create partner-certificate/dev/PARTNER_A", |things| {
        edit(things, "ConfigMap", "partners", |value| {
            value["data"].as_object_mut().unwrap().remove("PARTNER_A.pem");
        });
    }),
    ("create certificate-authority/authority", |things| {
        things.machine.files.erase("/etc/openg2p/pki/authority.key");
        things.machine.files.erase("/etc/openg2p/pki/authority.crt");
    }),
    ("update certificate-authority/authority", |things| {
        things.machine.files.erase("/etc/openg2p/pki/authority.crt");
    }),
    ("update certificate/app.dev.example.org", |things| {
        things
            .machine
            .files
            .erase("/etc/openg2p/pki/app.dev.example.org.key");
    }),
    ("update certificate/app.dev.example.org", |things| {
        things.machine.facts.clock += 300 * 86_400;
    }),
    ("update nginx-site/app.dev.example.org", |things| {
        things
            .machine
            .files
            .put("/etc/openg2p/nginx/sites/app.dev.example.org.conf", "server {}\n");
    }),
];

#[test]
fn every_drift_is_seen_and_mended() {
    let wish = small::wish(&["dev"], true);
    let simulation = bare(21);
    apply(&simulation, &wish, "install").well();
    let installed = simulation.things();
    for (step, change) in MENDED {
        let simulation = Simulation::resume(installed.clone(), simulation.bundle().clone(), 22);
        simulation.change(change);
        let planned = steps(&simulation, &wish);
        assert!(
            planned.iter().any(|planned| planned == step),
            "no `{step}` in {planned:?}"
        );
        converge(&simulation, &wish);
        let mut left = differences(&installed.view(), &simulation.things().view());
        // what a purge and a new installation leave: the generation of what was edited and put back
        left.retain(|line| !line.starts_with("~ object"));
        assert_eq!(left, Vec::<String>::new(), "after {step}");
        assert_eq!(
            simulation.things().machine.stale_units(),
            Vec::<String>::new(),
            "after {step}"
        );
    }
}

#[test]
fn every_kind_drifts() {
    for kind in openg2p_kinds::KINDS {
        // a cluster drifts by not answering any more, which has a test of its own below; of a hook counts that it ran
        let covered = MENDED
            .iter()
            .any(|(step, _)| step.contains(&format!(" {}/", kind.name())));
        assert!(
            covered || matches!(kind.name(), "kubernetes-cluster" | "kubernetes-hook"),
            "no drift of {}",
            kind.name()
        );
    }
}

/// The run is refused for this reason and changes nothing.
#[track_caller]
fn refused(simulation: &Simulation, wish: &Wish, reason: &str) {
    let before = simulation.things();
    let ended = apply(simulation, wish, "refused");
    let Ended::Refused(why) = &ended else {
        panic!("not refused for `{reason}`: {ended:?}")
    };
    assert!(why.contains(reason), "no `{reason}` in {why}");
    assert!(*before == *simulation.things(), "a refused run changed something");
}

#[test]
fn what_only_a_person_may_mend_is_refused() {
    let wish = small::wish(&["dev"], true);
    let simulation = bare(23);
    apply(&simulation, &wish, "install").well();
    let installed = simulation.things();
    let cases: &[(&str, Change)] = &[
        ("restore it from a backup", |things| {
            delete(things, "Secret", "password");
        }),
        ("restore it from a backup", |things| {
            delete(things, "Namespace", "dev");
        }),
        ("restore the key from a backup", |things| {
            things.machine.files.erase("/etc/openg2p/pki/authority.key");
        }),
        ("a cluster that once worked is never made anew", |things| {
            things.cluster = None;
        }),
        ("is no regular file", |things| {
            things.machine.files.erase("/etc/openg2p/containerd.toml");
            things.machine.files.directories("/etc/openg2p/containerd.toml");
        }),
        ("is being deleted by somebody", |things| {
            edit(things, "Deployment", "app", |value| {
                value["metadata"]["finalizers"] = json!(["somebody/else"]);
            });
            delete(things, "Deployment", "app");
        }),
    ];
    for (reason, change) in cases {
        let simulation = Simulation::resume(installed.clone(), simulation.bundle().clone(), 24);
        simulation.change(change);
        refused(&simulation, &wish, reason);
    }
}

#[test]
fn a_field_that_somebody_else_took_over_is_not_taken_back() {
    let wish = small::wish(&["dev"], false);
    let simulation = bare(25);
    apply(&simulation, &wish, "install").well();
    simulation.change(|things| {
        edit(things, "Deployment", "app", |value| {
            value["spec"]["replicas"] = json!(3);
        });
    });
    refused(&simulation, &wish, "`kubectl-edit` manages .spec.replicas");
    let things = simulation.things();
    assert_eq!(
        things
            .cluster
            .as_ref()
            .unwrap()
            .get(&object("Deployment", "app"))
            .unwrap()["spec"]["replicas"],
        3
    );
}

#[test]
fn foreign_things_on_the_host_are_refused_and_left() {
    let wish = small::wish(&["dev"], true);
    let cases: &[(&str, Change)] = &[
        ("was not made by openg2p", |things| {
            things.machine.files.put("/etc/openg2p/containerd.toml", "mine");
        }),
        ("is there and is no directory", |things| {
            things.machine.files.put("/etc/openg2p", "mine");
        }),
        ("was not made by openg2p", |things| {
            things
                .machine
                .files
                .put("/etc/sysctl.d/90-openg2p.conf", "vm.swappiness = 1\n");
        }),
        ("was not made by openg2p", |things| {
            things
                .machine
                .files
                .put("/etc/openg2p/nginx/sites/app.dev.example.org.conf", "mine");
        }),
        ("was not made by openg2p", |things| {
            things
                .machine
                .files
                .put("/etc/openg2p/pki/app.dev.example.org.crt", "mine");
            things
                .machine
                .files
                .put("/etc/openg2p/pki/app.dev.example.org.key", "mine");
        }),
        ("was not made by openg2p", |things| {
            things
                .machine
                .files
                .put("/etc/systemd/system/openg2p-nginx.service", "[Service]\n");
        }),
        ("openg2p did not make", |things| {
            things
                .machine
                .files
                .put("/etc/kubernetes/admin.conf", "kind: Config\n");
        }),
        ("nginx.service runs", |things| things.machine.apt_install("nginx")),
    ];
    for (reason, change) in cases {
        let simulation = bare(26);
        simulation.change(change);
        refused(&simulation, &wish, reason);
    }
}

#[test]
fn foreign_objects_are_refused_and_left() {
    let without = small::wish(&[], true);
    let wish = small::wish(&["dev"], true);
    let simulation = bare(27);
    apply(&simulation, &without, "install").well();
    let installed = simulation.things();
    let manifests = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password", "namespace": "dev"}, "data": {"password": "eA=="}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "dev"}, "data": {"a": "1"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "partners", "namespace": "dev"}, "data": {"PARTNER_A.pem": "x"}}),
    ];
    for manifest in manifests {
        let simulation = Simulation::resume(installed.clone(), simulation.bundle().clone(), 28);
        simulation.change(|things| {
            let Things {
                cluster: Some(objects),
                uids,
                ..
            } = things
            else {
                panic!("no cluster")
            };
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}});
            objects.apply(&namespace, "kubectl", 0, uids).unwrap();
            objects.apply(&manifest, "kubectl", 0, uids).unwrap();
        });
        refused(&simulation, &wish, "not made by openg2p");
    }
}

#[test]
fn a_secret_is_never_made_anew_while_it_exists() {
    let wish = small::wish(&["dev"], true);
    let simulation = bare(29);
    apply(&simulation, &wish, "install").well();
    let content = |simulation: &Simulation| {
        let things = simulation.things();
        let cluster = things.cluster.as_ref().unwrap();
        ["password", "signing"].map(|name| cluster.get(&object("Secret", name)).unwrap()["data"].clone())
    };
    let first = content(&simulation);
    // a field that is not secret is lost, labels differ, and the ledger is lost up to its intent: the random parts stay
    simulation.change(|things| {
        edit(things, "Secret", "password", |value| {
            value["data"].as_object_mut().unwrap().remove("username");
        });
    });
    converge(&simulation, &wish);
    assert_eq!(content(&simulation), first);
}
