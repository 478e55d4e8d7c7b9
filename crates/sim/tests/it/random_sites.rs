//! Whatever is edited in a site, and wherever runs are killed, it ends as if it had been made so at once.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_sim::{Fault, Trouble, differences};
use proptest::prelude::*;

use crate::operator::{apply, converge, destroy, ledger, plain};
use crate::whole::{Keys, bare, file, wish};

const ENVIRONMENTS: &[&str] = &["dev", "prod", "qa"];
const MODULES: &[&str] = &["spar", "g2p-bridge", "example-bank"];

/// Environments with their modules.
type Shape = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// One edit of the site file and how its run ends: killed at a share of its calls, or not.
#[derive(Clone, Debug)]
struct Edit {
    environment: &'static str,
    module: Option<&'static str>,
    kill: Option<(u8, bool)>,
    turns: u64,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (
        prop::sample::select(ENVIRONMENTS),
        prop::option::weighted(0.8, prop::sample::select(MODULES)),
        prop::option::weighted(0.7, (0_u8..100, any::<bool>())),
        0_u64..3,
    );
    let edit = edit.prop_map(|(environment, module, kill, turns)| Edit {
        environment,
        module,
        kill,
        turns,
    });
    prop::collection::vec(edit, 1..5)
}

/// A module is put in or taken out; without a module the environment is.
fn apply_edit(shape: &mut Shape, edit: &Edit) {
    match (edit.module, shape.get_mut(edit.environment)) {
        (Some(module), Some(modules)) => {
            if !modules.remove(module) {
                modules.insert(module);
            }
        }
        (Some(module), None) => {
            shape.insert(edit.environment, BTreeSet::from([module]));
        }
        (None, Some(_)) => {
            shape.remove(edit.environment);
        }
        (None, None) => {
            shape.insert(edit.environment, BTreeSet::new());
        }
    }
}

fn text(shape: &Shape) -> String {
    let lists: Vec<(&str, Vec<&str>)> = shape
        .iter()
        .map(|(name, modules)| (*name, modules.iter().copied().collect()))
        .collect();
    let lists: Vec<(&str, &[&str])> = lists
        .iter()
        .map(|(name, modules)| (*name, modules.as_slice()))
        .collect();
    file(&lists)
}

fn live(edits: &[Edit], seed: u64) -> Result<(), TestCaseError> {
    let simulation = bare(seed);
    let mut shape = Shape::new();
    for (number, edit) in edits.iter().enumerate() {
        apply_edit(&mut shape, edit);
        let wish = wish(&text(&shape), Keys::Quick);
        simulation.interleave(edit.turns);
        if let Some((share, behind)) = edit.kill {
            // how many calls this run would make is only known behind it: a run of an install makes about a thousand
            let at = simulation.count() + usize::from(share) * 12;
            simulation.fault(Fault::at(
                at,
                if behind {
                    Trouble::KillAfter
                } else {
                    Trouble::KillBefore
                },
            ));
        }
        apply(&simulation, &wish, &format!("edit-{number}"));
        converge(&simulation, &wish);
    }
    simulation.calm();
    let wish = wish(&text(&shape), Keys::Quick);
    converge(&simulation, &wish);
    let fresh = bare(seed);
    apply(&fresh, &wish, "fresh").well();
    prop_assert_eq!(
        differences(&fresh.things().view(), &simulation.things().view()),
        Vec::<String>::new()
    );
    prop_assert_eq!(plain(&ledger(&fresh)), plain(&ledger(&simulation)));
    prop_assert_eq!(simulation.things().machine.stale_units(), Vec::<String>::new());
    destroy(&simulation, None, "last").well();
    let mut left = differences(&bare(seed).things().view(), &simulation.things().view());
    left.retain(|line| !line.starts_with("+ module ") && !line.starts_with("+ sysctl net.bridge."));
    prop_assert_eq!(left, Vec::<String>::new());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var("OPENG2P_SOAK").is_ok() { 500 } else { 10 },
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_edits_with_random_kills_converge(edits in edits(), seed in any::<u64>()) {
        live(&edits, seed)?;
    }
}
