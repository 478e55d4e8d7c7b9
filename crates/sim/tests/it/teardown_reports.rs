//! What the report of a removal looks for beyond the ledger's entries. The report only looks, so it can be asked before anything goes: then
//! all that could be told is still there.

use openg2p_run::Selection;
use openg2p_run::teardown::Report;
use openg2p_sim::Simulation;
use serde_json::json;

use crate::operator::{apply, ledger};
use crate::teardown::{reported, told};
use crate::whole::{Keys, bare, file, wish};

/// A site with an environment, and what others put beside our things.
fn among_others() -> Simulation {
    let simulation = bare(11);
    let wanted = wish(&file(&[("dev", &["spar"])]), Keys::Quick);
    apply(&simulation, &wanted, "install").well();
    simulation.change(|things| {
        for path in [
            "/etc/openg2p/notes",
            "/etc/systemd/system/spar-dev.service",
            "/etc/systemd/system/devices.service",
        ] {
            things.machine.files.put(path, "# somebody's\n");
        }
        let digest = "sha256:0";
        things
            .machine
            .images
            .insert("example.org/other:1".into(), digest.into());
        let mut uids = 900;
        let cluster = things.cluster.as_mut().unwrap();
        for (name, namespace) in [("volume-of-dev", "dev"), ("volume-of-others", "others")] {
            let claim = json!({"namespace": namespace, "name": "data"});
            let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume",
                "metadata": {"name": name}, "spec": {"claimRef": claim}});
            cluster.apply(&volume, "kubectl", 0, &mut uids).unwrap();
        }
    });
    simulation
}

/// The report of a removal that has not begun.
fn before(simulation: &Simulation, selection: &Selection) -> Report {
    let (entries, _) = selection.split(&ledger(simulation));
    reported(simulation, selection, &entries)
}

/// Whether one of the lines has this name in it.
fn mentions(lines: &[String], name: &str) -> bool {
    lines.iter().any(|line| line.contains(name))
}

#[test]
fn of_a_site_all_that_nobody_recorded_in_its_places_is_told() {
    let simulation = among_others();
    let report = before(&simulation, &Selection::Site);
    let kept: Vec<String> = report
        .stores
        .iter()
        .flat_map(|store| store.kept.iter().map(|found| found.what.clone()))
        .collect();
    for name in [
        "/etc/openg2p/notes",
        "/etc/systemd/system/spar-dev.service",
        "example.org/other:1",
    ] {
        assert!(kept.iter().any(|what| what == name), "{name}: {kept:#?}");
    }
    // in a folder of the distribution only what bears a name of ours
    assert!(!mentions(&kept, "devices"), "{kept:#?}");
    let things = simulation.things();
    let images = &things.machine.images;
    assert!(images.len() > 5, "{images:?}");
    for image in images.keys().filter(|image| *image != "example.org/other:1") {
        assert!(!kept.contains(image), "{image}: {kept:#?}");
    }
}

#[test]
fn of_an_environment_only_what_bears_its_name_or_was_claimed_from_it_is_told() {
    let simulation = among_others();
    let report = before(&simulation, &Selection::Environment("dev".into()));
    let told = told(&report);
    for line in [
        "PersistentVolume volume-of-dev: it was claimed from this environment and was not released",
        "/etc/systemd/system/spar-dev.service: no entry of the ledger records it",
    ] {
        assert!(mentions(&told, line), "{line}: {told:#?}");
    }
    for name in ["volume-of-others", "devices", "/etc/openg2p/notes", "other:1"] {
        assert!(!mentions(&told, name), "{name}: {told:#?}");
    }
}
