//! What a run that was cut off leaves half done is found and finished, also when something else is wanted by then.

use openg2p_ports::ObjectRef;
use openg2p_sim::{Fault, Simulation, Trouble};
use serde_json::json;

use crate::operator::{Ended, apply, converge, delete_by_hand};
use crate::tiny::{self, Shape};

const NGINX: &str = "/etc/openg2p/nginx/nginx.conf";
const UNIT: &str = "openg2p-nginx.service";
const HOST: &str = "/etc/openg2p/pki/spar.dev.example.org";

fn installed() -> (Simulation, Shape) {
    let shape = Shape::of(&["dev", "prod"], &["spar"]);
    let simulation = tiny::resume(&tiny::installed(&shape).things(), 7);
    (simulation, shape)
}

/// Applies `shape` until the run ends at the call.
#[track_caller]
fn cut(simulation: &Simulation, shape: &Shape, call: &'static str, at: &str, trouble: Trouble) {
    simulation.fault(Fault::named(call, at, trouble));
    let ended = apply(simulation, &tiny::wish(shape), "cut");
    assert_eq!(ended, Ended::Killed);
    simulation.calm();
}

/// The site becomes what it would be if it had been made so at once.
#[track_caller]
fn well(simulation: &Simulation, shape: &Shape) {
    converge(simulation, &tiny::wish(shape));
    let (now, goal) = (simulation.things(), tiny::installed(shape).things());
    assert_eq!(
        openg2p_sim::differences(&goal.view(), &now.view()),
        Vec::<String>::new()
    );
    assert_eq!(now.machine.stale_units(), Vec::<String>::new());
}

#[test]
fn a_unit_is_told_of_a_file_that_was_written_before_the_run_ended() {
    let (simulation, shape) = installed();
    simulation.change(|things| {
        things.machine.files.put(NGINX, "http {}\n");
        things.machine.systemctl(&["reload", UNIT]);
    });
    cut(&simulation, &shape, "host.write", NGINX, Trouble::KillAfter);
    well(&simulation, &shape);
}

#[test]
fn a_unit_is_told_of_a_certificate_that_was_written_before_the_run_ended() {
    for ending in [".key", ".crt"] {
        let (simulation, shape) = installed();
        simulation.change(|things| things.machine.files.erase(&format!("{HOST}.crt")));
        cut(
            &simulation,
            &shape,
            "host.write",
            &format!("{HOST}{ending}"),
            Trouble::KillAfter,
        );
        well(&simulation, &shape);
    }
}

/// A due renewal writes a new key while the former certificate stands and is valid for a while: the two do not fit.
#[test]
fn a_key_is_not_left_beside_a_certificate_of_another_key() {
    let (simulation, shape) = installed();
    simulation.change(|things| things.machine.facts.clock += 300 * 86_400);
    cut(
        &simulation,
        &shape,
        "host.write",
        &format!("{HOST}.key"),
        Trouble::KillAfter,
    );
    // the clock was wrong, and is mended
    simulation.change(|things| things.machine.facts.clock -= 300 * 86_400);
    let key = |simulation: &Simulation| {
        simulation
            .things()
            .machine
            .files
            .get(&format!("{HOST}.key"))
            .cloned()
    };
    let cut_off = key(&simulation);
    well(&simulation, &shape);
    assert_ne!(
        key(&simulation),
        cut_off,
        "the key stayed, and its certificate is of another one"
    );
}

#[test]
fn what_a_write_left_goes_although_nobody_wants_that_content_any_more() {
    let (simulation, shape) = installed();
    let other = Shape {
        edition: 1,
        ..shape.clone()
    };
    cut(&simulation, &other, "host.write", NGINX, Trouble::KillDuring);
    assert!(
        simulation
            .things()
            .machine
            .files
            .has(&format!("{NGINX}.openg2p-new"))
    );
    well(&simulation, &shape);
}

#[test]
fn an_object_that_was_made_anew_before_the_run_ended_goes_with_its_module() {
    let job = ObjectRef {
        api_version: "batch/v1".into(),
        kind: "Job".into(),
        namespace: Some("dev".into()),
        name: "spar-database".into(),
    };
    // somebody deleted it and it is made again, or a changed one takes its place
    for deleted in [true, false] {
        let (simulation, mut shape) = installed();
        let mut wish = tiny::wish(&shape);
        if deleted {
            simulation.change(|things| {
                delete_by_hand(things, &job);
            });
        } else {
            let name = "dev/Job/spar-database";
            let resource = wish
                .resources
                .iter_mut()
                .find(|resource| resource.id.name() == name);
            resource.unwrap().desired["manifest"]["spec"]["backoffLimit"] = json!(1);
        }
        simulation.fault(Fault::named(
            "cluster.apply",
            "Job dev/spar-database",
            Trouble::KillAfter,
        ));
        assert_eq!(apply(&simulation, &wish, "cut"), Ended::Killed);
        simulation.calm();
        shape.toggle("dev", "spar");
        well(&simulation, &shape);
    }
}

