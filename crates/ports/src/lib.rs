//! What the engine asks of the outside, as traits and plain types.
//!
//! `world` implements these traits for real machines, `sim` in memory. Everything that reads can fail, and a
//! failure to read is an answer of its own ([`PortError`]), never taken for absence.

mod bundle;
mod cluster;
mod error;
mod host;
mod state;

pub use bundle::{Bundle, BundleMember};
pub use cluster::{Cluster, FieldConflict, Object, ObjectRef, Ownership, Readiness, Trial, Waiting};
pub use error::PortError;
pub use host::{Command, FileContent, FileOrigin, FileState, Host, HostFacts, Listener, Output, UnitState};
pub use state::{Random, State};

/// Everything the engine may touch.
pub struct World {
    /// The lead node.
    pub host: Box<dyn Host>,
    /// The Kubernetes API.
    pub cluster: Box<dyn Cluster>,
    /// The bundle as it lies on the lead node.
    pub bundle: Box<dyn Bundle>,
    /// Secrets come from here.
    pub random: Box<dyn Random>,
}
