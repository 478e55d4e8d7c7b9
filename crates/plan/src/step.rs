//! One change of the world, as a plan holds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Estimate, Mark, Observed, Owner, ResourceId};

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

impl Verdict {
    /// What a step of this verdict does; none where there is no step.
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Create => Some(Action::Create),
            Self::Update(_) => Some(Action::Update),
            Self::Replace(_) => Some(Action::Replace),
            Self::Same | Self::Conflict(_) | Self::Unknown(_) => None,
        }
    }
}

/// One field that differs. Values of secrets never appear here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
    /// All of them, in the order in which people are told.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Replace, Self::Remove];

    /// The word people see.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }

    /// The sign in front of a line.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Replace => "±",
            Self::Remove => "-",
        }
    }
}

/// What a step may cost the people who depend on the site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nobody notices.
    #[default]
    Harmless,
    /// A process restarts.
    Restart,
    /// A service is away for a while.
    Downtime,
    /// Data is removed.
    Data,
}

impl Risk {
    /// The word people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Restart => "restart",
            Self::Downtime => "downtime",
            Self::Data => "data",
        }
    }
}

/// What a kind says of a change beyond the change itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weight {
    /// What it may cost.
    pub risk: Risk,
    /// Seconds that the kind guesses.
    pub guess: f64,
    /// What undoes it, in words.
    pub undo: String,
}

/// One change of the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Position in the plan, from 0.
    pub number: usize,
    /// Kind of the resource, the first part of its id.
    pub kind: String,
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
    /// What asks for it: a line of the site file with its key, or a component.
    pub asked_by: String,
    /// What differs.
    pub changes: Vec<FieldChange>,
    /// The state that the step expects. It refuses another one.
    pub before: Mark,
    /// The state that it leaves: the fingerprint is that of `desired`.
    pub after: Mark,
    /// The desired state that it leaves, in the kind's shape; for a removal, the state that was recorded.
    pub desired: Value,
    /// Numbers of the steps that must be done before.
    pub needs: Vec<usize>,
    /// Numbers of steps that come before, though this one is tried even if they failed.
    pub follows: Vec<usize>,
    /// Resources that this one needs (kept in the ledger so that removal knows the reverse order).
    pub resource_needs: Vec<ResourceId>,
    /// Possible cost.
    pub risk: Risk,
    /// Seconds that its kind guesses, before this machine has taught anything.
    pub guess: f64,
    /// What it will take on this machine.
    pub estimate: Estimate,
    /// What undoes it.
    pub undo: String,
}

impl Step {
    /// The mark of what a step expects to find.
    pub fn expectation(observed: &Observed) -> Mark {
        observed.mark()
    }
}
