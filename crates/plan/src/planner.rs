//! From assessed resources to a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use thiserror::Error;

use crate::{
    Action, Entry, Estimate, Fact, Graph, Inputs, Ledger, Mark, Observed, Owner, Plan, Resource, ResourceId,
    Step, Verdict, Weight,
};

/// A desired resource with what was seen of it and what its kind says.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// What it should be.
    pub resource: Resource,
    /// What was seen.
    pub observed: Observed,
    /// What its kind says.
    pub verdict: Verdict,
    /// What a change costs and what undoes it.
    pub weight: Weight,
    /// What it writes to, where that is more than its id tells: two resources that write to one thing are refused.
    pub claims: Vec<String>,
    /// Whether the ledger records the same desired state.
    pub recorded: bool,
}

/// A thing that the ledger holds, with what was seen of it, to be removed.
#[derive(Clone, Debug)]
pub struct Owned {
    /// What the ledger says.
    pub entry: Entry,
    /// What was seen.
    pub observed: Observed,
    /// What its removal costs.
    pub weight: Weight,
}

/// Two parts of the site that claim one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The thing.
    pub claim: String,
    /// Who claims it, each with what asks for it.
    pub claimants: Vec<String>,
}

/// Why there is no plan. All reasons of one kind come together.
#[derive(Debug, Error, PartialEq)]
pub enum PlanError {
    /// Needs form a loop; this is the shortest one.
    #[error("plan::cycle: these resources need each other in a loop: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Things that are there and not ours, or changed beyond what we may overwrite.
    #[error("plan::conflict: {}", .0.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("; "))]
    Conflict(Vec<(ResourceId, String)>),
    /// Things that could not be read.
    #[error("plan::unknown: {}", .0.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("; "))]
    Unknown(Vec<(ResourceId, String)>),
    /// Parts of the site claim one thing.
    #[error("plan::claimed-twice: {}", .0.iter().map(|clash| format!("{} is claimed by {}", clash.claim, clash.claimants.join(" and by "))).collect::<Vec<_>>().join("; "))]
    ClaimedTwice(Vec<Clash>),
}

