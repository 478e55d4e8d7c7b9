//! The index of a bundle: what is in it, by digest.
//!
//! Pure data without effects, so that the engine on a target host and the planner on a laptop read the same thing:
//! parsing, canonical bytes, digest, look-up by kind and name, and where in the layout a blob lies. What an index is
//! *not* for: finding out whether the blobs are really there and whole, which is the work of [`crate::check`].

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The only format version that this code reads and writes.
pub const API_VERSION: &str = "openg2p.org/bundle/v1";

/// Name of the index file inside a bundle directory.
pub const INDEX_FILE: &str = "bundle.json";

/// A SHA-256 digest in lower-case hexadecimal, checked when it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// Wraps the 32 bytes that a hash function produced.
    pub fn from_hash(hash: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in hash {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that OCI documents use, `sha256:<hex>`.
    pub fn oci(&self) -> String {
        format!("sha256:{}", self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = IndexError;

    /// Accepts 64 lower-case hexadecimal digits, with or without `sha256:` in front.
    fn from_str(text: &str) -> Result<Self, IndexError> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let right = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if right {
            Ok(Self(hex.to_owned()))
        } else {
            Err(IndexError::NotADigest {
                text: text.to_owned(),
            })
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = IndexError;

    fn try_from(text: String) -> Result<Self, IndexError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// What a member is, which decides how a host takes it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A static program for the host, one blob.
    Binary,
    /// A Helm chart, one blob: a deterministic `.tgz`.
    Chart,
    /// A Debian package for the host's release, one blob: the `.deb`.
    DebianPackage,
    /// A container image: manifest, configuration and layers.
    Image,
}

impl Kind {
    /// Every kind, in the order in which members are sorted.
    pub const ALL: [Self; 4] = [Self::Binary, Self::Chart, Self::DebianPackage, Self::Image];

    /// The word that files and messages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Chart => "chart",
            Self::DebianPackage => "debian-package",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One file of the layout: `blobs/sha256/<sha256>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// Digest of its content, which is also its name.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// One thing that an installation needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// Its name, unique among members of its kind.
    pub name: String,
    /// Its version, as its makers write it.
    pub version: String,
    /// Images only: the full reference that manifests of Kubernetes use, with registry and tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Debian packages only: `amd64` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Debian packages only: the package's stanza of the archive's `Packages` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Digest that identifies the member: of its manifest for an image, of its only blob otherwise.
    pub sha256: Digest,
    /// Bytes of all its blobs together.
    pub size: u64,
    /// Its licence, an SPDX expression where one fits.
    pub licence: String,
    /// Where it came from, for people.
    pub origin: String,
    /// The files of the layout that it consists of; for an image the manifest comes first.
    pub blobs: Vec<Blob>,
}

impl Member {
    /// `kind/name`, which is how messages name a member.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// The index of a bundle, the content of `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Format version, [`API_VERSION`].
    pub api_version: String,
    /// Release of Debian that the packages are for: `trixie` or `bookworm`.
    pub debian_release: String,
    /// Everything in the bundle, sorted by kind and name.
    pub members: Vec<Member>,
}

impl Index {
    /// An index of these members, sorted, and refused if two of them share kind and name or one contradicts itself.
    pub fn new(debian_release: impl Into<String>, mut members: Vec<Member>) -> Result<Self, IndexError> {
        members.sort_by(|a, b| (a.kind.as_str(), &a.name).cmp(&(b.kind.as_str(), &b.name)));
        let index = Self {
            api_version: API_VERSION.to_owned(),
            debian_release: debian_release.into(),
            members,
        };
        index.check()?;
        Ok(index)
    }

    /// Reads the bytes of a `bundle.json` and checks that it is consistent in itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        // The version is looked at first: a newer format should be called newer, not malformed.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            api_version: String,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(IndexError::Malformed)?;
        if version.api_version != API_VERSION {
            return Err(IndexError::ForeignVersion {
                found: version.api_version,
            });
        }
        let index: Self = serde_json::from_slice(bytes).map_err(IndexError::Malformed)?;
        index.check()?;
        Ok(index)
    }

    /// The canonical bytes: what `bundle.json` contains.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The bundle's digest: the SHA-256 of the bytes of its `bundle.json`.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The member of this kind and name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.kind == kind && member.name == name)
    }

    /// The member of this kind and name, or an error that names what the bundle has instead.
    pub fn require(&self, kind: Kind, name: &str) -> Result<&Member, IndexError> {
        self.get(kind, name).ok_or_else(|| IndexError::MemberMissing {
            kind,
            name: name.to_owned(),
            present: self.of_kind(kind).map(|member| member.name.clone()).collect(),
        })
    }

    /// The image with exactly this reference.
    pub fn image(&self, reference: &str) -> Option<&Member> {
        self.of_kind(Kind::Image)
            .find(|member| member.reference.as_deref() == Some(reference))
    }

    /// All members of a kind, sorted by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.kind == kind)
    }

    fn check(&self) -> Result<(), IndexError> {
        for pair in self.members.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            match (a.kind.as_str(), &a.name).cmp(&(b.kind.as_str(), &b.name)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(IndexError::Twice { member: a.id() }),
                std::cmp::Ordering::Greater => {
                    return Err(IndexError::Unsorted {
                        first: a.id(),
                        second: b.id(),
                    });
                }
            }
        }
        for member in &self.members {
            check_member(member)?;
        }
        Ok(())
    }
}

