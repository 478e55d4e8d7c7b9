//! What was seen.

use openg2p_ports::{HostFacts, UnitState};
use serde::{Deserialize, Serialize};

/// A unit that should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFact {
    /// e.g. `containerd.service`.
    pub unit: String,
    /// As systemd tells it.
    pub state: UnitState,
}

/// A certificate on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFact {
    /// Its file.
    pub path: String,
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
}

/// A host name of the site as the lead node resolves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFact {
    /// The name.
    pub name: String,
    /// The edge's address, to which it should lead.
    pub wanted: String,
    /// Addresses found; none when there is no such name.
    pub found: Vec<String>,
}

/// The Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterFact {
    /// There is none on this machine.
    #[default]
    Absent,
    /// It answers.
    Answers,
    /// It does not; why.
    Silent(String),
}

/// A workload that is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFact {
    /// The environment's namespace, or the platform's.
    pub namespace: String,
    /// e.g. `Deployment dev/spar-mapper`.
    pub object: String,
    /// What it waits for or why it is stuck, with its last log lines.
    pub why: String,
}

/// A warning of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFact {
    /// e.g. `Pod dev/spar-mapper-0`.
    pub object: String,
    /// e.g. `FailedScheduling`.
    pub reason: String,
    /// The message.
    pub message: String,
}

/// A resource that the present plan would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Its id.
    pub resource: String,
    /// `create container-image/…`; a conflict says `refused …`.
    pub step: String,
    /// What differs.
    pub why: String,
}

/// All that was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The lead node's name.
    pub node: String,
    /// What the machine is like.
    pub host: HostFacts,
    /// The operator's clock, seconds since 1970.
    pub clock: i64,
    /// Units that should run.
    pub units: Vec<UnitFact>,
    /// Certificates.
    pub certificates: Vec<CertificateFact>,
    /// Host names.
    pub names: Vec<NameFact>,
    /// The Kubernetes API.
    pub cluster: ClusterFact,
    /// Workloads that are not ready, CoreDNS among them.
    pub workloads: Vec<WorkloadFact>,
    /// Warnings of the cluster.
    pub events: Vec<EventFact>,
    /// What the present plan would change.
    pub drift: Vec<Drift>,
    /// What could not be looked at.
    pub unread: Vec<String>,
}
