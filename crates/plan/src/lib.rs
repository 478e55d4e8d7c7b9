//! Resources, their graph, and the plan that leads from the observed world to the desired one.
//!
//! Everything here is pure: the same resources, observations and ledger give the same plan, byte for byte.
//! This crate knows nothing of what a kind means; [`Verdict`]s come from the kinds themselves.

mod chain;
mod difference;
mod estimate;
mod explain;
mod fingerprint;
mod graph;
mod ledger;
pub mod picture;
mod planner;
mod resource;
mod saved;
mod sealed;
mod step;

pub use chain::{Chain, Lines};
pub use difference::difference;
pub use estimate::{Estimate, Experience};
pub use explain::{Explanation, explain, meant};
pub use fingerprint::{Fingerprint, canonical};
pub use graph::{Cycle, Graph};
pub use ledger::{Entry, EntryState, Ledger, LedgerChange, LedgerError};
pub use planner::{Assessed, Clash, Owned, PlanError, removal, towards};
pub use resource::{Desired, Mark, Observed, Owner, Presence, Resource, ResourceId};
pub use saved::{Fact, Inputs, Moved, Plan, plan_schema, plan_schema_text};
pub use sealed::{Torn, seal, unseal};
pub use step::{Action, FieldChange, Risk, Step, Verdict, Weight};
