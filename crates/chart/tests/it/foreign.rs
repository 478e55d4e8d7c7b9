//! Charts that others wrote: those that Go modules carry, Istio's first of all, against Helm.
//!
//! `modules.txt` names the modules with their checksums, and which values each chart is rendered with. Nothing of
//! theirs is in this repository: Go fetches them into its own cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use openg2p_chart::IgnoreRules;

use crate::case::Case;
use crate::oracle::Oracle;
use crate::shipped::{collect, without_drawn_secrets};

struct Module {
    name: String,
    sum: String,
    charts: Vec<Chart>,
}

struct Chart {
    folder: String,
    values: Vec<String>,
}

/// `module NAME@VERSION SUM`, below it `chart FOLDER`, below that lines of values in flow style.
fn modules() -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for line in include_str!("modules.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["#", ..] => {}
            ["module", name, sum] => modules.push(Module {
                name: (*name).to_owned(),
                sum: (*sum).to_owned(),
                charts: Vec::new(),
            }),
            ["chart", folder] => modules.last_mut().unwrap().charts.push(Chart {
                folder: (*folder).to_owned(),
                values: vec![String::new()],
            }),
            _ => {
                let chart = modules.last_mut().unwrap().charts.last_mut().unwrap();
                chart.values.push(format!("{}\n", line.trim()));
            }
        }
    }
    modules
}

/// The folder of a module in Go's cache.
fn fetched(module: &Module) -> PathBuf {
    // Outside of any module of ours, so that no go.mod there has a say.
    let output = Command::new("go")
        .args(["mod", "download", "-json", &module.name])
        .current_dir(std::env::temp_dir())
        .env("GOWORK", "off")
        .output()
        .unwrap_or_else(|error| panic!("go: {error}"));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    assert!(
        output.status.success(),
        "{}: {}{}",
        module.name,
        text("Error"),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(text("Sum"), module.sum, "{} is not what it was", module.name);
    PathBuf::from(text("Dir"))
}

/// Every folder with a chart below a folder, and every archive of one.
fn charts_below(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.join("Chart.yaml").is_file() {
        found.push(folder.to_owned());
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            charts_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "tgz") {
            found.push(path);
        }
    }
}

/// The files as Helm's loader hands them on: the oracle is given the same.
fn files_of(chart: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = read_files(chart);
    let ignored = files
        .get(".helmignore")
        .filter(|_| chart.is_dir())
        .map_or_else(IgnoreRules::default, |text| IgnoreRules::read(text).unwrap());
    files.retain(|name, _| !ignored.ignores(name));
    for data in files.values_mut() {
        if data.starts_with("\u{feff}".as_bytes()) {
            data.drain(..3);
        }
    }
    files
}

fn read_files(chart: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    if chart.is_dir() {
        collect(chart, chart, &mut files);
        return files;
    }
    let bytes = std::fs::read(chart).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().replace('\\', "/");
        if let (true, Some((_, name))) = (entry.header().entry_type().is_file(), path.split_once('/')) {
            let mut data = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut data).unwrap();
            files.insert(name.to_owned(), data);
        }
    }
    files
}

#[test]
#[ignore = "needs Helm and Go: `cargo xtask test` has both"]
fn charts_of_go_modules_render_as_helm_renders_them() {
    let mut oracle = Oracle::start();
    let (mut failures, mut charts, mut renderings, mut rendered, mut objects) = (Vec::new(), 0, 0, 0, 0);
    for module in modules() {
        let folder = fetched(&module);
        for chart in &module.charts {
            let mut found = Vec::new();
            if let Some(below) = chart.folder.strip_suffix("/...") {
                charts_below(&folder.join(below), &mut found);
            } else {
                found.push(folder.join(&chart.folder));
            }
            assert!(
                !found.is_empty(),
                "{} has no chart in {}",
                module.name,
                chart.folder
            );
            for path in found {
                charts += 1;
                let files = files_of(&path);
                for values in &chart.values {
                    let case = Case {
                        files: files.clone(),
                        values: values.clone(),
                        namespace: "istio-system".to_owned(),
                        crds: true,
                        ..Case::default()
                    };
                    let (ours, theirs) = (case.ours_seeded(), oracle.ask(&case));
                    renderings += 1;
                    rendered += usize::from(theirs.error.is_empty());
                    objects += theirs.manifest.matches("\nkind: ").count();
                    let same = without_drawn_secrets(&ours.manifest)
                        == without_drawn_secrets(&theirs.manifest)
                        && crate::generator::same(
                            &crate::case::Answer {
                                manifest: String::new(),
                                ..ours.clone()
                            },
                            &crate::case::Answer {
                                manifest: String::new(),
                                ..theirs.clone()
                            },
                        );
                    if !same {
                        failures.push(format!(
                            "{} with {values:?}:\n{}",
                            path.display(),
                            first_difference(&theirs, &ours)
                        ));
                    }
                }
            }
        }
    }
    println!(
        "counted: {renderings} renderings of {charts} charts of Go modules against Helm: {rendered} with {objects} objects, {} refused",
        renderings - rendered
    );
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// What a person needs to see of two long texts.
fn first_difference(theirs: &crate::case::Answer, ours: &crate::case::Answer) -> String {
    if theirs.error != ours.error {
        return format!(
            "  Helm's error {:?}\n  our error    {:?}",
            theirs.error, ours.error
        );
    }
    let texts = [(&theirs.manifest, &ours.manifest), (&theirs.notes, &ours.notes)];
    for (their, our) in texts {
        let mut source = "";
        for (left, right) in their.lines().zip(our.lines()) {
            if left.starts_with("# Source: ") {
                source = left;
            }
            if left != right {
                return format!("  {source}\n  Helm {left:?}\n  ours {right:?}");
            }
        }
    }
    "  one of the texts is longer".to_owned()
}
