//! Whole charts: `tests/fixtures/<feature>/<name>.txt` has the files of a chart and Helm's answers in one text.
//!
//! A line `-- path --` begins a file. `user.yaml` are the user's values, `options` has lines such as `upgrade` or
//! `kube v1.25.0`. What Helm answers is under `want/manifest`, `want/notes` and `want/error`; under `want/error~` is an
//! error that reads otherwise here on purpose.

use std::path::{Path, PathBuf};

use crate::case::{Answer, Case};
use crate::oracle::{Oracle, recording};

/// The options that assign, in Helm's order.
const SET: [&str; 4] = ["setJSON", "set", "setString", "setLiteral"];

struct Fixture {
    path: PathBuf,
    parts: Vec<(String, String)>,
}

fn read(path: &Path) -> Fixture {
    let text = std::fs::read_to_string(path).unwrap();
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let name = line
            .trim_end()
            .strip_prefix("-- ")
            .and_then(|rest| rest.strip_suffix(" --"));
        match (name, parts.last_mut()) {
            (Some(name), _) => parts.push((name.to_owned(), String::new())),
            (None, Some((_, body))) => body.push_str(line),
            (None, None) => parts.push((String::new(), line.to_owned())),
        }
    }
    Fixture {
        path: path.to_owned(),
        parts,
    }
}

impl Fixture {
    fn part(&self, name: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|(part, _)| part == name)
            .map(|(_, body)| body.as_str())
    }

    fn case(&self) -> Case {
        let mut case = Case::default();
        for (name, body) in &self.parts {
            match name.as_str() {
                "" => {}
                "user.yaml" => case.values.clone_from(body),
                "options" => body
                    .lines()
                    .for_each(|line| match line.split_once(' ').unwrap_or((line, "")) {
                        ("upgrade", _) => case.upgrade = true,
                        ("crds", _) => case.crds = true,
                        ("kube", version) => version.clone_into(&mut case.kube),
                        ("name", name) => name.clone_into(&mut case.name),
                        ("namespace", namespace) => namespace.clone_into(&mut case.namespace),
                        ("api", api) => case.apis.push(api.to_owned()),
                        (option, line) if SET.contains(&option) => {
                            let option = SET.iter().find(|known| **known == option).unwrap();
                            case.set.push((option, line.to_owned()));
                        }
                        other => panic!("unknown option {other:?}"),
                    }),
                name if name.starts_with("want/") => {}
                name => {
                    case.files.insert(name.to_owned(), body.clone().into_bytes());
                }
            }
        }
        case.with_default_metadata()
    }

    fn wanted(&self) -> Answer {
        let part = |name: &str| self.part(name).unwrap_or_default().to_owned();
        let line = |name: &str| {
            part(name)
                .strip_suffix('\n')
                .map(str::to_owned)
                .unwrap_or_default()
        };
        let error = if self.loose() {
            line("want/error~")
        } else {
            line("want/error")
        };
        Answer {
            manifest: part("want/manifest"),
            notes: line("want/notes"),
            error,
        }
    }

    fn loose(&self) -> bool {
        self.part("want/error~").is_some()
    }

    fn record(&mut self, answer: &Answer) {
        let loose = self.loose();
        self.parts.retain(|(name, _)| !name.starts_with("want/"));
        self.parts.extend(wanted_parts(answer, loose));
        std::fs::write(&self.path, written(&self.parts)).unwrap();
    }
}

fn wanted_parts(answer: &Answer, loose: bool) -> Vec<(String, String)> {
    let part = |name: &str, body: String| (name.to_owned(), body);
    if !answer.error.is_empty() {
        let name = if loose { "want/error~" } else { "want/error" };
        return vec![part(name, format!("{}\n", answer.error))];
    }
    let mut parts = vec![part("want/manifest", answer.manifest.clone())];
    if !answer.notes.is_empty() {
        parts.push(part("want/notes", format!("{}\n", answer.notes)));
    }
    parts
}

