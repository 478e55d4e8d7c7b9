//! This machine as the engine sees it in these tests: the real adapter, but for systemd, which does not run on every machine that runs
//! tests. Two units are enough: Nginx on loopback and a firewall in a network namespace; what `systemctl` would do to them is done
//! to the real programs. Every effect is counted, and the process can be ended at any of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use openg2p_ports::{
    Command, FileContent, FileOrigin, FileState, Host, HostFacts, Listener, Output, PortError, State,
    UnitState,
};
use openg2p_world::{LocalHost, StateDirectory};
use serde::{Deserialize, Serialize};

pub(crate) const NGINX: &str = "openg2p-nginx.service";
pub(crate) const FIREWALL: &str = "openg2p-firewall.service";

/// When the process ends itself, as `kill -9` ends it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Death {
    /// Number of the effect; none: it lives.
    pub(crate) effect: Option<usize>,
    /// Behind it, or before it.
    pub(crate) behind: bool,
}

/// Counts effects, and ends the process at one.
#[derive(Clone, Default)]
pub(crate) struct Counter {
    count: Arc<AtomicUsize>,
    death: Death,
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

impl Counter {
    pub(crate) fn new(death: Death) -> Self {
        Self {
            count: Arc::default(),
            death,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) async fn effect<T>(&self, act: impl Future<Output = T>) -> T {
        let due = self.death.effect == Some(self.count.fetch_add(1, Ordering::Relaxed));
        if due && !self.death.behind {
            die();
        }
        let result = act.await;
        if due && self.death.behind {
            die();
        }
        result
    }
}

/// Where everything of a test is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ground {
    pub(crate) root: PathBuf,
    pub(crate) nginx: PathBuf,
    /// Network namespace of the firewall; none without the rights to make one.
    pub(crate) network: Option<String>,
    pub(crate) port: u16,
}

impl Ground {
    pub(crate) fn path(&self, name: &str) -> String {
        self.root.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn configuration(&self) -> String {
        self.path("etc/nginx/nginx.conf")
    }

    fn enabled(&self, unit: &str) -> PathBuf {
        self.root.join("units").join(unit)
    }

    /// Process id of Nginx' master, when it lives.
    pub(crate) fn master(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.root.join("run/nginx.pid")).ok()?;
        let pid: u32 = text.trim().parse().ok()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim() == "nginx").then_some(pid)
    }

