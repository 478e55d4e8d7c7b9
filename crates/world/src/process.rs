//! Programs on this machine.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use openg2p_ports::{Command, Output, PortError};
use tokio::io::AsyncWriteExt;

/// Folders that are searched, in this order: ours first, then the system's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `command` to its end with a small fixed environment, and ends it at its deadline.
pub async fn run(command: Command, place: &str) -> Result<Output, PortError> {
    run_with(command, Stdio::piped(), place).await
}

/// The same, with what it prints in a new file, see [`openg2p_ports::Host::run_into`].
pub(crate) async fn run_into(command: Command, path: &Path, place: &str) -> Result<(Output, u64), PortError> {
    let failed = |error: std::io::Error| {
        PortError::new(
            "host::file",
            "write a file",
            path.display().to_string(),
            error.to_string(),
        )
    };
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let ended = async {
        let output = run_with(command, file.try_clone().map_err(failed)?.into(), place).await?;
        file.sync_all().map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        Ok((output, size))
    }
    .await;
    if !matches!(&ended, Ok((output, _)) if output.status == Some(0)) {
        // what a failed program wrote is nothing that anybody should take for whole
        let _ = std::fs::remove_file(path);
    }
    ended
}

async fn run_with(command: Command, stdout: Stdio, place: &str) -> Result<Output, PortError> {
    let shown = format!("`{} {}`", command.program, command.arguments.join(" "));
    let failed = |why: String| PortError::new("host::command", format!("run {shown}"), place, why);
    let mut child = tokio::process::Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(if command.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(stdout)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdin = child.stdin.take();
    let input = command.stdin;
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // a program that does not read to the end closes its side: its status tells the story
            let _ = stdin.write_all(&input).await;
        }
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    let output = tokio::time::timeout(Duration::from_secs(command.deadline), both)
        .await
        .map_err(|_| {
            failed(format!(
                "it did not end within {} s and was ended",
                command.deadline
            ))
        })?
        .map_err(|error| failed(error.to_string()))?;
    Ok(Output {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