/// The plan that leads to the desired state. Entries of the ledger that are no longer desired, given as
/// `orphans` with what was seen of them, are removed behind everything else.
pub fn towards(
    site: &str,
    inputs: Inputs,
    assessed: Vec<Assessed>,
    orphans: Vec<Owned>,
    warnings: Vec<String>,
) -> Result<Plan, PlanError> {
    one_writer_each(&assessed)?;
    let mut items = assessed;
    items.sort_by(|a, b| a.resource.id.cmp(&b.resource.id));
    let conflicts: Vec<(ResourceId, String)> = items
        .iter()
        .filter_map(|item| match &item.verdict {
            Verdict::Conflict(why) => Some((item.resource.id.clone(), why.clone())),
            _ => None,
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(PlanError::Conflict(conflicts));
    }
    make_anew(&mut items);
    let unknown: Vec<(ResourceId, String)> = items
        .iter()
        .filter_map(|item| match &item.verdict {
            Verdict::Unknown(why) => Some((item.resource.id.clone(), why.clone())),
            _ => None,
        })
        .collect();
    if !unknown.is_empty() {
        return Err(PlanError::Unknown(unknown));
    }

    let order = order(&items)?;
    let mut facts = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    // What stands for a resource in the steps that need it: its own step, or, where it needs nothing to be done, the steps
    // that it needs itself, so that a chain is not broken by it. Shared, because whole layers rest on the same steps.
    let mut stands_for: HashMap<ResourceId, Rc<Vec<usize>>> = HashMap::with_capacity(items.len());
    let mut items: Vec<Option<Assessed>> = items.into_iter().map(Some).collect();
    for at in order {
        let Some(item) = items.get_mut(at).and_then(Option::take) else {
            continue;
        };
        let needs = gathered(&stands_for, &item.resource.needs);
        let id = item.resource.id.clone();
        let Some(action) = item.verdict.action() else {
            facts.push(Fact {
                seen: item.observed.mark(),
                wanted: item.resource.fingerprint(),
                desired: (!item.recorded).then_some(item.resource.desired),
                resource: item.resource.id,
            });
            stands_for.insert(id, needs);
            continue;
        };
        let follows: Vec<usize> = gathered(&stands_for, &item.resource.follows)
            .iter()
            .filter(|step| !needs.contains(step))
            .copied()
            .collect();
        let (changes, why) = match item.verdict {
            Verdict::Update(changes) => (changes, item.resource.why),
            Verdict::Replace(why) => (Vec::new(), why),
            _ => (Vec::new(), item.resource.why),
        };
        let number = steps.len();
        stands_for.insert(id, Rc::new(vec![number]));
        steps.push(Step {
            number,
            kind: item.resource.id.kind().to_owned(),
            resource: item.resource.id,
            owner: item.resource.owner,
            part: item.resource.part,
            action,
            why,
            asked_by: item.resource.asked_by,
            changes,
            before: Step::expectation(&item.observed),
            after: Mark::of_desired(&item.resource.desired),
            desired: item.resource.desired,
            needs: needs.to_vec(),
            follows,
            resource_needs: item.resource.needs.into_iter().collect(),
            risk: item.weight.risk,
            guess: item.weight.guess,
            estimate: Estimate::guess(item.weight.guess),
            undo: item.weight.undo,
        });
    }
    facts.sort_by(|a, b| a.resource.cmp(&b.resource));
    append_removals(&mut steps, orphans, "no longer wanted by the site file")?;
    Ok(Plan {
        api_version: Plan::API_VERSION.into(),
        site: site.into(),
        inputs,
        host: BTreeMap::new(),
        unchanged: facts.len(),
        steps,
        facts,
        warnings,
    })
}

/// Two resources that write to one thing would undo each other for ever.
fn one_writer_each(items: &[Assessed]) -> Result<(), PlanError> {
    let mut writers: HashMap<&str, Vec<&Resource>> = HashMap::with_capacity(items.len());
    for item in items {
        let id = item.resource.id.as_str();
        let others = item
            .claims
            .iter()
            .map(String::as_str)
            .filter(|claim| *claim != id);
        for claim in std::iter::once(id).chain(others) {
            writers.entry(claim).or_default().push(&item.resource);
        }
    }
    let mut clashes: Vec<Clash> = writers
        .into_iter()
        .filter(|(_, writers)| writers.len() > 1)
        .map(|(claim, writers)| Clash {
            claim: claim.to_owned(),
            claimants: writers
                .into_iter()
                .map(|resource| {
                    let asked = if resource.asked_by.is_empty() {
                        String::new()
                    } else {
                        format!(", asked for by {}", resource.asked_by)
                    };
                    let Resource { id, part, owner, .. } = resource;
                    format!("{id} of {part} ({owner}{asked})")
                })
                .collect(),
        })
        .collect();
    if clashes.is_empty() {
        return Ok(());
    }
    clashes.sort_by(|a, b| a.claim.cmp(&b.claim));
    Err(PlanError::ClaimedTwice(clashes))
}

/// Places of `items` (sorted by id) in the order of their needs.
fn order(items: &[Assessed]) -> Result<Vec<usize>, PlanError> {
    let places: HashMap<&ResourceId, usize> = items
        .iter()
        .enumerate()
        .map(|(at, item)| (&item.resource.id, at))
        .collect();
    let mut graph = Graph::new();
    for (at, item) in items.iter().enumerate() {
        let known = |ids: &BTreeSet<ResourceId>| -> Vec<usize> {
            ids.iter().filter_map(|id| places.get(id)).copied().collect()
        };
        graph.add(at, known(&item.resource.needs));
        graph.follow(at, known(&item.resource.follows));
    }
    graph.order().map_err(|cycle| {
        let names = cycle.0.iter().filter_map(|at| items.get(*at));
        PlanError::Cycle(names.map(|item| item.resource.id.to_string()).collect())
    })
}

/// The steps that stand for these resources, in order, each once.
fn gathered(
    stands_for: &HashMap<ResourceId, Rc<Vec<usize>>>,
    resources: &BTreeSet<ResourceId>,
) -> Rc<Vec<usize>> {
    let mut parts: Vec<&Rc<Vec<usize>>> = Vec::new();
    for steps in resources.iter().filter_map(|id| stands_for.get(id)) {
        if !steps.is_empty() && !parts.iter().any(|part| Rc::ptr_eq(part, steps)) {
            parts.push(steps);
        }
    }
    match parts.as_slice() {
        [] => Rc::new(Vec::new()),
        [one] => Rc::clone(one),
        many => {
            let mut all: Vec<usize> = many.iter().flat_map(|part| part.iter().copied()).collect();
            all.sort_unstable();
            all.dedup();
            Rc::new(all)
        }
    }
}

/// What cannot be read because the thing that holds it is to be made anew will not be there then: it is made anew too. Else a
/// cluster whose making was cut off before its API answered could never be cleared away.
fn make_anew(items: &mut [Assessed]) {
    let mut open: Vec<ResourceId> = items
        .iter()
        .filter(|item| matches!(item.verdict, Verdict::Replace(_)))
        .map(|item| item.resource.id.clone())
        .collect();
    if open.is_empty()
        || !items
            .iter()
            .any(|item| matches!(item.verdict, Verdict::Unknown(_)))
    {
        return;
    }
    let mut dependants: HashMap<&ResourceId, Vec<&ResourceId>> = HashMap::new();
    for item in items.iter() {
        for need in &item.resource.needs {
            dependants.entry(need).or_default().push(&item.resource.id);
        }
    }
    let mut seen: BTreeSet<ResourceId> = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependant in dependants.get(&id).into_iter().flatten() {
            if seen.insert((*dependant).clone()) {
                open.push((*dependant).clone());
            }
        }
    }
    for item in items.iter_mut() {
        if matches!(item.verdict, Verdict::Unknown(_)) && seen.contains(&item.resource.id) {
            // it stays unread: the plan rests on nothing that was seen of it
            item.verdict = Verdict::Create;
        }
    }
}

