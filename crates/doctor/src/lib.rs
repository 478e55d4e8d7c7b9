//! From symptoms to causes.
//!
//! What was seen of hosts, units, certificates, names, workloads and events ([`Facts`]) becomes a small graph: each trouble
//! points to the troubles that explain it. What nothing explains is a cause; everything that leads to it is its symptom. Pure: the
//! facts are gathered by `run`, through ports.

mod facts;
mod rules;
mod words;

pub use facts::{CertificateFact, ClusterFact, Drift, EventFact, Facts, NameFact, UnitFact, WorkloadFact};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// A command, for this program or for the host.
    pub command: String,
    /// What it does about the cause.
    pub why: String,
}

/// A cause with what it brings about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable code, e.g. `doctor::disk`.
    pub code: String,
    /// The cause in words.
    pub cause: String,
    /// Host or object.
    pub place: String,
    /// What it explains: each a way from a symptom to the cause, the symptom first.
    pub symptoms: Vec<Vec<String>>,
    /// What helps, best first.
    pub advice: Vec<Advice>,
    /// Steps of the present plan that mend it, as `create container-image/…`.
    pub steps: Vec<String>,
}

/// A trouble, and what explains it where that is a trouble too.
pub(crate) struct Trouble {
    pub(crate) code: &'static str,
    pub(crate) words: String,
    pub(crate) place: String,
    pub(crate) because: Vec<String>,
    pub(crate) advice: Vec<Advice>,
    pub(crate) steps: Vec<String>,
}

/// The way from a trouble to a cause, the trouble first; none when it only leads back to where it came from.
fn way<'a>(
    troubles: &'a BTreeMap<String, Trouble>,
    at: &'a String,
    seen: &mut BTreeSet<&'a String>,
) -> Option<Vec<&'a String>> {
    if !seen.insert(at) {
        return None;
    }
    let known = troubles.get(at)?.because.iter();
    let known: Vec<&'a String> = known
        .filter_map(|key| troubles.get_key_value(key).map(|(key, _)| key))
        .collect();
    if known.is_empty() {
        return Some(vec![at]);
    }
    let rest = known.into_iter().find_map(|next| way(troubles, next, seen))?;
    Some(std::iter::once(at).chain(rest).collect())
}

/// All causes, those that explain most first.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let troubles = rules::troubles(facts);
    let mut findings: BTreeMap<&String, Finding> = BTreeMap::new();
    for key in troubles.keys() {
        // troubles that only explain each other are told as they are
        let way = way(&troubles, key, &mut BTreeSet::new()).unwrap_or_else(|| vec![key]);
        let Some(trouble) = way.last().and_then(|last| troubles.get(*last)) else {
            continue;
        };
        let Some(cause) = way.last() else { continue };
        let finding = findings.entry(cause).or_insert_with(|| Finding {
            code: trouble.code.into(),
            cause: trouble.words.clone(),
            place: trouble.place.clone(),
            symptoms: Vec::new(),
            advice: trouble.advice.clone(),
            steps: trouble.steps.clone(),
        });
        if way.len() < 2 {
            continue;
        }
        let passed: Vec<&Trouble> = way
            .iter()
            .take(way.len() - 1)
            .filter_map(|key| troubles.get(*key))
            .collect();
        for step in passed.iter().flat_map(|trouble| &trouble.steps) {
            if !finding.steps.contains(step) {
                finding.steps.push(step.clone());
            }
        }
        let words = passed
            .iter()
            .map(|trouble| format!("{}: {}", trouble.place, trouble.words));
        finding.symptoms.push(words.collect());
    }
    let mut all: Vec<Finding> = findings.into_values().collect();
    all.sort_by_key(|finding| std::cmp::Reverse(finding.symptoms.len()));
    all
}
