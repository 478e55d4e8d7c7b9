//! Other machines, through the system's OpenSSH client: its agent, its configuration, its jump hosts; host keys always
//! checked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use openg2p_ports::PortError;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout};

/// How a machine is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node's name, for messages.
    pub name: String,
    /// Where it answers.
    pub address: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// `ssh-ed25519 AAAA…`; without it the operator's own known_hosts decides.
    pub host_key: Option<String>,
    /// Private key file; without it the operator's agent and defaults are used.
    pub identity: Option<PathBuf>,
}

/// A machine that can be reached, with the pinned host key in a file of its own.
pub struct Connection {
    target: Target,
    /// Directory with the pinned key; removed with the connection.
    directory: Option<PathBuf>,
}

impl Connection {
    /// Prepares to reach `target`. `scratch` is an empty private directory for the pinned key, removed again when the
    /// connection is dropped.
    pub fn new(target: Target, scratch: &Path) -> Result<Self, PortError> {
        let mut directory = None;
        if let Some(key) = &target.host_key {
            let line = format!("{} {key}\n", known_hosts_name(&target));
            crate::state::write_whole(&scratch.join("known_hosts"), line.as_bytes(), 0o600)?;
            directory = Some(scratch.to_owned());
        }
        Ok(Self { target, directory })
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

    /// Turns what ssh wrote into an error that says what to do.
    fn explain(&self, stderr: &str) -> PortError {
        let (code, hint) = if stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
            || stderr.contains("Host key verification failed")
        {
            (
                "ssh::host-key",
                "the host shows another key than the one pinned under `nodes` (or in known_hosts). If the machine was \
                 installed anew, ask whoever did it for its key (`ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub` \
                 on its console) and change `ssh.hostKey`; otherwise somebody may stand in between: do not go on",
            )
        } else if stderr.contains("Permission denied") {
            (
                "ssh::denied",
                "the host is there and refuses the login: put your public key into its authorized_keys, or load the \
                 right key into your agent (`ssh-add`)",
            )
        } else if stderr.contains("Could not resolve")
            || stderr.contains("No route to host")
            || stderr.contains("timed out")
            || stderr.contains("Connection refused")
            || stderr.contains("unreachable")
        {
            (
                "ssh::unreachable",
                "look whether the machine is on, its address and port are right, and a firewall lets SSH through",
            )
        } else {
            ("ssh::failed", "run the same login by hand: `ssh -v`")
        };
        let why: Vec<&str> = stderr
            .lines()
            .filter(|line| !line.starts_with('@'))
            .take(6)
            .collect();
        let why = if why.is_empty() {
            "ssh ended without a word".to_owned()
        } else {
            why.join("\n")
        };
        PortError::new(code, "log in over SSH", self.place(), why).hint(hint)
    }

    /// Runs one batch of SFTP commands.
    async fn sftp(&self, batch: &str) -> Result<String, PortError> {
        let mut child = tokio::process::Command::new("sftp")
            .args(["-b", "-", "-P", &self.target.port.to_string()])
            .args(self.options())
            .arg(self.destination())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.missing_program("sftp", &error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // when sftp ends early its status and words tell why
            let _ = stdin.write_all(batch.as_bytes()).await;
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| self.missing_program("sftp", &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.explain(&String::from_utf8_lossy(&output.stderr)))
    }

    fn missing_program(&self, program: &str, error: &std::io::Error) -> PortError {
        PortError::new(
            "ssh::client",
            format!("start {program}"),
            self.place(),
            error.to_string(),
        )
        .hint("install the OpenSSH client (Debian: openssh-client)")
    }

    /// Puts a file at `remote` unless one of that name is there; `directory` is made for it (0700). The name must hold
    /// the content's digest, since only the name is looked at. True when it was sent.
    pub async fn upload_once(&self, local: &Path, directory: &str, remote: &str) -> Result<bool, PortError> {
        let listing = self.sftp(&format!("-ls -1 {directory}\n")).await?;
        if listing.lines().any(|line| line.trim() == remote) {
            return Ok(false);
        }
        let parents: String = parents(directory)
            .iter()
            .map(|parent| format!("-mkdir {parent}\n"))
            .collect();
        let local = local
            .display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        self.sftp(&format!(
            "{parents}chmod 700 {directory}\nput \"{local}\" {remote}.new\nchmod 755 {remote}.new\n-rm {remote}\nrename {remote}.new {remote}\n"
        ))
        .await?;
        Ok(true)
    }

    /// Removes files and then directories; what is not there or not empty stays.
    pub async fn remove(&self, files: &[String], directories: &[String]) -> Result<(), PortError> {
        let mut batch = String::new();
        for file in files {
            batch.push_str(&format!("-rm {file}\n"));
        }
        for directory in directories {
            batch.push_str(&format!("-rmdir {directory}\n"));
        }
        self.sftp(&batch).await.map(|_| ())
    }

    /// Starts a program there, given as one word without anything a shell would read, and talks to it in frames.
    pub fn start(&self, program: &str, argument: &str) -> Result<Remote, PortError> {
        let mut child = tokio::process::Command::new("ssh")
            .args(["-T", "-p", &self.target.port.to_string()])
            .args(self.options())
            .arg(self.destination())
            .args(["--", program, argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the operator's terminal is for us to handle, not for ssh to die of
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.missing_program("ssh", &error))?;
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

    /// Why a program that was started ended.
    pub async fn ended(&self, mut remote: Remote) -> PortError {
        let mut stderr = String::new();
        if let Some(mut stream) = remote.child.stderr.take() {
            use tokio::io::AsyncReadExt as _;
            let _ = stream.read_to_string(&mut stderr).await;
        }
        self.explain(stderr.trim())
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

/// `/a/b/c` gives `/a`, `/a/b`, `/a/b/c`.
fn parents(directory: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut path = String::new();
    for part in directory.split('/').filter(|part| !part.is_empty()) {
        path.push('/');
        path.push_str(part);
        all.push(path.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_from_the_top() {
        assert_eq!(
            parents("/var/lib/openg2p"),
            ["/var", "/var/lib", "/var/lib/openg2p"]
        );
    }
}
