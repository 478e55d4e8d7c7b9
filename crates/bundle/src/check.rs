//! Checking a bundle: every byte is read, and everything that is wrong is told at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    cache::hash_file,
    error::BundleError,
    index::{Blob, Digest, INDEX_FILE, Index, Kind, Member, blob_path},
    layout::{DIGEST_FILE, OCI_LAYOUT, digest_line, media_type_in, oci_index},
    progress::{Meter, Progress},
};

/// One thing that is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A blob is not there.
    Missing {
        /// The members that need it.
        members: Vec<String>,
        /// Its file.
        path: PathBuf,
    },
    /// A blob is not what its name says.
    Altered {
        /// The members that need it.
        members: Vec<String>,
        /// Its file.
        path: PathBuf,
        /// What its content hashes to, or why it cannot be read.
        found: String,
    },
    /// An image's manifest does not speak of the blobs that the index lists for it.
    Inconsistent {
        /// The image.
        member: String,
        /// What does not fit.
        why: String,
    },
    /// A file that no member needs.
    Unlisted {
        /// The file.
        path: PathBuf,
    },
    /// `index.json`, `oci-layout` or `bundle.sha256` is not the one that belongs to `bundle.json`, or `bundle.json` is
    /// not written as this program writes it.
    Layout {
        /// The file.
        path: PathBuf,
    },
}

impl Problem {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "bundle::member-missing",
            Self::Altered { .. } => "bundle::digest-mismatch",
            Self::Inconsistent { .. } => "bundle::index-inconsistent",
            Self::Unlisted { .. } => "bundle::unlisted",
            Self::Layout { .. } => "bundle::layout-mismatch",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { members, path } => {
                write!(formatter, "{}: {} is missing", members.join(", "), path.display())
            }
            Self::Altered { members, path, found } => {
                write!(
                    formatter,
                    "{}: {} was altered ({found})",
                    members.join(", "),
                    path.display()
                )
            }
            Self::Inconsistent { member, why } => write!(formatter, "{member}: {why}"),
            Self::Unlisted { path } => write!(formatter, "{} belongs to no member", path.display()),
            Self::Layout { path } => write!(formatter, "{} does not belong to {INDEX_FILE}", path.display()),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The bundle's index.
    pub index: Index,
    /// The bundle's digest.
    pub digest: Digest,
    /// Bytes that were read.
    pub bytes: u64,
    /// Everything that is wrong, sorted; empty if the bundle is whole.
    pub problems: Vec<Problem>,
}

/// Reads the index of the bundle in `dir`, without looking at the blobs.
pub fn open(dir: &Path) -> Result<Index, BundleError> {
    let path = dir.join(INDEX_FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(Index::parse(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(BundleError::NotABundle {
            dir: dir.to_owned(),
            why: format!("it has no {INDEX_FILE}"),
        }),
        Err(error) => Err(BundleError::io("read", path)(error)),
    }
}

/// Reads every byte of the bundle in `dir`.
pub fn verify(dir: &Path, progress: &dyn Progress) -> Result<Findings, BundleError> {
    let index = open(dir)?;
    let mut needed: BTreeMap<&Digest, (&Blob, Vec<String>)> = BTreeMap::new();
    for member in &index.members {
        for blob in &member.blobs {
            needed
                .entry(&blob.sha256)
                .or_insert((blob, Vec::new()))
                .1
                .push(member.id());
        }
    }
    let of = needed.values().map(|(blob, _)| blob.size).sum();
    let mut queue: Vec<_> = needed.values().collect();
    // Large ones first: the last ones to end are then small, and no core idles.
    queue.sort_by_key(|(blob, _)| std::cmp::Reverse(blob.size));
    let meter = Meter::new(progress, of);
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((blob, members)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(problem) = check_blob(dir, blob, members, |count| meter.add(count)) {
                        problems
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(problem);
                    }
                }
            });
        }
    });
    let mut problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    let wrong: BTreeSet<String> = problems
        .iter()
        .flat_map(|problem| match problem {
            Problem::Missing { members, .. } | Problem::Altered { members, .. } => members.clone(),
            _ => Vec::new(),
        })
        .collect();
    for member in index
        .of_kind(Kind::Image)
        .filter(|member| !wrong.contains(&member.id()))
    {
        if let Some(why) = manifest_differs(dir, member) {
            problems.push(Problem::Inconsistent {
                member: member.id(),
                why,
            });
        }
    }
    problems.extend(unlisted(
        dir,
        &needed.keys().map(|digest| digest.as_str()).collect(),
    )?);
    let layout = [
        ("oci-layout", OCI_LAYOUT.as_bytes().to_vec()),
        ("index.json", oci_index(&index, media_type_in(dir))),
        // Names, versions and origins have no digest of their own.
        (DIGEST_FILE, digest_line(&index).into_bytes()),
        // Other bytes with the same meaning are not those whose digest people compare.
        (INDEX_FILE, index.to_bytes()),
    ];
    for (name, bytes) in layout {
        let path = dir.join(name);
        if !fs::read(&path).is_ok_and(|found| found == bytes) {
            problems.push(Problem::Layout { path });
        }
    }
    problems.sort();
    Ok(Findings {
        digest: index.digest(),
        index: index.clone(),
        bytes: meter.done(),
        problems,
    })
}

