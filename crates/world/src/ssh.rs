//! Other machines, through the system's OpenSSH client: its agent, its configuration, its jump hosts; host keys always
//! checked.
//!
//! Every word that reaches the other side's login shell is one that no shell reads anything into: fixed words, and paths of
//! letters, digits, `.`, `-`, `_` and `/`.

mod explain;
#[cfg(test)]
mod tests;
mod upload;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use openg2p_ports::PortError;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout};

pub use upload::{FOLDER, Upload};

/// A program that was told to end has this long; then it is ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How a machine is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node's name, for messages.
    pub name: String,
    /// Where it answers.
    pub address: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Login name: root, or one that may use sudo without a password.
    pub user: String,
    /// `ssh-ed25519 AAAA…`; without it the operator's own known_hosts decides.
    pub host_key: Option<String>,
    /// Private key file; without it the operator's agent and defaults are used.
    pub identity: Option<PathBuf>,
}

/// The client's programs.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    ssh: PathBuf,
    sftp: PathBuf,
}

/// A machine that can be reached, with the pinned host key in a file of its own.
pub struct Connection {
    target: Target,
    clients: Clients,
    /// Directory with the pinned key; removed with the connection.
    directory: Option<PathBuf>,
}

/// Why a program on another machine ended.
#[derive(Debug)]
pub struct Ended {
    /// It could not be started because it is not there.
    pub absent: bool,
    /// The same in words for people.
    pub error: PortError,
}

impl Connection {
    /// Prepares to reach `target`. `scratch` is an empty private directory for the pinned key, removed again when the
    /// connection is dropped.
    pub fn new(target: Target, scratch: &Path) -> Result<Self, PortError> {
        let clients = Clients {
            ssh: "ssh".into(),
            sftp: "sftp".into(),
        };
        Self::through(clients, target, scratch)
    }

    pub(crate) fn through(clients: Clients, target: Target, scratch: &Path) -> Result<Self, PortError> {
        let mut directory = None;
        if let Some(key) = &target.host_key {
            let line = format!("{} {key}\n", known_hosts_name(&target));
            crate::state::write_whole(&scratch.join("known_hosts"), line.as_bytes(), 0o600)?;
            directory = Some(scratch.to_owned());
        }
        Ok(Self {
            target,
            clients,
            directory,
        })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.target.name
    }

    fn options(&self) -> Vec<String> {
        let mut options = vec!["-oBatchMode=yes".to_owned(), "-oStrictHostKeyChecking=yes".into()];
        // an answer that does not come in ten seconds will not come; a dead link is noticed in half a minute
        options.extend(
            [
                "-oConnectTimeout=10",
                "-oServerAliveInterval=10",
                "-oServerAliveCountMax=3",
            ]
            .map(Into::into),
        );
        if let Some(directory) = &self.directory {
            options.push(format!(
                "-oUserKnownHostsFile={}",
                directory.join("known_hosts").display()
            ));
            options.push("-oGlobalKnownHostsFile=/dev/null".into());
        }
        if let Some(identity) = &self.target.identity {
            options.push(format!("-oIdentityFile={}", identity.display()));
            options.push("-oIdentitiesOnly=yes".into());
        }
        options
    }

    fn destination(&self) -> String {
        match self.target.address {
            IpAddr::V4(address) => format!("{}@{address}", self.target.user),
            IpAddr::V6(address) => format!("{}@[{address}]", self.target.user),
        }
    }

    fn place(&self) -> String {
        format!(
            "{} ({}:{})",
            self.target.name, self.target.address, self.target.port
        )
    }

    fn missing_program(&self, program: &Path, error: &std::io::Error) -> PortError {
        PortError::new(
            "ssh::client",
            format!("start {}", program.display()),
            self.place(),
            error.to_string(),
        )
        .hint("install the OpenSSH client (Debian: openssh-client)")
    }

    /// What the login shell there is given: the program itself for root, and `sudo` before it for everybody else. `-n` never
    /// asks; `LC_ALL` makes sudo say in English why it will not.
    fn words<'a>(&self, program: &'a str, argument: &'a str) -> Vec<&'a str> {
        let mut words = Vec::new();
        if self.target.user != "root" {
            words.extend(["env", "LC_ALL=C", "sudo", "-n", "--"]);
        }
        words.extend([program, argument]);
        words
    }

    /// Starts a program there as root and talks to it in frames. Program and argument must be words that no shell reads
    /// anything into.
    pub fn start(&self, program: &str, argument: &str) -> Result<Remote, PortError> {
        for word in [program, argument] {
            if !upload::plain(word) {
                return Err(PortError::new(
                    "ssh::client",
                    "start a program",
                    self.place(),
                    format!("`{word}` has a letter that a shell may read"),
                ));
            }
        }
        let mut child = tokio::process::Command::new(&self.clients.ssh)
            .args(["-T", "-p", &self.target.port.to_string()])
            .args(self.options())
            .arg(self.destination())
            .arg("--")
            .args(self.words(program, argument))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the operator's terminal is for us to handle, not for ssh to die of
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.missing_program(&self.clients.ssh, &error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Remote { child, input, output }),
            _ => Err(PortError::new(
                "ssh::client",
                "start ssh",
                self.place(),
                "it has no standard streams",
            )),
        }
    }

    /// Why a program that was started ended. One that still runs, because it speaks something else than frames, is told to end.
    pub async fn ended(&self, remote: Remote) -> Ended {
        let Remote {
            mut child,
            input,
            output,
        } = remote;
        drop((input, output));
        let mut stderr = String::new();
        let last_words = async {
            if let Some(mut stream) = child.stderr.take() {
                let _ = stream.read_to_string(&mut stderr).await;
            }
            child.wait().await.ok().and_then(|status| status.code())
        };
        let status = tokio::time::timeout(LAST_WORDS, last_words).await.ok().flatten();
        self.explain_start(status, stderr.trim())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            // a public key in a private temporary directory: nothing is lost when this fails
            let _ = std::fs::remove_file(directory.join("known_hosts"));
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// A program on another machine.
pub struct Remote {
    child: Child,
    /// What it reads.
    pub input: ChildStdin,
    /// What it writes.
    pub output: ChildStdout,
}

/// As OpenSSH looks it up: the bare address on port 22, `[address]:port` otherwise.
fn known_hosts_name(target: &Target) -> String {
    if target.port == 22 {
        target.address.to_string()
    } else {
        format!("[{}]:{}", target.address, target.port)
    }
}
