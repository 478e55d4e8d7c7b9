//! Whole runs without trouble.

use openg2p_plan::Action;
use openg2p_sim::{Fault, Simulation, Things, Trouble, differences};
use serde_json::Value;

use crate::operator::{Ended, apply, converge, destroy, ledger, plain, plan};
use crate::whole::{Keys, bare, file, wish};

#[test]
fn a_site_is_installed_and_a_second_run_changes_and_writes_nothing() {
    let simulation = bare(1);
    let wish = wish(&file(&[("dev", &["spar"])]), Keys::Real);
    let started = std::time::Instant::now();
    let steps = apply(&simulation, &wish, "first").well();
    eprintln!(
        "{steps} steps, {} calls, {:?}",
        simulation.count(),
        started.elapsed()
    );
    assert_eq!(simulation.things().machine.stale_units(), Vec::<String>::new());
    let before = (simulation.things(), ledger(&simulation).generation);
    assert_eq!(apply(&simulation, &wish, "second"), Ended::Nothing);
    assert!(
        *before.0 == *simulation.things(),
        "the second run changed something"
    );
    assert_eq!(ledger(&simulation).generation, before.1);
}

#[test]
fn removal_of_the_site_leaves_the_host_as_it_was() {
    let simulation = bare(2);
    let before = simulation.things().view();
    apply(
        &simulation,
        &wish(&file(&[("dev", &["spar"])]), Keys::Quick),
        "first",
    )
    .well();
    destroy(&simulation, None, "second").well();
    let mut left = differences(&before, &simulation.things().view());
    // modules stay: others may have come to use them
    left.retain(|line| !line.starts_with("+ module ") && !line.starts_with("+ sysctl net.bridge."));
    assert_eq!(left, Vec::<String>::new());
    assert!(ledger(&simulation).entries.is_empty());
}

/// Everything of an environment, byte for byte: its objects with uids and revisions, its files, its volumes.
fn belongings(simulation: &Simulation, environment: &str) -> Vec<(String, Vec<u8>)> {
    let things = simulation.things();
    let objects = things.cluster.iter().flat_map(openg2p_sim::Objects::all);
    let mut found: Vec<(String, Vec<u8>)> = objects
        .filter(|(place, _)| place.namespace.as_deref() == Some(environment) || place.name == environment)
        .map(|(place, stored)| (place.to_string(), serde_json::to_vec(&stored.value).unwrap()))
        .collect();
    let marks = [format!(".{environment}."), format!("/{environment}_")];
    for (path, node) in things.machine.files.all() {
        if let openg2p_sim::Node::File { bytes, .. } = node
            && marks.iter().any(|mark| path.contains(mark))
        {
            found.push((path.clone(), bytes.to_vec()));
        }
    }
    found
}

#[test]
fn removing_one_environment_leaves_the_other_as_it_is() {
    let simulation = bare(31);
    apply(
        &simulation,
        &wish(
            &file(&[("dev", &["g2p-bridge"]), ("prod", &["g2p-bridge"])]),
            Keys::Real,
        ),
        "first",
    )
    .well();
    let prod = belongings(&simulation, "prod");
    assert!(prod.len() > 30, "{}", prod.len());
    destroy(&simulation, Some("dev"), "second").well();
    assert!(
        prod == belongings(&simulation, "prod"),
        "the other environment changed"
    );
    assert_eq!(belongings(&simulation, "dev"), Vec::new());
    assert_eq!(simulation.things().machine.stale_units(), Vec::<String>::new());
    // what is left is what a site without it has
    let only = bare(31);
    apply(
        &only,
        &wish(&file(&[("prod", &["g2p-bridge"])]), Keys::Real),
        "first",
    )
    .well();
    assert_eq!(
        differences(&only.things().view(), &simulation.things().view()),
        Vec::<String>::new()
    );
    assert_eq!(plain(&ledger(&only)), plain(&ledger(&simulation)));
}

