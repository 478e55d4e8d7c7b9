//! A machine.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// What a machine is like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// `VERSION_CODENAME` of os-release, e.g. `trixie`.
    pub release: String,
    /// `ID` of os-release, e.g. `debian`.
    pub distribution: String,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`.
    pub architecture: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Free bytes on the file system of `/var/lib`.
    pub disk_free: u64,
    /// Logical processors.
    pub processors: u32,
    /// Seconds since 1970.
    pub clock: i64,
    /// 1 (v1 or hybrid) or 2 (unified).
    pub cgroup_version: u8,
    /// Effective user id.
    pub user: u32,
}

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP port.
    pub port: u16,
    /// Local address as text.
    pub address: String,
    /// Process name and id where they can be known, e.g. `nginx (812)`.
    pub process: Option<String>,
}

/// Who wrote a file last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileOrigin {
    /// Name of the file's owner, or its user id where it has no name.
    pub user: String,
    /// When its content was changed last, seconds since 1970.
    pub modified: i64,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// A blob of the bundle, by SHA-256.
    Blob(&'a str),
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// SHA-256 of the content, hexadecimal.
        sha256: String,
        /// Permission bits, e.g. `0o644`.
        mode: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link and where it points.
    Link(String),
    /// Something else: a device, a socket.
    Other,
}

/// A systemd unit as systemd tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating`.
    pub active: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `masked` or empty.
    pub enabled: String,
    /// `SubState`, e.g. `running`, `exited`.
    pub sub: String,
}

/// A program with its arguments. Secrets never stand here: they go through `stdin` or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program name, found in the usual system folders.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Seconds until it is ended.
    pub deadline: u64,
}

impl Command {
    /// `program` with `arguments`, nothing to read and a deadline of two minutes.
    pub fn new<A: Into<String>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            stdin: Vec::new(),
            deadline: 120,
        }
    }

    /// Another deadline, in seconds.
    #[must_use]
    pub fn deadline(mut self, seconds: u64) -> Self {
        self.deadline = seconds;
        self
    }
}

/// What a program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status; absent when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Why the program failed, for people: what it said, else how it ended. Programs that a signal ends say nothing.
    pub fn reason(&self) -> String {
        match (self.stderr.trim(), self.status) {
            ("", Some(status)) => format!("it ended with status {status} and said nothing"),
            ("", None) => "a signal ended it".into(),
            (said, Some(_)) => said.into(),
            (said, None) => format!("a signal ended it; it had said: {said}"),
        }
    }
}

/// A machine that runs systemd on Debian.
#[async_trait]
pub trait Host: Send + Sync {
    /// The node's name.
    fn name(&self) -> &str;
    /// What the machine is like.
    async fn facts(&self) -> Result<HostFacts, PortError>;
    /// Sockets that listen on TCP.
    async fn listeners(&self) -> Result<Vec<Listener>, PortError>;
    /// What stands at `path`.
    async fn stat(&self, path: &str) -> Result<FileState, PortError>;
    /// Who wrote what stands at `path`, absent when nothing is there or it cannot be known.
    async fn origin(&self, path: &str) -> Result<Option<FileOrigin>, PortError>;
    /// The bytes at `path`, absent when nothing is there.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, PortError>;
    /// Writes a file whole: temporary file, fsync, rename. Parent folders must be there.
    async fn write(&self, path: &str, content: FileContent<'_>, mode: u32) -> Result<(), PortError>;
    /// Makes a symbolic link.
    async fn link(&self, path: &str, target: &str) -> Result<(), PortError>;
    /// Removes a file or link; nothing there is fine.
    async fn remove(&self, path: &str) -> Result<(), PortError>;
    /// Makes one directory.
    async fn make_directory(&self, path: &str, mode: u32) -> Result<(), PortError>;
    /// Names in a directory, sorted; none when it is not there.
    async fn list(&self, path: &str) -> Result<Vec<String>, PortError>;
    /// Removes a directory; with `whole` also all that is in it (mount points inside are unmounted first).
    async fn remove_directory(&self, path: &str, whole: bool) -> Result<(), PortError>;
    /// What systemd says of `unit`.
    async fn unit(&self, unit: &str) -> Result<UnitState, PortError>;
    /// Installed versions of packages; absent names are not installed.
    async fn packages(&self, names: &[String]) -> Result<BTreeMap<String, String>, PortError>;
    /// Installs packages by exact version from the bundle, with what they depend on, and finishes what a run that was cut off has left to do
    /// for them. Gives the names that were newly installed.
    async fn install_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError>;
    /// Names that [`Host::install_packages`] would newly install; changes nothing.
    async fn simulate_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError>;
    /// Removes packages with their configuration.
    async fn purge_packages(&self, names: &[String]) -> Result<(), PortError>;
    /// Images in containerd's `k8s.io` namespace: reference to manifest digest (`sha256:…`). None when
    /// containerd does not run.
    async fn images(&self) -> Result<Option<BTreeMap<String, String>>, PortError>;
    /// Imports an image of the bundle.
    async fn import_image(&self, reference: &str) -> Result<(), PortError>;
    /// Removes an image.
    async fn remove_image(&self, reference: &str) -> Result<(), PortError>;
    /// Runs a program to its end. A status other than zero is not an error here.
    async fn run(&self, command: Command) -> Result<Output, PortError>;
    /// Runs a program to its end, with what it prints in a new file at `path` that only root reads, on disk when this returns. Gives
    /// what else it left, and the file's bytes. The file stays only when the program ended with zero; one that is there already is
    /// an error and stays as it is.
    async fn run_into(&self, command: Command, path: &str) -> Result<(Output, u64), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_says_nothing_still_gives_a_reason() {
        let ended = |status: Option<i32>, stderr: &str| Output {
            status,
            stdout: String::new(),
            stderr: stderr.into(),
        };
        assert_eq!(ended(None, "\n").reason(), "a signal ended it");
        assert_eq!(
            ended(Some(3), "").reason(),
            "it ended with status 3 and said nothing"
        );
        assert_eq!(ended(Some(1), "no such unit\n").reason(), "no such unit");
        assert_eq!(
            ended(None, "half").reason(),
            "a signal ended it; it had said: half"
        );
    }
}
