//! One managed thing of one kind.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Fingerprint;

/// `<kind>/<name>`, unique within a site; for example `host-file/box1:/etc/openg2p/kubeadm.yaml` or
/// `kubernetes-object/dev/Deployment.apps/spar-mapper`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The site itself: hosts, cluster, edge.
    Site,
    /// One environment, by its name.
    Environment(String),
}

impl Owner {
    /// The environment's id, where it is one.
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Site => None,
            Self::Environment(id) => Some(id),
        }
    }
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
    /// What should come before it where no need says otherwise. It is tried even if that failed.
    #[serde(default)]
    pub follows: BTreeSet<ResourceId>,
    /// Why the site has it, for `explain`.
    pub why: String,
    /// What asks for it: a line of the site file with its key, or a component. Empty where that is not known.
    #[serde(default)]
    pub asked_by: String,
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
    /// It is there, in the kind's own comparable shape. A key `why` at its top is for people: it does not count in the
    /// fingerprint, because the words of an error differ from one look to the next.
    Present(Value),
    /// It could not be read; the reason is for people.
    Unknown(String),
}

impl Observed {
    /// The fingerprint of what was seen.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Absent => Fingerprint::of_bytes(b"\"absent\""),
            Self::Present(Value::Object(map)) if map.contains_key("why") => {
                let mut counted = map.clone();
                counted.remove("why");
                Fingerprint::of_member("present", &Value::Object(counted))
            }
            Self::Present(value) => Fingerprint::of_member("present", value),
            Self::Unknown(why) => Fingerprint::of_member("unknown", &Value::String(why.clone())),
        }
    }

    /// What a plan keeps of it.
    pub fn mark(&self) -> Mark {
        Mark {
            is: match self {
                Self::Absent => Presence::Absent,
                Self::Present(_) => Presence::Present,
                Self::Unknown(_) => Presence::Unread,
            },
            fingerprint: self.fingerprint(),
        }
    }
}

/// Whether a thing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It could not be read.
    Unread,
}

impl Presence {
    /// The word people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Present => "present",
            Self::Unread => "unread",
        }
    }
}

/// A state as a plan keeps it: enough to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Whether the thing is there.
    pub is: Presence,
    /// Of all that was seen of it, in the comparable shape of its kind.
    pub fingerprint: Fingerprint,
}

impl Mark {
    /// The mark of a desired state.
    pub fn of_desired(desired: &Desired) -> Self {
        Self {
            is: Presence::Present,
            fingerprint: Fingerprint::of(desired),
        }
    }

    /// `absent`, or `present, state 0a1b2c3d4e5f`.
    pub fn words(&self) -> String {
        match self.is {
            Presence::Present => format!("present, state {}", self.fingerprint.short()),
            other => other.word().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_observation_has_the_fingerprint_of_its_json() {
        for seen in [
            Observed::Absent,
            Observed::Present(json!({"b": 1, "a": "x"})),
            Observed::Unknown("no \"answer\"".into()),
        ] {
            let json = serde_json::to_value(&seen).unwrap();
            assert_eq!(seen.fingerprint(), Fingerprint::of(&json));
        }
        let seen = |why: &str| Observed::Present(json!({"is": 1, "why": why})).fingerprint();
        assert_eq!(seen("refused"), seen("timed out"));
    }
}
