//! Where the engine keeps its things on the lead node.

/// Everything of the engine's own.
pub const ROOT: &str = "/var/lib/openg2p";
/// The programs, one per version by digest.
pub const BIN: &str = "/var/lib/openg2p/bin";
/// The bundle.
pub const BUNDLE: &str = "/var/lib/openg2p/bundle";
/// apt's lists and cache over the bundle's packages.
pub const APT: &str = "/var/lib/openg2p/apt";
/// Ledger, journal, runs.
pub const STATE: &str = "/var/lib/openg2p/state";
/// kubeadm's administrator credential.
pub const KUBECONFIG: &str = "/etc/kubernetes/admin.conf";
/// The site's authority, for devices to trust.
pub const AUTHORITY: &str = "/etc/openg2p/pki/authority.crt";
/// Last dumps of removed databases: outside of our own folder, which goes with the site.
pub const DUMPS: &str = "/var/backups/openg2p";