fn check_member(member: &Member) -> Result<(), IndexError> {
    let wrong = |why: &'static str| {
        Err(IndexError::Contradiction {
            member: member.id(),
            why,
        })
    };
    if member.blobs.first().map(|blob| &blob.sha256) != Some(&member.sha256) {
        return wrong("its sha256 is not that of its first blob");
    }
    let sum = member
        .blobs
        .iter()
        .try_fold(0_u64, |sum, blob| sum.checked_add(blob.size));
    if sum != Some(member.size) {
        return wrong("its size is not the sum of the sizes of its blobs");
    }
    if member.kind == Kind::Image && member.reference.is_none() {
        return wrong("an image needs a reference");
    }
    if member.kind != Kind::Image && member.blobs.len() != 1 {
        return wrong("only an image consists of several blobs");
    }
    if member.kind == Kind::DebianPackage && (member.control.is_none() || member.architecture.is_none()) {
        return wrong("a Debian package needs its control stanza and architecture");
    }
    Ok(())
}

/// Where a blob lies inside the bundle directory `bundle`.
pub fn blob_path(bundle: &Path, sha256: &Digest) -> PathBuf {
    bundle.join("blobs").join("sha256").join(sha256.as_str())
}

/// What can be wrong with an index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// A digest field does not hold a SHA-256.
    #[error("`{text}` is not a SHA-256 digest of 64 lower-case hexadecimal digits")]
    NotADigest {
        /// What stood there.
        text: String,
    },
    /// The file is not JSON of the expected shape.
    #[error("bundle.json is not a bundle index; create the bundle again")]
    Malformed(#[source] serde_json::Error),
    /// The file was written by another version of this program.
    #[error(
        "bundle.json has apiVersion `{found}`, this program reads `{API_VERSION}`; use the matching openg2p or create the bundle again"
    )]
    ForeignVersion {
        /// The version found.
        found: String,
    },
    /// Two members share kind and name.
    #[error("bundle.json lists {member} twice; create the bundle again")]
    Twice {
        /// `kind/name`.
        member: String,
    },
    /// Members are not in their order, so something else than this program wrote the file.
    #[error("bundle.json is not sorted: {first} stands before {second}; create the bundle again")]
    Unsorted {
        /// `kind/name` of the one that stands first.
        first: String,
        /// `kind/name` of the one after it.
        second: String,
    },
    /// A member's fields contradict each other.
    #[error("bundle.json contradicts itself about {member}: {why}; create the bundle again")]
    Contradiction {
        /// `kind/name`.
        member: String,
        /// What contradicts what.
        why: &'static str,
    },
    /// A member was asked for that the bundle does not have.
    #[error(
        "the bundle has no {kind} named `{name}` (it has: {}); create the bundle again with the component that brings it",
        list(.present)
    )]
    MemberMissing {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Names of the members of that kind.
        present: Vec<String>,
    },
}

impl IndexError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotADigest { .. } | Self::Malformed(_) => "bundle::index-malformed",
            Self::ForeignVersion { .. } => "bundle::index-version",
            Self::Twice { .. } | Self::Unsorted { .. } | Self::Contradiction { .. } => {
                "bundle::index-inconsistent"
            }
            Self::MemberMissing { .. } => "bundle::member-missing",
        }
    }
}