/// A host on which somebody has lived.
fn furnish(things: &mut Things) {
    let machine = &mut things.machine;
    for name in ["socat", "conntrack", "vim"] {
        machine.apt_install(name);
    }
    machine.files.put("/etc/cni/net.d/99-mine.conflist", "{}");
    machine
        .files
        .put("/etc/sysctl.d/10-mine.conf", "net.ipv4.ip_forward = 1\n");
    machine.files.put("/etc/openg2p/notes.txt", "mine");
    machine.files.put("/etc/containerd/config.toml", "version = 2");
    machine.files.put("/var/www/html/index.html", "mine");
    machine.files.put("/usr/local/bin/mine", "mine");
    machine.files.put(
        "/etc/systemd/system/mine.service",
        "[Service]\nExecStart=/usr/local/bin/mine --listen=9000\n[Install]\n",
    );
    machine.systemctl(&["enable", "mine.service"]);
    machine.systemctl(&["start", "mine.service"]);
    machine
        .kernel
        .settings
        .insert("net.ipv4.ip_forward".into(), "1".into());
    machine
        .kernel
        .settings
        .insert("fs.inotify.max_user_instances".into(), "512".into());
    machine.kernel.modules.insert("overlay".into());
    machine
        .kernel
        .tables
        .extend(["inet mine".to_owned(), "ip filter".to_owned()]);
    let rule = vec![
        "-s".to_owned(),
        "10.0.0.0/8".to_owned(),
        "-j".to_owned(),
        "ACCEPT".to_owned(),
    ];
    machine
        .kernel
        .chains
        .entry("iptables filter".into())
        .or_default()
        .insert("INPUT".into(), vec![rule]);
}

#[test]
fn what_was_on_the_host_before_is_there_after_the_removal() {
    let simulation = bare(32);
    simulation.change(furnish);
    let before = simulation.things().view();
    let wish = wish(&file(&[("dev", &["spar"])]), Keys::Quick);
    apply(&simulation, &wish, "first").well();
    destroy(&simulation, None, "second").well();
    let mut left = differences(&before, &simulation.things().view());
    left.retain(|line| !line.starts_with("+ module ") && !line.starts_with("+ sysctl net.bridge."));
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_module_that_is_taken_out_of_the_site_file_is_pruned() {
    let simulation = bare(33);
    let small = wish(&file(&[("dev", &["spar"])]), Keys::Quick);
    apply(
        &simulation,
        &wish(&file(&[("dev", &["spar", "g2p-bridge"])]), Keys::Quick),
        "first",
    )
    .well();
    let planned = simulation.drive(plan(&simulation, &small)).unwrap().unwrap();
    let removals = planned
        .steps
        .iter()
        .filter(|step| step.action == Action::Remove)
        .count();
    assert!(removals > 10, "{removals} removals");
    converge(&simulation, &small);
    let fresh = bare(33);
    apply(&fresh, &small, "first").well();
    assert_eq!(
        differences(&fresh.things().view(), &simulation.things().view()),
        Vec::<String>::new()
    );
    assert_eq!(plain(&ledger(&fresh)), plain(&ledger(&simulation)));
}

#[test]
fn a_damaged_ledger_is_passed_over_for_the_one_before() {
    let wish = wish(&file(&[("dev", &["spar"])]), Keys::Quick);
    let simulation = bare(36);
    simulation.fault(Fault::named("host.run", "kubeadm init", Trouble::KillBefore));
    assert_eq!(apply(&simulation, &wish, "first"), Ended::Killed);
    simulation.change(|things| {
        let newest = things
            .state
            .keys()
            .filter(|name| name.starts_with("ledger/"))
            .max()
            .unwrap()
            .clone();
        let bytes = things.state[&newest].to_vec();
        things.state.insert(newest, bytes[..bytes.len() / 3].into());
    });
    converge(&simulation, &wish);
    assert!(matches!(destroy(&simulation, None, "last"), Ended::Done(_)));
    assert!(plain(&ledger(&simulation)) == Value::Object(serde_json::Map::new()));
}
