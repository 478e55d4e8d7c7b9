//! Removal takes what belongs to one module or environment, whole, and nothing else: in every order, in every combination, and with
//! hundreds of things around that only look like ours.

use std::collections::BTreeSet;

use openg2p_ports::ObjectRef;
use openg2p_run::Selection;
use openg2p_sim::{Simulation, SimulationState, Things};
use serde_json::json;

use crate::operator::{Ended, apply, converge, ledger};
use crate::seeds::everywhere;
use crate::teardown;
use crate::tiny::{self, ENVIRONMENTS, MODULES, Shape};

/// Whether a name is of that module in that environment: exactly, not by its looks.
fn is_of(name: &str, environment: &str, module: &str) -> bool {
    let host = format!("{module}.{environment}.example.org");
    let files = [
        format!("/etc/openg2p/pki/{host}.crt"),
        format!("/etc/openg2p/pki/{host}.key"),
        format!("/etc/openg2p/nginx/sites/{host}.conf"),
    ];
    let objects = [
        format!("Secret {environment}/{module}"),
        format!("Job {environment}/{module}-database"),
        format!("Deployment {environment}/{module}"),
    ];
    files.iter().chain(&objects).any(|known| known == name)
}

/// Names of everything on the host and in the cluster, without the engine's own storage.
fn names(things: &Things) -> BTreeSet<String> {
    let files = things.machine.files.all().map(|(path, _)| path.clone());
    let objects = things.cluster.iter().flat_map(openg2p_sim::Objects::all);
    files.chain(objects.map(|(place, _)| place.to_string())).collect()
}

/// What differs between two worlds, byte for byte with uids and revisions, beside what `expected` says of its name.
fn disturbed(before: &Things, after: &Things, expected: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let (old, new) = (names(before), names(after));
    for name in old.symmetric_difference(&new).filter(|name| !expected(name)) {
        found.push(format!("{name} came or went"));
    }
    for (path, node) in before.machine.files.all() {
        if after.machine.files.get(path).is_some_and(|now| now != node) {
            found.push(format!("{path} changed"));
        }
    }
    let objects = |things: &Things, place: &ObjectRef| {
        things
            .cluster
            .as_ref()
            .and_then(|objects| objects.get(place))
            .cloned()
    };
    for (place, stored) in before.cluster.iter().flat_map(openg2p_sim::Objects::all) {
        if objects(after, place).is_some_and(|now| now != stored.value) {
            found.push(format!("{place} changed"));
        }
    }
    found
}

