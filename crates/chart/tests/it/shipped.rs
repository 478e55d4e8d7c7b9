//! The charts of this repository, under each of their `ci/*.yaml` values, against Helm.

use std::collections::BTreeMap;
use std::path::Path;

use crate::case::Case;
use crate::oracle::Oracle;

pub(crate) fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Links to the shared library are followed, as Helm follows them.
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

/// Secrets that a chart draws at random cannot be compared.
pub(crate) fn without_drawn_secrets(manifest: &str) -> String {
    let documents: Vec<String> = manifest
        .split("\n---\n")
        .map(|document| {
            if !document.contains("\nkind: Secret\n") {
                return document.to_owned();
            }
            let mut data = false;
            let lines: Vec<String> = document
                .lines()
                .map(|line| {
                    if !line.starts_with(' ') {
                        data = line.starts_with("data:") || line.starts_with("stringData:");
                    }
                    match line.split_once(": ") {
                        Some((key, _)) if data => format!("{key}: drawn"),
                        _ => line.to_owned(),
                    }
                })
                .collect();
            lines.join("\n")
        })
        .collect();
    documents.join("\n---\n")
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn shipped_charts_render_as_helm_renders_them() {
    let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts");
    let mut oracle = Oracle::start();
    let mut failures = Vec::new();
    let mut count = 0;
    for chart in std::fs::read_dir(charts).unwrap() {
        let chart = chart.unwrap().path();
        let metadata = std::fs::read_to_string(chart.join("Chart.yaml")).unwrap_or_default();
        if metadata.is_empty() || metadata.contains("type: library") {
            continue;
        }
        let mut files = BTreeMap::new();
        collect(&chart, &chart, &mut files);
        let mut values = vec![("no values".to_owned(), String::new())];
        if let Ok(entries) = std::fs::read_dir(chart.join("ci")) {
            for entry in entries {
                let path = entry.unwrap().path();
                values.push((
                    path.display().to_string(),
                    std::fs::read_to_string(&path).unwrap(),
                ));
            }
        }
        for (label, values) in values {
            let case = Case {
                files: files.clone(),
                values,
                ..Case::default()
            };
            let theirs = oracle.ask(&case);
            let ours = case.ours_seeded();
            let same = without_drawn_secrets(&ours.manifest) == without_drawn_secrets(&theirs.manifest)
                && ours.notes == theirs.notes
                && ours.error == theirs.error;
            if !same {
                failures.push(format!(
                    "{} with {label}:\nHelm {theirs:?}\nours {ours:?}",
                    chart.display()
                ));
            }
            count += 1;
        }
    }
    println!("counted: {count} renderings of the charts of this repository against Helm");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
