//! Unpacks chart archives, which come from strangers.

use std::io::Read as _;

use crate::error::ChartError;
use crate::functions::clean_path;
use crate::load::{File, MAX_CHART, MAX_FILE};

/// More files than any chart has.
const MAX_FILES: usize = 20_000;

fn refuse<T>(reason: impl Into<String>) -> Result<T, ChartError> {
    Err(ChartError::Archive {
        reason: reason.into(),
    })
}

/// A path below the chart's folder, or a refusal.
pub(crate) fn safe_path(name: &str) -> Result<String, ChartError> {
    let name = name.replace('\\', "/");
    if name.starts_with('/') {
        return refuse(format!("chart illegally contains absolute paths: {name:?}"));
    }
    let clean = clean_path(&name);
    if clean == "." {
        return refuse(format!(
            "chart illegally contains content outside the base directory: {name:?}"
        ));
    }
    if clean.starts_with("..") {
        return refuse(format!("chart illegally references parent directory: {name:?}"));
    }
    let bytes = clean.as_bytes();
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && &bytes[1..3] == b":/" {
        return refuse(format!("chart contains illegally named files: {name:?}"));
    }
    if clean.contains('\0') {
        return refuse("chart contains a file name with a zero byte");
    }
    Ok(clean)
}

/// Drops a byte order mark.
pub(crate) fn without_mark(data: Vec<u8>) -> Vec<u8> {
    match data.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => rest.to_vec(),
        None => data,
    }
}

/// The files of an archive without their first folder.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<File>, ChartError> {
    if !bytes.starts_with(b"\x1F\x8B") {
        return refuse("gzip: invalid header; a chart archive is a gzipped tar file");
    }
    let limit = u64::try_from(MAX_CHART).unwrap_or(u64::MAX);
    // Headers and padding count as well, so that an archive of empty files ends somewhere.
    let unzipped = flate2::read::MultiGzDecoder::new(bytes).take(2 * limit);
    let mut archive = tar::Archive::new(unzipped);
    let broken = |error: std::io::Error| ChartError::Archive {
        reason: error.to_string(),
    };
    let mut files: Vec<File> = Vec::new();
    let mut total = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return refuse(format!(
                "{name:?} is no regular file; links and devices have no place in a chart"
            ));
        }
        let delimiter = if name.contains('\\') { '\\' } else { '/' };
        let (first, rest) = name.split_once(delimiter).unwrap_or((&name, ""));
        if first == "Chart.yaml" {
            return refuse("chart yaml not in base directory");
        }
        if rest.starts_with(delimiter) {
            return refuse(format!("chart illegally contains absolute paths: {name:?}"));
        }
        let path = safe_path(rest)?;
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if size > MAX_FILE {
            return refuse(format!(
                "decompressed chart file {name:?} is larger than the maximum file size {MAX_FILE}"
            ));
        }
        total += size;
        if total > MAX_CHART {
            return refuse(format!(
                "decompressed chart is larger than the maximum file size {MAX_CHART}"
            ));
        }
        if files.len() >= MAX_FILES {
            return refuse(format!("the archive has more than {MAX_FILES} files"));
        }
        let mut data = Vec::with_capacity(size);
        entry.read_to_end(&mut data).map_err(broken)?;
        if data.len() != size {
            return refuse(format!("{name:?} ends early: the archive is cut off"));
        }
        files.push(File {
            name: path,
            data: without_mark(data),
        });
    }
    if files.is_empty() {
        return refuse("no files in chart archive");
    }
    Ok(files)
}