fn written(parts: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, body) in parts {
        if !name.is_empty() {
            out.push_str(&format!("-- {name} --\n"));
        }
        out.push_str(body);
    }
    out
}

/// A case with Helm's answer, as the text of a fixture.
pub(crate) fn text_of(case: &Case, answer: &Answer) -> String {
    let plain = Case::default().with_default_metadata();
    let mut parts: Vec<(String, String)> = Vec::new();
    for (name, data) in &case.files {
        if plain.files.get(name) != Some(data) {
            parts.push((name.clone(), String::from_utf8_lossy(data).into_owned()));
        }
    }
    if !case.values.is_empty() {
        parts.push(("user.yaml".to_owned(), case.values.clone()));
    }
    if !case.set.is_empty() {
        let options: String = case
            .set
            .iter()
            .map(|(option, line)| format!("{option} {line}\n"))
            .collect();
        parts.push(("options".to_owned(), options));
    }
    parts.extend(wanted_parts(answer, false));
    written(&parts)
}

/// Errors that read otherwise here, as the README says.
pub(crate) fn differ_on_purpose(ours: &str, theirs: &str) -> bool {
    // the wording of violations is the schema library's
    let schema = "values don't meet the specifications of the schema(s)";
    if theirs.starts_with(schema) && ours.starts_with(schema) {
        return true;
    }
    // where a chart in a chart cannot be loaded, ours says which of its files is at fault
    let mut reason = theirs;
    while let Some((_, rest)) = reason
        .strip_prefix("error unpacking subchart ")
        .and_then(|rest| rest.split_once(": "))
    {
        reason = rest;
    }
    if ours.starts_with("cannot load chart ") && ours.ends_with(reason) {
        return true;
    }
    // the command line reads a user's values into another type than the oracle
    let (read, here) = (
        "Go value of type chartutil.Values",
        "Go value of type map[string]interface {}",
    );
    if theirs.ends_with(read) && ours.ends_with(&theirs.replace(read, here)) {
        return true;
    }
    // Helm formats a table as a truth value here
    if theirs.starts_with("type mismatch on ") && ours.starts_with("cannot merge the values of chart ") {
        return true;
    }
    // an untyped nil and a missing value are one here
    theirs.contains("error calling len: ") && ours.contains("error calling len: ")
}

fn all() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths = Vec::new();
    for feature in std::fs::read_dir(root).unwrap() {
        let feature = feature.unwrap().path();
        paths.extend(
            std::fs::read_dir(feature)
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    paths.sort();
    paths
}

#[test]
fn charts_render_as_recorded() {
    let paths = all();
    let mut failures = Vec::new();
    for path in &paths {
        let fixture = read(path);
        let (ours, wanted) = (fixture.case().ours(), fixture.wanted());
        let same = if fixture.loose() {
            !ours.error.is_empty()
        } else if wanted.error.is_empty() {
            ours == wanted
        } else {
            // Ours may say more, such as the chart and the file.
            ours.error.contains(&wanted.error)
        };
        if !same {
            failures.push(format!(
                "{}:\n--- Helm\n{}\n--- ours\n{}",
                path.display(),
                show(&wanted),
                show(&ours)
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n")
    );
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn recorded_charts_are_what_helm_renders() {
    let mut oracle = Oracle::start();
    let paths = all();
    let mut failures = Vec::new();
    for path in &paths {
        let mut fixture = read(path);
        let theirs = oracle.ask(&fixture.case());
        if recording() {
            fixture.record(&theirs);
        } else if theirs != fixture.wanted() {
            failures.push(format!("{}:\n{}", path.display(), show(&theirs)));
        }
    }
    println!("counted: {} recorded charts against Helm", paths.len());
    assert!(
        failures.is_empty(),
        "{} of {} recorded answers are not Helm's:\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n")
    );
}

fn show(answer: &Answer) -> String {
    format!("{}{}{}", answer.manifest, answer.notes, answer.error)
}
