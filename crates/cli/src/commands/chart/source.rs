//! Reads charts from folders and archives.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use openg2p_chart::{Chart, IgnoreRules, unpack};

use super::failed;
use crate::error::CliError;

/// Links may lead in circles; no chart has folders this deep.
const MAX_DEPTH: usize = 40;
/// More files than any chart has.
const MAX_FILES: usize = 20_000;
/// The chart's own limit for a file; more of it is not read.
const MAX_FILE: u64 = 5 << 20;

/// The files of a chart, named by their paths below its folder.
pub(super) type Files = Vec<(String, Vec<u8>)>;

fn unreadable(path: &Path, why: impl std::fmt::Display) -> CliError {
    CliError::bad_input("chart::unreadable", "the chart cannot be read")
        .at(path.display())
        .because(why)
}

/// Whether a path is that of an archive rather than of a folder.
fn is_archive(path: &Path) -> bool {
    path.is_file()
}

/// The files of the chart in a folder or an archive.
pub(super) fn files(path: &Path) -> Result<Files, CliError> {
    let text = path.to_string_lossy();
    if !path.exists() {
        let error = unreadable(path, "there is no such file or folder");
        return Err(if text.contains("://") {
            error.hint("charts are not fetched here; `helm pull` does, and this reads its .tgz")
        } else {
            error.hint("a chart is a folder with a Chart.yaml, or a .tgz of one")
        });
    }
    if is_archive(path) {
        let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
        return unpack(&bytes).map_err(|error| failed(&error).at(path.display()));
    }
    let ignored = match fs::read(path.join(".helmignore")) {
        Ok(text) => IgnoreRules::read(&text).map_err(|error| failed(&error).at(path.display()))?,
        Err(_) => IgnoreRules::default(),
    };
    let mut files = Files::new();
    collect(path, "", &ignored, 0, &mut files)?;
    Ok(files)
}

/// The chart in a folder or an archive.
pub(super) fn chart(path: &Path) -> Result<Chart, CliError> {
    let chart = if is_archive(path) {
        let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
        Chart::from_tgz(&bytes)
    } else {
        Chart::load(files(path)?)
    };
    chart.map_err(|error| failed(&error).at(path.display()))
}

/// The content of a file that a chart may have.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: std::io::Error| unreadable(path, error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > MAX_FILE {
        let why = format!("it has {size} bytes, and a file of a chart may have {MAX_FILE}");
        return Err(unreadable(path, why));
    }
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // Charts have many small files: it is not asked again whether there is more of them.
    file.take(size).read_to_end(&mut data).map_err(failed)?;
    Ok(data)
}

/// Links are followed, as Helm follows them.
fn collect(
    root: &Path,
    below: &str,
    ignored: &IgnoreRules,
    depth: usize,
    files: &mut Files,
) -> Result<(), CliError> {
    let folder = root.join(below);
    if depth > MAX_DEPTH {
        return Err(unreadable(
            &folder,
            "its folders are too deep; a link may lead in a circle",
        ));
    }
    let entries = fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))?;
    let mut found = Vec::new();
    for entry in entries {
        // An entry would keep its folder open.
        let entry = entry.map_err(|error| unreadable(&folder, error))?;
        found.push((entry.file_name(), entry.file_type()));
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (name, kind) in found {
        let path = folder.join(&name);
        let name = name.to_string_lossy();
        let relative = if below.is_empty() {
            name.into_owned()
        } else {
            format!("{below}/{name}")
        };
        // The folder mostly says what is in it; only a link must be followed to know.
        let kind = kind
            .and_then(|kind| {
                if kind.is_symlink() {
                    fs::metadata(&path).map(|about| about.file_type())
                } else {
                    Ok(kind)
                }
            })
            .map_err(|error| unreadable(&path, error))?;
        if kind.is_dir() {
            // Something below may be wanted only if the folder is.
            if !ignored.ignores(&format!("{relative}/.")) {
                collect(root, &relative, ignored, depth + 1, files)?;
            }
            continue;
        }
        if ignored.ignores(&relative) {
            continue;
        }
        if !kind.is_file() {
            return Err(unreadable(&path, "it is no regular file"));
        }
        if files.len() >= MAX_FILES {
            return Err(unreadable(
                &folder,
                format!("there are more than {MAX_FILES} files"),
            ));
        }
        files.push((relative, read(&path)?));
    }
    Ok(())
}
