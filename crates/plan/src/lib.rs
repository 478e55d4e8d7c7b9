//! Resources, their graph, and the plan that leads from the observed world to the desired one.
//!
//! Everything here is pure: the same resources, observations and ledger give the same plan, byte for byte.
//! This crate knows nothing of what a kind means; [`Verdict`]s come from the kinds themselves.

mod difference;
mod fingerprint;
mod graph;
mod ledger;
mod planner;
mod resource;
mod step;

pub use difference::difference;
pub use fingerprint::{Fingerprint, canonical};
pub use graph::{Cycle, Graph};
pub use ledger::{Entry, EntryState, Ledger, LedgerError};
pub use planner::{Assessed, PlanError, removal, towards};
pub use resource::{Desired, Observed, Owner, Resource, ResourceId};
pub use step::{Action, FieldChange, Inputs, Moved, Plan, Risk, Step, Verdict};