fn list(names: &[String]) -> String {
    const MOST: usize = 12;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        use fmt::Write as _;
        let _ = write!(text, " and {} more", names.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn member(kind: Kind, name: &str, content: &[u8]) -> Member {
        let sha256 = Digest::of(content);
        let size = content.len() as u64;
        Member {
            kind,
            name: name.to_owned(),
            version: "1".to_owned(),
            reference: (kind == Kind::Image).then(|| format!("example.org/{name}:1")),
            architecture: (kind == Kind::DebianPackage).then(|| "amd64".to_owned()),
            control: (kind == Kind::DebianPackage).then(|| format!("Package: {name}\n")),
            sha256: sha256.clone(),
            size,
            licence: "MPL-2.0".to_owned(),
            origin: "test".to_owned(),
            blobs: vec![Blob { sha256, size }],
        }
    }

    #[test]
    fn members_are_sorted_and_found() {
        let index = Index::new(
            "trixie",
            vec![
                member(Kind::Image, "a", b"1"),
                member(Kind::Binary, "b", b"2"),
                member(Kind::Binary, "a", b"3"),
            ],
        )
        .unwrap();
        let ids: Vec<_> = index.members.iter().map(Member::id).collect();
        assert_eq!(ids, ["binary/a", "binary/b", "image/a"]);
        assert_eq!(index.get(Kind::Binary, "b").unwrap().sha256, Digest::of(b"2"));
        assert_eq!(index.image("example.org/a:1").unwrap().name, "a");
        let error = index.require(Kind::Binary, "c").unwrap_err();
        assert_eq!(error.code(), "bundle::member-missing");
        assert!(error.to_string().contains("it has: a, b"), "{error}");
    }

    #[test]
    fn twice_the_same_member_is_refused() {
        let error = Index::new(
            "trixie",
            vec![member(Kind::Chart, "a", b"1"), member(Kind::Chart, "a", b"2")],
        )
        .unwrap_err();
        assert_eq!(error.code(), "bundle::index-inconsistent");
    }

    #[test]
    fn contradictions_are_refused() {
        let mut wrong_size = member(Kind::Binary, "a", b"1");
        wrong_size.size = 7;
        let mut overflow = member(Kind::Image, "a", b"1");
        overflow.blobs = vec![
            Blob {
                sha256: overflow.sha256.clone(),
                size: u64::MAX
            };
            2
        ];
        let mut no_reference = member(Kind::Image, "a", b"1");
        no_reference.reference = None;
        let mut no_control = member(Kind::DebianPackage, "a", b"1");
        no_control.control = None;
        let mut no_blob = member(Kind::Binary, "a", b"1");
        no_blob.blobs.clear();
        for bad in [wrong_size, overflow, no_reference, no_control, no_blob] {
            assert_eq!(
                Index::new("trixie", vec![bad]).unwrap_err().code(),
                "bundle::index-inconsistent"
            );
        }
    }

    #[test]
    fn other_versions_and_other_files_are_told_apart() {
        let newer = br#"{"apiVersion":"openg2p.org/bundle/v9","things":[]}"#;
        assert_eq!(Index::parse(newer).unwrap_err().code(), "bundle::index-version");
        assert_eq!(Index::parse(b"{}").unwrap_err().code(), "bundle::index-malformed");
        assert_eq!(Index::parse(b"").unwrap_err().code(), "bundle::index-malformed");
    }

    #[test]
    fn digests_that_could_leave_the_blob_folder_are_refused() {
        for bad in [
            "",
            "../../etc/passwd",
            &"A".repeat(64),
            &"a".repeat(63),
            &format!("sha512:{}", "a".repeat(64)),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(format!("sha256:{}", "a".repeat(64)).parse::<Digest>().is_ok());
    }

    fn any_member() -> impl Strategy<Value = Member> {
        (
            prop::sample::select(Kind::ALL.to_vec()),
            "[a-z][a-z0-9+.-]{0,12}",
            prop::collection::vec(any::<u8>(), 0..40),
        )
            .prop_map(|(kind, name, content)| member(kind, &name, &content))
    }

    proptest! {
        #[test]
        fn an_index_survives_its_bytes(mut members in prop::collection::vec(any_member(), 0..12)) {
            members.sort_by_key(Member::id);
            members.dedup_by_key(|member| member.id());
            let index = Index::new("trixie", members.clone()).unwrap();
            let bytes = index.to_bytes();
            prop_assert_eq!(&Index::parse(&bytes).unwrap(), &index);
            prop_assert_eq!(index.digest(), Digest::of(&bytes));
            members.reverse();
            prop_assert_eq!(Index::new("trixie", members).unwrap().to_bytes(), bytes, "order of making is invisible");
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Index::parse(&bytes);
        }
    }
}
