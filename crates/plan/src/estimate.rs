//! How long a step takes: a kind's guess, corrected by what earlier runs on this machine took.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, Plan, ResourceId, Step};

/// How many durations of one resource are kept; the newest say most about the machine as it is.
const KEPT: usize = 8;
/// How many ratios of one sort of step are kept.
const KEPT_OF_SORT: usize = 64;
/// How many resources are remembered at most; beyond, the sorts go on learning.
const RESOURCES: usize = 50_000;
/// A guess that was never tried may be off by this factor.
const UNTRIED: f64 = 3.0;

/// Expected seconds with a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// What is expected.
    pub seconds: f64,
    /// Hardly less than this.
    pub low: f64,
    /// Hardly more than this.
    pub high: f64,
    /// On how many earlier steps of this machine it rests; 0 for a guess.
    pub learned_from: u32,
}

impl Estimate {
    /// A guess of `seconds` that nothing has confirmed.
    pub fn guess(seconds: f64) -> Self {
        Self {
            seconds,
            low: seconds / UNTRIED,
            high: seconds * UNTRIED,
            learned_from: 0,
        }
    }
}

/// How long steps took on this machine. The engine keeps it beside the ledger; losing it costs nothing but good estimates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Experience {
    /// Seconds of the last steps, by action and resource.
    resources: BTreeMap<String, Vec<f64>>,
    /// Seconds divided by the kind's guess, by action, kind and magnitude of the guess.
    sorts: BTreeMap<String, Vec<f64>>,
}

fn of_resource(action: Action, resource: &ResourceId) -> String {
    format!("{} {resource}", action.verb())
}

/// Steps of one kind whose guesses are of the same magnitude are of a sort: a Deployment takes longer than a ConfigMap.
fn of_sort(action: Action, resource: &ResourceId, guess: f64) -> String {
    let magnitude = match guess {
        guess if guess < 1.0 => "moment",
        guess if guess < 10.0 => "seconds",
        _ => "long",
    };
    format!("{} {} {magnitude}", action.verb(), resource.kind())
}

fn remember(list: &mut Vec<f64>, value: f64, most: usize) {
    list.push(value);
    if list.len() > most {
        list.remove(0);
    }
}

/// Lowest, middle and highest of the middle four fifths.
fn spread(list: &[f64]) -> (f64, f64, f64) {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let end = sorted.len().saturating_sub(1);
    let cut = sorted.len() / 10;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (at(cut), at(end / 2), at(end - cut))
}

impl Experience {
    /// Learns that `step`, guessed at `guess` seconds by its kind, took `seconds`.
    pub fn learn(&mut self, step: &Step, guess: f64, seconds: f64) {
        if !seconds.is_finite() || seconds < 0.0 {
            return;
        }
        let key = of_resource(step.action, &step.resource);
        if self.resources.len() < RESOURCES || self.resources.contains_key(&key) {
            remember(self.resources.entry(key).or_default(), seconds, KEPT);
        }
        if guess > 0.0 {
            let key = of_sort(step.action, &step.resource, guess);
            remember(self.sorts.entry(key).or_default(), seconds / guess, KEPT_OF_SORT);
        }
    }

    /// What a step on `resource`, guessed at `guess` seconds by its kind, will take.
    pub fn estimate(&self, action: Action, resource: &ResourceId, guess: f64) -> Estimate {
        let count = |list: &[f64]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        if let Some(list) = self.resources.get(&of_resource(action, resource)) {
            let (low, middle, high) = spread(list);
            // a single run says little about the range
            let slack = if list.len() < 3 { 1.5 } else { 1.1 };
            return Estimate {
                seconds: middle,
                low: low / slack,
                high: high * slack,
                learned_from: count(list),
            };
        }
        match self.sorts.get(&of_sort(action, resource, guess)) {
            Some(ratios) => {
                let (low, middle, high) = spread(ratios);
                Estimate {
                    seconds: guess * middle,
                    low: guess * low / 1.5,
                    high: guess * high * 1.5,
                    learned_from: count(ratios),
                }
            }
            None => Estimate::guess(guess),
        }
    }
}

impl Plan {
    /// Puts what this machine has taught in the place of the kinds' guesses.
    pub fn estimate_with(&mut self, experience: &Experience) {
        for step in &mut self.steps {
            step.estimate = experience.estimate(step.action, &step.resource, step.guess);
        }
    }

    /// How long the plan takes at least: the longest chain of needs, with the range of its estimates.
    pub fn time(&self) -> Estimate {
        let chain = |of: fn(&Estimate) -> f64| {
            let mut finish = vec![0.0_f64; self.steps.len()];
            for (index, step) in self.steps.iter().enumerate() {
                let before = step.needs.iter().chain(&step.follows);
                let start = before
                    .filter_map(|need| finish.get(*need))
                    .copied()
                    .fold(0.0, f64::max);
                finish[index] = start + of(&step.estimate);
            }
            finish.into_iter().fold(0.0, f64::max)
        };
        Estimate {
            seconds: chain(|estimate| estimate.seconds),
            low: chain(|estimate| estimate.low),
            high: chain(|estimate| estimate.high),
            learned_from: self
                .steps
                .iter()
                .map(|step| step.estimate.learned_from)
                .min()
                .unwrap_or(0),
        }
    }

    /// Sum of the steps' estimates along the longest chain of needs, in seconds.
    pub fn critical_path(&self) -> f64 {
        self.time().seconds
    }
}
