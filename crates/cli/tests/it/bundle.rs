//! A bundle of the right shape: the charts of this repository, and for everything else its name.

use std::path::{Path, PathBuf};

use openg2p_bundle::index::{Blob, Digest, INDEX_FILE, Index, Kind, Member};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// All files below a chart's folder; links to charts that it needs are followed.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for path in names(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "ci" {
                collect(&path, &format!("{prefix}/{name}"), files);
            }
        } else {
            files.push((format!("{prefix}/{name}"), std::fs::read(&path).unwrap()));
        }
    }
}

fn chart(name: &str) -> Vec<u8> {
    let mut files = Vec::new();
    collect(&root().join("charts").join(name), name, &mut files);
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Writes the bundle that the recipes of the catalogue describe to `folder`.
pub(crate) fn make(folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let mut members: Vec<Member> = Vec::new();
    for group in ["platform", "commons", "modules"] {
        for path in names(&root().join("catalog").join(group)) {
            let Ok(text) = std::fs::read_to_string(path.join("bundle.yaml")) else {
                continue;
            };
            let recipe: Value = serde_saphyr::from_str(&text).unwrap();
            for member in recipe["members"].as_array().into_iter().flatten() {
                let member = one(member, &blobs);
                let twice = |known: &Member| known.kind == member.kind && known.name == member.name;
                if !members.iter().any(twice) {
                    members.push(member);
                }
            }
        }
    }
    let index = Index::new("trixie", members).unwrap();
    std::fs::write(folder.join(INDEX_FILE), index.to_bytes()).unwrap();
}

fn one(member: &Value, blobs: &Path) -> Member {
    let field = |key: &str| member[key].as_str().unwrap_or_default().to_owned();
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == field("kind"))
        .unwrap();
    let (name, version) = (field("name"), field("version"));
    let bytes = match kind {
        Kind::Chart => chart(&name),
        _ => format!("{kind} {name} {version}\n").into_bytes(),
    };
    let sha256 = Digest::of(&bytes);
    std::fs::write(blobs.join(sha256.as_str()), &bytes).unwrap();
    let package = kind == Kind::DebianPackage;
    let size = bytes.len() as u64;
    Member {
        kind,
        version: if package { "1.0-1".into() } else { version },
        reference: member["reference"].as_str().map(str::to_owned),
        architecture: package.then(|| "amd64".into()),
        control: package.then(|| format!("Package: {name}\n")),
        name,
        sha256: sha256.clone(),
        size,
        licence: "MPL-2.0".into(),
        origin: "test".into(),
        blobs: vec![Blob { sha256, size }],
    }
}
