//! Removal of modules, environments and sites, with the report of what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openg2p_plan::{Entry, Fingerprint, Inputs, Plan, removal};
use openg2p_ports::ObjectRef;
use openg2p_run::teardown::{Removed, Report, report};
use openg2p_run::{Selection, dump::dump, entries_observed, lost_with_cluster, selected, still_needed};
use openg2p_sim::{Fault, Node, Simulation, Trouble, differences};
use serde_json::{Value, json};

use crate::operator::{Ended, apply, ledger, perform, plain, read_ledger};
use crate::whole::{BUNDLE, Keys, bare, file, wish};

fn modules(names: &[&str]) -> Selection {
    Selection::Modules(
        "dev".into(),
        names.iter().map(|name| (*name).to_owned()).collect(),
    )
}

async fn plan_of(simulation: &Simulation, selection: &Selection) -> Plan {
    let ledger = read_ledger(simulation).await;
    let entries = selected(&ledger, selection);
    let observed = entries_observed(&simulation.world(), entries).await;
    let inputs = Inputs {
        site: Fingerprint::of(&Value::Null),
        bundle: String::new(),
        ledger_generation: ledger.generation,
        engine: "sim".into(),
    };
    removal(&ledger, inputs, observed, &selection.owners(), Vec::new()).unwrap()
}

fn remove(simulation: &Simulation, selection: &Selection, run: &str) -> Ended {
    let work = async {
        let plan = plan_of(simulation, selection).await;
        perform(simulation, &plan, run).await
    };
    simulation.drive(work).unwrap_or(Ended::Killed)
}

/// Removes and gives the report.
pub(crate) fn removed(simulation: &Simulation, selection: &Selection) -> Report {
    let (entries, _) = selection.split(&ledger(simulation));
    remove(simulation, selection, "remove").well();
    reported(simulation, selection, &entries)
}

/// The report on what was to go, as the world is now.
pub(crate) fn reported(simulation: &Simulation, selection: &Selection, entries: &[Entry]) -> Report {
    let (_, others) = selection.split(&ledger(simulation));
    let removed = Removed {
        selection,
        entries,
        others: &others,
    };
    let world = simulation.world();
    simulation.drive(report(&world, "remove", &removed)).unwrap()
}

fn gone(report: &Report) -> BTreeMap<&str, usize> {
    report
        .stores
        .iter()
        .map(|store| (store.store.as_str(), store.gone.len()))
        .collect()
}

/// What stays, and what should not, each with its reason.
pub(crate) fn told(report: &Report) -> Vec<String> {
    let found = report
        .stores
        .iter()
        .flat_map(|store| store.kept.iter().chain(&store.left));
    found
        .map(|found| format!("{}: {}", found.what, found.why))
        .collect()
}

fn with(names: &[&str]) -> crate::operator::Wish {
    wish(&file(&[("dev", names), ("prod", &["spar"])]), Keys::Quick)
}

#[test]
fn a_module_goes_with_its_database_and_its_neighbours_stay_as_they_are() {
    let simulation = bare(5);
    apply(
        &simulation,
        &with(&["spar", "g2p-bridge", "example-bank"]),
        "install",
    )
    .well();
    let before = simulation.count();
    let report = removed(&simulation, &modules(&["example-bank"]));
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.removed, "example-bank of environment dev");
    assert_eq!(told(&report), Vec::<String>::new());
    let gone = gone(&report);
    assert_eq!(gone["PostgreSQL"], 1);
    assert!(gone["Kubernetes"] > 5, "{gone:?}");
    // the Job that drops ran, behind the last workload of the module and before the policies that let it reach the server
    let calls = simulation.calls()[before..].to_vec();
    let place = |name: &str, place: &str| {
        let found = calls
            .iter()
            .position(|call| call.name == name && call.place.starts_with(place));
        found.unwrap_or_else(|| panic!("no {name} {place}"))
    };
    let dropped = place("cluster.wait", "Job dev/example-bank-postgres-init-remove-");
    assert!(place("cluster.delete", "Deployment dev/example-bank") < dropped);
    assert!(
        dropped
            < place(
                "cluster.delete",
                "NetworkPolicy dev/example-bank-postgres-init-to-postgresql"
            )
    );

    let only = bare(5);
    apply(&only, &with(&["spar", "g2p-bridge"]), "install").well();
    let left = differences(&only.things().view(), &simulation.things().view());
    // the site keeps the image: it is not the environment's
    let left: Vec<&String> = left
        .iter()
        .filter(|line| !line.contains("example-bank:"))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    let strip = |ledger: Value| {
        let mut ledger = ledger;
        ledger
            .as_object_mut()
            .unwrap()
            .retain(|id, _| !id.ends_with("container-image/box1:example-bank"));
        ledger
    };
    assert_eq!(strip(plain(&ledger(&only))), strip(plain(&ledger(&simulation))));
}

