//! The same promises, and some that the simulation does not make, kept by our client against a real API server. It needs etcd and
//! kube-apiserver, which `cargo xtask test` names (`OPENG2P_ETCD`, `OPENG2P_KUBE_APISERVER`).

use std::time::{Duration, Instant};

use openg2p_lab::{ApiServer, ApiServerPrograms};
use openg2p_ports::{Cluster, ObjectRef, Ownership, Trial};
use openg2p_world::KubernetesApi;
use serde_json::json;

use crate::cluster::{PROMISES, namespace, prepare};

/// How long an API server may take until it answers, on a busy machine.
const START: Duration = Duration::from_mins(3);

pub(crate) async fn started(server: &mut ApiServer) -> KubernetesApi {
    let api = KubernetesApi::new(server.kubeconfig());
    let place = ObjectRef {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        namespace: None,
        name: "default".into(),
    };
    let begin = Instant::now();
    while !matches!(api.get(&place).await, Ok(Some(_))) {
        server.check().unwrap();
        assert!(begin.elapsed() < START, "the API server does not answer");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    api
}

#[test]
#[ignore = "needs etcd and kube-apiserver"]
fn the_real_thing_keeps_its_promises() {
    let programs = ApiServerPrograms::from_environment().expect("OPENG2P_ETCD and OPENG2P_KUBE_APISERVER");
    let folder = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(&programs, folder.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let api = started(&mut server).await;
        for (name, promise) in PROMISES {
            eprintln!("{name}");
            prepare(&api, name).await;
            promise(&api, &namespace(name)).await;
        }
        misspelt_fields_are_refused(&api).await;
    });
}

#[test]
#[ignore = "needs etcd, kube-apiserver and Helm"]
fn both_programs_see_the_same_releases() {
    let programs = ApiServerPrograms::from_environment().expect("OPENG2P_ETCD and OPENG2P_KUBE_APISERVER");
    let helm = std::env::var_os("CHART_HELM").expect("CHART_HELM");
    let folder = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(&programs, folder.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        started(&mut server).await;
        crate::helm::promises(helm.as_ref(), server.kubeconfig(), folder.path()).await;
    });
}

async fn misspelt_fields_are_refused(api: &KubernetesApi) {
    let wrong = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"ports": [{"port": 80, "targetPrt": 8080}]}});
    let trial = api.try_apply(&wrong, "test", Ownership::Respect).await.unwrap();
    let Trial::Refused(why) = trial else {
        panic!("{trial:?}")
    };
    assert!(why.contains("targetPrt"), "{why}");
    let error = api.apply(&wrong, "test", Ownership::Respect).await.unwrap_err();
    assert!(error.why.contains("targetPrt"), "{}", error.why);
}
