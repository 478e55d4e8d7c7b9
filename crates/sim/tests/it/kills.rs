//! The run is killed at every call of a port; the next one converges.

use std::sync::Arc;

use openg2p_sim::{Fault, Simulation, SimulationState, Trouble, View, differences};
use serde_json::Value;

use crate::operator::{Ended, Wish, apply, converge, destroy, ledger, plain};
use crate::small;
use crate::whole::{BUNDLE, Keys, bare, file, wish};

/// Where everything must end up.
struct Goal {
    view: View,
    ledger: Value,
}

impl Goal {
    fn of(simulation: &Simulation) -> Self {
        Self {
            view: simulation.things().view(),
            ledger: plain(&ledger(simulation)),
        }
    }

    #[track_caller]
    fn reached(&self, simulation: &Simulation, context: &str) {
        let now = Self::of(simulation);
        let found = differences(&self.view, &now.view);
        assert!(
            found.is_empty(),
            "{context}: another world:\n{}",
            found.join("\n")
        );
        if self.ledger != now.ledger {
            let changes = openg2p_plan::difference(&self.ledger, &now.ledger);
            panic!("{context}: another ledger: {changes:#?}");
        }
        let stale = simulation.things().machine.stale_units();
        assert!(
            stale.is_empty(),
            "{context}: units run with old inputs: {stale:?}"
        );
    }
}

fn resume(state: &SimulationState, seed: u64) -> Simulation {
    Simulation::resume(state.clone(), Arc::new(BUNDLE.clone()), seed)
}

/// Without the journal, by which no run decides: it makes good a damaged ledger, and here none is damaged but by a write cut in the middle.
fn decisive(state: &SimulationState) -> openg2p_sim::Things {
    let mut things = state.as_ref().clone();
    things.state.retain(|name, _| !name.starts_with("journal/"));
    things
}

/// Runs `act` from `start` and gives every state in which a kill could leave the world, each once, with the call before which it is
/// seen. A kill behind call N leaves what a kill before call N+1 leaves: between calls nothing happens.
fn cuts(
    start: &SimulationState,
    act: impl Fn(&Simulation) -> Ended,
) -> (usize, Vec<(String, SimulationState)>) {
    let simulation = resume(start, 7);
    simulation.remember();
    act(&simulation).well();
    let (calls, history) = (simulation.calls(), simulation.history());
    let mut found: Vec<(String, SimulationState)> = Vec::new();
    let mut last = None;
    for (number, state) in history.into_iter().enumerate() {
        if found
            .last()
            .is_some_and(|(_, before)| Arc::ptr_eq(before, &state))
        {
            continue;
        }
        let now = decisive(&state);
        if last.as_ref() == Some(&now) {
            continue;
        }
        last = Some(now);
        let name = calls
            .get(number)
            .map_or_else(|| "the end".to_owned(), ToString::to_string);
        found.push((format!("killed before call {number}, {name}"), state));
    }
    // the states are what real kills leave: tried at some of them
    for number in (0..calls.len()).step_by(61) {
        let killed = resume(start, 7);
        killed.fault(Fault::at(number, Trouble::KillBefore));
        assert_eq!(act(&killed), Ended::Killed);
        assert_eq!(killed.count(), number + 1, "a call was made behind the kill");
    }
    // effects that are not atomic are cut in the middle
    for (number, call) in calls.iter().enumerate() {
        let torn = matches!(call.name, "host.install_packages" | "host.purge_packages")
            || call.place.starts_with("kubeadm ")
            || (call.name.starts_with("state.") && number % 11 == 0);
        if torn {
            let killed = resume(start, 7);
            killed.fault(Fault::at(number, Trouble::Torn));
            assert_eq!(act(&killed), Ended::Killed);
            found.push((format!("killed during call {number}, {call}"), killed.things()));
        }
    }
    (calls.len(), found)
}

fn installed(wish: &Wish) -> Simulation {
    let simulation = bare(3);
    apply(&simulation, wish, "install").well();
    simulation
}

/// A whole site is killed at every call in a soak (`OPENG2P_SOAK=1`), and at every seventh state otherwise: that is all the
/// difference between half a minute and four. The small one is always killed everywhere.
fn step(wish: &Wish) -> usize {
    let soak = std::env::var("OPENG2P_SOAK").is_ok();
    if soak || wish.site == "small" { 1 } else { 7 }
}