#[test]
fn each_step_says_what_is_removed() {
    let simulation = bare(5);
    apply(&simulation, &with(&["example-bank"]), "install").well();
    let environment = Selection::Environment("dev".into());
    for (selection, why) in [
        (Selection::Site, "site is removed"),
        (environment, "environment dev is removed"),
        (modules(&["example-bank"]), "environment dev is removed"),
    ] {
        let plan = simulation.drive(plan_of(&simulation, &selection)).unwrap();
        let told: BTreeSet<&str> = plan.steps.iter().map(|step| step.why.as_str()).collect();
        assert_eq!(told, BTreeSet::from([why]));
    }
}

#[test]
fn a_module_that_another_needs_is_named_with_it() {
    let simulation = bare(5);
    apply(&simulation, &with(&["g2p-bridge"]), "install").well();
    let catalog = openg2p_catalog::Catalog::embedded().unwrap();
    let needs: BTreeMap<String, BTreeSet<String>> = ["spar", "g2p-bridge", "example-bank"]
        .map(|name| (name.to_owned(), catalog.get(name).unwrap().needs.clone()))
        .into();
    let known = ledger(&simulation);
    assert_eq!(
        still_needed(&known, &modules(&["spar"]), &needs),
        [("g2p-bridge".to_owned(), "spar".to_owned())]
    );
    assert_eq!(
        still_needed(&known, &modules(&["spar", "g2p-bridge"]), &needs),
        []
    );
    assert_eq!(still_needed(&known, &modules(&["g2p-bridge"]), &needs), []);
    assert_eq!(
        still_needed(&known, &Selection::Environment("dev".into()), &needs),
        []
    );
}

#[test]
fn an_environment_goes_with_its_server_and_no_database_is_dropped_one_by_one() {
    let simulation = bare(6);
    apply(&simulation, &with(&["g2p-bridge"]), "install").well();
    let before = simulation.count();
    let report = removed(&simulation, &Selection::Environment("dev".into()));
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(gone(&report)["PostgreSQL"], 2);
    let dropped = simulation.calls()[before..]
        .iter()
        .any(|call| call.name == "cluster.apply" && call.place.contains("-remove-"));
    assert!(!dropped);
    let other = ledger(&simulation);
    assert!(
        other
            .entries
            .keys()
            .any(|id| id.as_str() == "postgresql-database/prod/prod_spar")
    );
}

#[test]
fn a_site_goes_whole_and_every_store_says_so() {
    let simulation = bare(7);
    apply(&simulation, &with(&["spar"]), "install").well();
    let report = removed(&simulation, &Selection::Site);
    assert!(report.is_clean(), "{report:#?}");
    let gone = gone(&report);
    for (store, least) in [
        ("host", 20),
        ("Nginx", 3),
        ("certificates", 3),
        ("images", 5),
        ("Kubernetes", 50),
    ] {
        assert!(gone[store] >= least, "{store}: {gone:?}");
    }
    assert!(ledger(&simulation).entries.is_empty());
}

/// On a real host a site with an environment that runs went down to the provisioner before the environment's volumes were gone: nothing
/// removed them, and the removal waited for them in vain.
#[test]
fn the_provisioner_of_volumes_goes_behind_what_claimed_them() {
    let simulation = bare(7);
    apply(&simulation, &with(&["spar"]), "install").well();
    let plan = simulation.drive(plan_of(&simulation, &Selection::Site)).unwrap();
    let step = |name: &str| {
        let mut steps = plan.steps.iter();
        steps.find(|step| step.resource.as_str() == name).unwrap()
    };
    for kept in [
        "openg2p-storage/Deployment.apps/local-path-provisioner",
        "openg2p-storage/ServiceAccount/local-path-provisioner",
        "ClusterRoleBinding.rbac.authorization.k8s.io/local-path-provisioner",
        "StorageClass.storage.k8s.io/local-path",
    ] {
        let kept = step(&format!("kubernetes-object/{kept}"));
        for namespace in ["dev", "prod"] {
            let namespace = step(&format!("kubernetes-object/Namespace/{namespace}"));
            assert!(
                kept.needs.contains(&namespace.number),
                "{} {}",
                kept.resource,
                namespace.resource
            );
        }
    }
    // and the folder in which they are goes behind the cluster: until then there is something in it
    let mut steps = plan.steps.iter();
    let folder = steps.find(|step| step.resource.as_str().ends_with("/var/lib/openg2p/volumes"));
    let mut steps = plan.steps.iter();
    let cluster = steps.find(|step| step.kind == "kubernetes-cluster").unwrap();
    assert!(folder.unwrap().needs.contains(&cluster.number));
}

