//! What stands in for a node and for a provisioner of volumes beside a real API server and Kubernetes' own controllers. It does what a
//! kubelet reports (a pod runs, a Job's pod ends well, a pod that is deleted has ended) and what a storage class's program does (a
//! claim gets a volume, a volume that nobody claims any more goes). All else is done by the real ones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;

/// The provisioner in storage classes of these tests.
pub(crate) const PROVISIONER: &str = "volumes.example.org/tests";
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// It ends with this value.
pub(crate) struct Node {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (ends, kubeconfig) = (over.clone(), kubeconfig.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let api = Api::connect(&kubeconfig).await;
                let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stand-in"}});
                let _ = api.ask("POST", "/api/v1/nodes", Some(&node)).await;
                while !ends.load(Ordering::Relaxed) {
                    if let Err(error) = look(&api).await {
                        eprintln!("the node that stands in: {error}");
                    }
                    tokio::time::sleep(LOOK).await;
                }
            });
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is asked may be gone by then, or another program may have been faster: the next look sees to it.
async fn look(api: &Api) -> Result<(), kube::Error> {
    for pod in api.list("/api/v1/pods").await? {
        let _ = look_after(api, &pod).await;
    }
    for claim in api.list("/api/v1/persistentvolumeclaims").await? {
        let waits = claim["status"]["phase"] == "Pending" && claim["spec"].get("volumeName").is_none();
        if waits && claim["metadata"].get("deletionTimestamp").is_none() {
            let _ = api
                .ask("POST", "/api/v1/persistentvolumes", Some(&volume(&claim)))
                .await;
        }
    }
    for volume in api.list("/api/v1/persistentvolumes").await? {
        if volume["status"]["phase"] == "Released" && volume["metadata"].get("deletionTimestamp").is_none() {
            let path = format!("/api/v1/persistentvolumes/{}", word(&volume["metadata"]["name"]));
            let _ = api.ask("DELETE", &path, None).await;
        }
    }
    Ok(())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn look_after(api: &Api, pod: &Value) -> Result<(), kube::Error> {
    let metadata = &pod["metadata"];
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}",
        word(&metadata["namespace"]),
        word(&metadata["name"])
    );
    if metadata.get("deletionTimestamp").is_some() {
        let now = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}});
        api.ask("DELETE", &path, Some(&now)).await?;
    } else if pod["status"]["phase"] == "Pending" {
        let status = json!({"status": status(pod)});
        api.ask("PATCH", &format!("{path}/status"), Some(&status)).await?;
    }
    Ok(())
}

fn status(pod: &Value) -> Value {
    let now = jiff::Timestamp::now().to_string();
    let ends = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let containers: Vec<Value> = containers
        .map(|container| {
            let state = if ends {
                json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}})
            } else {
                json!({"running": {"startedAt": now}})
            };
            json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": !ends, "started": !ends,
                "restartCount": 0, "state": state})
        })
        .collect();
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": now})
    };
    json!({
        "phase": if ends { "Succeeded" } else { "Running" },
        "startTime": now,
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", !ends),
            condition("Ready", !ends),
        ],
        "containerStatuses": containers,
    })
}

/// The volume for a claim. Its name follows from the claim, so that no claim gets two.
fn volume(claim: &Value) -> Value {
    let metadata = &claim["metadata"];
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": format!("pvc-{}", word(&metadata["uid"])),
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": claim["spec"]["resources"]["requests"],
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"]["storageClassName"],
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"],
                "name": metadata["name"], "uid": metadata["uid"]},
        },
    })
}
