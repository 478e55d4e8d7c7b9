//! Programs of this workspace, for the images that carry them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::{
    cache::Made,
    command,
    error::BundleError,
    index::Blob,
    recipe::CargoBinary,
    sources::{Inputs, Workshop, build::context},
};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Dependency {
    /// What only tests need does not end up in the program.
    fn counts(&self) -> bool {
        self.dep_kinds
            .iter()
            .any(|one| one.kind.as_deref() != Some("dev"))
    }
}

/// What decides a binary: the sources of its package and of every package of the workspace that it depends on, and
/// the exact versions of all others. The rest of Cargo.lock does not count: other crates of the workspace come and go.
pub(crate) fn inputs(binary: &CargoBinary, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    let what = format!("cargo/{}", binary.name());
    let text = workshop.version("cargo metadata", || {
        let mut cargo = Command::new("cargo");
        cargo.args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ]);
        command::output(&what, cargo.current_dir(&workshop.root))
    })?;
    let metadata: Metadata = serde_json::from_str(&text).map_err(|error| BundleError::Recipe {
        path: workshop.root.join("Cargo.toml"),
        why: format!("`cargo metadata` answered something unexpected: {error}"),
    })?;
    let mut inputs = Inputs::default();
    inputs.declare("binary", binary.name());
    for package in closure(&metadata, &binary.package, &workshop.root)? {
        let name = format!("{} {}", package.name, package.version);
        if let Some(source) = &package.source {
            inputs.declare(name, source);
        } else {
            let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
            // Tests and their data do not end up in the program.
            let files = context::Context::read_without(folder, &["tests".to_owned()])?;
            inputs.declare(name, files.digest().as_str());
        }
    }
    let version = workshop.version("rustc", || {
        command::output(&what, Command::new("rustc").arg("--version"))
    })?;
    inputs.tool("rustc", version);
    let all = inputs.clone();
    inputs.part(what, &all);
    Ok(inputs)
}

fn closure<'a>(metadata: &'a Metadata, package: &str, root: &Path) -> Result<Vec<&'a Package>, BundleError> {
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let first = metadata
        .packages
        .iter()
        .find(|candidate| candidate.name == package && candidate.source.is_none())
        .ok_or_else(|| BundleError::Recipe {
            path: root.join("Cargo.toml"),
            why: format!("the workspace has no package `{package}`, which an image needs"),
        })?;
    let mut seen = BTreeSet::new();
    let mut open = vec![first.id.as_str()];
    while let Some(id) = open.pop() {
        if seen.insert(id)
            && let Some(node) = nodes.get(id)
        {
            open.extend(
                node.deps
                    .iter()
                    .filter(|dependency| dependency.counts())
                    .map(|dependency| dependency.pkg.as_str()),
            );
        }
    }
    Ok(seen
        .into_iter()
        .filter_map(|id| packages.get(id).copied())
        .collect())
}

/// Compiles it in the development profile, which `make test` has warmed, and strips a copy.
pub(crate) fn binary(binary: &CargoBinary, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    let what = format!("cargo/{}", binary.name());
    let made = workshop.part(&what, &inputs(binary, workshop)?, || {
        let scratch = workshop.cache.scratch()?;
        let log = scratch.path().join("log");
        let mut cargo = command::mortal("cargo");
        cargo
            .args(["build", "--package", &binary.package, "--bin", binary.name()])
            .current_dir(&workshop.root)
            .env("CARGO_TARGET_DIR", &workshop.cargo_target);
        command::run(&what, &mut cargo, &log)?;
        let out = scratch.path().join("program");
        let built = workshop.cargo_target.join("debug").join(binary.name());
        command::run(&what, Command::new("strip").arg("-o").arg(&out).arg(built), &log)?;
        Ok(Made {
            files: [("program".to_owned(), workshop.cache.put_file(&out)?)].into(),
            ..Made::default()
        })
    })?;
    Ok(made.files["program"].clone())
}

/// Where a binary comes from.
pub(crate) fn origin(binary: &CargoBinary) -> String {
    format!("package {} of this repository", binary.package)
}
