//! Every function that a Helm template can call, by topic.

mod arguments;
mod builtins;
mod cases;
mod certificates;
mod comparison;
mod constraints;
mod crypto;
mod dates;
mod decimal;
mod defaults;
mod dicts;
mod duration;
mod encoding;
mod helm;
pub(crate) mod json;
mod keys;
mod layout;
mod lists;
mod merge;
pub(crate) mod numbers;
mod passwords;
mod paths;
mod pattern;
mod random;
mod reflection;
mod regex;
pub(crate) mod semver;
pub(crate) mod serialize;
mod strings;
pub(crate) mod time;
mod toml;
mod urls;
mod words;
mod wrap;

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::template::signature::Function;

/// Later groups hide earlier ones, as Helm's functions hide Sprig's and Sprig's hide Go's.
const GROUPS: &[&[Function]] = &[
    builtins::FUNCTIONS,
    strings::FUNCTIONS,
    cases::FUNCTIONS,
    wrap::FUNCTIONS,
    lists::FUNCTIONS,
    dicts::FUNCTIONS,
    defaults::FUNCTIONS,
    numbers::FUNCTIONS,
    encoding::FUNCTIONS,
    crypto::FUNCTIONS,
    passwords::FUNCTIONS,
    certificates::FUNCTIONS,
    random::FUNCTIONS,
    dates::FUNCTIONS,
    paths::FUNCTIONS,
    reflection::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    urls::FUNCTIONS,
    json::FUNCTIONS,
    helm::FUNCTIONS,
];

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    static TABLE: OnceLock<HashMap<&'static str, &'static Function>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        GROUPS
            .iter()
            .copied()
            .flatten()
            .map(|function| (function.name, function))
            .collect()
    });
    table.get(name).copied()
}

/// The names of all functions, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = GROUPS
        .iter()
        .copied()
        .flatten()
        .map(|function| function.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Go's `path.Clean`.
pub(crate) fn clean_path(path: &str) -> String {
    paths::clean(path)
}

/// Go's `path.Base`.
pub(crate) fn base_path(path: &str) -> String {
    paths::base(path)
}

pub(crate) use helm::{to_yaml, written_as_yaml};
