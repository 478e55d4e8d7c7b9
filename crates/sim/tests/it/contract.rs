//! A plan is a contract: exactly its steps are performed, or none, and what moved is named.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use openg2p_plan::{Action, Moved, Plan};
use openg2p_ports::ObjectRef;
use openg2p_run::{Engine, EventKind, Memory, Outcome, Refusal, RunInfo, Sink};
use openg2p_sim::{Simulation, Things};
use serde_json::json;

use crate::operator::{Ended, Wish, apply, destroy, perform, plan, plan_removal};
use crate::small;
use crate::whole::{self, bare};

const TOML: &str = "/etc/openg2p/containerd.toml";

fn engine() -> Engine {
    Engine {
        version: "sim".into(),
        host: None,
        bundle_is_to_come: false,
    }
}

fn planned(simulation: &Simulation, wish: &Wish) -> Plan {
    simulation.drive(plan(simulation, wish)).unwrap().unwrap()
}

/// Performs a plan while `sink` hears what happens.
fn run(
    simulation: &Simulation,
    plan: &Plan,
    engine: &Engine,
    sink: &dyn Sink,
) -> Result<openg2p_run::Finished, Refusal> {
    let info = RunInfo {
        id: "contract".into(),
        command: "apply".into(),
    };
    let stop = AtomicBool::new(false);
    let world = simulation.world();
    let work = async {
        let (memory, _) = Memory::open(simulation.state(), info).await?;
        openg2p_run::perform(&world, &memory, plan, engine, sink, &stop).await
    };
    simulation.drive(work).unwrap()
}

/// The plan is refused, nothing is changed and nothing written; gives what moved.
#[track_caller]
fn moved(simulation: &Simulation, plan: &Plan, engine: &Engine) -> Vec<Moved> {
    let before = simulation.things();
    let ended = run(simulation, plan, engine, &|_| {});
    let Err(Refusal::Moved(moved)) = ended else {
        panic!("not refused: {ended:?}")
    };
    assert!(*before == *simulation.things(), "a refused run changed something");
    moved
}

fn installed() -> (Simulation, Wish) {
    let wish = small::wish(&["dev"], false);
    let simulation = bare(51);
    apply(&simulation, &wish, "install").well();
    (simulation, wish)
}

fn config_map(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some("dev".into()),
        name: name.into(),
    }
}

fn edit_settings(things: &mut Things) {
    let cluster = things.cluster.as_mut().unwrap();
    cluster
        .edit(&config_map("settings"), "kubectl-edit", |value| {
            value["data"]["a"] = json!("another");
        })
        .unwrap();
}

#[test]
fn a_plan_that_holds_is_performed() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    // as it is after it was saved and read again
    let text = serde_json::to_string(&saved).unwrap();
    let saved: Plan = serde_json::from_str(&text).unwrap();
    let finished = run(&simulation, &saved, &engine(), &|_| {}).unwrap();
    assert_eq!(finished.done, saved.steps.len());
    assert_eq!(finished.seconds.len(), finished.done);
    assert!(planned(&simulation, &wish).is_empty());
}

#[test]
fn a_thing_that_the_plan_does_not_even_change_may_not_move() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    let untouched = "kubernetes-object/dev/ConfigMap/settings";
    assert!(saved.steps.iter().all(|step| step.resource.as_str() != untouched));
    simulation.change(edit_settings);
    let found = moved(&simulation, &saved, &engine());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, untouched);
    assert_eq!(found[0].by.as_deref(), Some("kubectl-edit"));
    assert!(found[0].now.starts_with("present, state "), "{found:?}");
}

/// Every fact of a plan, one after the other: whatever moves is named, and nothing else is.
#[test]
fn everything_that_can_move_is_named() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    let world = simulation.things();
    let paths: Vec<(String, String)> = saved
        .looked_at()
        .filter_map(|(id, ..)| {
            let path = match id.kind() {
                "host-file" | "host-directory" => id.name().to_owned(),
                _ => return None,
            };
            Some((id.to_string(), path))
        })
        .collect();
    assert!(paths.len() > 15, "{}", paths.len());
    for (id, path) in paths {
        let other = Simulation::resume(world.clone(), simulation.bundle().clone(), 52);
        other.change(|things| things.machine.files.erase(&path));
        let found = moved(&other, &saved, &engine());
        assert!(
            found.iter().any(|moved| moved.what == id),
            "{id} is not in {found:?}"
        );
        assert!(found.iter().all(|moved| moved.planned != moved.now), "{found:?}");
    }
}

