//! The bundle as the engine reads it.

use serde::{Deserialize, Serialize};

/// What the engine must know of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleMember {
    /// `image`, `binary`, `debian-package`, `chart`.
    pub kind: String,
    /// Name within its kind.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 (an image's manifest digest), hexadecimal.
    pub sha256: String,
    /// Image reference.
    pub reference: Option<String>,
    /// Bytes of all its blobs.
    pub size: u64,
}

/// The bundle on the lead node.
pub trait Bundle: Send + Sync {
    /// SHA-256 of the index, hexadecimal.
    fn digest(&self) -> &str;
    /// All members, sorted by kind and name.
    fn members(&self) -> &[BundleMember];
}
