//! The engine on a real host with systemd, apt and Nginx, in a process of its own. Every effect is counted, and the process can be ended
//! at any of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use openg2p_ports::{
    Command, FileContent, FileOrigin, FileState, Host, HostFacts, Listener, Output, PortError, UnitState,
    World,
};
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, SharedBundle, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::cluster_site::Wish;
use crate::engine::{Ended, Killer, in_a_process};
use crate::host::{Counter, Death};
use crate::order::Order;
use crate::systemd_site::resources;

/// What a child process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    /// Where ledger and journal are.
    pub(crate) root: PathBuf,
    /// A bundle with Debian packages.
    pub(crate) bundle: PathBuf,
    pub(crate) wish: Wish,
    pub(crate) death: Death,
    pub(crate) run: String,
    /// Where it writes how it ended.
    pub(crate) told: PathBuf,
}

/// The real adapter, counted.
struct CountedHost {
    inner: LocalHost,
    counter: Counter,
}

#[async_trait]
impl Host for CountedHost {
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
        self.inner.unit(unit).await
    }

    async fn packages(&self, names: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        self.inner.packages(names).await
    }

    async fn install_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        self.counter.effect(self.inner.install_packages(wanted)).await
    }

    async fn simulate_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        self.inner.simulate_packages(wanted).await
    }

    async fn purge_packages(&self, names: &[String]) -> Result<(), PortError> {
        self.counter.effect(self.inner.purge_packages(names)).await
    }

    async fn images(&self) -> Result<Option<BTreeMap<String, String>>, PortError> {
        self.inner.images().await
    }

    async fn import_image(&self, reference: &str) -> Result<(), PortError> {
        self.counter.effect(self.inner.import_image(reference)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), PortError> {
        self.counter.effect(self.inner.remove_image(reference)).await
    }

    async fn run_into(&self, command: Command, path: &str) -> Result<(Output, u64), PortError> {
        self.counter.effect(self.inner.run_into(command, path)).await
    }

    async fn run(&self, command: Command) -> Result<Output, PortError> {
        let first = command.arguments.first().map_or("", String::as_str);
        let looks = matches!(
            (command.program.as_str(), first),
            ("journalctl", _) | ("nginx", "-t")
        );
        if looks {
            return self.inner.run(command).await;
        }
        self.counter.effect(self.inner.run(command)).await
    }
}

fn perform(errand: &Errand) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let counter = Counter::new(errand.death);
        let bundle = Arc::new(BundleDirectory::open(&errand.bundle).unwrap());
        let wanted = match errand.wish {
            Wish::Site(edition) => Some(resources(edition, &bundle)),
            Wish::Gone => None,
        };
        let world = World {
            host: Box::new(CountedHost {
                inner: LocalHost::new("box1", bundle.clone(), errand.root.join("apt")),
                counter: counter.clone(),
            }),
            // there is no credential: no cluster, and no objects
            cluster: Box::new(KubernetesApi::new(errand.root.join("no-kubeconfig"))),
            bundle: Box::new(SharedBundle(bundle)),
            random: Box::new(SystemRandom),
        };
        let order = Order {
            site: "host",
            run: &errand.run,
            root: &errand.root,
            copy: false,
            wanted,
        };
        order.carry_out(&world, &counter).await
    })
}

/// Name of the variable that makes the test below an errand.
const ERRAND: &str = "OPENG2P_TEST_SYSTEMD_ERRAND";

/// No test of its own: the engine in a process that can be killed.
#[test]
fn an_errand_of_another_test() {
    let Ok(text) = std::env::var(ERRAND) else {
        return;
    };
    let errand: Errand = serde_json::from_str(&text).unwrap();
    let ended = perform(&errand);
    std::fs::write(&errand.told, format!("{ended:?}")).unwrap();
}

/// Plans and applies in a process of its own.
pub(crate) fn send(errand: &Errand, killer: Killer) -> Ended {
    in_a_process(
        "systemd_engine::an_errand_of_another_test",
        (ERRAND, &serde_json::to_string(errand).unwrap()),
        &errand.told,
        killer,
    )
}