#[test]
fn the_inputs_of_a_plan_may_not_move() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    let what = |plan: &Plan, engine: &Engine| -> Vec<String> {
        let found = moved(&simulation, plan, engine);
        found.into_iter().map(|moved| moved.what).collect()
    };
    let mut other = saved.clone();
    other.inputs.bundle = "another".into();
    assert_eq!(what(&other, &engine()), ["bundle"]);
    let newer = Engine {
        version: "2".into(),
        ..engine()
    };
    assert_eq!(what(&saved, &newer), ["openg2p version"]);
    let mut hosted = saved.clone();
    hosted.host.insert("host kernel".into(), "6.1".into());
    let elsewhere = Engine {
        host: Some(BTreeMap::from([("host kernel".into(), "6.12".into())])),
        ..engine()
    };
    assert_eq!(what(&hosted, &elsewhere), ["host kernel"]);
    let mut foreign = saved;
    foreign.site = "another".into();
    assert_eq!(what(&foreign, &engine()), ["site name"]);
}

#[test]
fn a_run_that_came_between_is_named() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    assert!(matches!(
        simulation.drive(perform(&simulation, &saved, "the-other")),
        Some(Ended::Done(_))
    ));
    let found = moved(&simulation, &saved, &engine());
    assert_eq!(found[0].what, "ledger generation");
    assert_eq!(found[0].by.as_deref(), Some("run the-other"));
    let file = found.iter().find(|moved| moved.what.ends_with(TOML)).unwrap();
    assert_eq!(file.by.as_deref(), Some("run the-other"));
}

#[test]
fn an_altered_plan_is_not_performed() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let mut saved = planned(&simulation, &wish);
    saved.steps[0].desired["text"] = json!("something else");
    let before = simulation.things();
    let ended = run(&simulation, &saved, &engine(), &|_| {});
    assert!(matches!(ended, Err(Refusal::Altered(_))), "{ended:?}");
    assert!(*before == *simulation.things());
}

/// What moves behind the proof, while the run is on its way, stops the step that meets it.
#[test]
fn each_step_looks_once_more() {
    let (simulation, wish) = installed();
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let saved = planned(&simulation, &wish);
    let first = saved
        .steps
        .iter()
        .find(|step| step.resource.name() == TOML)
        .unwrap();
    assert_eq!(first.action, Action::Update);
    let meddler = simulation.clone();
    let sink = move |event: EventKind| {
        if matches!(event, EventKind::RunStarted { .. }) {
            meddler.change(|things| things.machine.files.put(TOML, "mine again"));
        }
    };
    let finished = run(&simulation, &saved, &engine(), &sink).unwrap();
    assert_eq!(finished.failed.len(), 1, "{finished:?}");
    assert_eq!(finished.failed[0].1.code, "run::moved");
    assert_eq!(finished.done, 0);
    let things = simulation.things();
    let Some(openg2p_sim::Node::File { bytes, .. }) = things.machine.files.get(TOML) else {
        panic!("it is gone")
    };
    assert_eq!(&bytes[..], b"mine again");
}

#[test]
fn a_thing_that_was_changed_is_not_removed_by_an_older_plan() {
    let (simulation, _) = installed();
    let saved = simulation
        .drive(plan_removal(&simulation, None))
        .unwrap()
        .unwrap();
    simulation.change(|things| things.machine.files.put(TOML, "precious"));
    let found = moved(&simulation, &saved, &engine());
    assert!(found[0].what.ends_with(TOML), "{found:?}");
    // a plan of now says so and removes it
    assert!(matches!(destroy(&simulation, None, "last"), Ended::Done(_)));
}

