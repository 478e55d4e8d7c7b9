//! The engine on a real API server, in a process of its own: the executor, the ledger and the adapter of an installation. Every effect is
//! counted, and the process can be ended at any of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openg2p_ports::{Cluster, Object, ObjectRef, Ownership, PortError, Readiness, Trial, World};
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, SharedBundle, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster_site::{Lane, Wish, resources};
use crate::engine::{Ended, Killer, in_a_process};
use crate::host::{Counter, Death};
use crate::order::Order;

/// What a child process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) kubeconfig: PathBuf,
    /// Where ledger and journal are.
    pub(crate) root: PathBuf,
    pub(crate) lane: Lane,
    pub(crate) wish: Wish,
    pub(crate) death: Death,
    pub(crate) run: String,
    /// Where it writes how it ended.
    pub(crate) told: PathBuf,
}

/// The real adapter, counted.
struct TestCluster {
    inner: KubernetesApi,
    counter: Counter,
}

#[async_trait]
impl Cluster for TestCluster {
    async fn reachable(&self) -> Result<Option<String>, PortError> {
        self.inner.reachable().await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, PortError> {
        self.inner.get(object).await
    }

    async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        label: Option<&str>,
    ) -> Result<Vec<Object>, PortError> {
        self.inner.list(api_version, kind, namespace, label).await
    }

    async fn apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Object, PortError> {
        self.counter
            .effect(self.inner.apply(manifest, field_manager, ownership))
            .await
    }

    async fn try_apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Trial, PortError> {
        self.inner.try_apply(manifest, field_manager, ownership).await
    }

    async fn delete(&self, object: &ObjectRef, uid: &str, deadline: Duration) -> Result<(), PortError> {
        self.counter
            .effect(self.inner.delete(object, uid, deadline))
            .await
    }

    async fn wait(
        &self,
        object: &ObjectRef,
        deadline: Duration,
        progress: &(dyn for<'p> Fn(&'p str) + Send + Sync),
    ) -> Result<(), PortError> {
        self.inner.wait(object, deadline, progress).await
    }

    async fn release_stuck_pods(&self, object: &ObjectRef) -> Result<(), PortError> {
        self.counter.effect(self.inner.release_stuck_pods(object)).await
    }

    async fn readiness(&self, object: &ObjectRef) -> Result<Readiness, PortError> {
        self.inner.readiness(object).await
    }
}

fn perform(errand: &Errand) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let counter = Counter::new(errand.death);
        let bundle = Arc::new(BundleDirectory::open_or_empty(&errand.root.join("bundle")));
        let world = World {
            host: Box::new(LocalHost::new("box1", bundle.clone(), errand.root.join("apt"))),
            cluster: Box::new(TestCluster {
                inner: KubernetesApi::new(errand.kubeconfig.clone()),
                counter: counter.clone(),
            }),
            bundle: Box::new(SharedBundle(bundle)),
            random: Box::new(SystemRandom),
        };
        let wanted = match errand.wish {
            Wish::Site(edition) => Some(resources(&errand.lane, edition)),
            Wish::Gone => None,
        };
        let order = Order {
            site: &errand.lane.name,
            run: &errand.run,
            root: &errand.root,
            copy: errand.lane.copy,
            wanted,
        };
        order.carry_out(&world, &counter).await
    })
}

/// Name of the variable that makes the test below an errand.
const ERRAND: &str = "OPENG2P_TEST_CLUSTER_ERRAND";

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
        "cluster_engine::an_errand_of_another_test",
        (ERRAND, &serde_json::to_string(errand).unwrap()),
        &errand.told,
        killer,
    )
}
