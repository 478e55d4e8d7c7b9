//! Charts and a bundle from the files of this repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use openg2p_ports::BundleMember;
use openg2p_sim::SimBundle;
use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
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

fn archive(folder: &Path, name: &str) -> Vec<u8> {
    let mut files = Vec::new();
    collect(folder, name, &mut files);
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

/// Every chart of the repository by name.
pub(crate) static CHARTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    names(&root().join("charts"))
        .into_iter()
        .filter(|path| path.join("Chart.yaml").is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = archive(&path, &name);
            (name, bytes)
        })
        .collect()
});

/// Component folders with their `component.yaml`.
pub(crate) fn components() -> Vec<(String, String)> {
    ["platform", "commons", "modules"]
        .iter()
        .flat_map(|group| names(&root().join("catalog").join(group)))
        .filter_map(|path| {
            let text = std::fs::read_to_string(path.join("component.yaml")).ok()?;
            Some((path.file_name().unwrap().to_string_lossy().into_owned(), text))
        })
        .collect()
}

/// What the recipes of the catalogue would make, with small contents.
pub(crate) fn bundle() -> SimBundle {
    let mut members = Vec::new();
    for group in ["platform", "commons", "modules"] {
        for path in names(&root().join("catalog").join(group)) {
            let Ok(text) = std::fs::read_to_string(path.join("bundle.yaml")) else {
                continue;
            };
            let recipe: Value = serde_saphyr::from_str(&text).unwrap();
            for member in recipe["members"].as_array().into_iter().flatten() {
                members.push(one(member));
            }
        }
    }
    SimBundle::new(members)
}

fn one(member: &Value) -> (BundleMember, Option<Vec<u8>>) {
    let field = |key: &str| member[key].as_str().unwrap_or_default().to_owned();
    let (kind, name) = (field("kind"), field("name"));
    let version = if kind == "debian-package" {
        "1.0-1".into()
    } else {
        field("version")
    };
    let bytes = match kind.as_str() {
        "chart" => CHARTS.get(&name).cloned(),
        "binary" => Some(format!("{name} {version}\n").into_bytes()),
        _ => None,
    };
    let digest = openg2p_plan::Fingerprint::of_bytes(format!("{kind} {name} {version}").as_bytes());
    let reference = member["reference"].as_str().map(str::to_owned);
    let sha256 = digest.as_str().to_owned();
    (
        BundleMember {
            kind,
            name,
            version,
            sha256,
            reference,
            size: 1_000_000,
        },
        bytes,
    )
}
