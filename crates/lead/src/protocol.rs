//! What the operator's program and the agent say to each other. Both are the same program of the same version: the agent's file
//! bears its digest in its name.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::{Inputs, Moved, Plan, Resource, ResourceId};
use openg2p_ports::HostFacts;
pub use openg2p_run::Workload;
use openg2p_run::{Event, Failure, PartStatus, Selection};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// From the operator.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Request {
    /// Are you there?
    Greet,
    /// Who are you?
    Hello,
    /// Could this host take the site? Looks only.
    Check(Demand),
    /// Which blobs of this index are missing?
    OfferBundle {
        /// The text of `bundle.json`.
        index: String,
    },
    /// A blob follows in data frames.
    Blob {
        /// Its SHA-256.
        sha256: String,
        /// Its length in bytes.
        size: u64,
    },
    /// All blobs were sent: use the offered bundle from now on.
    CommitBundle,
    /// What would be done?
    Plan {
        /// The site's name.
        site: String,
        /// The node's name.
        node: String,
        /// What should be.
        resources: Vec<Resource>,
        /// What the plan is made from; the ledger's generation is filled in here.
        inputs: Inputs,
    },
    /// What would a removal do?
    PlanRemoval {
        /// The node's name.
        node: String,
        /// What.
        selection: Selection,
        /// What each component of the catalogue needs, so that nothing is removed under one that stays.
        needs: BTreeMap<String, BTreeSet<String>>,
        /// What the plan is made from.
        inputs: Inputs,
    },
    /// Does this saved plan still hold? Looks only; the run itself looks again.
    Holds {
        /// The node's name.
        node: String,
        /// The plan.
        plan: Box<Plan>,
    },
    /// Nothing is to be done: make good what a run left that was cut off behind its last step.
    Settle {
        /// The node's name.
        node: String,
    },
    /// Run this.
    Start(Job),
    /// Which runs does this host remember?
    Runs,
    /// What must be known of a run before its events?
    Describe {
        /// Its id; none for the current or last one.
        run: Option<String>,
    },
    /// Send the events of a run.
    Attach {
        /// Its id.
        run: String,
        /// First sequence number wanted.
        from: u64,
    },
    /// Stop a run after the steps that have begun.
    Stop {
        /// Its id.
        run: String,
    },
    /// How does each part stand?
    Status {
        /// The node's name.
        node: String,
        /// What should be.
        resources: Vec<Resource>,
    },
    /// What ails the site? Looks only.
    Examine {
        /// The node's name.
        node: String,
        /// What should be.
        resources: Vec<Resource>,
        /// The address to which the site's host names should lead.
        edge: String,
        /// The operator's clock, seconds since 1970.
        clock: i64,
    },
    /// The authority's certificate.
    Authority,
    /// The ledger, to be kept.
    Ledger,
    /// Put a kept ledger back. Refused while this host can read its own.
    PutBack(KeptLedger),
    /// Remove the engine's own files. Refused while the ledger holds anything.
    Forget,
}

/// A ledger as a person keeps it, see [`openg2p_run::saved`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptLedger {
    /// Its bytes in base64.
    packed: String,
}

impl KeptLedger {
    /// Of the bytes of a file.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            packed: STANDARD.encode(bytes),
        }
    }

    /// The bytes of a file; none when they were damaged on the way.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.packed).ok()
    }
}

/// What a site asks of a host before anything is done there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    /// The site's name.
    pub site: String,
    /// The text of `bundle.json`: which blobs, images and packages are to come, and for which Debian release.
    pub index: String,
    /// The operator's clock, seconds since 1970.
    pub clock: i64,
    /// TCP ports that must be free.
    pub ports: Vec<Port>,
    /// Debian packages that the site wants for themselves: name and version.
    pub packages: Vec<(String, String)>,
    /// SHA-256 of the manifests of the images that the site runs.
    pub images: Vec<String>,
}

