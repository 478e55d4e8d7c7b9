//! Calls of the machine's own programs. A failure carries command line, end and the tail of the error output.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::error::{LabError, Result};

/// One call.
pub(crate) struct Call {
    what: String,
    program: String,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    input: Option<String>,
}

impl Call {
    /// A call of `program`; `what` completes "... failed".
    pub(crate) fn new(what: impl Into<String>, program: &str) -> Self {
        Self {
            what: what.into(),
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Text for the standard input.
    pub(crate) fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// Makes the kernel kill the program when the calling thread ends, so that a killed `up` leaves no copy or
    /// package installation running. The caller must wait in the same thread, which `output` does.
    pub(crate) fn dies_with_us(self) -> Self {
        let wrapped = Self::new(self.what, "setpriv")
            .args(["--pdeathsig", "KILL", "--", &self.program])
            .args(self.arguments);
        Self {
            input: self.input,
            environment: self.environment,
            ..wrapped
        }
    }

    /// Runs it to its end and returns what it printed.
    pub(crate) fn output(self) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", search_path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.stdin(if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let start = |source| LabError::Start {
            what: self.what.clone(),
            program: self.program.clone(),
            source,
        };
        let mut child = command.spawn().map_err(start)?;
        if let (Some(text), Some(mut pipe)) = (&self.input, child.stdin.take()) {
            // A program that ends without reading its input reports why through its status.
            let _ = pipe.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().map_err(start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(LabError::Command {
            what: self.what.clone(),
            command: self.command_line(),
            status: output.status.to_string(),
            output: tail(
                if errors.trim().is_empty() {
                    "(no error output)"
                } else {
                    &errors
                },
                12,
            ),
        })
    }

    /// Runs it; only success counts.
    pub(crate) fn run(self) -> Result<()> {
        self.output().map(drop)
    }

    fn command_line(&self) -> String {
        let mut line = self.program.clone();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&argument.to_string_lossy());
        }
        line
    }
}

/// Where programs are looked for. Users without /usr/sbin in their PATH become root with it.
pub(crate) fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// The last `count` lines.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_command_and_output() {
        let error = Call::new("testing", "sh")
            .args(["-c", "echo nope >&2; exit 3"])
            .run()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("testing failed") && text.contains("exit status: 3") && text.contains("nope"),
            "{text}"
        );
        assert_eq!(error.code(), "lab::command-failed");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(
            Call::new("copying", "cat").input("abc".into()).output().unwrap(),
            "abc"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Call::new("testing", "no-such-program-here").run().unwrap_err();
        assert_eq!(error.code(), "lab::command-not-started");
        assert!(error.to_string().contains("no-such-program-here"));
    }

    #[test]
    fn tail_keeps_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
