//! What a lab is, on disk: one JSON file per lab, written before anything is done to the machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupVersion;
use crate::error::{LabError, Result};
use crate::kernel::Restriction;
use crate::subnet::Subnet;

/// Releases of Debian that a host can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    #[default]
    Trixie,
}

impl Release {
    /// Debian's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// How far a lab has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// `up` works on it, or was killed.
    Starting,
    /// All hosts answer.
    Up,
    /// `down` works on it, or was killed.
    Stopping,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the machine's boot.
    pub started: u64,
}

impl ProcessId {
    /// The process with this number now.
    pub fn of(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            started: start_time(&status)?,
        })
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Field 22 of `/proc/PID/stat`. The second field may hold blanks and parentheses, so counting starts behind it.
/// A zombie has ended for our purposes.
fn start_time(status: &str) -> Option<u64> {
    let mut fields = status[status.rfind(')')? + 1..].split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// One host of a lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostState {
    /// Its host name.
    pub name: String,
    /// Its address on the lab's bridge.
    pub address: Ipv4Addr,
    /// Its name for systemd-nspawn.
    pub machine: String,
    /// Its cgroup, relative to each hierarchy.
    pub cgroup: String,
    /// Its SSH public key as in a `known_hosts` line, `ssh-ed25519 AAAA...`.
    pub host_key: String,
    /// Its root file system.
    pub root: PathBuf,
    /// Its console.
    pub log: PathBuf,
    /// The shell around systemd-nspawn.
    pub launcher: Option<ProcessId>,
    /// From start to the first SSH login, in milliseconds.
    pub boot_milliseconds: Option<u64>,
}

/// One lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabState {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub phase: Phase,
    /// What its hosts run.
    pub release: Release,
    /// Its addresses.
    pub subnet: Subnet,
    /// Its bridge.
    pub bridge: String,
    /// Its nftables table.
    pub table: String,
    /// How the machine mounts control groups.
    pub cgroups: CgroupVersion,
    /// What hosts on this machine cannot do.
    pub restrictions: Vec<Restriction>,
    /// The private key that every host accepts for root.
    pub ssh_key: PathBuf,
    /// A `known_hosts` file with every host.
    pub known_hosts: PathBuf,
    /// Its hosts.
    pub hosts: Vec<HostState>,
}

impl LabState {
    /// The host of this name, or the first one.
    pub fn host(&self, name: Option<&str>) -> Result<&HostState> {
        let found = match name {
            None => self.hosts.first(),
            Some(name) => self.hosts.iter().find(|host| host.name == name),
        };
        found.ok_or_else(|| LabError::UnknownHost {
            lab: self.name.clone(),
            host: name.unwrap_or("(any)").to_owned(),
            known: self
                .hosts
                .iter()
                .map(|host| host.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// Whether every host runs.
    pub fn is_alive(&self) -> bool {
        self.phase == Phase::Up
            && self
                .hosts
                .iter()
                .all(|host| host.launcher.is_some_and(ProcessId::is_alive))
    }

    /// `ssh` to a host, with its key pinned and nothing of the user's own configuration; add a command to it.
    pub fn ssh_command(&self, host: &HostState) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-i"]).arg(&self.ssh_key);
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.known_hosts.display()));
        for option in [
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "ConnectTimeout=5",
            "ServerAliveInterval=15",
        ] {
            command.args(["-o", option]);
        }
        command.arg(format!("root@{}", host.address));
        command
    }
}

/// Where labs and images live.
#[derive(Clone, Debug)]
pub struct Store {
    cache: PathBuf,
}

impl Store {
    /// Below this cache directory.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into() }
    }

    /// The cache directory.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Root file systems to copy from.
    pub(crate) fn images(&self) -> PathBuf {
        self.cache.join("lab-images")
    }

    /// The directory of all labs.
    pub(crate) fn labs(&self) -> PathBuf {
        self.cache.join("labs")
    }

    /// The directory of one lab.
    pub fn lab(&self, name: &str) -> PathBuf {
        self.labs().join(name)
    }

