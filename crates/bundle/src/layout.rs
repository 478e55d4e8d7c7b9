//! Writing a bundle directory: an OCI image layout with `bundle.json`.
//!
//! `bundle.json` is removed before anything that it describes changes and written last, so a directory that has one is
//! whole, at whatever point a run was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cache::{Cache, hash_file, permissions, write_file},
    error::BundleError,
    index::{Digest, INDEX_FILE, Index, Kind, blob_path},
    progress::{Meter, Progress},
};

/// Content of the file `oci-layout`.
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Name of the file with the bundle's digest, as `sha256sum --check` reads it.
pub const DIGEST_FILE: &str = "bundle.sha256";

/// Content of [`DIGEST_FILE`].
pub fn digest_line(index: &Index) -> String {
    format!("{}  {INDEX_FILE}\n", index.digest())
}

/// The standard's own index, from which `ctr images import` and others read the images' names.
pub fn oci_index(index: &Index, media_type: impl Fn(&Digest) -> Option<String>) -> Vec<u8> {
    let manifests: Vec<_> = index
        .of_kind(Kind::Image)
        .map(|member| {
            let kind = media_type(&member.sha256)
                .unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned());
            json!({
                "mediaType": kind,
                "digest": member.sha256.oci(),
                "size": member.blobs.first().map_or(0, |blob| blob.size),
                "platform": {"architecture": "amd64", "os": "linux"},
                "annotations": {
                    "io.containerd.image.name": member.reference,
                    "org.opencontainers.image.ref.name": member.reference,
                },
            })
        })
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The media type that a manifest in the bundle says it has.
pub(crate) fn media_type_in(dir: &Path) -> impl Fn(&Digest) -> Option<String> {
    let dir = dir.to_owned();
    move |sha256| {
        let bytes = fs::read(blob_path(&dir, sha256)).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        manifest.get("mediaType")?.as_str().map(ToOwned::to_owned)
    }
}

/// Writes the bundle. Every byte of it is checked on the way, also those that were already there.
pub fn write(
    dir: &Path,
    index: &Index,
    cache: &Cache,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<(), BundleError> {
    let folder = dir.join("blobs/sha256");
    fs::create_dir_all(&folder).map_err(BundleError::io("make", &folder))?;
    let place = fs::canonicalize(dir).map_err(BundleError::io("read", dir))?;
    let _lock = cache.lock(Digest::of(place.as_os_str().as_encoded_bytes()).as_str())?;

    let owners: BTreeMap<_, _> = index
        .members
        .iter()
        .flat_map(|member| {
            member
                .blobs
                .iter()
                .map(move |blob| (&blob.sha256, (blob, member)))
        })
        .collect();
    let bytes_all = owners.values().map(|(blob, _)| blob.size).sum();
    let mut queue: Vec<_> = owners.values().copied().collect();
    queue.sort_by_key(|(blob, _)| std::cmp::Reverse(blob.size));
    let meter = Meter::new(progress, bytes_all);
    let next = AtomicUsize::new(0);
    let errors = Mutex::new(Vec::new());
    // While blobs arrive the old bundle stays whole: blobs are only added, or replaced if they were altered.
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((blob, member)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) =
                        place_blob(&place, blob, &member.id(), cache, |count| meter.add(count))
                    {
                        errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !errors.is_empty() {
        return Err(BundleError::together(errors));
    }

    let files = [
        ("oci-layout", OCI_LAYOUT.as_bytes().to_vec()),
        ("index.json", oci_index(index, media_type_in(&place))),
        (DIGEST_FILE, digest_line(index).into_bytes()),
        (INDEX_FILE, index.to_bytes()),
    ];
    let same = |name: &str, bytes: &[u8]| fs::read(place.join(name)).is_ok_and(|found| found == bytes);
    if !files.iter().all(|(name, bytes)| same(name, bytes)) {
        remove_if_there(&place.join(INDEX_FILE))?;
        for (name, bytes) in &files {
            write_file(&place.join(name), bytes)?;
        }
    }
    prune(
        &place.join("blobs/sha256"),
        &owners.keys().map(|digest| digest.as_str()).collect(),
    )
}

fn place_blob(
    dir: &Path,
    blob: &crate::index::Blob,
    member: &str,
    cache: &Cache,
    mut seen: impl FnMut(u64),
) -> Result<(), BundleError> {
    let to = blob_path(dir, &blob.sha256);
    if fs::metadata(&to).is_ok_and(|data| data.is_file() && data.len() == blob.size)
        && hash_file(&to, &mut seen)?.sha256 == blob.sha256
    {
        return Ok(());
    }
    let from = cache.blob_path(&blob.sha256);
    let mut reader = fs::File::open(&from).map_err(BundleError::io("read", &from))?;
    let folder = dir.join("blobs/sha256");
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(permissions())
        .tempfile_in(&folder)
        .map_err(BundleError::io("write in", &folder))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = reader.read(&mut buffer).map_err(BundleError::io("read", &from))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count])
            .map_err(BundleError::io("write", &to))?;
        seen(count as u64);
    }
    if Digest::from_hash(&hash.finalize()) != blob.sha256 {
        cache.forget(&blob.sha256);
        return Err(BundleError::CacheDamaged {
            member: member.to_owned(),
            sha256: blob.sha256.clone(),
            cache: cache.blob_path(&blob.sha256),
        });
    }
    file.persist(&to)
        .map_err(|error| BundleError::io("write", &to)(error.error))?;
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), BundleError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BundleError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes blobs of earlier bundles and of killed runs.
fn prune(folder: &Path, keep: &BTreeSet<&str>) -> Result<(), BundleError> {
    for entry in fs::read_dir(folder).map_err(BundleError::io("read", folder))? {
        let entry = entry.map_err(BundleError::io("read", folder))?;
        if !keep.contains(entry.file_name().to_string_lossy().as_ref()) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}
