//! A ledger that a person kept and puts back on a host that lost its own, with the cluster's copy gone as well.

use openg2p_plan::Ledger;
use openg2p_run::{Memory, RecordError, RunInfo, saved};
use openg2p_sim::Simulation;

use crate::operator::{apply, destroy, ledger};
use crate::small;
use crate::whole::bare;

fn put_back(simulation: &Simulation, ledger: &Ledger) -> Result<(), String> {
    let state = simulation.state();
    let done = simulation.drive(saved::put_back(state.as_ref(), ledger)).unwrap();
    done.map_err(|error| match error {
        RecordError::Storage(error) => error.code.to_owned(),
        other => other.to_string(),
    })
}

fn known(simulation: &Simulation) -> Result<(Ledger, Vec<String>), String> {
    let world = simulation.world();
    let state = simulation.state();
    let read = Memory::read_or_copy(&world, state.as_ref());
    simulation.drive(read).unwrap().map_err(|error| error.to_string())
}

fn installed() -> Simulation {
    let simulation = bare(73);
    apply(&simulation, &small::wish(&["dev"], false), "install").well();
    simulation
}

#[test]
fn a_host_that_lost_everything_goes_on_from_a_kept_ledger() {
    let simulation = installed();
    let before = ledger(&simulation);
    let kept = saved::pack(&before).unwrap();
    assert_eq!(put_back(&simulation, &before), Err("ledger::not-lost".into()));

    simulation.change(|things| things.state.clear());
    put_back(&simulation, &saved::unpack(&kept).unwrap()).unwrap();
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!(read, before);
    assert!(
        warnings[0].contains("the copy that was put back is used"),
        "{warnings:?}"
    );
    // a second time does no harm
    put_back(&simulation, &before).unwrap();

    // the first run that writes has a ledger of its own again
    let world = simulation.world();
    let info = RunInfo {
        id: "again".into(),
        command: "apply".into(),
    };
    simulation
        .drive(async {
            let opened = Memory::open_or_copy(&world, simulation.state(), info)
                .await
                .unwrap();
            let first = before.entries.keys().next().unwrap();
            opened.0.removing(first).await.unwrap().unwrap();
        })
        .unwrap();
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!(
        (read.entries.len(), warnings.len()),
        (before.entries.len(), 0),
        "{warnings:?}"
    );
    let names: Vec<String> = simulation.things().state.keys().cloned().collect();
    assert!(!names.iter().any(|name| name.contains("put-back")), "{names:?}");
    destroy(&simulation, None, "destroy").well();
    assert!(ledger(&simulation).entries.is_empty());
}

#[test]
fn a_kept_ledger_that_is_older_than_what_is_left_is_refused() {
    let simulation = installed();
    let before = ledger(&simulation);
    apply(&simulation, &small::wish(&["dev", "qa"], false), "more").well();
    simulation.change(|things| {
        things.state.retain(|name, _| !name.starts_with("journal/"));
        for (name, bytes) in &mut things.state {
            if name.starts_with("ledger/") {
                *bytes = bytes[..bytes.len() / 2].into();
            }
        }
        things
            .state
            .retain(|name, _| !name.starts_with("ledger/000000000000"));
    });
    assert_eq!(put_back(&simulation, &before), Err("ledger::older".into()));
    assert!(known(&simulation).unwrap_err().starts_with("ledger::lost"));
    // moved aside, as the hint says, it is taken
    simulation.change(|things| things.state.retain(|name, _| !name.starts_with("ledger/")));
    put_back(&simulation, &before).unwrap();
    assert_eq!(known(&simulation).unwrap().0, before);
}

#[test]
fn the_later_one_of_two_copies_is_used() {
    let simulation = installed();
    let before = ledger(&simulation);
    let mut later = before.clone();
    later.generation += 3;
    let world = simulation.world();
    simulation
        .drive(openg2p_run::copy::replicate(&world, &later))
        .unwrap()
        .unwrap();
    simulation.change(|things| things.state.clear());
    put_back(&simulation, &before).unwrap();
    let (read, warnings) = known(&simulation).unwrap();
    assert_eq!(read, later);
    assert!(
        warnings[0].contains("the copy in the cluster is used"),
        "{warnings:?}"
    );
}

#[test]
fn no_damage_of_a_kept_ledger_goes_unnoticed() {
    let simulation = installed();
    let before = ledger(&simulation);
    let kept = saved::pack(&before).unwrap();
    let step = (kept.len() / 400).max(1);
    for length in (0..kept.len()).step_by(step) {
        assert_eq!(saved::unpack(&kept[..length]), None, "cut off at {length}");
    }
    for place in (0..kept.len()).step_by(step) {
        let mut altered = kept.clone();
        altered[place] ^= 1 << (place % 8);
        let read = saved::unpack(&altered);
        // gzip's header holds bytes that mean nothing, such as its time
        assert!(read.is_none() || read.as_ref() == Some(&before), "{place}");
    }
    // damage of the one that was put back is told, and nothing is done without it
    simulation.change(|things| things.state.clear());
    put_back(&simulation, &before).unwrap();
    simulation.change(|things| {
        if let Some(bytes) = things.state.get_mut("ledger/put-back") {
            *bytes = bytes[..bytes.len() - 9].into();
        }
    });
    assert!(known(&simulation).unwrap_err().contains("ledger/put-back"));
}
