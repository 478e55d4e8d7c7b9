//! A mapping: little more than a list, because most mappings of a document are small and only read.

use std::sync::Arc;

use super::Yaml;

/// Entries in the order of their keys, each key once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table<S = Arc<str>>(Vec<(S, Yaml<S>)>);

impl<S> Table<S> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&S, &Yaml<S>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: AsRef<str>> Table<S> {
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml<S>> {
        let at = self
            .0
            .binary_search_by(|(known, _)| known.as_ref().cmp(key))
            .ok()?;
        self.0.get(at).map(|(_, value)| value)
    }
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Ord> From<Vec<(S, Yaml<S>)>> for Table<S> {
    /// From entries as they were written: of a key that is there twice, the last one counts.
    fn from(mut entries: Vec<(S, Yaml<S>)>) -> Self {
        settle(&mut entries);
        Self(entries)
    }
}

/// Puts written entries in order and drops those that later ones replace.
pub(super) fn settle<S: Ord>(entries: &mut Vec<(S, Yaml<S>)>) {
    // The sort keeps equal keys as they were written.
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    entries.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}
