//! The ledger's copy in the cluster: whole whatever happens while it is made, used when the node's own is gone, and never in place of a
//! later one.

use std::sync::Arc;

use openg2p_plan::Ledger;
use openg2p_ports::ObjectRef;
use openg2p_run::{Memory, RunInfo, copy};
use openg2p_sim::{Fault, Simulation, Trouble};
use serde_json::json;

use crate::operator::{apply, destroy, ledger};
use crate::small;
use crate::whole::{BUNDLE, bare};

fn secret(slot: &str, part: usize) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some("kube-system".into()),
        name: format!("openg2p-ledger-{slot}-{part}"),
    }
}

fn replicate(simulation: &Simulation, ledger: &Ledger) -> Result<bool, String> {
    let world = simulation.world();
    let done = simulation.drive(copy::replicate(&world, ledger));
    done.unwrap_or_else(|| panic!("killed"))
        .map_err(|error| error.code.to_owned())
}

fn found(simulation: &Simulation) -> Option<Ledger> {
    let apart = Simulation::resume(simulation.things(), simulation.bundle().clone(), 0);
    let world = apart.world();
    apart.drive(copy::find(&world)).unwrap().unwrap()
}

/// What a run knows when it begins.
fn known(simulation: &Simulation) -> Result<(Ledger, Vec<String>), String> {
    let world = simulation.world();
    let state = simulation.state();
    let read = Memory::read_or_copy(&world, state.as_ref());
    simulation.drive(read).unwrap().map_err(|error| error.to_string())
}

fn installed() -> Simulation {
    let simulation = bare(71);
    apply(&simulation, &small::wish(&["dev"], false), "install").well();
    simulation
}

#[test]
fn a_node_whose_records_are_gone_goes_on_from_the_copy() {
    let simulation = installed();
    let before = ledger(&simulation);
    assert_eq!(found(&simulation), None);
    assert_eq!(replicate(&simulation, &before), Ok(true));
    assert_eq!(found(&simulation).as_ref(), Some(&before));
    simulation.change(|things| things.state.clear());
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!(read, before);
    assert!(
        warnings[0].contains("the copy in the cluster is used"),
        "{warnings:?}"
    );
    // a run begins behind it, and from then on the node has its own again
    let info = RunInfo {
        id: "again".into(),
        command: "apply".into(),
    };
    let world = simulation.world();
    simulation
        .drive(async {
            let (memory, _) = Memory::open_or_copy(&world, simulation.state(), info)
                .await
                .unwrap();
            let first = before.entries.keys().next().unwrap();
            memory.removing(first).await.unwrap().unwrap();
        })
        .unwrap();
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!((read.entries.len(), warnings.len()), (before.entries.len(), 0));
    assert_eq!(read.generation, before.generation + 2);
    destroy(&simulation, None, "destroy").well();
    assert!(ledger(&simulation).entries.is_empty());
}

/// A run that is killed behind its last step makes no copy, and the next one has nothing to do. The command asks then.
#[test]
fn a_copy_that_a_killed_run_did_not_make_is_missed() {
    let simulation = installed();
    let current = |ledger: &Ledger| {
        let world = simulation.world();
        simulation
            .drive(copy::is_current(&world, ledger))
            .unwrap()
            .unwrap()
    };
    let first = ledger(&simulation);
    assert!(!current(&first));
    assert_eq!(replicate(&simulation, &first), Ok(true));
    assert!(current(&first));
    apply(&simulation, &small::wish(&["dev", "prod"], false), "more").well();
    let second = ledger(&simulation);
    assert!(!current(&second));
    assert_eq!(replicate(&simulation, &second), Ok(true));
    assert!(current(&second));
    // a site that is gone has none
    let empty = Ledger {
        generation: second.generation + 1,
        ..Ledger::default()
    };
    assert!(!current(&empty));
    assert_eq!(replicate(&simulation, &empty), Ok(true));
    assert!(current(&empty));
}

