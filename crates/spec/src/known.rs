//! What the catalogue offers, as far as a site file must know it.

use std::collections::{BTreeMap, BTreeSet};

/// The components that may stand in an environment. The caller takes them from the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownComponents {
    /// Shared services by name.
    pub commons: BTreeMap<String, KnownComponent>,
    /// Modules by name.
    pub modules: BTreeMap<String, KnownComponent>,
    /// Namespaces that the platform uses, with the component that does.
    pub namespaces: BTreeMap<String, String>,
}

/// What a site file must know of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownComponent {
    /// Components of the same environment that it cannot work without.
    pub needs: BTreeSet<String>,
    /// First labels of its host names (`spar` for `spar.<environment>.<domain>`).
    pub hosts: BTreeSet<String>,
    /// Its Helm release, when no other component shares it.
    pub own_release: Option<String>,
    /// Secrets that it brings, by name.
    pub secrets: BTreeSet<String>,
    /// Whether it has a database and a role of its own.
    pub database: bool,
}