fn install_killed_everywhere(wish: &Wish) {
    let goal = Goal::of(&installed(wish));
    let (calls, cuts) = cuts(&bare(3).things(), |simulation| apply(simulation, wish, "install"));
    eprintln!("install: {} kills, {} different worlds", calls * 2, cuts.len());
    for (context, state) in cuts.into_iter().step_by(step(wish)) {
        let simulation = resume(&state, 11);
        converge(&simulation, wish);
        goal.reached(&simulation, &context);
    }
}

fn removal_killed_everywhere(wish: &Wish, environment: Option<&str>) {
    let start = installed(wish).things();
    let simulation = resume(&start, 5);
    destroy(&simulation, environment, "remove").well();
    let goal = Goal::of(&simulation);
    let (calls, cuts) = cuts(&start, |simulation| destroy(simulation, environment, "remove"));
    eprintln!(
        "removal of {environment:?}: {} kills, {} different worlds",
        calls * 2,
        cuts.len()
    );
    for (context, state) in cuts.into_iter().step_by(step(wish)) {
        let simulation = resume(&state, 13);
        let ended = destroy(&simulation, environment, "again");
        assert!(
            matches!(ended, Ended::Done(_) | Ended::Nothing),
            "{context}: {ended:?}"
        );
        goal.reached(&simulation, &context);
    }
}

#[test]
fn a_small_install_killed_anywhere_converges() {
    install_killed_everywhere(&small::DEV);
}

#[test]
fn a_small_install_with_private_keys_killed_while_they_are_made_converges() {
    let wish = small::wish(&["dev"], true);
    let simulation = installed(&wish);
    let goal = Goal::of(&simulation);
    let calls = simulation.calls();
    let about = |call: &&openg2p_sim::Call| call.place.contains("signing") || call.place.contains("partners");
    let numbers: Vec<usize> = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| about(call))
        .map(|(number, _)| number)
        .collect();
    assert!(numbers.len() > 4, "{numbers:?}");
    for number in numbers {
        for trouble in [Trouble::KillBefore, Trouble::KillAfter] {
            let simulation = bare(3);
            simulation.fault(Fault::at(number, trouble));
            assert_eq!(apply(&simulation, &wish, "install"), Ended::Killed);
            converge(&simulation, &wish);
            goal.reached(&simulation, &format!("{trouble:?} {number}, {}", calls[number]));
        }
    }
}

#[test]
fn a_small_site_whose_removal_is_killed_anywhere_leaves_nothing() {
    removal_killed_everywhere(&small::DEV, Some("dev"));
    removal_killed_everywhere(&small::DEV, None);
}

#[test]
fn a_whole_install_killed_anywhere_converges() {
    install_killed_everywhere(&wish(&file(&[("dev", &["spar"])]), Keys::Quick));
}

#[test]
fn a_whole_site_whose_removal_is_killed_anywhere_leaves_nothing() {
    let wish = wish(&file(&[("dev", &["spar"]), ("prod", &["spar"])]), Keys::Quick);
    removal_killed_everywhere(&wish, Some("dev"));
    removal_killed_everywhere(&wish, None);
}

#[test]
fn a_call_that_fails_or_whose_answer_is_lost_is_made_up_for_by_the_next_run() {
    let wish = &small::DEV;
    let first = installed(wish);
    let goal = Goal::of(&first);
    let calls = first.calls();
    for (number, call) in calls.iter().enumerate() {
        for trouble in [Trouble::FailBefore, Trouble::AnswerLost] {
            let simulation = bare(3);
            simulation.fault(Fault::at(number, trouble));
            apply(&simulation, wish, "install");
            let things = simulation.things();
            converge(&resume(&things, 17), wish);
            let again = resume(&things, 17);
            converge(&again, wish);
            goal.reached(&again, &format!("{trouble:?} at call {number}, {call}"));
        }
    }
}

#[test]
fn a_full_disk_and_a_cut_line_stop_a_run_and_harm_nothing() {
    let wish = &small::DEV;
    let first = installed(wish);
    let goal = Goal::of(&first);
    for start in (0..first.count()).step_by(23) {
        let full = bare(3);
        full.disk_full(start..usize::MAX);
        let ended = apply(&full, wish, "install");
        assert!(
            matches!(ended, Ended::Failed(..) | Ended::Refused(_) | Ended::Done(_)),
            "{ended:?}"
        );
        full.disk_full(0..0);
        converge(&full, wish);
        goal.reached(&full, &format!("the disk was full from call {start}"));

        let cut = bare(3);
        cut.partition(start..start + 40);
        apply(&cut, wish, "install");
        cut.partition(0..0);
        converge(&cut, wish);
        goal.reached(&cut, &format!("the cluster was away from call {start}"));
    }
}
