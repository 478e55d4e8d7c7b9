//! Host names, and files that bear them.

use crate::{EnvironmentId, Label, NameError, fitting, name_type};

name_type!(
    /// A host name `<host>.<environment>.<domain>` or, for the site itself, `<host>.<domain>`: at most 253 bytes.
    HostName
);
name_type!(
    /// The last part of a path: at most 255 bytes together with what a write puts behind it for a moment.
    FileName
);

impl HostName {
    /// Most bytes of a DNS name.
    pub const LONGEST: usize = 253;

    /// A host of an environment below the site's `domain`. The number of labels before the domain tells it from a host of the site.
    pub fn of(host: &Label, environment: &EnvironmentId, domain: &str) -> Result<Self, NameError> {
        let name = format!("{host}.{}.{domain}", environment.label());
        fitting("host", name, 1, Self::LONGEST).map(Self)
    }

    /// A host of the site itself. An environment of that name would hold the names below it, so a caller refuses both.
    pub fn of_site(host: &Label, domain: &str) -> Result<Self, NameError> {
        fitting("host", format!("{host}.{domain}"), 1, Self::LONGEST).map(Self)
    }
}

impl FileName {
    /// Most bytes of one part of a path on Linux's file systems (`NAME_MAX`).
    pub const LONGEST: usize = 255;
    /// What a file is called while it is being written.
    pub const UNFINISHED: &'static str = ".openg2p-new";

    /// The file of `host` with this ending, e.g. `.conf`.
    pub fn of(host: &HostName, ending: &str) -> Result<Self, NameError> {
        let limit = Self::LONGEST - Self::UNFINISHED.len();
        fitting("file", format!("{host}{ending}"), 1, limit).map(Self)
    }
}