    /// Every master of this Nginx, also one that found no room for its PID file: systemd knows them by the unit's control group.
    fn masters(&self) -> Vec<rustix::process::Pid> {
        let configuration = self.configuration();
        let is_master = |pid: &u32| {
            let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title).replace('\0', " ");
            title.starts_with("nginx: master process") && title.contains(&configuration)
        };
        std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(is_master)
            .filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?))
            .collect()
    }

    /// The firewall's table as the kernel has it.
    pub(crate) fn table(&self) -> Option<String> {
        let network = self.network.as_ref()?;
        let output = std::process::Command::new("ip")
            .args([
                "netns", "exec", network, "nft", "list", "table", "inet", "openg2p",
            ])
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

pub(crate) struct TestHost {
    pub(crate) inner: LocalHost,
    pub(crate) ground: Ground,
    pub(crate) counter: Counter,
    /// systemd does one job of a unit behind the other.
    pub(crate) jobs: tokio::sync::Mutex<()>,
}

fn done() -> Output {
    Output {
        status: Some(0),
        stdout: String::new(),
        stderr: String::new(),
    }
}

impl TestHost {
    async fn nginx(&self, words: &[&str]) -> Result<Output, PortError> {
        let program = self.ground.nginx.to_string_lossy().into_owned();
        self.inner
            .run(Command::new(&program, words.iter().copied()))
            .await
    }

    async fn nft(&self, words: &[&str]) -> Result<Output, PortError> {
        let Some(network) = &self.ground.network else {
            return Ok(done());
        };
        let all = ["netns", "exec", network, "nft"]
            .into_iter()
            .chain(words.iter().copied());
        self.inner.run(Command::new("ip", all)).await
    }

    fn is_active(&self, unit: &str) -> bool {
        if unit == NGINX {
            self.ground.master().is_some()
        } else {
            self.ground.network.is_none() || self.ground.table().is_some()
        }
    }

    async fn stop(&self, unit: &str) -> Result<Output, PortError> {
        if unit == FIREWALL {
            if self.ground.table().is_some() {
                return self.nft(&["delete", "table", "inet", "openg2p"]).await;
            }
            return Ok(done());
        }
        self.end_masters().await;
        Ok(done())
    }

    /// Ends all of the unit's control group, and waits until they are gone.
    async fn end_masters(&self) {
        for pid in self.ground.masters() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for _ in 0..500 {
            if self.ground.masters().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    async fn start(&self, unit: &str) -> Result<Output, PortError> {
        if unit == FIREWALL {
            return self.nft(&["-f", &self.ground.path("etc/firewall.nft")]).await;
        }
        let mut started = self.nginx(&["-c", &self.ground.configuration()]).await?;
        // as systemd does for a unit with a PID file: started is what has written it
        for _ in 0..1_000 {
            if started.status != Some(0) || self.ground.master().is_some() {
                return Ok(started);
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        // and what has not written it failed, and is ended with all that it left behind
        self.end_masters().await;
        started.status = Some(1);
        started
            .stderr
            .push_str("the PID file is empty: No space left on device");
        Ok(started)
    }

    async fn systemctl(&self, words: &[&str]) -> Result<Output, PortError> {
        let failed = |error: std::io::Error| {
            PortError::new("host::systemd", "systemctl", self.inner_name(), error.to_string())
        };
        let _job = self.jobs.lock().await;
        match words {
            ["daemon-reload"] | ["reset-failed", _] => Ok(done()),
            ["enable", unit] => {
                std::fs::create_dir_all(self.ground.root.join("units")).map_err(failed)?;
                std::fs::write(self.ground.enabled(unit), "").map_err(failed)?;
                Ok(done())
            }
            ["disable", "--now", unit] => {
                if self.ground.enabled(unit).exists() {
                    std::fs::remove_file(self.ground.enabled(unit)).map_err(failed)?;
                }
                self.stop(unit).await
            }
            ["restart", unit] => {
                self.stop(unit).await?;
                self.start(unit).await
            }
            ["reload", _] => {
                self.nginx(&["-s", "reload", "-c", &self.ground.configuration()])
                    .await
            }
            other => panic!("these tests do not know systemctl {other:?}"),
        }
    }

    fn inner_name(&self) -> String {
        self.inner.name().to_owned()
    }
}

#[async_trait]
impl Host for TestHost {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn facts(&self) -> Result<HostFacts, PortError> {
        self.inner.facts().await
    }

    async fn listeners(&self) -> Result<Vec<Listener>, PortError> {
        self.inner.listeners().await
    }

    async fn origin(&self, path: &str) -> Result<Option<FileOrigin>, PortError> {
        self.inner.origin(path).await
    }

    async fn stat(&self, path: &str) -> Result<FileState, PortError> {
        self.inner.stat(path).await
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.inner.read(path).await
    }

    async fn write(&self, path: &str, content: FileContent<'_>, mode: u32) -> Result<(), PortError> {
        self.counter.effect(self.inner.write(path, content, mode)).await
    }

    async fn link(&self, path: &str, target: &str) -> Result<(), PortError> {
        self.counter.effect(self.inner.link(path, target)).await
    }

    async fn remove(&self, path: &str) -> Result<(), PortError> {
        self.counter.effect(self.inner.remove(path)).await
    }

    async fn make_directory(&self, path: &str, mode: u32) -> Result<(), PortError> {
        self.counter.effect(self.inner.make_directory(path, mode)).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, PortError> {
        self.inner.list(path).await
    }

    async fn remove_directory(&self, path: &str, whole: bool) -> Result<(), PortError> {
        self.counter
            .effect(self.inner.remove_directory(path, whole))
            .await
    }

    async fn unit(&self, unit: &str) -> Result<UnitState, PortError> {
        let text = |yes: bool, one: &str, other: &str| if yes { one.to_owned() } else { other.to_owned() };
        let _job = self.jobs.lock().await;
        let active = self.is_active(unit);
        Ok(UnitState {
            load: "loaded".into(),
            active: text(active, "active", "inactive"),
            enabled: text(self.ground.enabled(unit).exists(), "enabled", "disabled"),
            sub: text(active, "running", "dead"),
        })
    }

    async fn packages(&self, names: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        self.inner.packages(names).await
    }

    async fn install_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        panic!("these tests install nothing, and not {wanted:?}")
    }

    async fn simulate_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        panic!("these tests install nothing, and not {wanted:?}")
    }

    async fn purge_packages(&self, names: &[String]) -> Result<(), PortError> {
        panic!("these tests purge nothing, and not {names:?}")
    }

    async fn images(&self) -> Result<Option<BTreeMap<String, String>>, PortError> {
        Ok(None)
    }

    async fn import_image(&self, reference: &str) -> Result<(), PortError> {
        panic!("these tests have no containerd for {reference}")
    }

    async fn remove_image(&self, reference: &str) -> Result<(), PortError> {
        panic!("these tests have no containerd for {reference}")
    }

    async fn run_into(&self, command: Command, path: &str) -> Result<(Output, u64), PortError> {
        self.counter.effect(self.inner.run_into(command, path)).await
    }

    async fn run(&self, command: Command) -> Result<Output, PortError> {
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        match command.program.as_str() {
            "systemctl" => self.counter.effect(self.systemctl(&words)).await,
            "nginx" => self.nginx(&words).await,
            "journalctl" => Ok(done()),
            "nft" => self.counter.effect(self.nft(&words)).await,
            other => panic!("these tests do not run {other} {words:?}"),
        }
    }
}

/// The engine's storage, counted as the host is.
pub(crate) struct TestState {
    pub(crate) inner: StateDirectory,
    pub(crate) counter: Counter,
}

impl TestState {
    pub(crate) fn new(root: &Path, counter: Counter) -> Self {
        Self {
            inner: StateDirectory::new(root.join("state")),
            counter,
        }
    }
}

#[async_trait]
impl State for TestState {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.inner.read(name).await
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.counter.effect(self.inner.replace(name, bytes)).await
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.counter.effect(self.inner.append(name, bytes)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        self.inner.list(folder).await
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.counter.effect(self.inner.remove(name)).await
    }
}
