//! One managed thing of one kind.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Fingerprint;

/// `<kind>/<name>`, unique within a site; for example `host-file/box1:/etc/openg2p/kubeadm.yaml` or
/// `kubernetes-object/dev/Deployment.apps/spar-mapper`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// The id of the thing `name` of kind `kind`.
    pub fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}/{name}"))
    }

    /// The kind, the part before the first slash.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(kind, _)| kind)
    }

    /// The name, the part behind the first slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Who holds a resource. Removal of an owner removes what the ledger records as created by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The site itself: hosts, cluster, edge.
    Site,
    /// One environment, by its name.
    Environment(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => formatter.write_str("site"),
            Self::Environment(name) => write!(formatter, "environment {name}"),
        }
    }
}

/// What a resource should be, in the shape of its kind. Never holds a secret.
pub type Desired = Value;

/// One managed thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its identity.
    pub id: ResourceId,
    /// Who holds it.
    pub owner: Owner,
    /// What it should be.
    pub desired: Desired,
    /// What must hold before it is changed. Removal goes the other way round.
    pub needs: BTreeSet<ResourceId>,
    /// Why the site has it, for `explain`.
    pub why: String,
    /// Which component or part of the site it belongs to; groups the printed plan.
    pub part: String,
}

impl Resource {
    /// The fingerprint of the desired state.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.desired)
    }
}

/// What was seen of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// It is not there.
    Absent,
    /// It is there, in the kind's own comparable shape.
    Present(Value),
    /// It could not be read; the reason is for people.
    Unknown(String),
}

impl Observed {
    /// The fingerprint of what was seen.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&serde_json::to_value(self).unwrap_or(Value::Null))
    }
}
