//! The plan: the complete ordered list of steps.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Fingerprint, Observed, Owner, ResourceId};

/// What a kind says of one resource after comparing desired and observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing to do.
    Same,
    /// It is not there and will be made.
    Create,
    /// It is there and will be changed in place.
    Update(Vec<FieldChange>),
    /// It cannot be changed in place: it is removed and made again.
    Replace(String),
    /// It is there, but not ours, or changed in a way that we must not overwrite.
    Conflict(String),
    /// It could not be read.
    Unknown(String),
}

/// One field that differs. Values of secrets never appear here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// JSON-path-like, e.g. `spec.replicas`.
    pub path: String,
    /// What it is, shortened for people; absent when it was not set.
    pub from: Option<String>,
    /// What it will be; absent when it will be unset.
    pub to: Option<String>,
}

impl FieldChange {
    /// A change from `from` to `to` at `path`.
    pub fn new(path: &str, from: Option<&str>, to: Option<&str>) -> Self {
        Self {
            path: path.into(),
            from: from.map(Into::into),
            to: to.map(Into::into),
        }
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Remove and make again.
    Replace,
    /// Remove it.
    Remove,
}

impl Action {
    /// The word people see.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }
}

/// What a step may cost the people who depend on the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nobody notices.
    Harmless,
    /// A process restarts.
    Restart,
    /// A service is away for a while.
    Downtime,
    /// Data is removed.
    Data,
}

/// One change of the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Position in the plan, from 0.
    pub number: usize,
    /// What is changed.
    pub resource: ResourceId,
    /// Who holds it.
    pub owner: Owner,
    /// Component or part of the site.
    pub part: String,
    /// What is done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// What differs.
    pub changes: Vec<FieldChange>,
    /// The state that the step expects.
    pub expects: Fingerprint,
    /// The desired state that it leaves, in the kind's shape; for a removal, the state that was recorded.
    pub desired: Value,
    /// Numbers of the steps that must be done before.
    pub needs: Vec<usize>,
    /// Resources that this one needs (kept in the ledger so that removal knows the reverse order).
    pub resource_needs: Vec<ResourceId>,
    /// Possible cost.
    pub risk: Risk,
    /// Expected seconds.
    pub estimate: f64,
}

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// SHA-256 of the resolved site.
    pub site: Fingerprint,
    /// SHA-256 of the bundle's index.
    pub bundle: String,
    /// The ledger's generation.
    pub ledger_generation: u64,
    /// Version of the program.
    pub engine: String,
}

/// The complete ordered list of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Always `openg2p.org/plan/v1`.
    pub api_version: String,
    /// The site's name.
    pub site: String,
    /// What it was made from.
    pub inputs: Inputs,
    /// In an order that respects every need.
    pub steps: Vec<Step>,
    /// How many resources are as they should be.
    pub unchanged: usize,
    /// What a person should know first.
    pub warnings: Vec<String>,
}

/// One thing that moved between a saved plan and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// What moved: a resource id or an input's name.
    pub what: String,
    /// As it was planned.
    pub planned: String,
    /// As it is now.
    pub now: String,
}

impl Plan {
    /// The format that this program writes and reads.
    pub const API_VERSION: &'static str = "openg2p.org/plan/v1";

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Sum of the steps' estimates along the longest chain of needs, in seconds.
    pub fn critical_path(&self) -> f64 {
        let mut finish = vec![0.0_f64; self.steps.len()];
        for (index, step) in self.steps.iter().enumerate() {
            let start = step
                .needs
                .iter()
                .filter_map(|need| finish.get(*need))
                .copied()
                .fold(0.0, f64::max);
            finish[index] = start + step.estimate;
        }
        finish.into_iter().fold(0.0, f64::max)
    }

    /// Everything that differs between this saved plan and `now`, the plan made afresh; empty when the saved
    /// plan still holds.
    pub fn moved(&self, now: &Plan) -> Vec<Moved> {
        let mut moved = Vec::new();
        let mut input = |what: &str, planned: &str, current: &str| {
            if planned != current {
                moved.push(Moved {
                    what: what.into(),
                    planned: planned.into(),
                    now: current.into(),
                });
            }
        };
        input("site name", &self.site, &now.site);
        input("site file", self.inputs.site.short(), now.inputs.site.short());
        input("bundle", &self.inputs.bundle, &now.inputs.bundle);
        input("openg2p version", &self.inputs.engine, &now.inputs.engine);
        input(
            "ledger generation",
            &self.inputs.ledger_generation.to_string(),
            &now.inputs.ledger_generation.to_string(),
        );
        let describe = |step: Option<&Step>| match step {
            Some(step) => format!("{} from state {}", step.action.verb(), step.expects.short()),
            None => "nothing to do".to_owned(),
        };
        let mut names: Vec<&ResourceId> = self
            .steps
            .iter()
            .chain(&now.steps)
            .map(|step| &step.resource)
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            let find = |plan: &'_ Plan| plan.steps.iter().find(|step| &step.resource == name).cloned();
            let (planned, current) = (find(self), find(now));
            let same = match (&planned, &current) {
                (Some(planned), Some(current)) => {
                    planned.action == current.action
                        && planned.expects == current.expects
                        && planned.desired == current.desired
                }
                _ => false,
            };
            if !same {
                moved.push(Moved {
                    what: name.to_string(),
                    planned: describe(planned.as_ref()),
                    now: describe(current.as_ref()),
                });
            }
        }
        moved
    }
}

impl Verdict {
    /// The fingerprint that a step made from this verdict expects to find.
    pub fn expectation(observed: &Observed) -> Fingerprint {
        observed.fingerprint()
    }
}
