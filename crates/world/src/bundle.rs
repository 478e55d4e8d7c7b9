//! The bundle as it lies on the lead node: `bundle.json` and `blobs/sha256/…`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use openg2p_bundle::index::{Digest, INDEX_FILE, Index};
use openg2p_ports::{Bundle, BundleMember, PortError};
use sha2::{Digest as _, Sha256};

/// Bytes of a blob in memory at once.
const PIECE: usize = 128 * 1024;

/// A bundle directory.
pub struct BundleDirectory {
    root: PathBuf,
    index: Index,
    digest: String,
    members: Vec<BundleMember>,
}

impl BundleDirectory {
    /// Reads the index below `root`.
    pub fn open(root: &Path) -> Result<Self, PortError> {
        let path = root.join(INDEX_FILE);
        let place = path.display().to_string();
        let failed = |why: String| {
            PortError::new(
                "bundle::unreadable",
                "read the bundle's index",
                place.clone(),
                why,
            )
            .hint("make one with `openg2p bundle create`, or name its directory with --bundle")
        };
        let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let index = Index::parse(&bytes).map_err(|error| failed(error.to_string()))?;
        let members = index
            .members
            .iter()
            .map(|member| BundleMember {
                kind: member.kind.as_str().into(),
                name: member.name.clone(),
                version: member.version.clone(),
                sha256: member.sha256.as_str().into(),
                reference: member.reference.clone(),
                size: member.blobs.iter().map(|blob| blob.size).sum(),
            })
            .collect();
        let digest = Digest::of(&bytes).as_str().to_owned();
        Ok(Self {
            root: root.into(),
            index,
            digest,
            members,
        })
    }

    /// Reads the index below `root`, or takes the bundle for empty where there is none yet.
    pub fn open_or_empty(root: &Path) -> Self {
        Self::open(root).unwrap_or_else(|_| Self {
            root: root.into(),
            index: Index {
                api_version: String::new(),
                debian_release: String::new(),
                members: Vec::new(),
            },
            digest: String::new(),
            members: Vec::new(),
        })
    }

    /// The whole index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Where a blob lies.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs/sha256").join(sha256)
    }

    /// The bytes of a small blob, checked.
    pub fn read(&self, sha256: &str) -> Result<Vec<u8>, PortError> {
        let mut bytes = Vec::new();
        self.pieces(sha256, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Gives a blob piece by piece to `take`, so that a large one is never whole in memory, and checks it on the way: what was
    /// taken is worth something only when this succeeds.
    pub fn pieces(
        &self,
        sha256: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let path = self.path(sha256);
        let unreadable = |error: std::io::Error| {
            PortError::new(
                "bundle::blob-missing",
                "read a blob of the bundle",
                path.display().to_string(),
                error.to_string(),
            )
            .hint("run `openg2p bundle verify`, then apply again: what is missing is sent anew")
        };
        let mut file = std::fs::File::open(&path).map_err(unreadable)?;
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece).map_err(unreadable)?;
            let Some(filled) = piece.get(..length).filter(|filled| !filled.is_empty()) else {
                break;
            };
            hasher.update(filled);
            take(filled)?;
        }
        let found = Digest::from_hash(&hasher.finalize()).as_str().to_owned();
        if found == sha256 {
            return Ok(());
        }
        Err(PortError::new(
            "bundle::digest-mismatch",
            "read a blob of the bundle",
            path.display().to_string(),
            format!("its SHA-256 is {found}"),
        )
        .hint("the file was altered: run `openg2p bundle verify` and `openg2p bundle create`"))
    }
}

impl Bundle for BundleDirectory {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn members(&self) -> &[BundleMember] {
        &self.members
    }
}

/// A bundle that several adapters read.
pub struct SharedBundle(pub std::sync::Arc<BundleDirectory>);

impl Bundle for SharedBundle {
    fn digest(&self) -> &str {
        self.0.digest()
    }

    fn members(&self) -> &[BundleMember] {
        self.0.members()
    }
}
