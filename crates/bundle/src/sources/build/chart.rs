//! Helm charts as deterministic archives, with the local charts that they depend on inside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use serde::Deserialize;
use tar::{Builder, Header};

use crate::{
    cache::Obtained,
    error::BundleError,
    sources::{
        Inputs, Workshop,
        build::{context::Context, member},
    },
};

#[derive(Deserialize)]
struct ChartFile {
    name: String,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    #[serde(default)]
    repository: String,
}

/// A chart's folder with the place that it has in the archive.
struct Part {
    prefix: String,
    files: Context,
}

/// The chart and the local charts below it, each once per place.
fn parts(folder: &Path, prefix: Option<String>, depth: usize) -> Result<Vec<Part>, BundleError> {
    let path = folder.join("Chart.yaml");
    let text = fs::read_to_string(&path).map_err(BundleError::io("read", &path))?;
    let wrong = |why: String| BundleError::Recipe {
        path: path.clone(),
        why,
    };
    let chart: ChartFile = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if depth > 8 {
        return Err(wrong(
            "depends on itself, or on charts nested deeper than eight".to_owned(),
        ));
    }
    let prefix = prefix.unwrap_or_else(|| chart.name.clone());
    let mut all = Vec::new();
    // `ci` holds values for tests of the chart.
    let mut without = vec!["ci".to_owned()];
    for dependency in &chart.dependencies {
        let Some(relative) = dependency.repository.strip_prefix("file://") else {
            if !folder.join("charts").join(&dependency.name).is_dir() {
                return Err(wrong(format!(
                    "depends on `{}`, which is neither in its charts/ folder nor a file:// path; put it into one of them",
                    dependency.name
                )));
            }
            continue;
        };
        // What may stand there (a link, or what `helm dependency build` left) is replaced by the original.
        without.push(format!("charts/{}", dependency.name));
        all.extend(parts(
            &folder.join(relative),
            Some(format!("{prefix}/charts/{}", dependency.name)),
            depth + 1,
        )?);
    }
    let files = Context::read_without(folder, &without)?;
    all.insert(0, Part { prefix, files });
    Ok(all)
}

/// What decides a chart's archive.
pub(crate) fn inputs(folder: &Path, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    let mut inputs = Inputs::default();
    inputs.declare("format", "1");
    for part in parts(&workshop.root.join(folder), None, 0)? {
        inputs.declare(part.prefix, part.files.digest().as_str());
    }
    Ok(inputs)
}

/// Packages the chart.
pub(crate) fn package(what: &str, folder: &Path, workshop: &Workshop<'_>) -> Result<Obtained, BundleError> {
    let bytes = archive(what, &workshop.root.join(folder))?;
    Ok(member(
        folder.display().to_string(),
        vec![workshop.cache.put_bytes(&bytes)?],
    ))
}

/// The bytes of the chart's archive: sorted, without times and owners, the same on every machine.
pub fn archive(what: &str, folder: &Path) -> Result<Vec<u8>, BundleError> {
    let damaged = |source| BundleError::Io {
        doing: "package",
        path: PathBuf::from(what),
        source,
    };
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut builder = Builder::new(gzip);
    for part in parts(folder, None, 0)? {
        for (name, path, executable) in part.files.files() {
            let content = fs::read(path).map_err(BundleError::io("read", path))?;
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(if executable { 0o755 } else { 0o644 });
            header.set_mtime(0);
            builder
                .append_data(&mut header, format!("{}/{name}", part.prefix), content.as_slice())
                .map_err(damaged)?;
        }
    }
    builder
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(damaged)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn chart(root: &Path, name: &str, dependencies: &str) {
        let folder = root.join(name);
        fs::create_dir_all(folder.join("templates")).unwrap();
        fs::write(
            folder.join("Chart.yaml"),
            format!("name: {name}\nversion: 0.1.0\n{dependencies}"),
        )
        .unwrap();
        fs::write(folder.join("templates/a.yaml"), "a: 1\n").unwrap();
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut plain)
            .unwrap();
        let mut archive = tar::Archive::new(plain.as_slice());
        archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn local_dependencies_are_inside() {
        let root = tempfile::tempdir().unwrap();
        chart(root.path(), "init", "");
        chart(
            root.path(),
            "spar",
            "dependencies:\n  - {name: init, version: 0.1.0, repository: \"file://../init\"}\n",
        );
        fs::create_dir(root.path().join("spar/charts")).unwrap();
        std::os::unix::fs::symlink("../../init", root.path().join("spar/charts/init")).unwrap();
        let bytes = archive("chart/spar", &root.path().join("spar")).unwrap();
        assert_eq!(
            names(&bytes),
            [
                "spar/Chart.yaml",
                "spar/templates/a.yaml",
                "spar/charts/init/Chart.yaml",
                "spar/charts/init/templates/a.yaml"
            ]
        );
        assert_eq!(archive("chart/spar", &root.path().join("spar")).unwrap(), bytes);
    }

    #[test]
    fn a_dependency_that_is_not_there_and_a_circle_are_refused() {
        let root = tempfile::tempdir().unwrap();
        chart(
            root.path(),
            "a",
            "dependencies:\n  - {name: b, repository: \"https://example.org\"}\n",
        );
        assert_eq!(
            archive("chart/a", &root.path().join("a")).unwrap_err().code(),
            "bundle::recipe-invalid"
        );
        chart(
            root.path(),
            "c",
            "dependencies:\n  - {name: c, repository: \"file://../c\"}\n",
        );
        assert_eq!(
            archive("chart/c", &root.path().join("c")).unwrap_err().code(),
            "bundle::recipe-invalid"
        );
    }
}
