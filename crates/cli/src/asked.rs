//! Which line of the site file, or which component, asks for a resource.

use std::collections::BTreeMap;

use openg2p_plan::{Owner, Resource};
use openg2p_spec::{Effective, Origin};

/// Keys of the complete site file with where they come from, in the order of the file.
pub(crate) struct Askers {
    keys: Vec<(String, String)>,
}

impl Askers {
    /// Reads the origins of all values.
    pub(crate) fn new(effective: &Effective) -> Self {
        let keys = effective.values().into_iter().filter_map(|value| {
            let place = match &value.from {
                Origin::BuiltIn => return None,
                written => written.to_string(),
            };
            Some((value.path, place))
        });
        Self { keys: keys.collect() }
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
        let (own, wider) = match owner {
            Owner::Environment(name) => (
                vec![
                    format!("environments.{name}.modules.{part}"),
                    format!("environments.{name}.commons.{part}"),
                ],
                format!("environments.{name}"),
            ),
            Owner::Site => (
                vec![part.to_owned(), format!("platform.{part}")],
                "nodes".to_owned(),
            ),
        };
        if let Some(found) = own.iter().find_map(|key| self.line(key)) {
            return found;
        }
        match self.line(&wider) {
            Some(line) => format!("component {part}, for {line}"),
            None => format!("component {part}"),
        }
    }

    /// Where `key`, or the first value below it, is written.
    fn line(&self, key: &str) -> Option<String> {
        let below = |path: &str| {
            let rest = path.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some(())
        };
        let (_, place) = self.keys.iter().find(|(path, _)| below(path).is_some())?;
        Some(format!("{place} ({key})"))
    }
}
