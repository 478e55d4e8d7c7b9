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

/// All of them by their names; of those with the same name, the one that hides the others is the last. They are sorted when the program
/// is built: most renderings look up less than a table of them would cost.
static SORTED: [&Function; COUNT] = sorted();

const COUNT: usize = {
    let (mut count, mut group) = (0, 0);
    while group < GROUPS.len() {
        count += GROUPS[group].len();
        group += 1;
    }
    count
};

const fn sorted() -> [&'static Function; COUNT] {
    let mut sorted = [&GROUPS[0][0]; COUNT];
    let (mut count, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut member = 0;
        while member < GROUPS[group].len() {
            let function = &GROUPS[group][member];
            let mut at = count;
            while at > 0 && is_before(function.name.as_bytes(), sorted[at - 1].name.as_bytes()) {
                sorted[at] = sorted[at - 1];
                at -= 1;
            }
            sorted[at] = function;
            count += 1;
            member += 1;
        }
        group += 1;
    }
    sorted
}

const fn is_before(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] < right[at];
        }
        at += 1;
    }
    left.len() < right.len()
}

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let behind = SORTED.partition_point(|function| function.name <= name);
    let last = SORTED[..behind].last()?;
    (last.name == name).then_some(last)
}

/// The names of all functions, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = SORTED.iter().map(|function| function.name).collect();
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
