use serde_json::{Value, json};

use super::*;

fn piece(phase: Phase, kind: &str, name: &str, spec: Value) -> Piece {
    Piece {
        kind: kind.into(),
        name: name.into(),
        manifest: json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}),
        phase,
    }
}

fn pod(container: Value, init: Value) -> Value {
    json!({"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container], "initContainers": init}}})
}

/// Names in an order in which each comes behind all that it needs.
fn sequence(pieces: &[Piece], order: &Order) -> Vec<String> {
    let mut done: Vec<usize> = Vec::new();
    while done.len() < pieces.len() {
        let next = (0..pieces.len())
            .find(|at| !done.contains(at) && order.needs[*at].iter().all(|need| done.contains(need)))
            .unwrap();
        done.push(next);
    }
    done.into_iter().map(|at| pieces[at].name.clone()).collect()
}

#[test]
fn without_evidence_helms_order_holds() {
    let pieces = [
        piece(Phase::After(0), "Job", "after", pod(json!({}), json!([]))),
        piece(Phase::Main, "Deployment", "app", pod(json!({}), json!([]))),
        piece(Phase::Before(5), "Job", "second", pod(json!({}), json!([]))),
        piece(Phase::Before(-5), "Job", "first", pod(json!({}), json!([]))),
    ];
    let made = order(&pieces, &[]).unwrap();
    assert_eq!(sequence(&pieces, &made), ["first", "second", "app", "after"]);
    assert!(made.why.is_empty());
}

/// The database Jobs of eSignet and mock-identity-system are post-install hooks, and their servers crash until the tables are there.
#[test]
fn a_job_that_makes_the_servers_database_comes_before_it() {
    let database = json!({"env": [{"name": "DB_DBNAME", "value": "mosip_esignet"}]});
    let pieces = [
        piece(
            Phase::Main,
            "Deployment",
            "esignet",
            pod(database.clone(), json!([])),
        ),
        piece(Phase::Main, "Deployment", "ui", pod(json!({}), json!([]))),
        piece(
            Phase::After(0),
            "Job",
            "esignet-postgres-init",
            pod(database, json!([])),
        ),
    ];
    let made = order(&pieces, &[]).unwrap();
    assert_eq!(made.needs[0], BTreeSet::from([2]));
    assert_eq!(
        made.needs[2],
        BTreeSet::from([1]),
        "it still waits for what does not wait for it"
    );
    assert_eq!(
        made.why[&2],
        "Helm would make it behind Deployment esignet; it comes first because Deployment esignet uses database mosip_esignet, \
         which Job esignet-postgres-init prepares"
    );
}

/// SPAR's seed Job fills tables that the server makes: it must stay behind it.
#[test]
fn a_job_that_seeds_stays_behind() {
    let database = json!({"env": [{"name": "DB_NAME", "value": "spar"}]});
    let pieces = [
        piece(
            Phase::Main,
            "Deployment",
            "spar",
            pod(database.clone(), json!([])),
        ),
        piece(
            Phase::After(0),
            "Job",
            "spar-db-seed-init",
            pod(database, json!([])),
        ),
    ];
    let made = order(&pieces, &[]).unwrap();
    assert_eq!(sequence(&pieces, &made), ["spar", "spar-db-seed-init"]);
}

#[test]
fn what_a_hook_uses_is_made_before_it() {
    let mut spec = pod(json!({"envFrom": [{"secretRef": {"name": "login"}}]}), json!([]));
    spec["template"]["spec"]["serviceAccountName"] = json!("robot");
    let mut binding = piece(Phase::Main, "RoleBinding", "robot-may", json!({}));
    binding.manifest["subjects"] = json!([{"kind": "ServiceAccount", "name": "robot"}]);
    binding.manifest["roleRef"] = json!({"kind": "Role", "name": "may"});
    let pieces = [
        piece(Phase::Before(0), "Job", "prepare", spec),
        binding,
        piece(Phase::Main, "Role", "may", json!({})),
        piece(Phase::Main, "ServiceAccount", "robot", json!({})),
        piece(Phase::Main, "Secret", "login", json!({})),
        piece(Phase::Main, "ConfigMap", "other", json!({})),
    ];
    let made = order(&pieces, &[]).unwrap();
    let sequence = sequence(&pieces, &made);
    let place = |name: &str| sequence.iter().position(|it| it == name).unwrap();
    for name in ["robot", "login", "may", "robot-may"] {
        assert!(place(name) < place("prepare"), "{sequence:?}");
    }
    assert!(place("prepare") < place("other"), "{sequence:?}");
    assert!(
        made.why[&4].contains("Job prepare uses Secret login"),
        "{:?}",
        made.why
    );
}

#[test]
fn a_migration_before_the_database_server_of_its_own_release_waits_for_the_server() {
    let call = json!({"args": ["--host", "db.dev.svc.cluster.local"]});
    let mut service = piece(Phase::Main, "Service", "db", json!({"selector": {"app": "a"}}));
    service.manifest["spec"]["selector"] = json!({"app": "a"});
    let pieces = [
        piece(Phase::Before(0), "Job", "migrate", pod(call, json!([]))),
        service,
        piece(
            Phase::Main,
            "StatefulSet",
            "postgresql",
            pod(json!({}), json!([])),
        ),
        piece(Phase::Main, "Deployment", "app", json!({})),
    ];
    let made = order(&pieces, &[]).unwrap();
    assert!(made.needs[0].contains(&2));
    assert!(made.needs[3].contains(&0));
    assert!(made.why[&2].contains("Job migrate calls db, which StatefulSet postgresql serves"));
}

#[test]
fn parts_that_wait_for_one_another_are_refused_with_the_ring() {
    let waits = json!([{"args": ["job", "register"]}]);
    let calls = json!({"command": ["curl", "http://app:8080/register"]});
    let pieces = [
        piece(Phase::Main, "Deployment", "app", pod(json!({}), waits)),
        piece(Phase::After(0), "Job", "register", pod(calls, json!([]))),
    ];
    let ring = order(&pieces, &[]).unwrap_err();
    assert!(
        ring.contains("Deployment app waits for Job register in a container"),
        "{ring}"
    );
    assert!(
        ring.contains("Job register calls app, which Deployment app serves"),
        "{ring}"
    );
}

#[test]
fn what_is_only_probable_gives_way() {
    let shared = json!({"env": [{"name": "DB_NAME", "value": "x"}], "args": ["http://app/health"]});
    let pieces = [
        piece(Phase::Main, "Deployment", "app", pod(shared.clone(), json!([]))),
        piece(Phase::After(0), "Job", "init", pod(shared, json!([]))),
    ];
    let made = order(&pieces, &[]).unwrap();
    assert_eq!(sequence(&pieces, &made), ["app", "init"]);
}

#[test]
fn the_chain_of_the_release_gives_way_too() {
    // a workload is chained behind a Job of the release; the hook that the Job needs comes before both
    let wait = json!([{"args": ["job", "hook"]}]);
    let pieces = [
        piece(Phase::Main, "Job", "migrate", pod(json!({}), wait)),
        piece(Phase::Main, "Deployment", "app", pod(json!({}), json!([]))),
        piece(Phase::After(0), "Job", "hook", pod(json!({}), json!([]))),
    ];
    let made = order(&pieces, &[(1, 0)]).unwrap();
    assert_eq!(sequence(&pieces, &made), ["hook", "migrate", "app"]);
}
