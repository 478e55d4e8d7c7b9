//! The ports of the world in memory, with faults, a clock and a seed.
//!
//! A [`Simulation`] is one Debian host with systemd, apt, a kernel and, once kubeadm ran, a Kubernetes API. Kinds and executor
//! run on it unchanged. It is a fake and no mock: nothing is scripted call by call; a file is there because somebody wrote it, a
//! unit fails because its program is missing, an apply is refused because another manager owns the field. What it does not know
//! (a program, a flag) is an error, so that nothing passes here that was never thought of.
//!
//! Every call of a port is counted and named. At any of them the world may fail before the effect, lose the answer behind it, or
//! end the run ([`Fault`]). [`Simulation::drive`] polls a run without threads or real time: the same seed gives the same run.
//!
//! Not simulated: what programs in pods do, but for the making and dropping of databases, strict validation of manifests, merging of lists by key (a list
//! belongs to one manager as a whole), and the content of packages beyond their programs and units.

mod cluster;
mod commands;
mod definitions;
mod dice;
mod fault;
mod files;
mod host;
mod kernel;
mod kubeadm;
mod objects;
mod packages;
mod postgres;
mod provision;
mod readiness;
mod simulation;
mod state;
mod things;
mod units;
mod view;

pub use dice::Dice;
pub use fault::{Call, Fault, Moment, Trouble};
pub use files::{Files, Node};
pub use kernel::Kernel;
pub use objects::{Objects, Refusal, Stored};
pub use postgres::{Database, Postgres, Role, SqlState, Statement};
pub use simulation::{RunLock, Simulation, SimulationState};
pub use state::{SimBundle, SimState};
pub use things::{Machine, Things};
pub use units::Units;
pub use view::{View, differences};
