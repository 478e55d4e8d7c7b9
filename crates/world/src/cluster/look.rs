//! A look at an object: how ready it is, what is wrong with it, and the wait until that changes.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, ListParams, LogParams, WatchEvent, WatchParams};
use openg2p_ports::{Cluster as _, Object, ObjectRef, PortError, Readiness};
use serde_json::Value;

use super::pods::{Trouble, of_pod};
use super::readiness::of_object;
use super::{KubernetesApi, List};

/// A watch is backed by a look at least this often, so that a lost event costs seconds and not the deadline.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A warning of the cluster must hold so long before it is more than a moment's trouble.
const WARNING: Duration = Duration::from_secs(20);
/// Warnings older than this are of an earlier attempt.
const RECENT: i64 = 60;

impl KubernetesApi {
    /// The pods of a workload.
    pub(super) async fn pods(&self, object: &ObjectRef, live: &Value) -> Result<Vec<Object>, PortError> {
        let Some(namespace) = &object.namespace else {
            return Ok(Vec::new());
        };
        let selector = match object.kind.as_str() {
            "Job" => format!("batch.kubernetes.io/job-name={}", object.name),
            "Deployment" | "StatefulSet" | "DaemonSet" => live["spec"]["selector"]["matchLabels"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(","),
            _ => return Ok(Vec::new()),
        };
        self.list("v1", "Pod", Some(namespace), Some(&selector)).await
    }

    /// The first pod of a workload that is in trouble, with the end of its log.
    async fn trouble(
        &self,
        object: &ObjectRef,
        live: &Value,
    ) -> Result<Option<(String, Duration)>, PortError> {
        let Some(namespace) = &object.namespace else {
            return Ok(None);
        };
        let pods = self.pods(object, live).await?;
        let pods = newest_revision(&pods);
        // a Job tries again by itself: that an attempt ended badly says nothing until the Job itself gives up, unless the attempt itself
        // said that another one would end the same
        let gave_up = matches!(of_object(live), Readiness::Stuck(_));
        let counts =
            |trouble: &Trouble| object.kind != "Job" || gave_up || !trouble.has_log || trouble.needs_person;
        let Some(trouble) = pods.iter().filter_map(|pod| of_pod(&pod.0)).find(counts) else {
            return Ok(None);
        };
        let log = if trouble.has_log {
            self.log(namespace, &trouble).await
        } else {
            String::new()
        };
        let container = if trouble.container.is_empty() {
            String::new()
        } else {
            format!(" container {}", trouble.container)
        };
        let log = if log.is_empty() {
            String::new()
        } else {
            format!("; its last log lines:\n{log}")
        };
        let why = format!(
            "pod {namespace}/{}{container}: {}{log}",
            trouble.pod, trouble.reason
        );
        Ok(Some((why, Duration::from_secs(trouble.patience))))
    }

    /// How ready it is now.
    pub(super) async fn look(&self, object: &ObjectRef) -> Result<Look, PortError> {
        let Some(live) = self.get(object).await? else {
            let waiting = openg2p_ports::Waiting("it to appear".into());
            return Ok(Look::at_once(Readiness::Waiting(waiting), String::new()));
        };
        let version = live.metadata("resourceVersion").unwrap_or_default().to_owned();
        let mut own = of_object(&live.0);
        if own != Readiness::Ready
            && object.kind == "PersistentVolumeClaim"
            && self.waits_for_user(&live.0).await?
        {
            own = Readiness::Ready;
        }
        if own == Readiness::Ready {
            return Ok(Look::at_once(own, version));
        }
        let trouble = match self.trouble(object, &live.0).await? {
            None if matches!(own, Readiness::Waiting(_)) => self.warning(object, &live.0).await,
            trouble => trouble,
        };
        Ok(match trouble {
            Some((why, patience)) => Look {
                readiness: Readiness::Stuck(why),
                patience,
                version,
            },
            None => Look::at_once(own, version),
        })
    }

    /// Whether a claim gets its volume only when a pod uses it: until then it is as ready as it can be.
    async fn waits_for_user(&self, claim: &Value) -> Result<bool, PortError> {
        if claim["status"]["phase"] != "Pending" {
            return Ok(false);
        }
        let Some(class) = claim["spec"]["storageClassName"].as_str() else {
            return Ok(false);
        };
        let class = ObjectRef {
            api_version: "storage.k8s.io/v1".into(),
            kind: "StorageClass".into(),
            namespace: None,
            name: class.into(),
        };
        let class = self.get(&class).await?;
        Ok(class.is_some_and(|class| class.0["volumeBindingMode"] == "WaitForFirstConsumer"))
    }

    /// What the cluster says went wrong with the object itself: pods that a policy forbids, a volume that nobody provides. Only events
    /// tell that.
    async fn warning(&self, object: &ObjectRef, live: &Value) -> Option<(String, Duration)> {
        let namespace = object.namespace.as_ref()?;
        let controls = matches!(object.kind.as_str(), "Job" | "StatefulSet" | "DaemonSet");
        // pods tell their own troubles
        if !(object.kind == "PersistentVolumeClaim"
            || controls && self.pods(object, live).await.ok()?.is_empty())
        {
            return None;
        }
        let events = ObjectRef {
            api_version: "v1".into(),
            kind: "Event".into(),
            namespace: Some(namespace.clone()),
            name: String::new(),
        };
        let fields = format!(
            "type=Warning,involvedObject.kind={},involvedObject.name={}",
            object.kind, object.name
        );
        let parameters = ListParams::default().fields(&fields);
        let sent = self.send::<List>(&events, "list events", "kubernetes::list", |requests| {
            requests.list(&parameters)
        });
        let list = sent.await.ok()??.ok()?;
        let time = |event: &Value| {
            let times = [&event["lastTimestamp"], &event["eventTime"]];
            times
                .into_iter()
                .find_map(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let newest = list.items.iter().max_by_key(|event| time(event))?;
        let when: jiff::Timestamp = time(newest).parse().ok()?;
        if jiff::Timestamp::now().as_second() - when.as_second() > RECENT {
            return None;
        }
        let word = |key: &str| newest[key].as_str().unwrap_or_default().trim().to_owned();
        Some((format!("{} ({})", word("message"), word("reason")), WARNING))
    }

    async fn log(&self, namespace: &str, trouble: &Trouble) -> String {
        let Ok(client) = self.client().await else {
            return String::new();
        };
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let parameters = LogParams {
            container: Some(trouble.container.clone()),
            previous: trouble.previous,
            tail_lines: Some(12),
            ..LogParams::default()
        };
        // a log that cannot be had must not hide the trouble itself
        pods.logs(&trouble.pod, &parameters)
            .await
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    }

    /// Returns when the object is no longer as in `seen`, its resource version, and after [`LOOK_AGAIN`] anyway.
    pub(super) async fn change(&self, object: &ObjectRef, seen: &str) {
        let watch = async {
            let (client, requests) = self.requests(object).await.ok()??;
            let parameters = WatchParams::default().fields(&format!("metadata.name={}", object.name));
            let request = requests.watch(&parameters, "").ok()?;
            let mut stream = client
                .request_events::<DynamicObject>(request)
                .await
                .ok()?
                .boxed();
            // the first event tells the present state; what came between the look and the watch shows there
            loop {
                let event = stream.next().await?.ok()?;
                let (WatchEvent::Added(now) | WatchEvent::Modified(now)) = event else {
                    return Some(());
                };
                if now.metadata.resource_version.as_deref() != Some(seen) {
                    return Some(());
                }
            }
        };
        if let Ok(None) = tokio::time::timeout(LOOK_AGAIN, watch).await {
            // no watch: the next look must not follow at once
            tokio::time::sleep(LOOK_AGAIN / 10).await;
        }
    }
}

/// One look at an object.
pub(super) struct Look {
    pub(super) readiness: Readiness,
    /// For how long trouble must hold before it counts.
    pub(super) patience: Duration,
    /// The resource version that was seen.
    pub(super) version: String,
}

impl Look {
    fn at_once(readiness: Readiness, version: String) -> Self {
        Self {
            readiness,
            patience: Duration::ZERO,
            version,
        }
    }
}

/// The pods that bear the newest template: those of an older one are on their way out, whatever state they are in.
fn newest_revision(pods: &[Object]) -> Vec<&Object> {
    let revision = |pod: &Object| {
        pod.label("pod-template-hash")
            .or_else(|| pod.label("controller-revision-hash"))
            .unwrap_or_default()
            .to_owned()
    };
    let newest = pods
        .iter()
        .max_by_key(|pod| pod.metadata("creationTimestamp").unwrap_or_default().to_owned());
    let newest = newest.map(revision);
    pods.iter().filter(|pod| Some(revision(pod)) == newest).collect()
}
