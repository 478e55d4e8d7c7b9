//! Everything that outlives a run: the host, the cluster, the engine's own storage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openg2p_ports::{HostFacts, Listener};

use crate::files::Files;
use crate::kernel::Kernel;
use crate::objects::Objects;
use crate::postgres::Postgres;
use crate::units::Units;

/// The host.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: Files,
    /// Its kernel.
    pub kernel: Kernel,
    /// What systemd runs.
    pub units: Units,
    /// Installed packages with versions.
    pub packages: BTreeMap<String, String>,
    /// Packages that somebody else installed and what they cannot be without.
    pub foreign_needs: BTreeMap<String, BTreeSet<String>>,
    /// Images by reference.
    pub images: BTreeMap<String, String>,
    /// Sockets of programs that systemd does not run here.
    pub listeners: Vec<Listener>,
    /// What the machine is like; `clock` is the simulated time.
    pub facts: HostFacts,
}

impl Machine {
    /// A freshly installed Debian that has never seen openg2p.
    pub fn bare(name: &str) -> Self {
        let mut files = Files::default();
        for folder in [
            "/etc/modules-load.d",
            "/etc/sysctl.d",
            "/etc/systemd/system/multi-user.target.wants",
            "/opt",
            "/root",
            "/run",
            "/usr/bin",
            "/usr/lib/systemd/system",
            "/usr/libexec",
            "/var/backups",
            "/usr/local/bin",
            "/usr/sbin",
            // the engine's own, made when it was sent here
            "/var/lib/openg2p",
            "/var/log",
        ] {
            files.directories(folder);
        }
        for program in [
            "/usr/bin/systemctl",
            "/usr/bin/getent",
            "/usr/bin/journalctl",
            "/usr/bin/find",
            "/usr/sbin/sysctl",
            "/usr/bin/find",
        ] {
            files.put(program, "Debian\n");
        }
        files.put("/etc/hostname", name);
        let mut machine = Self {
            name: name.into(),
            files,
            kernel: Kernel::booted(),
            units: Units::default(),
            packages: BTreeMap::new(),
            foreign_needs: BTreeMap::new(),
            images: BTreeMap::new(),
            listeners: vec![Listener {
                port: 22,
                address: "0.0.0.0".into(),
                process: Some("sshd (1)".into()),
            }],
            facts: HostFacts {
                release: "trixie".into(),
                distribution: "debian".into(),
                kernel: "6.12.0-amd64".into(),
                architecture: "x86_64".into(),
                memory: 8 << 30,
                disk_free: 100 << 30,
                processors: 4,
                clock: 1_800_000_000,
                cgroup_version: 2,
                user: 0,
            },
        };
        for package in ["kmod", "iproute2"] {
            machine.unpack(package, "1.0-1");
        }
        machine
    }

    /// Where a program is found.
    pub(crate) fn program(&self, name: &str) -> Option<String> {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"]
            .iter()
            .map(|folder| format!("{folder}/{name}"))
            .find(|path| self.files.has(path))
    }
}

/// Everything that outlives a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Things {
    /// The host.
    pub machine: Machine,
    /// The Kubernetes API's content; none before `kubeadm init`.
    pub cluster: Option<Objects>,
    /// PostgreSQL servers with what is on them, by `namespace/name`.
    pub servers: BTreeMap<String, Postgres>,
    /// The engine's storage.
    pub state: BTreeMap<String, Arc<[u8]>>,
    /// Random bytes handed out so far, so that no run draws what another one drew.
    pub drawn: u64,
    /// Uids handed out so far.
    pub uids: u64,
}

impl Things {
    /// A bare host.
    pub fn bare(name: &str) -> Self {
        Self {
            machine: Machine::bare(name),
            cluster: None,
            servers: BTreeMap::new(),
            state: BTreeMap::new(),
            drawn: 0,
            uids: 0,
        }
    }

    /// A cluster that somebody else runs, with a credential for it on this host: for setting a scene.
    pub fn join_cluster(&mut self, version: &str) {
        let mut objects = Objects::new(version);
        for name in ["default", "kube-system"] {
            let namespace =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            // a namespace in an empty cluster is never refused
            let _ = objects.apply(
                &namespace,
                "kube-apiserver",
                self.machine.facts.clock,
                &mut self.uids,
            );
        }
        self.cluster = Some(objects);
        self.machine
            .files
            .put("/etc/kubernetes/admin.conf", "kind: Config\n");
    }
}
