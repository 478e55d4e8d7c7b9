//! The program as a user starts it, with its files and what it said.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::server::{PROVISIONER, Server};

/// A module's wish, and the program's arguments for it.
pub(crate) struct Module {
    files: tempfile::TempDir,
    port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) owner: String,
    pub(crate) provisioner: (String, String),
    pub(crate) deadline: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<serde_json::Value>,
    pub(crate) text: String,
}

impl Ended {
    /// Whether a line has this event or code.
    pub(crate) fn has(&self, event: &str) -> bool {
        self.lines.iter().any(|line| line["event"] == event)
    }

    /// How many lines tell of a change.
    pub(crate) fn changes(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line["event"] == "changed")
            .count()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32, event: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        assert!(self.has(event), "no {event} in {}", self.text);
        self
    }
}

impl Module {
    pub(crate) fn new(server: &Server, name: &str) -> Self {
        Self {
            files: server.scratch(),
            port: server.port,
            database: format!("{name}_db"),
            username: format!("{name}_user"),
            password: format!("module-secret-{name}"),
            owner: format!("test/{name}"),
            provisioner: (PROVISIONER.0.to_owned(), PROVISIONER.1.to_owned()),
            deadline: "20s".to_owned(),
        }
    }

    /// A module whose server is somewhere else.
    pub(crate) fn at_port(server: &Server, name: &str, port: u16) -> Self {
        Self {
            port,
            ..Self::new(server, name)
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, format!("{content}\n")).unwrap();
        path
    }

    /// The command, ready to start.
    pub(crate) fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openg2p-init"));
        command
            .env_clear()
            .arg(verb)
            .args(["--host", "127.0.0.1"])
            .arg(format!("--port={}", self.port));
        command
            .arg(format!("--database={}", self.database))
            .arg(format!("--username={}", self.username));
        command.arg(format!("--deadline={}", self.deadline));
        if verb != "wait" {
            command
                .arg("--provisioner-username-file")
                .arg(self.file("provisioner-username", &self.provisioner.0))
                .arg("--provisioner-password-file")
                .arg(self.file("provisioner-password", &self.provisioner.1))
                .arg(format!("--owner={}", self.owner));
        }
        if verb != "remove" {
            command
                .arg("--password-file")
                .arg(self.file("password", &self.password));
        }
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, verb: &str, more: &[&str]) -> Child {
        self.command(verb, more).spawn().unwrap()
    }

    pub(crate) fn run(&self, verb: &str, more: &[&str]) -> Ended {
        ended(self.start(verb, more))
    }

    /// Whether the module itself can log in.
    pub(crate) fn can_log_in(&self, server: &Server) -> bool {
        server
            .sql_as((&self.username, &self.password), &self.database, "select 1")
            .is_ok()
    }
}

/// Waits for the end of a run and reads what it said.
pub(crate) fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines = text
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .unwrap_or_else(|why| panic!("not one JSON object a line: {line}: {why}"))
        })
        .collect();
    for secret in ["module-secret", PROVISIONER.1] {
        assert!(
            !text.contains(secret) && !errors.contains(secret),
            "a secret in the output: {text}{errors}"
        );
    }
    Ended {
        code: output.status.code(),
        lines,
        text: text + &errors,
    }
}