    /// The directory of one host.
    pub(crate) fn host(&self, lab: &str, host: &str) -> PathBuf {
        self.lab(lab).join("hosts").join(host)
    }

    /// Names of hosts with a directory.
    pub(crate) fn hosts(&self, lab: &str) -> Vec<String> {
        names_in(&self.lab(lab).join("hosts"))
    }

    /// The state file of one lab.
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.lab(name).join("lab.json")
    }

    /// Names with a directory.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.labs())
    }

    /// Reads a lab; none when it has no state file.
    pub fn read(&self, name: &str) -> Result<Option<LabState>> {
        let path = self.state_file(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(LabError::File {
                    what: "reading the state of a lab",
                    path,
                    source,
                });
            }
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| LabError::State { path, source })
    }

    /// Writes a lab, whole or not at all.
    pub(crate) fn write(&self, state: &LabState) -> Result<()> {
        let path = self.state_file(&state.name);
        let text = serde_json::to_string_pretty(state).map_err(|source| LabError::State {
            path: path.clone(),
            source,
        })?;
        let fresh = path.with_extension("json.new");
        let write = || {
            fs::create_dir_all(self.lab(&state.name))?;
            fs::write(&fresh, text + "\n")?;
            fs::rename(&fresh, &path)
        };
        write().map_err(LabError::file("writing the state of a lab", &path))
    }
}

/// What a directory holds, sorted; nothing when there is none.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LabState {
        LabState {
            name: "dev".into(),
            phase: Phase::Up,
            release: Release::Trixie,
            subnet: "10.213.0.0/24".parse().unwrap(),
            bridge: "g2pb0".into(),
            table: "openg2p_lab_dev".into(),
            cgroups: CgroupVersion::Hybrid,
            restrictions: vec![],
            ssh_key: "/c/key".into(),
            known_hosts: "/c/known_hosts".into(),
            hosts: vec![HostState {
                name: "box1".into(),
                address: Ipv4Addr::new(10, 213, 0, 11),
                machine: "g2p1".into(),
                cgroup: "openg2p-lab.dev.box1".into(),
                host_key: "ssh-ed25519 AAAA".into(),
                root: "/c/root".into(),
                log: "/c/log".into(),
                launcher: ProcessId::of(i32::try_from(std::process::id()).unwrap()),
                boot_milliseconds: Some(1400),
            }],
        }
    }

    #[test]
    fn a_state_survives_writing_and_reading() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        assert!(store.read("dev").unwrap().is_none());
        store.write(&sample()).unwrap();
        let read = store.read("dev").unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(sample()).unwrap()
        );
        assert!(read.is_alive());
        assert_eq!(store.names(), ["dev"]);
        assert_eq!(
            fs::read_dir(store.lab("dev")).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_broken_state_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        fs::create_dir_all(store.lab("dev")).unwrap();
        fs::write(store.state_file("dev"), "{").unwrap();
        assert_eq!(store.read("dev").unwrap_err().code(), "lab::state-unreadable");
    }

    #[test]
    fn a_process_is_more_than_its_number() {
        let own = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        assert!(
            !ProcessId {
                started: own.started + 1,
                ..own
            }
            .is_alive()
        );
    }

    #[test]
    fn start_time_is_read_behind_odd_names() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_time(&format!("7 (a) b (c)) {rest}")), Some(4242));
        assert_eq!(start_time(&format!("7 (a) {}", rest.replace('S', "Z"))), None);
        assert_eq!(start_time("nonsense"), None);
    }

    #[test]
    fn hosts_are_found_or_named() {
        let lab = sample();
        assert_eq!(lab.host(None).unwrap().name, "box1");
        assert!(
            lab.host(Some("box2"))
                .unwrap_err()
                .to_string()
                .contains("it has box1")
        );
    }

    #[test]
    fn ssh_pins_the_key() {
        let lab = sample();
        let command = format!("{:?}", lab.ssh_command(&lab.hosts[0]));
        assert!(
            command.contains("StrictHostKeyChecking=yes") && command.contains("/c/known_hosts"),
            "{command}"
        );
    }
}
