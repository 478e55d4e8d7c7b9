//! Performs plans: assess the world, write intent before effect, tell what happens, remember what was made.
//!
//! A run makes no choices. It is given a plan and performs exactly its steps, each only from the state that the plan
//! expects; what moved since stops that step and all that need it.

pub use openg2p_kinds::{fields_of, waits_for_readiness};

mod assess;
mod event;
mod executor;
mod record;

pub use assess::{Situation, assess, entries_observed};
pub use event::{Event, EventKind, Failure, Outcome, Sink};
pub use executor::{Finished, execute};
pub use record::{Memory, RecordError, RunInfo};
