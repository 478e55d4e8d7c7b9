//! Which line of the site file, or which component, asks for a resource.

use std::collections::BTreeMap;

use openg2p_plan::{Owner, Resource};
use openg2p_spec::{Effective, Origin};

/// Who writes the keys of the complete site file.
pub(crate) struct Askers<'a> {
    site: &'a Effective,
}

impl<'a> Askers<'a> {
    /// Asks `site`, the complete site file with its origins.
    pub(crate) fn new(site: &'a Effective) -> Self {
        Self { site }
    }

    /// Says for each resource what asks for it.
    pub(crate) fn fill(&self, resources: &mut [Resource]) {
        let mut known: BTreeMap<(Owner, String), String> = BTreeMap::new();
        for resource in resources {
            let key = (resource.owner.clone(), resource.part.clone());
            let asked = known
                .entry(key)
                .or_insert_with(|| self.asked_by(&resource.owner, &resource.part));
            resource.asked_by.clone_from(asked);
        }
    }

    fn asked_by(&self, owner: &Owner, part: &str) -> String {
        let (own, wider): (Vec<Vec<&str>>, Vec<&str>) = match owner {
            Owner::Environment(name) => (
                vec![
                    vec!["environments", name, "modules", part],
                    vec!["environments", name, "commons", part],
                ],
                vec!["environments", name],
            ),
            Owner::Site => (vec![vec![part], vec!["platform", part]], vec!["nodes"]),
        };
        if let Some(found) = own.iter().find_map(|key| self.line(key)) {
            return found;
        }
        match self.line(&wider) {
            Some(line) => format!("component {part}, for {line}"),
            None => format!("component {part}"),
        }
    }

    /// Where `key` is written.
    fn line(&self, key: &[&str]) -> Option<String> {
        match self.site.key(key)? {
            Origin::BuiltIn => None,
            written => Some(format!("{written} ({})", key.join("."))),
        }
    }
}
