//! Performs plans: assess the world, write intent before effect, tell what happens, remember what was made.
//!
//! A run makes no choices. It is given a plan and performs exactly its steps, each only from the state that the plan
//! expects; what moved since stops that step and all that need it.

pub use openg2p_kinds::{Kind, fields_of, kind, waits_for_readiness};

mod assess;
pub mod copy;
pub mod dump;
mod event;
mod examine;
mod executor;
mod experience;
pub mod fence;
mod generations;
mod moved;
mod older;
mod perform;
mod record;
mod removal;
pub mod saved;
mod schedule;
mod status;
pub mod teardown;
mod writer;

pub use assess::{Situation, assess, assess_fresh, compared, entries_observed};
pub use event::{Event, EventKind, Failure, Outcome, Sink};
pub use examine::examine;
pub use executor::{Finished, execute};
pub use experience::{experience, learn};
pub use moved::{Engine, host_words, moved};
pub use perform::{Refusal, perform};
pub use record::{Clock, Intent, Memory, RecordError, RunInfo};
pub use removal::{Selection, lost_with_cluster, selected, still_needed};
pub use status::{Cause, PartStatus, Standing, Workload, judge, workloads};
