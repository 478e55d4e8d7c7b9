//! The engine on the lead node.
//!
//! The operator's `openg2p` starts this program over SSH as an agent and speaks with it in frames ([`protocol`]). Runs are
//! systemd units of their own ([`engine`]), so that they outlive the connection and the operator's terminal.

pub mod agent;
pub mod engine;
mod fence;
mod lock;
pub mod paths;
mod preflight;
pub mod program;
pub mod protocol;
mod runs;
mod store;
mod verify;
