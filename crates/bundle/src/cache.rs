//! The content-addressed cache: blobs by digest, and what was made from which inputs.
//!
//! Keys are digests of inputs and never contain paths or times, so every checkout on a machine shares the cache. All
//! files are written beside their place and renamed into it: whoever is killed leaves scratch folders behind, which
//! the next run removes, and nothing half-written.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    error::BundleError,
    index::{Blob, Digest},
};

/// What a source made, before it is joined with what the recipe says about the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Obtained {
    /// The member's name, if the source decides it (packages that others depend on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The version, if the source decides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Architecture of a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Control stanza of a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Where it came from, for people.
    pub origin: String,
    /// Its blobs; the first identifies it.
    pub blobs: Vec<Blob>,
}

/// A result that the cache keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Obtained>,
    /// Programs that go into images, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Blob>,
}

impl Made {
    fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.members
            .iter()
            .flat_map(|member| &member.blobs)
            .chain(self.files.values())
    }
}

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens the cache in this folder, makes it if needed, and clears away what killed runs left.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, BundleError> {
        let cache = Self { root: root.into() };
        for folder in ["blobs/sha256", "made", "scratch", "locks", "took"] {
            let folder = cache.root.join(folder);
            fs::create_dir_all(&folder).map_err(BundleError::io("make", &folder))?;
        }
        cache.sweep();
        Ok(cache)
    }

    /// Where a blob lies.
    pub fn blob_path(&self, sha256: &Digest) -> PathBuf {
        crate::index::blob_path(&self.root, sha256)
    }

    /// Whether a blob is there in its full length. Its bytes are checked when a bundle takes them.
    pub fn has(&self, blob: &Blob) -> bool {
        fs::metadata(self.blob_path(&blob.sha256)).is_ok_and(|data| data.is_file() && data.len() == blob.size)
    }

    /// Takes in bytes.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Blob, BundleError> {
        self.put(&mut &bytes[..])
    }

    /// Takes in a file by copying it.
    pub fn put_file(&self, path: &Path) -> Result<Blob, BundleError> {
        let mut file = File::open(path).map_err(BundleError::io("read", path))?;
        self.put(&mut file)
    }

    /// Takes in everything that a reader gives.
    pub fn put(&self, reader: &mut dyn Read) -> Result<Blob, BundleError> {
        let mut writer = self.writer()?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(BundleError::io("read into", &self.root))?;
            if count == 0 {
                break;
            }
            writer
                .write_all(&buffer[..count])
                .map_err(BundleError::io("write", &self.root))?;
        }
        writer.keep()
    }

    /// A blob in the making.
    pub fn writer(&self) -> Result<BlobWriter<'_>, BundleError> {
        let folder = self.root.join("blobs");
        let file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&folder)
            .map_err(BundleError::io("write in", &folder))?;
        Ok(BlobWriter {
            cache: self,
            file,
            hash: Sha256::new(),
            size: 0,
        })
    }

    /// What was made from the inputs with this key, if all of it is still there.
    pub fn load(&self, key: &Digest) -> Option<Made> {
        let bytes = fs::read(self.root.join("made").join(key.as_str())).ok()?;
        let made: Made = serde_json::from_slice(&bytes).ok()?;
        let whole = made.blobs().all(|blob| self.has(blob));
        whole.then_some(made)
    }

    /// Remembers what was made from the inputs with this key.
    pub fn store(&self, key: &Digest, made: &Made) -> Result<(), BundleError> {
        let bytes = serde_json::to_vec_pretty(made).unwrap_or_default();
        write_file(&self.root.join("made").join(key.as_str()), &bytes)
    }

    /// Forgets a blob that is not what its name says.
    pub fn forget(&self, sha256: &Digest) {
        // If it cannot be removed the next run reports it again.
        let _ = fs::remove_file(self.blob_path(sha256));
    }

    /// A folder that goes away with its value, and with the next run if this one is killed.
    pub fn scratch(&self) -> Result<Scratch, BundleError> {
        let parent = self.root.join("scratch");
        // The lock comes first: a folder that has none for a moment could be taken for a dead one.
        let file = tempfile::Builder::new()
            .prefix("run-")
            .suffix(".lock")
            .tempfile_in(&parent)
            .map_err(BundleError::io("write in", &parent))?;
        file.as_file()
            .lock()
            .map_err(BundleError::io("lock", file.path()))?;
        let folder = file.path().with_extension("");
        fs::create_dir(&folder).map_err(BundleError::io("make", &folder))?;
        Ok(Scratch { folder, _lock: file })
    }

    /// A lock that holds as long as the value lives, so that two runs do not write the same bundle.
    pub fn lock(&self, name: &str) -> Result<File, BundleError> {
        let path = self.root.join("locks").join(name);
        let file = File::create(&path).map_err(BundleError::io("write", &path))?;
        file.lock().map_err(BundleError::io("lock", &path))?;
        Ok(file)
    }

    /// How long something took the last time.
    pub fn took(&self, what: &str) -> Option<Duration> {
        let text = fs::read_to_string(self.took_path(what)).ok()?;
        text.trim().parse().ok().map(Duration::from_millis)
    }

    /// Remembers how long something took.
    pub fn set_took(&self, what: &str, took: Duration) {
        // A guess for the next progress bar; without it the recipe's own guess is shown.
        let _ = write_file(&self.took_path(what), took.as_millis().to_string().as_bytes());
    }

    fn took_path(&self, what: &str) -> PathBuf {
        self.root.join("took").join(what.replace(['/', ':'], "_"))
    }

    /// Removes scratch folders whose owners are gone, which their released lock tells.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("scratch")) else {
            return;
        };
        for lock_path in entries.flatten().map(|entry| entry.path()) {
            if lock_path.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let Ok(lock) = File::open(&lock_path) else {
                continue;
            };
            // One this young may belong to a run that has not come to locking it.
            let age = lock
                .metadata()
                .and_then(|data| data.modified())
                .ok()
                .and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > Duration::from_secs(5)) && lock.try_lock().is_ok() {
                // What cannot be removed now is tried again by the next run.
                let gone = fs::remove_dir_all(lock_path.with_extension(""));
                if gone.is_ok() || gone.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
                    let _ = fs::remove_file(&lock_path);
                }
            }
        }
    }
}

