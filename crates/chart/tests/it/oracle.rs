//! Helm itself, as a child process that answers one request per line.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;

use crate::case::{Answer, Case};

/// The error of a question on which Helm's engine itself dies: Go cannot recover from a stack without end.
pub(crate) const DIED: &str = "Helm's engine died";

pub(crate) struct Oracle {
    path: PathBuf,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts the oracle that `CHART_ORACLE` names. Only tests that are run on purpose call this, so a missing one is a
    /// failure and not a reason to pass.
    pub(crate) fn start() -> Self {
        let Some(path) = std::env::var_os("CHART_ORACLE") else {
            panic!("CHART_ORACLE names no oracle; `cargo xtask test charts` builds it and runs these tests")
        };
        Self::spawn(PathBuf::from(path))
    }

    fn spawn(path: PathBuf) -> Self {
        let mut child = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            path,
            child,
            input,
            output,
        }
    }

    pub(crate) fn ask(&mut self, case: &Case) -> Answer {
        let encode = |data: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(data);
        let files: serde_json::Map<String, serde_json::Value> = case
            .files
            .iter()
            .map(|(name, data)| (name.clone(), encode(data).into()))
            .collect();
        let request = serde_json::json!({
            "files": files, "values": case.values, "name": case.name, "namespace": case.namespace,
            "setJSON": case.lines("setJSON"), "set": case.lines("set"), "setString": case.lines("setString"),
            "setLiteral": case.lines("setLiteral"), "kube": case.kube, "apis": case.apis, "upgrade": case.upgrade, "crds": case.crds,
        });
        let mut line = String::new();
        // A dead engine takes no question and gives no answer; the next one is asked of a new one.
        let _ = writeln!(self.input, "{request}");
        let _ = self.output.read_line(&mut line);
        if line.is_empty() {
            *self = Self::spawn(self.path.clone());
            return Answer {
                error: DIED.to_owned(),
                ..Answer::default()
            };
        }
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Answer {
            manifest: text("manifest"),
            notes: text("notes"),
            error: text("error"),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the recorded answers are to be written anew.
pub(crate) fn recording() -> bool {
    std::env::var_os("CHART_RECORD").is_some()
}
