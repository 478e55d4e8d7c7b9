//! The adapters that touch the outside: the only crate with effects.

mod apt;
mod books;
mod bundle;
mod cluster;
mod containerd;
mod edge;
pub mod frames;
mod host;
mod process;
pub mod ssh;
mod state;
mod time;

pub use apt::rehearse as rehearse_packages;
pub use books::{BankBooks, SystemClock};
pub use bundle::{BundleDirectory, SharedBundle};
pub use cluster::KubernetesApi;
pub use edge::HttpsEdge;
pub use host::{LocalHost, facts as host_facts};
pub use process::run as run_process;
pub use state::{StateDirectory, SystemRandom};
pub use time::timestamp;
