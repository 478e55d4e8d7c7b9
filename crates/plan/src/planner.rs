//! From assessed resources to a plan.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::{
    Action, Entry, Graph, Inputs, Ledger, Observed, Owner, Plan, Resource, ResourceId, Risk, Step, Verdict,
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
    /// What a change may cost.
    pub risk: Risk,
    /// Expected seconds of a change.
    pub estimate: f64,
}

/// Why there is no plan. All reasons of one kind come together.
#[derive(Debug, Error, PartialEq)]
pub enum PlanError {
    /// Needs form a loop.
    #[error("plan::cycle: these resources need each other in a loop: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Things that are there and not ours, or changed beyond what we may overwrite.
    #[error("plan::conflict: {}", .0.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("; "))]
    Conflict(Vec<(ResourceId, String)>),
    /// Things that could not be read.
    #[error("plan::unknown: {}", .0.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("; "))]
    Unknown(Vec<(ResourceId, String)>),
    /// Two parts of the site claim one thing.
    #[error("plan::claimed-twice: {0} is claimed by {1} and by {2}")]
    ClaimedTwice(ResourceId, String, String),
}

/// The plan that leads to the desired state. Entries of the ledger that are no longer desired, given as
/// `orphans` with what was seen of them, are removed behind everything else.
pub fn towards(
    site: &str,
    inputs: Inputs,
    assessed: Vec<Assessed>,
    orphans: Vec<(Entry, Observed, Risk, f64)>,
    warnings: Vec<String>,
) -> Result<Plan, PlanError> {
    let mut by_id: BTreeMap<ResourceId, Assessed> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for item in assessed {
        if let Verdict::Conflict(why) = &item.verdict {
            conflicts.push((item.resource.id.clone(), why.clone()));
        }
        let id = item.resource.id.clone();
        if let Some(first) = by_id.get(&id) {
            let claim = |resource: &Resource| format!("{} ({})", resource.part, resource.owner);
            return Err(PlanError::ClaimedTwice(
                id,
                claim(&first.resource),
                claim(&item.resource),
            ));
        }
        by_id.insert(id, item);
    }
    if !conflicts.is_empty() {
        return Err(PlanError::Conflict(conflicts));
    }
    make_anew(&mut by_id);
    let unknown: Vec<(ResourceId, String)> = by_id
        .values()
        .filter_map(|item| match &item.verdict {
            Verdict::Unknown(why) => Some((item.resource.id.clone(), why.clone())),
            _ => None,
        })
        .collect();
    if !unknown.is_empty() {
        return Err(PlanError::Unknown(unknown));
    }

    let mut graph = Graph::new();
    for item in by_id.values() {
        graph.add(item.resource.id.clone(), item.resource.needs.iter().cloned());
    }
    let order = graph
        .order()
        .map_err(|cycle| PlanError::Cycle(cycle.0.iter().map(ToString::to_string).collect()))?;

    let mut unchanged = 0;
    let mut steps: Vec<Step> = Vec::new();
    let mut numbers: BTreeMap<ResourceId, usize> = BTreeMap::new();
    // A thing that needs nothing to be done passes its own needs on, so that a chain is not broken by it.
    let mut passed_on: BTreeMap<ResourceId, BTreeSet<usize>> = BTreeMap::new();
    for id in order {
        let Some(item) = by_id.remove(&id) else { continue };
        let needs: BTreeSet<usize> = item
            .resource
            .needs
            .iter()
            .flat_map(|need| match numbers.get(need) {
                Some(number) => BTreeSet::from([*number]),
                None => passed_on.get(need).cloned().unwrap_or_default(),
            })
            .collect();
        let (action, changes, why) = match item.verdict {
            Verdict::Create => (Action::Create, Vec::new(), item.resource.why.clone()),
            Verdict::Update(changes) => (Action::Update, changes, item.resource.why.clone()),
            Verdict::Replace(why) => (Action::Replace, Vec::new(), why),
            Verdict::Same | Verdict::Conflict(_) | Verdict::Unknown(_) => {
                unchanged += 1;
                passed_on.insert(id, needs);
                continue;
            }
        };
        let number = steps.len();
        numbers.insert(id, number);
        steps.push(Step {
            number,
            resource: item.resource.id.clone(),
            owner: item.resource.owner.clone(),
            part: item.resource.part.clone(),
            action,
            why,
            changes,
            expects: Verdict::expectation(&item.observed),
            desired: item.resource.desired,
            needs: needs.into_iter().collect(),
            resource_needs: item.resource.needs.into_iter().collect(),
            risk: if action == Action::Create {
                Risk::Harmless
            } else {
                item.risk
            },
            estimate: item.estimate,
        });
    }
    append_removals(&mut steps, orphans, "no longer wanted by the site file")?;
    Ok(Plan {
        api_version: Plan::API_VERSION.into(),
        site: site.into(),
        inputs,
        steps,
        unchanged,
        warnings,
    })
}