#[test]
fn without_its_provisioner_a_volume_stays_and_is_told() {
    let simulation = bare(7);
    apply(&simulation, &with(&["spar"]), "install").well();
    simulation.change(|things| {
        let provisioner = ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("openg2p-storage".into()),
            name: "local-path-provisioner".into(),
        };
        let cluster = things.cluster.as_mut().unwrap();
        let uid = cluster.get(&provisioner).unwrap()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned();
        cluster.delete(&provisioner, &uid, 0).unwrap();
    });
    let ended = remove(&simulation, &Selection::Environment("dev".into()), "remove");
    let told = format!("{ended:?}");
    assert!(told.contains("kubernetes::volumes-left"), "{told}");
}

#[test]
fn what_is_not_ours_stays_with_its_namespace_and_what_bears_our_mark_unrecorded_is_told() {
    let simulation = bare(8);
    apply(&simulation, &with(&["spar"]), "install").well();
    let object = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
            "metadata": {"name": name, "namespace": "dev", "labels": labels}})
    };
    let theirs = object("notes", json!({}));
    let like_ours = object("like-ours", json!({"openg2p.org/owner": "environment.dev"}));
    // what a controller made for another object has that one's labels and goes with it
    let mut made_for_it = object("made-for-it", json!({"openg2p.org/owner": "environment.dev"}));
    made_for_it["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "like-ours", "uid": "u"}]);
    simulation.change(|things| {
        let mut uids = 900;
        let cluster = things.cluster.as_mut().unwrap();
        for manifest in [&theirs, &like_ours, &made_for_it] {
            cluster.apply(manifest, "kubectl", 0, &mut uids).unwrap();
        }
        things
            .machine
            .files
            .put("/etc/openg2p/nginx/sites/mine.dev.example.conf", "mine");
    });
    let report = removed(&simulation, &Selection::Environment("dev".into()));
    let told = told(&report);
    for wanted in [
        "ConfigMap notes in namespace dev: it is somebody's own",
        "kubernetes-object/Namespace/dev: things that are not ours are in it",
        "ConfigMap dev/like-ours: it bears the owner's label",
        "/etc/openg2p/nginx/sites/mine.dev.example.conf: no entry of the ledger records it",
    ] {
        assert!(
            told.iter().any(|line| line.starts_with(wanted)),
            "{wanted}: {told:#?}"
        );
    }
    assert!(
        !told.iter().any(|line| line.contains("dev/made-for-it")),
        "{told:#?}"
    );
    assert!(
        !report.is_clean(),
        "what bears our mark and no record needs a person"
    );
    let things = simulation.things();
    for manifest in [&theirs, &like_ours] {
        let place = ObjectRef::of(manifest).unwrap();
        assert_eq!(
            things.cluster.as_ref().unwrap().get(&place).unwrap()["data"]["a"],
            "1"
        );
    }
    assert!(
        things
            .machine
            .files
            .has("/etc/openg2p/nginx/sites/mine.dev.example.conf")
    );
}

/// The records of the version before this one, which knew the Job of a database as any other object and had no log.
fn make_older(simulation: &Simulation) {
    let known = ledger(simulation);
    let mut value = serde_json::to_value(&known).unwrap();
    let fields = value.as_object_mut().unwrap();
    let entries = fields.remove("owned").unwrap();
    let mut text = entries.to_string();
    for entry in known.entries.values() {
        if entry.resource.kind() == "postgresql-database" {
            let job = ObjectRef::of(&entry.desired["manifest"]).unwrap();
            let namespace = job.namespace.unwrap();
            let former = format!("kubernetes-object/batch/v1/Job/{namespace}/{}", job.name);
            text = text.replace(entry.resource.as_str(), &former);
        }
    }
    let mut entries: Value = serde_json::from_str(&text).unwrap();
    for entry in entries.as_object_mut().unwrap().values_mut() {
        let entry = entry.as_object_mut().unwrap();
        for name in ["fingerprint", "createdAt", "changedAt"] {
            entry.remove(name).unwrap();
        }
        if let Some(desired) = entry["desired"]
            .as_object_mut()
            .filter(|desired| desired.contains_key("remove"))
        {
            for name in ["database", "role", "server", "remove"] {
                desired.remove(name).unwrap();
            }
        }
    }
    fields.insert("entries".into(), entries);
    let bytes = openg2p_plan::seal(&serde_json::to_string_pretty(&value).unwrap());
    simulation.change(|things| {
        things.state.retain(|name, _| !name.starts_with("ledger/"));
        things
            .state
            .insert(format!("ledger/{:012}", known.generation), bytes.into());
    });
}

