//! Single template expressions: `tests/expressions/*.txt` has one per line, each followed by what Helm makes of it.
//!
//! A file may begin with the chart's values, up to a line of `---`. An answer is a JSON string, or `error:` with one.
//! Where our errors read otherwise on purpose, `error~` records Helm's, and only that there is an error is compared.

use std::path::{Path, PathBuf};

use crate::case::{Answer, Case};
use crate::oracle::{Oracle, recording};

struct File {
    path: PathBuf,
    values: String,
    lines: Vec<Line>,
}

enum Line {
    Other(String),
    Expression { text: String, answer: String },
}

fn read(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap();
    let (values, body) = match text.split_once("\n---\n") {
        Some((values, body)) => (values.to_owned(), body.to_owned()),
        None => (String::new(), text),
    };
    let mut lines: Vec<Line> = Vec::new();
    for line in body.lines() {
        if let (Some(answer), Some(Line::Expression { answer: slot, .. })) =
            (line.strip_prefix("  => "), lines.last_mut())
        {
            answer.clone_into(slot);
        } else if line.contains("{{") {
            lines.push(Line::Expression {
                text: line.to_owned(),
                answer: String::new(),
            });
        } else {
            lines.push(Line::Other(line.to_owned()));
        }
    }
    File {
        path: path.to_owned(),
        values,
        lines,
    }
}

fn case(values: &str, expression: &str) -> Case {
    let mut case = Case::default().with_default_metadata();
    case.files
        .insert("values.yaml".to_owned(), values.as_bytes().to_vec());
    case.files.insert(
        "templates/NOTES.txt".to_owned(),
        expression.replace("⏎", "\n").into_bytes(),
    );
    case.files.insert("note.txt".to_owned(), b"one\ntwo\n".to_vec());
    case.files
        .insert("conf/a.ini".to_owned(), b"[a]\nkey = 1\n".to_vec());
    case.files
        .insert("conf/deep/b.bin".to_owned(), vec![0, 159, 146, 150]);
    case
}

/// The answer in one line.
fn shown(answer: &Answer, loose: bool) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match (answer.error.is_empty(), loose) {
        (true, _) => quoted(&answer.notes),
        (false, true) => format!("error~ {}", quoted(&answer.error)),
        (false, false) => format!("error: {}", quoted(&answer.error)),
    }
}

fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expressions");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn expressions_give_what_is_recorded() {
    let (mut count, mut failures) = (0, Vec::new());
    for path in all() {
        let file = read(&path);
        for line in &file.lines {
            let Line::Expression { text, answer } = line else {
                continue;
            };
            let ours = case(&file.values, text).ours();
            let same = if answer.starts_with("error~") {
                !ours.error.is_empty()
            } else {
                shown(&ours, false) == *answer
            };
            if !same {
                failures.push(format!(
                    "{}: {text}\n  Helm {answer}\n  ours {}",
                    path.display(),
                    shown(&ours, false)
                ));
            }
            count += 1;
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn recorded_expressions_are_what_helm_gives() {
    let mut oracle = Oracle::start();
    let (mut count, mut failures) = (0, Vec::new());
    for path in all() {
        let mut file = read(&path);
        for line in &mut file.lines {
            let Line::Expression { text, answer } = line else {
                continue;
            };
            let theirs = shown(
                &oracle.ask(&case(&file.values, text)),
                answer.starts_with("error~"),
            );
            if recording() {
                *answer = theirs;
            } else if theirs != *answer {
                failures.push(format!(
                    "{}: {text}\n  recorded {answer}\n  Helm     {theirs}",
                    path.display()
                ));
            }
            count += 1;
        }
        if recording() {
            write(&file);
        }
    }
    println!("counted: {count} recorded lines of expressions against Helm");
    assert!(
        failures.is_empty(),
        "{} of {count} recorded answers are not Helm's:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn write(file: &File) {
    let mut out = String::new();
    if !file.values.is_empty() {
        out.push_str(&file.values);
        out.push_str("\n---\n");
    }
    for line in &file.lines {
        match line {
            Line::Other(text) => out.push_str(&format!("{text}\n")),
            Line::Expression { text, answer } => out.push_str(&format!("{text}\n  => {answer}\n")),
        }
    }
    std::fs::write(&file.path, out).unwrap();
}
