//! `bundle.lock`: what the last accepted bundle consisted of, kept in the repository and reviewed like code.
//!
//! Entries are kept per source, for a locally built image and the official one differ although they are the same
//! member. What was fetched is locked by the SHA-256 of its bytes. What was built here is locked by the digest of its
//! declared inputs instead: two machines do not build the same image bytes, but they must build from the same recipe,
//! sums and files.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::BundleError,
    index::{Digest, Kind, Member},
    recipe::Recipe,
};

/// Name of the lock file at the root of the repository.
pub const LOCK_FILE: &str = "bundle.lock";

const HEADER: &str = "\
# Written by `openg2p bundle create`; do not edit. Fetched members are locked by the SHA-256 of their bytes, members that
# are built here by the digest of their inputs. `openg2p bundle lock --accept-moved=build` brings the latter up to date.
";

/// What names an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryKey {
    /// The source that gave the member.
    pub source: String,
    /// The Debian release, for Debian packages.
    pub release: Option<String>,
    /// The member's kind.
    pub kind: Kind,
    /// The member's name.
    pub name: String,
}

/// What the lock holds on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The digest of the declared inputs of what is built here.
    Inputs(Digest),
    /// The digest of what is fetched.
    Sha256(Digest),
}

/// One locked member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    kind: Kind,
    name: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    /// Its version.
    pub version: String,
    /// Its licence.
    pub licence: String,
    /// Where it came from.
    pub origin: String,
    /// Digest of the declared inputs, if it was built here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Digest>,
    /// Digest of what was fetched: of an image's manifest, of a package, of the file that a web server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

impl Entry {
    /// The entry for a member that was fetched: it is known when its bytes are.
    pub fn fetched(member: &Member, source: &str, release: &str) -> Self {
        Self {
            kind: member.kind,
            name: member.name.clone(),
            source: source.to_owned(),
            release: (member.kind == Kind::DebianPackage).then(|| release.to_owned()),
            version: member.version.clone(),
            licence: member.licence.clone(),
            origin: member.origin.clone(),
            inputs: None,
            sha256: Some(member.sha256.clone()),
        }
    }

    /// The entry for a member of which everything that the lock holds is known before it is made or fetched.
    pub fn foreseen(recipe: &Recipe, source: &str, origin: String, held: Held) -> Self {
        let (inputs, sha256) = match held {
            Held::Inputs(digest) => (Some(digest), None),
            Held::Sha256(digest) => (None, Some(digest)),
        };
        Self {
            kind: recipe.kind,
            name: recipe.name.clone(),
            source: source.to_owned(),
            release: None,
            version: recipe.version.clone().unwrap_or_default(),
            licence: recipe.licence.clone(),
            origin,
            inputs,
            sha256,
        }
    }

    /// What names this entry.
    pub fn key(&self) -> EntryKey {
        EntryKey {
            source: self.source.clone(),
            release: self.release.clone(),
            kind: self.kind,
            name: self.name.clone(),
        }
    }

    /// `kind/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// One difference between the lock file and what the sources give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// `kind/name`.
    pub member: String,
    /// The source.
    pub source: String,
    /// What changed, for people.
    pub change: String,
}

impl fmt::Display for Moved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): {}", self.member, self.source, self.change)
    }
}

/// The whole lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<EntryKey, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    version: u32,
    members: Vec<Entry>,
}