#[test]
fn damage_beyond_healing_is_made_good_by_the_copy_only_when_the_node_was_no_further() {
    let simulation = installed();
    let before = ledger(&simulation);
    replicate(&simulation, &before).unwrap();
    // every file of the ledger and the journals is cut in half; names and what is left of lines still tell how far the node was
    let damage = |simulation: &Simulation| {
        simulation.change(|things| {
            for (name, bytes) in &mut things.state {
                if name.starts_with("ledger/") {
                    *bytes = bytes[..bytes.len() / 2].into();
                }
            }
            things.state.retain(|name, _| !name.starts_with("journal/"));
        });
    };
    let further = Simulation::resume(simulation.things(), simulation.bundle().clone(), 1);
    apply(&further, &small::wish(&["dev", "qa"], false), "more").well();
    apply(&further, &small::wish(&["dev"], false), "less").well();
    further.change(|things| {
        things
            .state
            .retain(|name, _| !name.starts_with("ledger/000000000000"));
    });
    damage(&further);
    let error = known(&further).unwrap_err();
    assert!(error.starts_with("ledger::lost"), "{error}");
    assert!(
        error.contains("the copy in the cluster is of generation"),
        "{error}"
    );

    apply(&simulation, &small::wish(&["dev", "qa"], false), "more").well();
    let now = ledger(&simulation);
    replicate(&simulation, &now).unwrap();
    simulation.change(|things| {
        things
            .state
            .retain(|name, _| !name.starts_with("ledger/000000000000"));
    });
    damage(&simulation);
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!(read, now);
    assert!(warnings[0].contains("is used instead"), "{warnings:?}");
}

#[test]
fn a_copy_that_is_cut_off_at_any_call_leaves_a_whole_one() {
    let simulation = installed();
    let first = ledger(&simulation);
    replicate(&simulation, &first).unwrap();
    // noise that does not pack, so that the second copy has several parts
    let mut second = first.clone();
    second.generation += 1;
    let mut noise = 1_u64;
    let text: String = (0..1_500_000)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from((noise >> 33) % 90).unwrap())
        })
        .collect();
    let entry = second.entries.values_mut().next().unwrap();
    entry.details = json!({"noise": text});
    let start = simulation.things();
    let resume = || Simulation::resume(start.clone(), Arc::new(BUNDLE.clone()), 4);
    let whole = resume();
    replicate(&whole, &second).unwrap();
    assert_eq!(found(&whole).as_ref(), Some(&second));
    let calls = whole.count();
    let mut kills = 0;
    for number in 0..calls {
        for trouble in [Trouble::KillBefore, Trouble::KillAfter, Trouble::FailBefore] {
            let simulation = resume();
            simulation.fault(Fault::at(number, trouble));
            let world = simulation.world();
            let ended = simulation.drive(copy::replicate(&world, &second));
            kills += usize::from(!matches!(ended, Some(Ok(_))));
            let left = found(&simulation).unwrap();
            assert!(left == first || left == second, "{trouble:?} at {number}");
        }
    }
    assert!(kills > 10, "{kills}");
    // the third goes back to the first slot and leaves the second whole
    let mut third = first.clone();
    third.generation += 2;
    replicate(&whole, &third).unwrap();
    assert_eq!(found(&whole).as_ref(), Some(&third));
    whole.change(|things| {
        let cluster = things.cluster.as_mut().unwrap();
        cluster
            .edit(&secret("a", 0), "kubectl", |value| {
                value["data"]["ledger"] = json!("AAAA");
            })
            .unwrap();
    });
    assert_eq!(
        found(&whole).as_ref(),
        Some(&second),
        "an altered part is no copy"
    );
}

#[test]
fn an_older_ledger_does_not_replace_a_later_copy_and_an_empty_one_takes_it_away() {
    let simulation = installed();
    let before = ledger(&simulation);
    let mut later = before.clone();
    later.generation += 5;
    replicate(&simulation, &later).unwrap();
    assert_eq!(replicate(&simulation, &before), Err("ledger::copy-newer".into()));
    assert_eq!(found(&simulation).as_ref(), Some(&later));
    let none = Ledger {
        generation: later.generation + 1,
        ..Ledger::default()
    };
    replicate(&simulation, &none).unwrap();
    assert_eq!(found(&simulation), None);
    // without a cluster there is nowhere to copy to, and nothing wrong
    let bare = bare(72);
    assert_eq!(replicate(&bare, &before), Ok(false));
}
