//! The program as a person meets it: run in an empty folder with an empty environment. `OPENG2P_BLESS=1` writes the
//! expectations anew; read the diff before you commit it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stdout, reason = "tests beside Helm say how much they compared")]

mod bundle;
mod chart;
mod check;
mod help;
mod host;
mod init;
mod ledger;
mod plan;
mod runs;
mod show;
mod usage;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder and an environment that nothing leaks into.
struct Place {
    folder: tempfile::TempDir,
}

/// What a run left behind.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A place with a site file as `openg2p init` writes it.
    fn with_site() -> Self {
        let place = Self::new();
        place.run(&["init", "--address", "192.0.2.10"]).succeeds();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a part of the site file.
    fn edit(&self, from: &str, to: &str) {
        let text = self.read("site.yaml");
        assert!(text.contains(from), "{from} is not in\n{text}");
        self.write("site.yaml", text.replacen(from, to, 1));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openg2p"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[must_use = "look at the code at least"]
    fn run(&self, arguments: &[&str]) -> Run {
        self.finish(self.command(arguments))
    }

    #[must_use = "look at the code at least"]
    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        self.finish(command)
    }

    #[must_use = "look at the code at least"]
    fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // a program that asks nothing may have ended before
        match child.stdin.take().unwrap().write_all(input.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        self.result(&child.wait_with_output().unwrap())
    }

    fn finish(&self, mut command: Command) -> Run {
        let output = command.output().unwrap();
        self.result(&output)
    }

    fn result(&self, output: &std::process::Output) -> Run {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(self.folder.path().to_str().unwrap(), "<folder>")
        };
        Run {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl Run {
    fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}", self.out))
    }
}

/// Compares with a file beside the tests, or writes it with `OPENG2P_BLESS=1`.
fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("OPENG2P_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        expected,
        actual,
        "`OPENG2P_BLESS=1 cargo test -p openg2p` writes {} anew",
        path.display()
    );
}

#[test]
fn no_test_file_is_forgotten() {
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            name == "main" || source.contains(&format!("mod {name};")),
            "`mod {name};` is missing in main.rs"
        );
    }
}