fn check_blob(dir: &Path, blob: &Blob, members: &[String], seen: impl FnMut(u64)) -> Option<Problem> {
    let path = blob_path(dir, &blob.sha256);
    let members = members.to_vec();
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(Problem::Missing { members, path });
        }
        Err(error) => {
            return Some(Problem::Altered {
                members,
                path,
                found: error.to_string(),
            });
        }
        Ok(data) if !data.is_file() => {
            return Some(Problem::Altered {
                members,
                path,
                found: "not a regular file".to_owned(),
            });
        }
        Ok(data) if data.len() != blob.size => {
            let found = format!("{} bytes instead of {}", data.len(), blob.size);
            return Some(Problem::Altered { members, path, found });
        }
        Ok(_) => {}
    }
    match hash_file(&path, seen) {
        Ok(found) if found.sha256 == blob.sha256 => None,
        Ok(found) => Some(Problem::Altered {
            members,
            path,
            found: format!("SHA-256 is {}", found.sha256),
        }),
        Err(error) => Some(Problem::Altered {
            members,
            path,
            found: error.to_string(),
        }),
    }
}

fn manifest_differs(dir: &Path, member: &Member) -> Option<String> {
    let listed: BTreeSet<String> = member
        .blobs
        .iter()
        .skip(1)
        .map(|blob| blob.sha256.oci())
        .collect();
    let bytes = fs::read(blob_path(dir, &member.sha256)).ok()?;
    let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Some("its manifest is not JSON".to_owned());
    };
    let digest = |value: &serde_json::Value| value["digest"].as_str().map(ToOwned::to_owned);
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let named: BTreeSet<String> = layers.chain([&manifest["config"]]).filter_map(digest).collect();
    (named != listed).then(|| "its manifest names other blobs than the index".to_owned())
}

fn unlisted(dir: &Path, needed: &BTreeSet<&str>) -> Result<Vec<Problem>, BundleError> {
    let blobs = dir.join("blobs/sha256");
    let places: [(&Path, &[&str]); 3] = [
        (
            dir,
            &["blobs", INDEX_FILE, DIGEST_FILE, "index.json", "oci-layout"],
        ),
        (&dir.join("blobs"), &["sha256"]),
        (&blobs, &[]),
    ];
    let mut found = Vec::new();
    for (folder, known) in places {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(BundleError::io("read", folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(BundleError::io("read", folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_needed = folder == blobs && needed.contains(name.as_str());
            if !is_needed && !known.contains(&name.as_str()) {
                found.push(Problem::Unlisted { path: entry.path() });
            }
        }
    }
    Ok(found)
}
