//! Order that is good to have and fails nobody.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_plan::{Owner, Resource, ResourceId};

/// The edge serves a name when what answers behind it runs: visitors of a first installation would meet errors until then.
/// When the workload fails, the name is served all the same, and tells what is wrong better than no answer does.
pub(crate) fn edge_behind_workloads(resources: &mut [Resource]) {
    let mut workloads: BTreeMap<(Owner, String), BTreeSet<ResourceId>> = BTreeMap::new();
    for resource in resources.iter() {
        let kind = &resource.desired["manifest"]["kind"];
        if kind == "Deployment" || kind == "StatefulSet" {
            workloads
                .entry((resource.owner.clone(), resource.part.clone()))
                .or_default()
                .insert(resource.id.clone());
        }
    }
    for resource in resources
        .iter_mut()
        .filter(|resource| resource.id.kind() == "nginx-site")
    {
        let key = (resource.owner.clone(), resource.part.clone());
        if let Some(own) = workloads.get(&key) {
            resource.follows.extend(own.iter().cloned());
        }
    }
}