/// Removes `modules` of one environment by an edit of the site file, and looks at everything.
fn remove(
    state: &SimulationState,
    shape: &Shape,
    environment: &'static str,
    modules: &[&'static str],
) -> Result<(SimulationState, Shape), String> {
    let mut next = shape.clone();
    for module in modules {
        next.toggle(environment, module);
    }
    let simulation = tiny::resume(state, 3);
    let wish = tiny::wish(&next);
    let context = format!("{shape}, without {environment}: {modules:?}");
    match apply(&simulation, &wish, "remove") {
        Ended::Done(_) => {}
        Ended::Nothing if modules.is_empty() => {}
        other => return Err(format!("{context}: {other:?}")),
    }
    let things = simulation.things();
    let expected = |name: &str| modules.iter().any(|module| is_of(name, environment, module));
    let mut found = disturbed(state, &things, expected);
    found.extend(
        names(&things)
            .iter()
            .filter(|name| expected(name))
            .map(|name| format!("{name} is left")),
    );
    let entries = ledger(&simulation).entries;
    found.extend(
        entries
            .keys()
            .filter(|id| {
                modules.iter().any(|module| {
                    id.as_str().contains(&format!("{module}.{environment}."))
                        || id.as_str().contains(&format!("/{environment}/")) && id.as_str().contains(module)
                })
            })
            .map(|id| format!("{id} is left in the ledger")),
    );
    if found.is_empty() {
        Ok((things, next))
    } else {
        Err(format!("{context}:\n{}", found.join("\n")))
    }
}

fn full() -> (SimulationState, Shape) {
    let shape = Shape::of(&ENVIRONMENTS, &MODULES);
    (tiny::installed(&shape).things(), shape)
}

/// Goes on with every module that is left. Orders that begin alike share their beginning: a removal is the same every time.
fn orders(state: &SimulationState, shape: &Shape, left: &[&'static str]) -> Result<(usize, usize), String> {
    if left.is_empty() {
        return Ok((1, 0));
    }
    let (mut ends, mut removals) = (0, 0);
    for module in left {
        let (state, shape) = remove(state, shape, "prod", &[module])?;
        let rest: Vec<&'static str> = left.iter().filter(|other| *other != module).copied().collect();
        let (more_ends, more_removals) = orders(&state, &shape, &rest)?;
        ends += more_ends;
        removals += more_removals + 1;
    }
    Ok((ends, removals))
}

#[test]
fn six_modules_in_every_order() {
    let (state, shape) = full();
    let began = std::time::Instant::now();
    let counted = std::sync::Mutex::new((0, 0));
    // thirty beginnings of two modules each, shared among processors
    let wrong = everywhere(0..30, |number| {
        let number = usize::try_from(number).unwrap();
        let (first, second) = (number / 5, number % 5);
        let second = if second >= first { second + 1 } else { second };
        let (state, shape) = remove(&state, &shape, "prod", &[MODULES[first]])?;
        let (state, shape) = remove(&state, &shape, "prod", &[MODULES[second]])?;
        let rest: Vec<&'static str> = MODULES
            .iter()
            .filter(|module| ![MODULES[first], MODULES[second]].contains(module))
            .copied()
            .collect();
        let (ends, removals) = orders(&state, &shape, &rest)?;
        let mut counted = counted.lock().unwrap();
        counted.0 += ends;
        counted.1 += removals + 2;
        Ok::<(), String>(())
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (ends, removals) = counted.into_inner().unwrap();
    eprintln!("{ends} orders, {removals} removals, {:.1?}", began.elapsed());
    assert_eq!(ends, 720);
}

#[test]
fn every_subset_of_six_modules_in_each_environment() {
    let (state, shape) = full();
    let wrong = everywhere(0..64 * 3, |number| {
        let environment = ENVIRONMENTS[usize::try_from(number / 64).unwrap()];
        let modules: Vec<&'static str> = MODULES
            .iter()
            .enumerate()
            .filter(|(at, _)| (number % 64) & (1 << at) != 0)
            .map(|(_, module)| *module)
            .collect();
        remove(&state, &shape, environment, &modules).map(|_| ())
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Five hundred things that are not ours, by names that nearly are, in the very places of ours: each must be told. Gives how they are named
/// there.
fn plant(things: &mut Things) -> BTreeSet<String> {
    let clock = things.machine.facts.clock;
    let Things {
        cluster: Some(objects),
        uids,
        machine,
        ..
    } = things
    else {
        panic!("no cluster")
    };
    let mut planted = BTreeSet::new();
    let mut apply = |manifest: serde_json::Value| {
        objects.apply(&manifest, "kubectl", clock, uids).unwrap();
        ObjectRef::of(&manifest).unwrap().to_string()
    };
    for environment in ENVIRONMENTS {
        for namespace in [format!("{environment}2"), format!("{environment}-old")] {
            apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
            for module in MODULES {
                // with the very label that ours have
                let labels = json!({"openg2p.org/owner": format!("environment.{environment}")});
                for (api_version, kind, name) in [
                    ("v1", "Secret", module.to_owned()),
                    ("batch/v1", "Job", format!("{module}-database")),
                    ("apps/v1", "Deployment", module.to_owned()),
                    ("v1", "ConfigMap", format!("{module}-settings")),
                ] {
                    planted.insert(apply(json!({"apiVersion": api_version, "kind": kind,
                        "metadata": {"name": name, "namespace": namespace, "labels": labels}})));
                }
            }
        }
        for module in MODULES {
            let host = format!("{module}.{environment}.example.org");
            for path in [
                format!("/etc/openg2p/nginx/sites/{host}.conf.old"),
                format!("/etc/openg2p/nginx/sites/{host}.conf~"),
                format!("/etc/openg2p/nginx/sites/{host}.conf.rpmsave"),
                format!("/etc/openg2p/nginx/sites/{host}"),
                format!("/etc/openg2p/nginx/sites/x{host}.conf"),
                format!("/etc/openg2p/nginx/sites/{module}-{environment}.example.org.conf"),
                format!("/etc/openg2p/nginx/sites/{module}.{environment}.conf"),
                format!("/etc/openg2p/nginx/{host}.conf"),
                format!("/etc/openg2p/pki/{host}.key.bak"),
                format!("/etc/openg2p/pki/{host}.csr"),
                format!("/etc/openg2p/pki/{host}"),
                format!("/etc/openg2p/pki/{host}.pem"),
                format!("/etc/openg2p/pki/{host}.crt.1"),
                format!("/etc/openg2p/pki/{module}.{environment}.example.com.key"),
                format!("/etc/openg2p/{environment}_{module}"),
                format!("/etc/openg2p/{host}.key"),
                format!("/etc/systemd/system/{module}-{environment}.service"),
                format!("/etc/systemd/system/openg2p-{module}-{environment}x.timer"),
                format!("/etc/systemd/system/{environment}.{module}.mount"),
                format!("/etc/systemd/system/my-openg2p-nginx-{environment}-{module}.service"),
            ] {
                machine.files.put(&path, "# somebody's\n");
                planted.insert(path);
            }
        }
    }
    planted
}

/// What looks like ours in places that are none of ours.
fn plant_elsewhere(things: &mut Things) {
    for environment in ENVIRONMENTS {
        for module in MODULES {
            for path in [
                format!("/var/lib/openg2p/volumes/{environment}/{module}"),
                format!("/var/lib/openg2p/volumes-{environment}/{module}"),
                format!("/srv/{environment}/{module}"),
                format!("/etc/nginx/sites-enabled/{module}.{environment}.example.org.conf"),
                format!("/root/{environment}-{module}.sql"),
                format!("/etc/sysctl.d/{environment}-{module}.conf"),
                format!("/opt/{module}/{environment}"),
                format!("/var/log/{module}.{environment}.log"),
            ] {
                things.machine.files.put(&path, "# somebody's\n");
            }
        }
    }
}

#[test]
fn five_hundred_look_alikes_stay_and_are_told() {
    let (state, shape) = full();
    let simulation: Simulation = tiny::resume(&state, 5);
    let planted = simulation.change(plant);
    simulation.change(plant_elsewhere);
    assert!(planted.len() >= 500, "{}", planted.len());
    let before = simulation.things();
    let mut told = BTreeSet::new();
    let environments = ENVIRONMENTS.map(|name| Selection::Environment(name.into()));
    for selection in environments.into_iter().chain([Selection::Site]) {
        let report = teardown::removed(&simulation, &selection);
        assert!(report.is_clean(), "{report:#?}");
        let kept = report.stores.into_iter().flat_map(|store| store.kept);
        told.extend(kept.map(|found| found.what));
    }
    let missed: Vec<&String> = planted.difference(&told).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(ledger(&simulation).entries.is_empty());
    // beside them, nothing is left of what was installed
    let mut only = tiny::bare().as_ref().clone();
    plant(&mut only);
    plant_elsewhere(&mut only);
    let (left, planted_only) = (names(&simulation.things()), names(&only));
    let found: Vec<&String> = left.symmetric_difference(&planted_only).collect();
    assert!(found.is_empty(), "{found:#?}");
    let ours = |name: &str| !planted_only.contains(name);
    assert_eq!(
        disturbed(&before, &simulation.things(), ours),
        Vec::<String>::new()
    );
    // and the site can be made again among them
    let wish = tiny::wish(&shape);
    converge(&simulation, &wish);
}
