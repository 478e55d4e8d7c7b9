//! Helm itself, as a child process that answers one request per line.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;

use crate::case::{Answer, Case};

pub(crate) struct Oracle {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// The oracle, where somebody built it.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("CHART_ORACLE").map(PathBuf::from).or_else(|| {
            let cache = std::env::var_os("OPENG2P_CACHE").map(PathBuf::from).or_else(|| {
                let base = std::env::var_os("XDG_CACHE_HOME")
                    .map(PathBuf::from)
                    .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
                Some(base.join("openg2p"))
            })?;
            Some(cache.join("chart-oracle"))
        })?;
        if !path.exists() {
            eprintln!(
                "skipped the comparison with Helm itself: {} is not there",
                path.display()
            );
            return None;
        }
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, input, output })
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
            "kube": case.kube, "apis": case.apis, "upgrade": case.upgrade, "crds": case.crds,
        });
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
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