/// A blob in the making; dropped without [`BlobWriter::keep`], it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter<'a> {
    cache: &'a Cache,
    file: tempfile::NamedTempFile,
    hash: Sha256,
    size: u64,
}

impl BlobWriter<'_> {
    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Drops all bytes so far.
    pub(crate) fn clear(&mut self) -> std::io::Result<()> {
        use std::io::Seek;
        self.file.as_file().set_len(0)?;
        self.file.rewind()?;
        self.hash = Sha256::new();
        self.size = 0;
        Ok(())
    }

    /// Puts the blob into the cache.
    pub fn keep(self) -> Result<Blob, BundleError> {
        let sha256 = Digest::from_hash(&self.hash.finalize());
        let path = self.cache.blob_path(&sha256);
        let blob = Blob {
            sha256,
            size: self.size,
        };
        if !self.cache.has(&blob) {
            self.file
                .persist(&path)
                .map_err(|error| BundleError::io("write", &path)(error.error))?;
        }
        Ok(blob)
    }

    /// Puts the blob into the cache if it is the promised one.
    pub fn keep_if(self, expected: &Digest, what: &str, origin: &str) -> Result<Blob, BundleError> {
        let found = Digest::from_hash(&self.hash.clone().finalize());
        if &found != expected {
            return Err(BundleError::DigestMismatch {
                what: what.to_owned(),
                origin: origin.to_owned(),
                expected: expected.clone(),
                found,
            });
        }
        self.keep()
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A folder for one piece of work.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    /// Removed after the folder: a lock without a folder harms nobody.
    _lock: tempfile::NamedTempFile,
}

impl Scratch {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Writes a file beside its place and renames it into it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(BundleError::io("make", folder))?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(permissions())
        .tempfile_in(folder)
        .map_err(BundleError::io("write in", folder))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(BundleError::io("write", path))?;
    file.persist(path)
        .map_err(|error| BundleError::io("write", path)(error.error))?;
    Ok(())
}

/// Bundles and caches hold nothing secret, and other users of the machine may read them.
pub(crate) fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o644)
}

/// Digest and length of a file's bytes.
pub(crate) fn hash_file(path: &Path, mut seen: impl FnMut(u64)) -> Result<Blob, BundleError> {
    let mut file = File::open(path).map_err(BundleError::io("read", path))?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(BundleError::io("read", path))?;
        if count == 0 {
            return Ok(Blob {
                sha256: Digest::from_hash(&hash.finalize()),
                size,
            });
        }
        hash.update(&buffer[..count]);
        size += count as u64;
        seen(count as u64);
    }
}
