//! Child processes of the sources: output to a file, and its tail in the error.

use std::{
    fs::File,
    io::ErrorKind,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use crate::error::BundleError;

/// Lines of a failed command's output that the error shows.
const TAIL_LINES: usize = 25;

/// Which Debian package brings a program, for the remedy.
const PACKAGES: &[(&str, &str)] = &[
    ("buildah", "apt-get install buildah"),
    ("mmdebstrap", "apt-get install mmdebstrap"),
    ("apt-get", "packages can only be fetched on a Debian machine"),
    ("apt-config", "packages can only be fetched on a Debian machine"),
    ("setpriv", "apt-get install util-linux"),
    ("gcc", "apt-get install gcc libc6-dev"),
    ("strip", "apt-get install binutils"),
    ("go", "install Go from https://go.dev/dl and put it on PATH"),
    ("cargo", "install Rust from https://rustup.rs and put it on PATH"),
];

/// A command that ends when this process does, however that ends.
pub(crate) fn mortal(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", program]);
    command
}

/// A command whose mounts nobody else sees, so that none is left when it is killed, as it is when this process ends.
pub(crate) fn contained(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--kill-child",
        program,
    ]);
    command
}

/// Runs a command to its end. Standard output and error go to `log`; the error carries the end of it.
pub(crate) fn run(what: &str, command: &mut Command, log: &Path) -> Result<(), BundleError> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(BundleError::io("write", log))?;
    let second = file.try_clone().map_err(BundleError::io("write", log))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(second)
        .status()
        .map_err(|error| start_error(what, command, &error))?;
    if status.success() {
        return Ok(());
    }
    missing(what, command, status)?;
    let text = std::fs::read(log).map_err(BundleError::io("read", log))?;
    Err(BundleError::BuildFailed {
        what: what.to_owned(),
        command: command_line(command),
        outcome: status.to_string(),
        tail: tail(&String::from_utf8_lossy(&text)),
    })
}

/// Runs a command to its end and gives back its standard output.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, BundleError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| start_error(what, command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    missing(what, command, output.status)?;
    Err(BundleError::BuildFailed {
        what: what.to_owned(),
        command: command_line(command),
        outcome: output.status.to_string(),
        tail: tail(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// setpriv and unshare say with status 127 that the program behind them is not there, as a shell does.
fn missing(what: &str, command: &Command, status: ExitStatus) -> Result<(), BundleError> {
    if command.get_program() == "setpriv" && status.code() == Some(127) {
        let program = words(command).into_iter().next().unwrap_or_default();
        return Err(tool_missing(what, program));
    }
    Ok(())
}

fn tool_missing(what: &str, program: String) -> BundleError {
    let remedy = PACKAGES.iter().find(|(name, _)| *name == program).map_or_else(
        || "install it and put it on PATH".to_owned(),
        |(_, remedy)| (*remedy).to_owned(),
    );
    BundleError::ToolMissing {
        what: what.to_owned(),
        program,
        remedy,
    }
}

fn start_error(what: &str, command: &Command, error: &std::io::Error) -> BundleError {
    if error.kind() == ErrorKind::NotFound {
        return tool_missing(what, command.get_program().to_string_lossy().into_owned());
    }
    BundleError::BuildFailed {
        what: what.to_owned(),
        command: command_line(command),
        outcome: format!("could not be started: {error}"),
        tail: String::new(),
    }
}

/// The command as a person would type it, without what [`mortal`] and [`contained`] put in front.
fn command_line(command: &Command) -> String {
    words(command).join(" ")
}

fn words(command: &Command) -> Vec<String> {
    let all: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let wrapping = match all.get(3).map(String::as_str) {
        _ if all[0] != "setpriv" => 0,
        Some("unshare") => 8,
        _ => 3,
    };
    all[wrapping.min(all.len())..].to_vec()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..]
        .iter()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_shows_the_end_of_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo the reason >&2; exit 3"]);
        let error = run("image/x", &mut command, &log).unwrap_err();
        assert_eq!(error.code(), "bundle::build-failed");
        let text = error.to_string();
        assert!(
            text.contains("the reason") && text.contains("| 100") && !text.contains("| 10\n"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_comes_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(
            "image/x",
            &mut Command::new("buildah-that-is-not-here"),
            &folder.path().join("log"),
        )
        .unwrap_err();
        assert_eq!(error.code(), "bundle::tool-missing");
        for wrapped in [mortal("no-such-program"), contained("no-such-program")] {
            let mut wrapped = wrapped;
            let error = run("image/x", &mut wrapped, &folder.path().join("log")).unwrap_err();
            assert_eq!(error.code(), "bundle::tool-missing", "{error}");
            assert!(error.to_string().contains("`no-such-program`"), "{error}");
        }
    }
}