/// The server took the deletion, and the run ended before the object was gone: a Job waits for its pods. That nobody else deletes it the ledger
/// knows, so the next run waits for its end and makes the object anew.
#[test]
fn an_object_whose_deletion_outlived_its_run_is_made_anew_when_it_is_gone() {
    let job = ObjectRef {
        api_version: "batch/v1".into(),
        kind: "Job".into(),
        namespace: Some("dev".into()),
        name: "spar-database".into(),
    };
    let (simulation, shape) = installed();
    let mut wish = tiny::wish(&shape);
    let resource = wish
        .resources
        .iter_mut()
        .find(|resource| resource.id.name() == "dev/Job/spar-database");
    resource.unwrap().desired["manifest"]["spec"]["backoffLimit"] = json!(1);
    simulation.fault(Fault::named(
        "cluster.delete",
        "Job dev/spar-database",
        Trouble::KillBefore,
    ));
    assert_eq!(apply(&simulation, &wish, "cut"), Ended::Killed);
    simulation.calm();
    let finalizers = |value: serde_json::Value| {
        simulation.change(|things| {
            let cluster = things.cluster.as_mut().unwrap();
            cluster
                .edit(&job, "kube-controller-manager", |object| {
                    object["metadata"]["finalizers"] = value;
                })
                .unwrap();
            let uid = cluster.get(&job).unwrap()["metadata"]["uid"].clone();
            cluster.delete(&job, uid.as_str().unwrap(), 1).unwrap();
        });
    };
    finalizers(json!(["foregroundDeletion"]));
    let Ended::Failed(_, why) = apply(&simulation, &wish, "waits") else {
        panic!("it did not wait")
    };
    assert!(why.join("\n").contains("delete-deadline"), "{why:?}");
    finalizers(json!([]));
    converge(&simulation, &wish);
    well(&simulation, &shape);
}

/// Somebody takes away a password, or the Secret that has it, while a change of the Secret was cut off: no run makes another one, for it would
/// not open the database.
#[test]
fn a_password_that_was_lost_behind_a_run_that_was_cut_off_is_not_made_anew() {
    let place = ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some("dev".into()),
        name: "store".into(),
    };
    let (simulation, shape) = installed();
    let mut wish = tiny::wish(&shape);
    let resource = wish
        .resources
        .iter_mut()
        .find(|resource| resource.id.name() == "dev/store");
    resource.unwrap().desired["keys"]["more"] = json!({"random": 16});
    simulation.fault(Fault::named(
        "cluster.apply",
        "Secret dev/store",
        Trouble::KillBefore,
    ));
    assert_eq!(apply(&simulation, &wish, "cut"), Ended::Killed);
    simulation.calm();
    let whole = simulation.things();
    simulation.change(|things| {
        delete_by_hand(things, &place);
    });
    for wanted in [&wish, &tiny::wish(&shape)] {
        let Ended::Refused(why) = apply(&simulation, wanted, "after") else {
            panic!("a password was made anew")
        };
        assert!(why.contains("restore it from a backup"), "{why}");
    }

    // With the Secret the change is finished, and a single key is as precious as the whole.
    let simulation = tiny::resume(&whole, 8);
    converge(&simulation, &wish);
    simulation.change(|things| {
        things
            .cluster
            .as_mut()
            .unwrap()
            .edit(&place, "somebody", |object| {
                object["data"].as_object_mut().unwrap().remove("password");
            })
            .unwrap();
    });
    let Ended::Refused(why) = apply(&simulation, &wish, "after") else {
        panic!("a password was made anew")
    };
    assert!(why.contains("key password of Secret dev/store is gone"), "{why}");
}

#[test]
fn a_password_that_went_on_purpose_is_made_anew_when_it_is_wanted_again() {
    let (simulation, shape) = installed();
    let mut without = shape.clone();
    without.toggle("dev", "spar");
    cut(
        &simulation,
        &without,
        "cluster.delete",
        "Secret dev/spar",
        Trouble::KillAfter,
    );
    cut(
        &simulation,
        &shape,
        "cluster.apply",
        "Secret dev/spar",
        Trouble::KillBefore,
    );
    well(&simulation, &shape);
}