#[test]
fn a_site_of_the_version_before_is_taken_over_by_one_apply_and_not_taken_apart_blindly() {
    let simulation = bare(12);
    let wish = with(&["spar", "example-bank"]);
    apply(&simulation, &wish, "install").well();
    let goal = (simulation.things().view(), plain(&ledger(&simulation)));
    make_older(&simulation);
    // that version did not record how a database is dropped, so nothing of it goes before that is known
    let early = remove(&simulation, &modules(&["example-bank"]), "early");
    let Ended::Failed(_, failures) = &early else {
        panic!("{early:?}")
    };
    assert!(
        failures
            .iter()
            .any(|failure| failure.contains("database::unknown-removal")),
        "{failures:?}"
    );
    apply(&simulation, &wish, "again").well();
    assert_eq!(apply(&simulation, &wish, "and-again"), Ended::Nothing);
    let left = differences(&goal.0, &simulation.things().view());
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(plain(&ledger(&simulation)), goal.1);

    make_older(&simulation);
    let plan = simulation
        .drive(crate::operator::plan(&simulation, &wish))
        .unwrap()
        .unwrap();
    let steps: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{} {}", step.action.verb(), step.resource))
        .collect();
    assert_eq!(
        steps,
        [
            "update postgresql-database/dev/dev_example-bank",
            "update postgresql-database/dev/dev_g2p-bridge",
            "update postgresql-database/dev/dev_spar",
            "update postgresql-database/prod/prod_spar",
        ]
    );
    let before = simulation.things().view();
    let ended = simulation.drive(perform(&simulation, &plan, "takes-over"));
    assert_eq!(ended, Some(Ended::Done(4)));
    let report = removed(&simulation, &modules(&["example-bank"]));
    assert!(report.is_clean(), "{report:#?}");
    assert_ne!(before, simulation.things().view());
}

#[test]
fn removal_of_a_module_killed_anywhere_ends_in_the_same_world() {
    let start = bare(9);
    apply(&start, &with(&["spar"]), "install").well();
    let start = start.things();
    let resume = || Simulation::resume(start.clone(), Arc::new(BUNDLE.clone()), 4);
    let selection = modules(&["spar"]);
    let whole = resume();
    remove(&whole, &selection, "remove").well();
    let goal = (whole.things().view(), plain(&ledger(&whole)));
    let calls = whole.count();
    let soak = std::env::var("OPENG2P_SOAK").is_ok();
    let mut kills = 0;
    for number in (0..calls).step_by(if soak { 1 } else { 5 }) {
        for trouble in [Trouble::KillBefore, Trouble::KillAfter] {
            let simulation = resume();
            simulation.fault(Fault::at(number, trouble));
            if remove(&simulation, &selection, "remove") != Ended::Killed {
                continue;
            }
            kills += 1;
            let again = remove(&simulation, &selection, "again");
            assert!(
                matches!(again, Ended::Done(_) | Ended::Nothing),
                "{number}: {again:?}"
            );
            let found = differences(&goal.0, &simulation.things().view());
            assert!(found.is_empty(), "{trouble:?} at {number}: {found:#?}");
            assert_eq!(plain(&ledger(&simulation)), goal.1, "{trouble:?} at {number}");
        }
    }
    eprintln!("removal of a module: {calls} calls, {kills} kills");
    assert!(kills > 50, "{kills}");
}

