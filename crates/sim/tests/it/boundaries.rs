//! Install, edit and removal of a site with three environments, ended at every effect: before it, in the middle of it, behind it, and
//! with its answer lost. The next run ends where an undisturbed one ends, by one number over the whole world and the ledger.

use openg2p_plan::Fingerprint;
use openg2p_sim::{Fault, Simulation, SimulationState, Trouble, differences};
use serde_json::json;

use crate::operator::{Ended, Wish, apply, destroy, ledger, plain};
use crate::seeds::everywhere;
use crate::tiny::{self, ENVIRONMENTS, Shape};
use crate::{small, whole};

const TROUBLES: [Trouble; 4] = [
    Trouble::KillBefore,
    Trouble::KillDuring,
    Trouble::KillAfter,
    Trouble::AnswerLost,
];

/// One number for the world and the ledger.
fn state_hash(simulation: &Simulation) -> Fingerprint {
    Fingerprint::of(&json!([
        simulation.things().view().hash(),
        plain(&ledger(simulation))
    ]))
}

/// What an operator does, again and again until there is nothing to do.
type Command<'a> = &'a (dyn Fn(&Simulation, &str) -> Ended + Sync);

fn finish(simulation: &Simulation, command: Command<'_>) -> Result<(), String> {
    let mut told = Vec::new();
    for turn in 0..4 {
        match command(simulation, &format!("again-{turn}")) {
            Ended::Nothing => return Ok(()),
            other => told.push(format!("{other:?}")),
        }
    }
    Err(format!("no end of it: {}", told.join("\n")))
}

/// Gives the number of effects.
fn at_every_effect(
    what: &str,
    start: &SimulationState,
    resume: impl Fn(&SimulationState) -> Simulation + Sync,
    command: Command<'_>,
    step: usize,
) -> usize {
    let clean = resume(start);
    command(&clean, "undisturbed").well();
    let calls = clean.calls();
    let goal = clean.things().view();
    let hash = state_hash(&clean);
    let effects: Vec<usize> = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| call.is_effect())
        .map(|(number, _)| number)
        .collect();
    let tried: Vec<(usize, Trouble)> = effects
        .iter()
        .flat_map(|number| TROUBLES.map(|trouble| (*number, trouble)))
        .step_by(step)
        .collect();
    let began = std::time::Instant::now();
    let wrong = everywhere(0..tried.len() as u64, |at| {
        let (number, trouble) = tried[usize::try_from(at).unwrap()];
        let context = format!("{what}, {trouble:?} at call {number}, {}", calls[number]);
        let simulation = resume(start);
        simulation.fault(Fault::at(number, trouble));
        let ended = command(&simulation, "disturbed");
        if trouble != Trouble::AnswerLost && ended != Ended::Killed {
            return Err(format!("{context}: not killed: {ended:?}"));
        }
        finish(&simulation, command).map_err(|why| format!("{context}: {why}"))?;
        if state_hash(&simulation) == hash {
            return Ok(());
        }
        let found = differences(&goal, &simulation.things().view());
        Err(format!(
            "{context}: another world or ledger:\n{}",
            found.join("\n")
        ))
    });
    eprintln!(
        "{what}: {} effects, ended {} times, {:.1?}",
        effects.len(),
        tried.len(),
        began.elapsed()
    );
    let wrong: Vec<String> = wrong.into_iter().map(|(_, why)| why).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tried.len()
}

#[test]
fn three_environments_ended_at_every_effect_reach_the_same_state() {
    let modules = ["bridge", "spar"];
    let first = Shape::of(&ENVIRONMENTS, &modules);
    let mut second = first.clone();
    second.edition = 1;
    second.toggle("dev", "bridge");
    second.toggle("prod", "pbms");
    let resume = |state: &SimulationState| tiny::resume(state, 7);
    let (wish, edited): (Wish, Wish) = (tiny::wish(&first), tiny::wish(&second));
    let installed = tiny::installed(&first).things();
    let mut ended = at_every_effect(
        "install",
        &tiny::bare(),
        resume,
        &|simulation, run| apply(simulation, &wish, run),
        1,
    );
    ended += at_every_effect(
        "edit",
        &installed,
        resume,
        &|simulation, run| apply(simulation, &edited, run),
        1,
    );
    ended += at_every_effect(
        "removal of an environment",
        &installed,
        resume,
        &|simulation, run| destroy(simulation, Some("prod"), run),
        1,
    );
    ended += at_every_effect(
        "removal of the site",
        &installed,
        resume,
        &|simulation, run| destroy(simulation, None, run),
        1,
    );
    assert!(ended >= 2_000, "{ended} times");
}

/// The same with the host and the cluster made too. All of it in a soak (`OPENG2P_SOAK=1`), a sample otherwise.
#[test]
fn three_environments_on_a_bare_host_ended_at_effects_reach_the_same_state() {
    let step = if std::env::var("OPENG2P_SOAK").is_ok() {
        1
    } else {
        23
    };
    let wish = small::wish(&ENVIRONMENTS, false);
    let bundle = whole::bare(3).bundle().clone();
    let resume = |state: &SimulationState| Simulation::resume(state.clone(), bundle.clone(), 7);
    let start = whole::bare(3).things();
    let apply = |simulation: &Simulation, run: &str| apply(simulation, &wish, run);
    at_every_effect("install on a bare host", &start, resume, &apply, step);
    let installed = resume(&start);
    apply(&installed, "install").well();
    let destroy = |simulation: &Simulation, run: &str| destroy(simulation, None, run);
    at_every_effect(
        "removal from the host",
        &installed.things(),
        resume,
        &destroy,
        step,
    );
}
