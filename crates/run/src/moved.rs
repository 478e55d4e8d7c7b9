//! Whether a plan still holds: every fact that it was made from is looked at again.
//!
//! This runs twice on the lead node, looking only: when somebody asks whether a saved plan can be performed, and in the run
//! itself, under the lock and before its first effect, so that nothing can move in between.

use std::collections::BTreeSet;

use openg2p_kinds::kind;
use openg2p_plan::{Action, Ledger, Moved, Observed, Plan, Presence};
use openg2p_ports::{State, World};

use crate::assess::{Look, observed};

/// What the engine itself is and has, to be compared with the inputs of a plan.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Version of this program.
    pub version: String,
    /// What the machine is like, by name, as [`host_words`] gives it; none where it was not asked.
    pub host: Option<std::collections::BTreeMap<String, String>>,
    /// The plan's bundle has not been sent yet: the one that lies here says nothing.
    pub bundle_is_to_come: bool,
}

/// What plans rest on of a machine, in words. What moves all the time (free space, the clock) is left out.
pub fn host_words(facts: &openg2p_ports::HostFacts) -> std::collections::BTreeMap<String, String> {
    [
        ("distribution", facts.distribution.clone()),
        ("release", facts.release.clone()),
        ("kernel", facts.kernel.clone()),
        ("architecture", facts.architecture.clone()),
        ("memory", facts.memory.to_string()),
        ("processors", facts.processors.to_string()),
        ("cgroup version", facts.cgroup_version.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("host {name}"), value))
    .collect()
}

/// Everything that moved since `plan` was made; empty when it still holds. The ledger is the one that the run has open.
pub async fn moved(
    world: &World,
    state: &dyn State,
    ledger: &Ledger,
    plan: &Plan,
    engine: &Engine,
) -> Vec<Moved> {
    let mut moved = Vec::new();
    let mut input = |what: &str, planned: &str, now: &str| {
        if planned != now {
            moved.push(Moved::new(what, planned, now));
        }
    };
    input("openg2p version", &plan.inputs.engine, &engine.version);
    if !plan.inputs.bundle.is_empty() && !engine.bundle_is_to_come {
        input("bundle", &plan.inputs.bundle, world.bundle.digest());
    }
    if !ledger.site.is_empty() {
        input("site name", &plan.site, &ledger.site);
    }
    if let Some(host) = &engine.host {
        for (name, planned) in &plan.host {
            input(name, planned, host.get(name).map_or("unknown", String::as_str));
        }
    }
    if plan.inputs.ledger_generation != ledger.generation {
        let mut item = Moved::new(
            "ledger generation",
            plan.inputs.ledger_generation.to_string(),
            ledger.generation.to_string(),
        );
        item.by = last_run(state).await;
        moved.push(item);
    }
    moved.extend(entries_new(ledger, plan));
    moved.extend(facts_moved(world, ledger, plan).await);
    moved
}

/// What the ledger records beyond what the plan knows: all that it held then is in the plan. One that only removes knows the parts alone
/// that it removes: the neighbours of a module stay.
fn entries_new(ledger: &Ledger, plan: &Plan) -> Vec<Moved> {
    let removes = plan.facts.is_empty() && plan.steps.len() == plan.count(Action::Remove);
    let parts: BTreeSet<_> = plan.steps.iter().map(|step| (&step.owner, &step.part)).collect();
    let known: BTreeSet<_> = plan.looked_at().map(|(id, ..)| id).collect();
    let new = ledger.entries.values().filter(|entry| {
        !known.contains(&entry.resource) && (!removes || parts.contains(&(&entry.owner, &entry.part)))
    });
    new.map(|entry| Moved {
        what: entry.resource.to_string(),
        planned: "not in the ledger".into(),
        now: "recorded in the ledger".into(),
        by: Some(format!("run {}", entry.changed_by)),
    })
    .collect()
}

/// The run that wrote its journal last.
async fn last_run(state: &dyn State) -> Option<String> {
    let runs = state.list("journal").await.ok()?;
    // a journal may have further parts, `<run>.1`
    let last = runs.iter().max()?.split('.').next()?;
    Some(format!("run {last}"))
}

async fn facts_moved(world: &World, ledger: &Ledger, plan: &Plan) -> Vec<Moved> {
    let mut moved = Vec::new();
    let mut looks = Vec::new();
    let mut marks = Vec::new();
    for (id, mark, desired) in plan.looked_at() {
        // what could not be read was no reason for anything in the plan
        if mark.is == Presence::Unread {
            continue;
        }
        let entry = ledger.entries.get(id);
        let Some(desired) = desired.or(entry.map(|entry| &entry.desired)) else {
            moved.push(Moved::new(
                id.to_string(),
                "recorded in the ledger",
                "not in the ledger",
            ));
            continue;
        };
        looks.push(Look { id, desired, entry });
        marks.push(mark);
    }
    let seen = observed(world, &looks).await;
    for ((look, planned), seen) in looks.iter().zip(marks).zip(seen) {
        let now = seen.mark();
        if now == *planned {
            continue;
        }
        let words = match &seen {
            Observed::Unknown(why) => format!("unreadable: {why}"),
            _ => now.words(),
        };
        let mut item = Moved::new(look.id.to_string(), planned.words(), words);
        if now.is == Presence::Present
            && let Some(kind) = kind(look.id.kind())
        {
            item.by = kind.changed_by(world, look.subject()).await;
        }
        if item.by.is_none()
            && plan.inputs.ledger_generation != ledger.generation
            && let Some(entry) = look.entry
        {
            item.by = Some(format!("run {}", entry.changed_by));
        }
        moved.push(item);
    }
    moved.sort_by(|a, b| a.what.cmp(&b.what));
    moved
}