#[test]
fn what_others_keep_in_the_cluster_is_named_before_the_cluster_goes() {
    let simulation = bare(13);
    // with the certificates of partners, which stand in a ConfigMap that others may write to
    let text = file(&[("dev", &["g2p-bridge"])]);
    apply(&simulation, &wish(&text, Keys::Real), "install").well();
    let lost = |selection: &Selection| {
        let work = async {
            let known = read_ledger(&simulation).await;
            lost_with_cluster(&simulation.world(), &known, selection).await
        };
        simulation.drive(work).unwrap()
    };
    assert_eq!(lost(&Selection::Site), Ok(Vec::new()));
    simulation.change(|things| {
        let mut uids = 900;
        let cluster = things.cluster.as_mut().unwrap();
        let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}});
        let note = |namespace: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
                "metadata": {"name": "notes", "namespace": namespace}})
        };
        let partner = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"PARTNER_X.pem": "x"},
            "metadata": {"name": "partner-keys-partners", "namespace": "dev"}});
        for manifest in [own, note("monitoring"), note("dev"), note("default"), partner] {
            cluster.apply(&manifest, "kubectl", 0, &mut uids).unwrap();
        }
    });
    assert_eq!(
        lost(&Selection::Site).unwrap(),
        [
            "ConfigMap notes in namespace default",
            "ConfigMap notes in namespace dev",
            "ConfigMap partner-keys-partners in namespace dev",
            "namespace monitoring"
        ]
    );
    // the cluster stays
    assert_eq!(lost(&Selection::Environment("dev".into())), Ok(Vec::new()));
    // one that does not answer is told apart from one in which nobody keeps anything
    simulation.change(|things| things.cluster = None);
    assert_eq!(
        lost(&Selection::Site).unwrap_err().code,
        "kubernetes::unreachable"
    );
}

const DUMPS: &str = "/var/backups/openg2p/run";

/// Dumps what goes with `selection`.
fn dumped(simulation: &Simulation, selection: &Selection) -> Result<Vec<(String, u64)>, String> {
    let (entries, _) = selection.split(&ledger(simulation));
    let work = async { dump(&simulation.world(), &entries, "admin.conf", DUMPS, &|_| ()).await };
    let made = simulation.drive(work).unwrap();
    let made = made.map_err(|error| {
        format!(
            "{} {error} {}",
            error.code,
            error.hint.as_deref().unwrap_or_default()
        )
    })?;
    Ok(made.into_iter().map(|made| (made.path, made.bytes)).collect())
}

fn in_dumps(simulation: &Simulation) -> Vec<(String, String)> {
    let things = simulation.things();
    let inside = format!("{DUMPS}/");
    let files = things
        .machine
        .files
        .all()
        .filter(|(path, _)| path.starts_with(&inside));
    files
        .filter_map(|(path, node)| match node {
            Node::File { bytes, .. } => Some((path.clone(), String::from_utf8_lossy(bytes).into_owned())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_last_dump_holds_each_database_that_goes_and_no_other() {
    let simulation = bare(14);
    apply(&simulation, &with(&["spar", "example-bank"]), "install").well();
    let made = dumped(&simulation, &modules(&["spar"])).unwrap();
    let path = format!("{DUMPS}/dev.dev_spar.dump");
    assert_eq!(made, [(path.clone(), 14)]);
    assert_eq!(in_dumps(&simulation), [(path, "PGDMP dev_spar".to_owned())]);
    // a second dump never takes the place of the first
    let again = dumped(&simulation, &modules(&["spar"])).unwrap_err();
    assert!(
        again.starts_with("dump::failed") && again.contains("File exists"),
        "{again}"
    );
}

#[test]
fn an_environment_whose_server_is_gone_has_nothing_to_dump() {
    let simulation = bare(15);
    apply(&simulation, &with(&["spar"]), "install").well();
    let environment = Selection::Environment("dev".into());
    let server = ledger(&simulation)
        .entries
        .into_values()
        .filter_map(|entry| ObjectRef::of(entry.desired.get("manifest")?))
        .find(|object| object.kind == "StatefulSet" && object.name.contains("postgresql"))
        .unwrap();
    simulation.change(|things| crate::operator::delete_by_hand(things, &server));
    assert_eq!(dumped(&simulation, &environment).unwrap(), []);
    assert_eq!(in_dumps(&simulation), []);
}

#[test]
fn a_dump_that_fails_says_so_and_leaves_no_half_of_one() {
    let simulation = bare(16);
    apply(&simulation, &with(&["spar"]), "install").well();
    // somebody dropped the database
    simulation.change(|things| {
        for server in things.servers.values_mut() {
            server.databases.remove("dev_spar");
        }
    });
    let failed = dumped(&simulation, &modules(&["spar"])).unwrap_err();
    assert!(failed.starts_with("dump::failed"), "{failed}");
    assert!(
        failed.contains("does not exist") && failed.contains("nothing was removed"),
        "{failed}"
    );
    assert_eq!(in_dumps(&simulation), []);
}