/// A TCP port that a resource of the site listens on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// What for.
    pub purpose: String,
    /// The resource that takes it; while the ledger holds it, the port is ours.
    pub holder: ResourceId,
}

/// What a run does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The site's name.
    pub site: String,
    /// The node's name.
    pub node: String,
    /// What.
    pub work: Work,
}

/// The work of a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Work {
    /// Perform a plan.
    Perform {
        /// `apply` or `destroy`.
        command: String,
        /// The plan.
        plan: Box<Plan>,
        /// What belongs to a removal only.
        #[serde(default)]
        removal: Option<Removal>,
    },
    /// Prove that an environment pays.
    Verify {
        /// The environment's id, which is its namespace.
        environment: String,
        /// What its host names end in, e.g. `dev.g2p.example.org`.
        domain: String,
        /// The edge's address.
        edge: std::net::IpAddr,
        /// How many beneficiaries.
        beneficiaries: u32,
        /// Seconds until a payment must be back.
        deadline: u64,
    },
}

/// What a run must know of a removal besides its plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// What is removed, for the report.
    pub selection: Selection,
    /// Whether its databases are dumped before anything is removed.
    pub dump: bool,
}

/// What a run with dumps gives as an [`openg2p_run::EventKind::Result`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dumps {
    /// One for each database.
    pub dumps: Vec<openg2p_run::dump::Dumped>,
}

/// From the agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Reply {
    /// The host.
    Hello {
        /// What the machine is like.
        facts: HostFacts,
        /// The site that it belongs to, empty for none.
        site: String,
        /// Digest of the bundle that lies there.
        bundle: Option<String>,
    },
    /// Everything that stands in the way, and what a person should know.
    Checked {
        /// What stands in the way.
        failures: Vec<Failure>,
        /// What a person should know.
        warnings: Vec<String>,
    },
    /// These blobs are missing.
    Wanted {
        /// Their SHA-256.
        blobs: Vec<String>,
    },
    /// Done.
    Done,
    /// The plan.
    Planned(Box<Plan>),
    /// What moved since a saved plan was made; empty when it holds.
    Moved {
        /// Each thing.
        moved: Vec<Moved>,
    },
    /// The run's id.
    Started {
        /// Its id.
        run: String,
    },
    /// Runs, oldest first.
    Runs {
        /// One per run.
        runs: Vec<RunSummary>,
    },
    /// A run.
    Run(Run),
    /// Something happened in the run.
    Event(Event),
    /// No more events.
    Closed,
    /// How each part stands.
    Status {
        /// One per owner and part.
        parts: Vec<PartStatus>,
        /// One per workload.
        workloads: Vec<Workload>,
    },
    /// Causes, those that explain most first, and what could not be looked at.
    Examined {
        /// The causes.
        findings: Vec<openg2p_doctor::Finding>,
        /// What could not be looked at.
        unread: Vec<String>,
    },
    /// A text.
    Text(String),
    /// The ledger.
    Ledger(KeptLedger),
    /// It failed.
    Failed(Failure),
    /// It is refused: nothing was changed.
    Refused {
        /// All reasons.
        failures: Vec<Failure>,
    },
}

/// One line of a list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Its id.
    pub id: String,
    /// `apply`, `destroy`, `verify dev`.
    pub command: String,
    /// `running`, `done`, `failed`, `stopped`, `refused`, `lost` (killed before its last event).
    pub outcome: String,
    /// Seconds since it began.
    pub age: f64,
}

/// A run, for whoever watches it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: String,
    /// `apply`, `destroy`, `verify dev`.
    pub command: String,
    /// Its steps in their order: what is done, and expected seconds.
    pub steps: Vec<(String, f64)>,
    /// Seconds that it took so far, or in all when it ended.
    pub elapsed: f64,
}

/// A value for [`openg2p_run::EventKind::Result`].
pub type ResultValue = Value;
