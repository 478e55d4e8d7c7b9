//! What an operator's commands do, as the lead node does them: plan, apply a plan, destroy.

use std::sync::atomic::AtomicBool;

use openg2p_plan::{Entry, Inputs, Ledger, Observed, Owner, Plan, PlanError, Resource, removal, towards};
use openg2p_ports::ObjectRef;
use openg2p_run::{Engine, Memory, RunInfo, assess, entries_observed};
use openg2p_sim::{Simulation, Things};
use serde_json::Value;

/// What should be.
#[derive(Clone)]
pub(crate) struct Wish {
    pub site: String,
    pub resources: Vec<Resource>,
    pub inputs: Inputs,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    /// Nothing to do.
    Nothing,
    /// That many steps done.
    Done(usize),
    /// Steps done, and the failures in their order.
    Failed(usize, Vec<String>),
    /// Refused before the first effect.
    Refused(String),
    /// The run was killed.
    Killed,
}

impl Ended {
    #[track_caller]
    pub(crate) fn well(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Done(steps) => steps,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn read_ledger(simulation: &Simulation) -> Ledger {
    let (ledger, _) = Memory::read(simulation.state().as_ref()).await.unwrap();
    ledger
}

pub(crate) fn ledger(simulation: &Simulation) -> Ledger {
    // a look of the test's own is no call of the run
    let apart = Simulation::resume(simulation.things(), simulation.bundle().clone(), 0);
    apart.drive(read_ledger(&apart)).unwrap()
}

pub(crate) async fn plan(simulation: &Simulation, wish: &Wish) -> Result<Plan, PlanError> {
    let state = simulation.state();
    let (ledger, _) = Memory::read(state.as_ref())
        .await
        .map_err(|error| PlanError::Cycle(vec![error.to_string()]))?;
    let mut inputs = wish.inputs.clone();
    inputs.ledger_generation = ledger.generation;
    let situation = assess(&simulation.world(), wish.resources.clone(), &ledger).await;
    towards(
        &wish.site,
        inputs,
        situation.assessed,
        situation.orphans,
        Vec::new(),
    )
}

pub(crate) async fn plan_removal(simulation: &Simulation, owners: Option<&[Owner]>) -> Result<Plan, String> {
    let (ledger, _) = Memory::read(simulation.state().as_ref())
        .await
        .map_err(|error| error.to_string())?;
    let entries: Vec<Entry> = ledger
        .entries
        .values()
        .filter(|entry| owners.is_none_or(|owners| owners.contains(&entry.owner)))
        .cloned()
        .collect();
    let observed = entries_observed(&simulation.world(), entries).await;
    let warnings = observed
        .iter()
        .filter_map(|owned| match &owned.observed {
            Observed::Unknown(why) => Some(format!("{} cannot be read: {why}", owned.entry.resource)),
            _ => None,
        })
        .collect();
    let inputs = Inputs {
        site: openg2p_plan::Fingerprint::of(&Value::Null),
        bundle: String::new(),
        ledger_generation: ledger.generation,
        engine: "sim".into(),
    };
    removal(
        &ledger,
        inputs,
        observed,
        owners.unwrap_or(&[Owner::Site]),
        warnings,
    )
    .map_err(|error| error.to_string())
}

pub(crate) async fn perform(simulation: &Simulation, plan: &Plan, run: &str) -> Ended {
    if plan.is_empty() {
        return Ended::Nothing;
    }
    let _lock = match simulation.take_lock(run) {
        Ok(lock) => lock,
        Err(holder) => return Ended::Refused(format!("run::locked: it is held by run {holder}")),
    };
    let info = RunInfo {
        id: run.into(),
        command: "apply".into(),
    };
    let engine = Engine {
        version: "sim".into(),
        host: None,
        bundle_is_to_come: false,
    };
    let memory = match Memory::open(simulation.state(), info).await {
        Ok((memory, _)) => memory,
        Err(error) => return Ended::Refused(error.to_string()),
    };
    let finished = openg2p_run::perform(
        &simulation.world(),
        &memory,
        plan,
        &engine,
        &|_| {},
        &AtomicBool::new(false),
    )
    .await;
    let finished = match finished {
        Ok(finished) => finished,
        Err(refusal) => return Ended::Refused(refusal.to_string()),
    };
    if finished.failed.is_empty() {
        return Ended::Done(finished.done);
    }
    let told = finished.failed.iter().map(|(number, failure)| {
        format!(
            "{} {}: {}: {}",
            plan.steps[*number].action.verb(),
            plan.steps[*number].resource,
            failure.code,
            failure.why
        )
    });
    Ended::Failed(finished.done, told.collect())
}

/// Plans and applies.
pub(crate) fn apply(simulation: &Simulation, wish: &Wish, run: &str) -> Ended {
    let work = async {
        match plan(simulation, wish).await {
            Ok(plan) => perform(simulation, &plan, run).await,
            Err(error) => Ended::Refused(error.to_string()),
        }
    };
    simulation.drive(work).unwrap_or(Ended::Killed)
}

/// Applies again and again until there is nothing to do.
#[track_caller]
pub(crate) fn converge(simulation: &Simulation, wish: &Wish) {
    let mut told = Vec::new();
    for turn in 0..4 {
        match apply(simulation, wish, &format!("again-{turn}")) {
            Ended::Nothing => return,
            other => told.push(format!("{other:?}")),
        }
    }
    panic!("no end of it:\n{}", told.join("\n"));
}

/// Removes an environment, or the whole site.
pub(crate) fn destroy(simulation: &Simulation, environment: Option<&str>, run: &str) -> Ended {
    let owners = environment.map(|name| vec![Owner::Environment(name.into())]);
    let work = async {
        match plan_removal(simulation, owners.as_deref()).await {
            Ok(plan) => perform(simulation, &plan, run).await,
            Err(why) => Ended::Refused(why),
        }
    };
    simulation.drive(work).unwrap_or(Ended::Killed)
}

/// The ledger without what differs from run to run by nature.
pub(crate) fn plain(ledger: &Ledger) -> Value {
    let mut value = serde_json::to_value(&ledger.entries).unwrap();
    for entry in value.as_object_mut().unwrap().values_mut() {
        for name in ["createdBy", "changedBy"] {
            entry.as_object_mut().unwrap().remove(name);
        }
        for name in ["uid", "resourceVersion"] {
            if let Some(drawn) = entry["details"].get_mut(name) {
                *drawn = Value::Bool(drawn.is_string());
            }
        }
    }
    value
}

/// Deletes an object that is there, as somebody with kubectl does.
#[track_caller]
pub(crate) fn delete_by_hand(things: &mut Things, place: &ObjectRef) {
    let cluster = things.cluster.as_mut().unwrap();
    let uid = cluster.get(place).unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.delete(place, &uid, 0).unwrap();
}