/// What cannot be read because the thing that holds it is to be made anew will not be there then: it is made anew too. Else a
/// cluster whose making was cut off before its API answered could never be cleared away.
fn make_anew(items: &mut BTreeMap<ResourceId, Assessed>) {
    let mut dependants: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
    for item in items.values() {
        for need in &item.resource.needs {
            dependants
                .entry(need.clone())
                .or_default()
                .push(item.resource.id.clone());
        }
    }
    let replaced = |item: &&Assessed| matches!(item.verdict, Verdict::Replace(_));
    let mut open: Vec<ResourceId> = items
        .values()
        .filter(replaced)
        .map(|item| item.resource.id.clone())
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependant in dependants.get(&id).into_iter().flatten() {
            if seen.insert(dependant.clone()) {
                open.push(dependant.clone());
            }
        }
    }
    for item in items.values_mut() {
        if matches!(item.verdict, Verdict::Unknown(_)) && seen.contains(&item.resource.id) {
            item.observed = Observed::Absent;
            item.verdict = Verdict::Create;
        }
    }
}

/// The plan that removes what `owners` hold, from the ledger alone, in the reverse order of needs.
pub fn removal(
    ledger: &Ledger,
    inputs: Inputs,
    selected: Vec<(Entry, Observed, Risk, f64)>,
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
        steps,
        unchanged: 0,
        warnings,
    })
}

fn append_removals(
    steps: &mut Vec<Step>,
    entries: Vec<(Entry, Observed, Risk, f64)>,
    why: &str,
) -> Result<(), PlanError> {
    let mut graph = Graph::new();
    let mut by_id = BTreeMap::new();
    for (entry, observed, risk, estimate) in entries {
        graph.add(entry.resource.clone(), entry.needs.iter().cloned());
        by_id.insert(entry.resource.clone(), (entry, observed, risk, estimate));
    }
    let mut order = graph
        .order()
        .map_err(|cycle| PlanError::Cycle(cycle.0.iter().map(ToString::to_string).collect()))?;
    order.reverse();
    let mut numbers: BTreeMap<ResourceId, usize> = BTreeMap::new();
    // who needs me must be gone before me
    let mut dependants: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
    for (entry, ..) in by_id.values() {
        for need in &entry.needs {
            dependants
                .entry(need.clone())
                .or_default()
                .push(entry.resource.clone());
        }
    }
    for id in order {
        let Some((entry, observed, risk, estimate)) = by_id.remove(&id) else {
            continue;
        };
        let number = steps.len();
        let needs = dependants
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|dependant| numbers.get(dependant));
        let needs = needs.copied().collect();
        numbers.insert(id, number);
        steps.push(Step {
            number,
            resource: entry.resource,
            owner: entry.owner,
            part: entry.part,
            action: Action::Remove,
            why: why.into(),
            changes: Vec::new(),
            expects: observed.fingerprint(),
            desired: entry.desired,
            needs,
            resource_needs: entry.needs.into_iter().collect(),
            risk,
            estimate,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fingerprint;
    use serde_json::json;

    fn item(name: &str, needs: &[&str], verdict: Verdict) -> Assessed {
        let id = |name: &str| ResourceId::new("thing", name);
        let resource = Resource {
            id: id(name),
            owner: Owner::Site,
            desired: json!({}),
            needs: needs.iter().map(|need| id(need)).collect(),
            why: String::new(),
            part: String::new(),
        };
        let observed = Observed::Unknown("no answer".into());
        Assessed {
            resource,
            observed,
            verdict,
            risk: Risk::Harmless,
            estimate: 0.0,
        }
    }

    fn plan(items: Vec<Assessed>) -> Result<Plan, PlanError> {
        let inputs = Inputs {
            site: Fingerprint::of(&json!(1)),
            bundle: String::new(),
            ledger_generation: 0,
            engine: String::new(),
        };
        towards("s", inputs, items, Vec::new(), Vec::new())
    }

    #[test]
    fn what_hangs_on_a_thing_that_is_made_anew_is_made_anew_unread() {
        let unknown = || Verdict::Unknown("no answer".into());
        let replaced = Verdict::Replace("it was cut off".into());
        let items = vec![
            item("cluster", &[], replaced),
            item("namespace", &["cluster"], unknown()),
            item("object", &["namespace"], unknown()),
        ];
        let made = plan(items).unwrap();
        let actions: Vec<Action> = made.steps.iter().map(|step| step.action).collect();
        assert_eq!(actions, [Action::Replace, Action::Create, Action::Create]);
        assert_eq!(made.steps[2].expects, Observed::Absent.fingerprint());
    }

    #[test]
    fn what_cannot_be_read_for_another_reason_stops_the_plan() {
        let unknown = || Verdict::Unknown("no answer".into());
        let items = vec![
            item("cluster", &[], Verdict::Replace("it was cut off".into())),
            item("file", &[], unknown()),
        ];
        let Err(PlanError::Unknown(list)) = plan(items) else {
            panic!("a plan was made")
        };
        assert_eq!(list.len(), 1);
        assert!(
            plan(vec![
                item("cluster", &[], Verdict::Same),
                item("object", &["cluster"], unknown())
            ])
            .is_err()
        );
    }
}
