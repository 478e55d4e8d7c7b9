//! Whole charts: `tests/fixtures/<feature>/<name>.txt` has the files of a chart and Helm's answers in one text.
//!
//! A line `-- path --` begins a file. `user.yaml` are the user's values, `options` has lines such as `upgrade` or
//! `kube v1.25.0`. What Helm answers is under `want/manifest`, `want/notes` and `want/error`; under `want/error~` is an
//! error that reads otherwise here on purpose.

use std::path::{Path, PathBuf};

use crate::case::{Answer, Case};
use crate::oracle::{Oracle, recording};

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
        let mut push = |name: &str, body: String| self.parts.push((name.to_owned(), body));
        if answer.error.is_empty() {
            push("want/manifest", answer.manifest.clone());
            if !answer.notes.is_empty() {
                push("want/notes", format!("{}\n", answer.notes));
            }
        } else {
            push(
                if loose { "want/error~" } else { "want/error" },
                format!("{}\n", answer.error),
            );
        }
        let mut out = String::new();
        for (name, body) in &self.parts {
            if !name.is_empty() {
                out.push_str(&format!("-- {name} --\n"));
            }
            out.push_str(body);
        }
        std::fs::write(&self.path, out).unwrap();
    }
}

#[test]
fn charts_render_as_helm_renders_them() {
    let mut oracle = Oracle::find();
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
    let mut failures = Vec::new();
    for path in &paths {
        let mut fixture = read(path);
        let case = fixture.case();
        if let Some(oracle) = &mut oracle {
            let theirs = oracle.ask(&case);
            if recording() {
                fixture.record(&theirs);
                fixture = read(path);
            } else if theirs != fixture.wanted() {
                failures.push(format!(
                    "{}: the recorded answer is not Helm's:\n{theirs:#?}",
                    path.display()
                ));
            }
        }
        let (ours, wanted) = (case.ours(), fixture.wanted());
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
    eprintln!("{} charts", paths.len());
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n")
    );
}

fn show(answer: &Answer) -> String {
    format!("{}{}{}", answer.manifest, answer.notes, answer.error)
}
