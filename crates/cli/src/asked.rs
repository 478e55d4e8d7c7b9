//! Which line of the site file, or which component, asks for a resource.

use std::collections::BTreeMap;

use openg2p_plan::{Owner, Resource};
use openg2p_spec::{Effective, Origin, Site};

/// Who writes the keys of the complete site file.
pub(crate) struct Askers<'a> {
    site: &'a Effective,
    /// Environments by their id: the file knows them by their name.
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Askers<'a> {
    /// Asks `effective`, the complete file of `site` with its origins.
    pub(crate) fn new(effective: &'a Effective, site: &'a Site) -> Self {
        let environments = site.environments.iter();
        Self {
            site: effective,
            names: environments
                .map(|(name, environment)| (environment.id.as_str(), name.as_str()))
                .collect(),
        }
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
            Owner::Environment(id) => {
                let name = self.names.get(id.as_str()).copied().unwrap_or(id);
                (
                    vec![
                        vec!["environments", name, "modules", part],
                        vec!["environments", name, "commons", part],
                    ],
                    vec!["environments", name],
                )
            }
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