impl Lock {
    /// A lock of these entries; the last of several with the same key wins.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            entries: entries.into_iter().map(|entry| (entry.key(), entry)).collect(),
        }
    }

    /// Reads a lock file; one that does not exist locks nothing.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|why| BundleError::Recipe {
                path: path.to_owned(),
                why,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(BundleError::io("read", path)(error)),
        }
    }

    /// Reads the text of a lock file; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = serde_saphyr::from_str(text)
            .map_err(|error| format!("is not a bundle lock: {error}; take it from version control again"))?;
        if document.version != 1 {
            return Err(format!(
                "has version {}, this program reads 1; use the matching openg2p",
                document.version
            ));
        }
        let count = document.members.len();
        let lock = Self::new(document.members);
        if lock.entries.len() != count {
            return Err(
                "lists a member twice, as merges do; resolve the merge by creating the bundle".to_owned(),
            );
        }
        Ok(lock)
    }

    /// The text of the lock file: sorted, one field per line, so that differences read well.
    pub fn to_text(&self) -> String {
        use fmt::Write as _;
        let mut text = format!("{HEADER}version: 1\nmembers:");
        if self.entries.is_empty() {
            text.push_str(" []");
        }
        text.push('\n');
        for entry in self.entries.values() {
            let mut field = |name: &str, value: &str| {
                let lead = if name == "kind" { "- " } else { "  " };
                // A JSON string is a YAML string; versions such as 1.10 must not become numbers.
                let value = serde_json::Value::String(value.to_owned());
                let _ = writeln!(text, "{lead}{name}: {value}");
            };
            field("kind", entry.kind.as_str());
            field("name", &entry.name);
            field("source", &entry.source);
            if let Some(release) = &entry.release {
                field("release", release);
            }
            field("version", &entry.version);
            field("licence", &entry.licence);
            field("origin", &entry.origin);
            if let Some(inputs) = &entry.inputs {
                field("inputs", inputs.as_str());
            }
            if let Some(sha256) = &entry.sha256 {
                field("sha256", sha256.as_str());
            }
        }
        text
    }

    /// The entry with this key.
    pub fn get(&self, key: &EntryKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// What is different in `now`. Entries that `now` does not have only count as gone if `whole` says that `now` is
    /// everything, and then only those of sources (and releases) that `now` uses.
    pub fn moved(&self, now: &Self, whole: bool) -> Vec<Moved> {
        let mut all = Vec::new();
        for (key, entry) in &now.entries {
            let change = match self.entries.get(key) {
                None => Some(new(entry)),
                Some(before) => change(before, entry),
            };
            if let Some(change) = change {
                all.push(Moved {
                    member: entry.id(),
                    source: entry.source.clone(),
                    change,
                });
            }
        }
        if whole {
            for entry in self.gone(now) {
                let change = format!("gone, was version {}", entry.version);
                all.push(Moved {
                    member: entry.id(),
                    source: entry.source.clone(),
                    change,
                });
            }
        }
        all
    }

    /// The lock after `now` was accepted.
    #[must_use]
    pub fn accept(&self, now: &Self, whole: bool) -> Self {
        let mut entries = self.entries.clone();
        if whole {
            for entry in self.gone(now) {
                entries.remove(&entry.key());
            }
        }
        entries.extend(now.entries.clone());
        Self { entries }
    }

    fn gone<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter_map(move |(key, entry)| {
            // A member may come from another source now; its entry for this source is gone only if nothing says that
            // both ways are used side by side, which nothing here can know. So only packages, whose set an archive
            // decides, and members that vanished from every source count.
            let vanished = if key.kind == Kind::DebianPackage {
                now.entries
                    .keys()
                    .any(|other| other.source == key.source && other.release == key.release)
            } else {
                !now.entries
                    .keys()
                    .any(|other| (other.kind, &other.name) == (key.kind, &key.name))
            };
            (vanished && !now.entries.contains_key(key)).then_some(entry)
        })
    }
}

/// What a person needs for saying yes to something that was never locked: of fetched members the whole digest, to compare
/// it with what its makers publish.
fn new(entry: &Entry) -> String {
    match &entry.sha256 {
        Some(sha256) if entry.release.is_none() => {
            format!(
                "new, version {}, from {} with sha256 {sha256}",
                entry.version, entry.origin
            )
        }
        _ => format!("new, version {}", entry.version),
    }
}

