//! Throw-away machines on which the real thing is run.
//!
//! A lab is one or more Debian hosts with systemd and SSH, started by systemd-nspawn in seconds, on a bridge of their
//! own, each in a cgroup subtree of its own. This crate makes, lists and removes labs; it prints nothing and installs
//! nothing of the product. It is no virtual machine: the kernel is the machine's.
//!
//! Everything that a lab makes outside of its directory bears a name that follows from the lab's name, so that
//! [`down`] needs no record and a killed [`up`] leaves nothing that cannot be found.

mod api_server;
mod apt;
mod cgroup;
mod command;
mod controller_manager;
mod down;
mod error;
mod image;
mod kernel;
mod keys;
mod lock;
mod machine;
mod names;
mod network;
mod preflight;
mod progress;
mod settings;
mod site;
mod state;
mod subnet;
mod tools;
mod up;

pub use api_server::{ApiServer, ApiServerPrograms, built_program};
pub use cgroup::{CgroupLayout, CgroupVersion, Hierarchy};
pub use controller_manager::ControllerManager;
pub use down::{Listed, down, list};
pub use error::{LabError, Result};
pub use kernel::{Facts, Restriction};
pub use preflight::{Finding, Needs, Probe, Registry, Severity, build_registries, preflight};
pub use progress::{Event, Progress, Silent};
pub use site::{host_overrides, site_file};
pub use state::{HostState, LabState, Phase, ProcessId, Release, Store};
pub use subnet::Subnet;
pub use tools::{TOOLS, Tool, install as install_tools, missing as missing_tools};
pub use up::{LabSpec, up};