#[test]
fn the_edge_serves_a_name_behind_its_workloads_even_if_they_fail() {
    let wish = whole::wish(&whole::file(&[("dev", &["spar"])]), whole::Keys::Quick);
    let simulation = bare(54);
    let plan = planned(&simulation, &wish);
    let sites: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.kind == "nginx-site")
        .collect();
    assert!(!sites.is_empty());
    for site in sites {
        assert!(!site.follows.is_empty(), "{}", site.resource);
        for other in &site.follows {
            assert_eq!(plan.steps[*other].part, site.part);
            assert!(!site.needs.contains(other));
        }
    }
    let image = openg2p_sim::Fault::named(
        "cluster.apply",
        "Deployment dev/",
        openg2p_sim::Trouble::FailBefore,
    );
    simulation.fault(image);
    let sites: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());
    let finished = run(&simulation, &plan, &engine(), &|event| {
        if let EventKind::StepFinished { step, outcome, .. } = event
            && plan.steps[step].kind == "nginx-site"
        {
            sites.lock().unwrap().push(outcome);
        }
    })
    .unwrap();
    assert_eq!(finished.failed.len(), 1, "{:?}", finished.failed);
    assert!(
        sites
            .into_inner()
            .unwrap()
            .iter()
            .all(|outcome| *outcome == Outcome::Done)
    );
}

/// How many steps of a lane were on their way at once, and whether removals waited for all that is made.
#[test]
fn steps_are_bounded_per_host_and_per_api_and_removals_come_last() {
    let wish = small::wish(&["dev", "qa", "prod", "more", "most"], false);
    let simulation = bare(53);
    simulation.interleave(6);
    let first = planned(&simulation, &wish);
    let counts: Mutex<BTreeMap<&'static str, (usize, usize)>> = Mutex::new(BTreeMap::new());
    let lanes = |plan: &Plan, step: usize| -> Vec<&'static str> {
        match plan.steps[step].resource.kind() {
            "kubernetes-object" | "kubernetes-secret" | "partner-certificate" => vec!["api"],
            "container-image" => vec!["host", "images"],
            "systemd-unit" => vec!["host", "systemd"],
            "nginx-site" | "certificate" => vec!["host", "nginx"],
            _ => vec!["host"],
        }
    };
    let count = |plan: &Plan, event: &EventKind| {
        let mut counts = counts.lock().unwrap();
        match event {
            EventKind::StepStarted { step, .. } => {
                for lane in lanes(plan, *step) {
                    let (now, most) = counts.entry(lane).or_default();
                    *now += 1;
                    *most = (*most).max(*now);
                }
            }
            EventKind::StepFinished { step, outcome, .. } if *outcome != Outcome::Skipped => {
                for lane in lanes(plan, *step) {
                    counts.entry(lane).or_default().0 -= 1;
                }
            }
            _ => {}
        }
    };
    run(&simulation, &first, &engine(), &|event| count(&first, &event)).unwrap();
    let most = |lane: &str| counts.lock().unwrap()[lane].1;
    assert_eq!(most("images"), 2);
    assert_eq!(most("systemd"), 1);
    assert_eq!(most("nginx"), 1);
    assert!((3..=8).contains(&most("host")), "{}", most("host"));
    assert!((9..=16).contains(&most("api")), "{}", most("api"));

    // one environment less, and a file to mend
    let fewer = small::wish(&["dev"], false);
    simulation.change(|things| things.machine.files.put(TOML, "mine"));
    let second = planned(&simulation, &fewer);
    assert!(second.count(Action::Remove) > 0 && second.count(Action::Update) > 0);
    let order: Mutex<Vec<(Action, bool)>> = Mutex::new(Vec::new());
    run(&simulation, &second, &engine(), &|event| {
        let (step, begins) = match event {
            EventKind::StepStarted { step, .. } => (step, true),
            EventKind::StepFinished { step, .. } => (step, false),
            _ => return,
        };
        order.lock().unwrap().push((second.steps[step].action, begins));
    })
    .unwrap();
    let order = order.into_inner().unwrap();
    let first_removal = order
        .iter()
        .position(|(action, begins)| *action == Action::Remove && *begins);
    let last_made = order.iter().rposition(|(action, _)| *action != Action::Remove);
    assert!(last_made < first_removal, "{order:?}");
}