fn change(before: &Entry, now: &Entry) -> Option<String> {
    let mut parts = Vec::new();
    let mut differs = |what: &str, before: &str, now: &str| {
        if before != now {
            parts.push(format!("{what} {before} -> {now}"));
        }
    };
    let short = |digest: &Option<Digest>| {
        digest
            .as_ref()
            .map_or("none".to_owned(), |it| it.as_str()[..12].to_owned())
    };
    differs("version", &before.version, &now.version);
    differs("licence", &before.licence, &now.licence);
    differs("origin", &before.origin, &now.origin);
    // Compared in full length, shown in short.
    for (what, before, now) in [
        ("inputs", &before.inputs, &now.inputs),
        ("sha256", &before.sha256, &now.sha256),
    ] {
        if before != now {
            parts.push(format!("{what} {} -> {}", short(before), short(now)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::Blob;

    fn member(kind: Kind, name: &str, version: &str, content: &str) -> Member {
        let sha256 = Digest::of(content.as_bytes());
        Member {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            reference: None,
            architecture: None,
            control: None,
            sha256: sha256.clone(),
            size: 1,
            licence: "MPL-2.0".to_owned(),
            origin: "somewhere".to_owned(),
            blobs: vec![Blob { sha256, size: 1 }],
        }
    }

    fn recipe(kind: Kind, name: &str, version: &str) -> Recipe {
        Recipe {
            kind,
            name: name.to_owned(),
            version: Some(version.to_owned()),
            reference: None,
            licence: "MPL-2.0".to_owned(),
            releases: Vec::new(),
            sources: crate::recipe::Sources::default(),
            file: std::path::PathBuf::new(),
            component: String::new(),
        }
    }

    fn package(name: &str, version: &str, release: &str) -> Entry {
        Entry::fetched(
            &member(Kind::DebianPackage, name, version, version),
            "debian",
            release,
        )
    }

    #[test]
    fn built_members_are_locked_by_inputs_and_fetched_ones_by_bytes() {
        let held = |held| {
            Lock::new([Entry::foreseen(
                &recipe(Kind::Image, "a", "1"),
                "x",
                "o".to_owned(),
                held,
            )])
        };
        let inputs = held(Held::Inputs(Digest::of(b"one")));
        assert!(inputs.to_text().contains("inputs: ") && !inputs.to_text().contains("sha256: "));
        assert_eq!(
            inputs.moved(&held(Held::Inputs(Digest::of(b"two"))), true).len(),
            1
        );
        let fetched = |content| {
            Lock::new([Entry::fetched(
                &member(Kind::Image, "a", "1", content),
                "oci",
                "trixie",
            )])
        };
        assert!(!fetched("one").to_text().contains("inputs: "));
        assert_eq!(fetched("one").moved(&fetched("two"), true).len(), 1);
    }

    #[test]
    fn a_new_fetched_member_is_told_with_its_whole_digest() {
        let sha256 = Digest::of(b"official");
        let now = Lock::new([Entry::foreseen(
            &recipe(Kind::Image, "etcd", "3.6.8-0"),
            "oci",
            "registry.k8s.io/etcd:3.6.8-0".to_owned(),
            Held::Sha256(sha256.clone()),
        )]);
        let text = Lock::default().moved(&now, true)[0].to_string();
        assert_eq!(
            text,
            format!(
                "image/etcd (oci): new, version 3.6.8-0, from registry.k8s.io/etcd:3.6.8-0 with sha256 {sha256}"
            )
        );
    }

    #[test]
    fn releases_and_sources_do_not_push_each_other_out() {
        let trixie = Lock::new([package("nginx", "1.26", "trixie")]);
        let bookworm = Lock::new([package("nginx", "1.22", "bookworm")]);
        let moved = trixie.moved(&bookworm, true);
        assert_eq!(
            moved.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["debian-package/nginx (debian): new, version 1.22"]
        );
        let both = trixie.accept(&bookworm, true);
        assert_eq!(both.entries().count(), 2);
        assert!(both.moved(&trixie, true).is_empty() && both.moved(&bookworm, true).is_empty());
    }

    #[test]
    fn a_package_that_no_other_needs_any_more_is_gone() {
        let before = Lock::new([package("nginx", "1", "trixie"), package("libgd3", "2", "trixie")]);
        let now = Lock::new([package("nginx", "1", "trixie")]);
        assert_eq!(
            before.moved(&now, true)[0].to_string(),
            "debian-package/libgd3 (debian): gone, was version 2"
        );
        assert!(before.moved(&now, false).is_empty());
        assert_eq!(before.accept(&now, true), now);
        assert_eq!(before.accept(&now, false), before);
    }

    #[test]
    fn what_changed_is_said() {
        let before = Lock::new([package("nginx", "1", "trixie")]);
        let now = Lock::new([package("nginx", "2", "trixie")]);
        let text = before.moved(&now, true)[0].to_string();
        assert!(
            text.starts_with("debian-package/nginx (debian): version 1 -> 2, sha256 "),
            "{text}"
        );
    }

    #[test]
    fn wrong_files_are_refused_with_what_to_do() {
        for (text, expected) in [
            ("<<<<<<< HEAD\nversion: 1\n", "version control"),
            ("version: 2\nmembers: []\n", "matching openg2p"),
            ("version: 1\nmembers: []\nmore: 1\n", "version control"),
        ] {
            let why = Lock::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
        let twice = Lock::new([package("a", "1", "trixie")]).to_text();
        let entry = twice.split("members:\n").nth(1).unwrap();
        assert!(
            Lock::parse(&format!("{twice}{entry}"))
                .unwrap_err()
                .contains("twice")
        );
        assert_eq!(Lock::parse(&Lock::default().to_text()).unwrap(), Lock::default());
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        (
            prop::sample::select(Kind::ALL.to_vec()),
            "[a-z][a-z0-9+.-]{0,10}",
            "\\PC{1,20}",
            prop::sample::select(vec!["build", "oci", "https", "debian"]),
            prop::option::of(any::<u64>()),
        )
            .prop_map(|(kind, name, version, source, inputs)| {
                match inputs.map(|number| Digest::of(&number.to_be_bytes())) {
                    Some(inputs) => Entry::foreseen(
                        &recipe(kind, &name, &version),
                        source,
                        name.clone(),
                        Held::Inputs(inputs),
                    ),
                    None => Entry::fetched(&member(kind, &name, &version, &version), source, "trixie"),
                }
            })
    }

    proptest! {
        #[test]
        fn a_lock_survives_its_text(entries in prop::collection::vec(any_entry(), 0..10)) {
            let lock = Lock::new(entries);
            let text = lock.to_text();
            let read = Lock::parse(&text).map_err(TestCaseError::fail)?;
            prop_assert_eq!(&read, &lock);
            prop_assert_eq!(read.to_text(), text);
        }

        #[test]
        fn what_was_accepted_has_not_moved(
            before in prop::collection::vec(any_entry(), 0..10),
            now in prop::collection::vec(any_entry(), 0..10),
            whole in any::<bool>(),
        ) {
            let (before, now) = (Lock::new(before), Lock::new(now));
            let after = before.accept(&now, whole);
            prop_assert!(after.moved(&now, whole).is_empty());
            prop_assert_eq!(&after.accept(&now, whole), &after);
            prop_assert_eq!(before.moved(&now, whole).is_empty(), after == before);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
            let _ = Lock::parse(&text);
        }
    }
}
