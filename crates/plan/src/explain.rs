//! Why a resource is there: who asks for it, what it needs, who needs it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use crate::{Owner, Resource, ResourceId};

/// Why a resource is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The resource.
    pub resource: ResourceId,
    /// Who holds it.
    pub owner: Owner,
    /// Component or part of the site.
    pub part: String,
    /// What it is for.
    pub why: String,
    /// What asks for it.
    pub asked_by: String,
    /// What must hold before it is changed.
    pub needs: Vec<ResourceId>,
    /// What comes before it where possible.
    pub follows: Vec<ResourceId>,
    /// What needs it directly.
    pub needed_by: Vec<ResourceId>,
    /// How many resources would fail without it, those that need it through others included.
    pub needed_by_in_all: usize,
    /// The shortest way from it to something that nothing else needs: what it is there for in the end. Starts with the
    /// resource itself.
    pub leads_to: Vec<ResourceId>,
}

/// Explains one of `resources`; none when there is no such id.
pub fn explain(resources: &[Resource], id: &ResourceId) -> Option<Explanation> {
    let resource = resources.iter().find(|resource| &resource.id == id)?;
    let mut dependants: BTreeMap<&ResourceId, BTreeSet<&ResourceId>> = BTreeMap::new();
    for other in resources {
        for need in &other.needs {
            dependants.entry(need).or_default().insert(&other.id);
        }
    }
    let mut before: BTreeMap<&ResourceId, &ResourceId> = BTreeMap::new();
    let mut queue = VecDeque::from([&resource.id]);
    let mut end = None;
    while let Some(at) = queue.pop_front() {
        let next = dependants.get(at);
        if next.is_none() && end.is_none() {
            end = Some(at);
        }
        for other in next.into_iter().flatten() {
            if *other != &resource.id && !before.contains_key(other) {
                before.insert(other, at);
                queue.push_back(other);
            }
        }
    }
    let mut leads_to = Vec::new();
    let mut at = end;
    while let Some(id) = at {
        leads_to.push(id.clone());
        at = before.get(id).copied();
    }
    leads_to.reverse();
    Some(Explanation {
        resource: resource.id.clone(),
        owner: resource.owner.clone(),
        part: resource.part.clone(),
        why: resource.why.clone(),
        asked_by: resource.asked_by.clone(),
        needs: resource.needs.iter().cloned().collect(),
        follows: resource.follows.iter().cloned().collect(),
        needed_by: dependants
            .get(&resource.id)
            .into_iter()
            .flatten()
            .map(|id| (*id).clone())
            .collect(),
        needed_by_in_all: before.len(),
        leads_to,
    })
}

/// The one resource that a person means by `text`: its id, or a part of it that no other has. Otherwise all that might be
/// meant.
pub fn meant<'a>(
    ids: impl IntoIterator<Item = &'a ResourceId>,
    text: &str,
) -> Result<&'a ResourceId, Vec<&'a ResourceId>> {
    let ids: Vec<&ResourceId> = ids.into_iter().collect();
    if let Some(id) = ids.iter().find(|id| id.as_str() == text) {
        return Ok(id);
    }
    let found: Vec<&ResourceId> = ids
        .iter()
        .filter(|id| id.as_str().contains(text))
        .copied()
        .collect();
    // `/etc/openg2p` is a part of many paths and the whole end of one
    let ends: Vec<&ResourceId> = found
        .iter()
        .filter(|id| {
            let rest = id.as_str().strip_suffix(text).unwrap_or("x");
            rest.ends_with(['/', ':'])
        })
        .copied()
        .collect();
    match (found.as_slice(), ends.as_slice()) {
        ([one], _) | (_, [one]) => Ok(one),
        _ => Err(found),
    }
}