/// The plan that removes what `owners` hold, from the ledger alone, in the reverse order of needs.
pub fn removal(
    ledger: &Ledger,
    inputs: Inputs,
    selected: Vec<Owned>,
    owners: &[Owner],
    warnings: Vec<String>,
) -> Result<Plan, PlanError> {
    let why = owners
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let mut steps = Vec::new();
    append_removals(&mut steps, selected, &format!("{why} is removed"))?;
    Ok(Plan {
        api_version: Plan::API_VERSION.into(),
        site: ledger.site.clone(),
        inputs,
        host: BTreeMap::new(),
        steps,
        unchanged: 0,
        facts: Vec::new(),
        warnings,
    })
}

fn append_removals(steps: &mut Vec<Step>, owned: Vec<Owned>, why: &str) -> Result<(), PlanError> {
    let mut graph = Graph::new();
    let mut by_id: BTreeMap<ResourceId, Owned> = BTreeMap::new();
    // who needs me must be gone before me
    let mut dependants: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
    for item in owned {
        let Entry { resource, needs, .. } = &item.entry;
        graph.add(resource.clone(), needs.iter().cloned());
        for need in needs {
            dependants.entry(need.clone()).or_default().push(resource.clone());
        }
        by_id.insert(resource.clone(), item);
    }
    let mut order = graph
        .order()
        .map_err(|cycle| PlanError::Cycle(cycle.0.iter().map(ToString::to_string).collect()))?;
    order.reverse();
    let mut numbers: BTreeMap<ResourceId, usize> = BTreeMap::new();
    for id in order {
        let Some(Owned {
            entry,
            observed,
            weight,
        }) = by_id.remove(&id)
        else {
            continue;
        };
        let number = steps.len();
        let mut needs: Vec<usize> = dependants
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|dependant| numbers.get(dependant))
            .copied()
            .collect();
        needs.sort_unstable();
        numbers.insert(id, number);
        steps.push(Step {
            number,
            kind: entry.resource.kind().to_owned(),
            resource: entry.resource,
            owner: entry.owner,
            part: entry.part,
            action: Action::Remove,
            why: why.into(),
            asked_by: String::new(),
            changes: Vec::new(),
            before: Step::expectation(&observed),
            after: Observed::Absent.mark(),
            desired: entry.desired,
            needs,
            follows: Vec::new(),
            resource_needs: entry.needs.into_iter().collect(),
            risk: weight.risk,
            guess: weight.guess,
            estimate: Estimate::guess(weight.guess),
            undo: weight.undo,
        });
    }
    Ok(())
}
