//! Which differences from the lock file are accepted.

use std::collections::BTreeSet;

use crate::{
    error::BundleError,
    lock::{Entry, Lock, Moved},
    recipe::{Recipe, Recipes},
    sources,
};

/// The word for everything.
const ALL: &str = "all";

/// What to do when a source gives something else than the lock file says: refuse it, naming each member that moved,
/// unless one of these words covers it. A word is `all`, the name of a source, or the name of a member (`nginx` or
/// `debian-package/nginx`); where a member is named like a source, the source is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    words: BTreeSet<String>,
}

impl Moves {
    /// Nothing that moved is accepted.
    pub fn refuse() -> Self {
        Self::default()
    }

    /// Everything that moved is accepted.
    pub fn all() -> Self {
        Self::only([ALL])
    }

    /// What these words cover is accepted.
    pub fn only(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether a move of the member `id` (`kind/name`) at this source is accepted.
    pub fn accepts(&self, source: &str, id: &str) -> bool {
        let name = id.split_once('/').map_or(id, |(_, name)| name);
        self.words.iter().any(|word| {
            if word == ALL || is_source(word) {
                word == ALL || word == source
            } else {
                word == id || word == name
            }
        })
    }

    /// The moves that are not accepted.
    pub(crate) fn refused(&self, moved: &[Moved]) -> Vec<Moved> {
        moved
            .iter()
            .filter(|one| !self.accepts(&one.source, &one.member))
            .cloned()
            .collect()
    }

    /// A word that names nothing is an error: it would otherwise accept less than its writer thinks.
    pub(crate) fn check(&self, recipes: &Recipes, lock: &Lock) -> Result<(), BundleError> {
        let mut ids: BTreeSet<String> = recipes.members.iter().map(Recipe::id).collect();
        ids.extend(lock.entries().map(Entry::id));
        for word in &self.words {
            let known = word == ALL
                || is_source(word)
                || ids.contains(word)
                || ids
                    .iter()
                    .any(|id| id.split_once('/').is_some_and(|(_, name)| name == word));
            if !known {
                let sources: Vec<_> = sources::all().iter().map(|source| source.name()).collect();
                return Err(BundleError::UnknownScope {
                    word: word.clone(),
                    sources: sources.join(", "),
                });
            }
        }
        Ok(())
    }
}

fn is_source(word: &str) -> bool {
    sources::all().iter().any(|source| source.name() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_covers_its_source_or_its_member_and_nothing_else() {
        let cases = [
            (vec!["all"], "oci", "image/etcd", true),
            (vec!["debian"], "debian", "debian-package/nginx", true),
            (vec!["debian"], "oci", "image/etcd", false),
            (vec!["etcd"], "oci", "image/etcd", true),
            (vec!["etcd"], "build", "image/etcd", true),
            (vec!["image/etcd"], "oci", "image/etcd", true),
            (vec!["binary/etcd"], "oci", "image/etcd", false),
            (vec!["debian", "spar"], "build", "chart/spar", true),
            // A member named like a source does not widen it.
            (vec!["build"], "debian", "debian-package/build", false),
            (vec![], "build", "chart/spar", false),
        ];
        for (words, source, id, is) in cases {
            assert_eq!(
                Moves::only(words.clone()).accepts(source, id),
                is,
                "{words:?} {id}"
            );
        }
    }
}
