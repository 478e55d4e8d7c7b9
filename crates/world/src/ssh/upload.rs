//! Copying a program to another machine, into a folder of the login's own home, by SFTP.

use std::path::Path;
use std::process::Stdio;

use openg2p_ports::PortError;
use tokio::io::AsyncWriteExt as _;

use super::Connection;
use super::explain::{NO_CONNECTION, shortened};

/// The folder in the home of the login. The program that is started from it removes itself and the folder.
pub const FOLDER: &str = ".openg2p";
/// What a home must have free beside the program, in bytes.
const SPARE: u64 = 16 << 20;
const COPY: &str = "copy the program to the host";

/// A file that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its path, relative to the home.
    pub path: String,
}

/// Whether a word reaches a program unchanged through any shell and through SFTP's own reading of a line.
pub(super) fn plain(word: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(letter)
}

/// How a batch went.
struct Batch {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Connection {
    /// Runs one batch of SFTP commands.
    async fn sftp(&self, batch: &str) -> Result<Batch, PortError> {
        let program = &self.clients.sftp;
        let mut child = tokio::process::Command::new(program)
            .args(["-b", "-", "-P", &self.target.port.to_string()])
            .args(self.options())
            .arg(self.destination())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.missing_program(program, &error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // when sftp ends early its status and words tell why
            let _ = stdin.write_all(batch.as_bytes()).await;
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| self.missing_program(program, &error))?;
        let batch = Batch {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        if batch.stderr.contains("subsystem request failed") {
            return Err(PortError::new(
                "ssh::sftp",
                COPY,
                self.place(),
                shortened(&batch.stderr),
            )
            .hint("the host's SSH server must offer SFTP: `Subsystem sftp internal-sftp` in /etc/ssh/sshd_config"));
        }
        // A login that failed is told as one. A connection that broke in the middle of a copy says so too.
        if batch.status == Some(NO_CONNECTION) && !batch.stdout.contains("sftp>") {
            return Err(self.explain_login(&batch.stderr));
        }
        Ok(batch)
    }

    /// Copies `local` into the login's home as `.openg2p/<name>`; the name must be of letters that nothing reads. A full disk
    /// is found before anything is written where the host tells its free space, and whatever was written is removed again when
    /// the copy fails.
    ///
    /// Errors: `host::disk` (with free and needed bytes), `ssh::upload`, and those of a login.
    pub async fn upload(&self, local: &Path, name: &str) -> Result<Upload, PortError> {
        let failed = |why: String| PortError::new("ssh::upload", COPY, self.place(), why);
        if !plain(name) || name.contains('/') {
            return Err(failed(format!("`{name}` is no plain name")));
        }
        let size = std::fs::metadata(local)
            .map_err(|error| failed(format!("{}: {error}", local.display())))?
            .len();
        let needed = size + SPARE;
        let before = self.sftp("-df .\n").await?;
        if let Some(free) = free_bytes(&before.stdout)
            && free < needed
        {
            return Err(self.full(free, needed));
        }
        let sent = Upload {
            path: format!("{FOLDER}/{name}"),
        };
        let quoted = local
            .display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let path = &sent.path;
        let copy = self
            .sftp(&format!(
                "-mkdir {FOLDER}\nchmod 700 {FOLDER}\nput \"{quoted}\" {path}\nchmod 700 {path}\n"
            ))
            .await;
        let why = match copy {
            Ok(batch) if batch.status == Some(0) => return Ok(sent),
            Ok(batch) => shortened(&batch.stderr),
            Err(error) => return Err(error),
        };
        // told from what is free without the half that was written
        let free = self.withdraw(&sent).await.unwrap_or(None);
        match free {
            Some(free) if free < needed => Err(self.full(free, needed)),
            _ => Err(failed(why).hint(format!(
                "the home of `{}` must be writable and have {needed} bytes free; a quota counts too",
                self.target.user
            ))),
        }
    }

    /// Removes what [`Self::upload`] sent, and its folder when nothing else is in it. Gives the free bytes, where the host
    /// tells them.
    pub async fn withdraw(&self, sent: &Upload) -> Result<Option<u64>, PortError> {
        let batch = format!("-rm {}\n-df {FOLDER}\n-df .\n-rmdir {FOLDER}\n", sent.path);
        self.sftp(&batch).await.map(|batch| free_bytes(&batch.stdout))
    }

    fn full(&self, free: u64, needed: u64) -> PortError {
        PortError::new(
            "host::disk",
            COPY,
            self.place(),
            format!(
                "the home of `{}` has {free} bytes free, and {needed} are needed",
                self.target.user
            ),
        )
        .hint("make room on the host, then run the same command again; nothing was left there")
    }
}

/// Bytes that a login may still write, from what SFTP's `df` prints: a head with `Avail`, and a line of numbers of KiB.
fn free_bytes(text: &str) -> Option<u64> {
    let mut lines = text.lines().skip_while(|line| !line.contains("Avail"));
    let column = lines
        .next()?
        .split_whitespace()
        .position(|word| word == "Avail")?;
    let kilobytes: u64 = lines.next()?.split_whitespace().nth(column)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}
