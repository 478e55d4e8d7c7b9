//! The Kubernetes API through kube's client.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, Preconditions, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, Config};
use openg2p_ports::{Cluster, Object, ObjectRef, PortError, Readiness};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::readiness::{Trouble, of_object, of_pod};

/// A watch is backed by a look at least this often, so that a lost event costs seconds and not the deadline.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The API that a kubeconfig file leads to. The file may appear later: it is read at the first need.
pub struct KubernetesApi {
    kubeconfig: PathBuf,
    client: Mutex<Option<Client>>,
}

impl KubernetesApi {
    /// The API behind `kubeconfig`.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            client: Mutex::new(None),
        }
    }

    fn failed(&self, code: &'static str, what: impl Into<String>, why: impl std::fmt::Display) -> PortError {
        PortError::new(code, what, self.kubeconfig.display().to_string(), why.to_string())
    }

    async fn client(&self) -> Result<Client, PortError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref() {
            return Ok(client.clone());
        }
        let what = "connect to Kubernetes";
        let config = Kubeconfig::read_from(&self.kubeconfig)
            .map_err(|error| self.failed("kubernetes::credential", what, error))?;
        let mut config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
            .await
            .map_err(|error| self.failed("kubernetes::credential", what, error))?;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(Duration::from_secs(330));
        let client =
            Client::try_from(config).map_err(|error| self.failed("kubernetes::credential", what, error))?;
        *slot = Some(client.clone());
        Ok(client)
    }

    async fn api(&self, object: &ObjectRef) -> Result<Api<DynamicObject>, PortError> {
        let client = self.client().await?;
        let resource = resource(&object.api_version, &object.kind);
        Ok(match &object.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        })
    }

    /// The pods of a workload.
    async fn pods(&self, object: &ObjectRef, live: &Value) -> Result<Vec<Object>, PortError> {
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

    /// How ready it is, and for how long trouble must hold before it counts.
    async fn look(&self, object: &ObjectRef) -> Result<(Readiness, Duration), PortError> {
        let Some(live) = self.get(object).await? else {
            let waiting = openg2p_ports::Waiting("it to appear".into());
            return Ok((Readiness::Waiting(waiting), Duration::ZERO));
        };
        let own = of_object(&live.0);
        if own == Readiness::Ready {
            return Ok((own, Duration::ZERO));
        }
        Ok(match self.trouble(object, &live.0).await? {
            Some((why, patience)) => (Readiness::Stuck(why), patience),
            None => (own, Duration::ZERO),
        })
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

    async fn delete_object(
        &self,
        object: &ObjectRef,
        uid: &str,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let api = self.api(object).await?;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.into()),
                resource_version: None,
            }),
            ..DeleteParams::foreground()
        };
        match api.delete(&object.name, &parameters).await {
            Ok(_) => {}
            Err(error) if is(&error, 404) => return Ok(()),
            Err(error) if is(&error, 409) => return Ok(()), // another object of the same name by now: not ours
            Err(error) => return Err(self.failed("kubernetes::delete", format!("delete {object}"), error)),
        }
        let started = Instant::now();
        loop {
            match self.get(object).await? {
                None => return Ok(()),
                Some(live) if live.metadata("uid") != Some(uid) => return Ok(()),
                Some(live) => {
                    if started.elapsed() > deadline {
                        let finalizers = live.0["metadata"]["finalizers"].to_string();
                        return Err(self
                            .failed(
                                "kubernetes::delete-deadline",
                                format!("delete {object}"),
                                format!(
                                    "it is still there after {} s; finalizers: {finalizers}",
                                    deadline.as_secs()
                                ),
                            )
                            .hint("the program that set a finalizer must take it away; look at its log"));
                    }
                }
            }
            self.change(object).await;
        }
    }

    /// Waits until no volume is left that a claim of `namespace` held and that goes with its claim. A namespace is gone as soon as its claims
    /// are; the storage class removes the data behind them later, and until then they are not gone.
    async fn volumes_gone(&self, namespace: &str, deadline: Duration) -> Result<(), PortError> {
        let started = Instant::now();
        loop {
            let volumes = self.list("v1", "PersistentVolume", None, None).await?;
            let left: Vec<&str> = volumes
                .iter()
                .filter(|volume| volume.0["spec"]["claimRef"]["namespace"] == namespace)
                .filter(|volume| volume.0["spec"]["persistentVolumeReclaimPolicy"] == "Delete")
                .filter_map(|volume| volume.metadata("name"))
                .collect();
            let Some(first) = left.first() else {
                return Ok(());
            };
            if started.elapsed() > deadline {
                return Err(self
                    .failed(
                        "kubernetes::volumes-left",
                        format!("remove the volumes of namespace {namespace}"),
                        format!(
                            "after {} s {} of them are still there: {}",
                            deadline.as_secs(),
                            left.len(),
                            left.join(", ")
                        ),
                    )
                    .hint("the storage class's provisioner removes them; look at its log"));
            }
            self.change(&ObjectRef {
                api_version: "v1".into(),
                kind: "PersistentVolume".into(),
                namespace: None,
                name: (*first).to_owned(),
            })
            .await;
        }
    }

    /// Returns when something changed at the object or at a pod of its namespace, and after [`LOOK_AGAIN`] anyway.
    async fn change(&self, object: &ObjectRef) {
        let watch = async {
            let api = self.api(object).await.ok()?;
            let parameters = WatchParams::default().fields(&format!("metadata.name={}", object.name));
            let mut stream = api.watch(&parameters, "").await.ok()?.boxed();
            // the first event tells the present state; the second one is a change
            let _present = stream.next().await?;
            stream.next().await
        };
        let _ = tokio::time::timeout(LOOK_AGAIN, watch).await;
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

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn value(object: &DynamicObject, reference: &ObjectRef) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    // members of a list do not bear their own type
    value["apiVersion"] = reference.api_version.clone().into();
    value["kind"] = reference.kind.clone().into();
    value
}

#[async_trait]
impl Cluster for KubernetesApi {
    async fn reachable(&self) -> Result<Option<String>, PortError> {
        if !self.kubeconfig.exists() {
            // a cluster that was taken down leaves no credential: forget its connection too
            *self.client.lock().await = None;
            return Ok(None);
        }
        let client = self.client().await?;
        let version = tokio::time::timeout(Duration::from_secs(10), client.apiserver_version())
            .await
            .map_err(|_| {
                self.failed(
                    "kubernetes::unreachable",
                    "ask for the version",
                    "no answer within 10 s",
                )
            })?
            .map_err(|error| self.failed("kubernetes::unreachable", "ask for the version", error))?;
        Ok(Some(version.git_version))
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, PortError> {
        let api = self.api(object).await?;
        match api.get_opt(&object.name).await {
            Ok(found) => Ok(found.map(|found| Object(value(&found, object)))),
            Err(error) if is(&error, 404) => Ok(None),
            Err(error) => Err(self.failed("kubernetes::read", format!("read {object}"), error)),
        }
    }

    async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        label: Option<&str>,
    ) -> Result<Vec<Object>, PortError> {
        let reference = ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: String::new(),
        };
        let api = self.api(&reference).await?;
        let mut parameters = ListParams::default();
        if let Some(label) = label {
            parameters = parameters.labels(label);
        }
        match api.list(&parameters).await {
            Ok(list) => Ok(list
                .items
                .iter()
                .map(|item| Object(value(item, &reference)))
                .collect()),
            // the kind itself is not there yet (a custom resource definition still to come)
            Err(error) if is(&error, 404) => Ok(Vec::new()),
            Err(error) => {
                let place = namespace.map_or_else(
                    || "the cluster".to_owned(),
                    |namespace| format!("namespace {namespace}"),
                );
                Err(self.failed("kubernetes::list", format!("list {kind} in {place}"), error))
            }
        }
    }

    async fn apply(&self, manifest: &Value, field_manager: &str) -> Result<Object, PortError> {
        let reference = ObjectRef::of(manifest).ok_or_else(|| {
            self.failed(
                "kubernetes::manifest",
                "apply a manifest",
                "it has no apiVersion, kind or name",
            )
        })?;
        let api = self.api(&reference).await?;
        let parameters = PatchParams::apply(field_manager).validation_strict();
        match api.patch(&reference.name, &parameters, &Patch::Apply(manifest)).await {
            Ok(live) => Ok(Object(value(&live, &reference))),
            Err(error) if is(&error, 409) => Err(self
                .failed("kubernetes::conflict", format!("apply {reference}"), error)
                .hint("another program manages these fields; decide who shall, and take them out of the other one")),
            Err(error) => Err(self.failed("kubernetes::apply", format!("apply {reference}"), error)),
        }
    }

    async fn delete(&self, object: &ObjectRef, uid: &str, deadline: Duration) -> Result<(), PortError> {
        self.delete_object(object, uid, deadline).await?;
        if object.kind == "Namespace" && object.group().is_empty() {
            self.volumes_gone(&object.name, deadline).await?;
        }
        Ok(())
    }

    async fn wait(
        &self,
        object: &ObjectRef,
        deadline: Duration,
        progress: &(dyn for<'p> Fn(&'p str) + Send + Sync),
    ) -> Result<(), PortError> {
        let started = Instant::now();
        let mut told = String::new();
        let mut trouble_since: Option<Instant> = None;
        loop {
            let text = match self.look(object).await {
                Ok((Readiness::Ready, _)) => return Ok(()),
                Ok((Readiness::Waiting(waiting), _)) => {
                    trouble_since = None;
                    waiting.0
                }
                Ok((Readiness::Stuck(why), patience)) => {
                    let since = *trouble_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
                        return Err(self.failed("kubernetes::stuck", format!("start {object}"), why));
                    }
                    why
                }
                Err(error) => {
                    // a control plane that restarts is away for seconds: the deadline decides
                    if started.elapsed() > deadline {
                        return Err(error);
                    }
                    error.why
                }
            };
            if started.elapsed() > deadline {
                return Err(self.failed(
                    "kubernetes::deadline",
                    format!("wait for {object}"),
                    format!("not ready after {} s: {text}", deadline.as_secs()),
                ));
            }
            if text != told {
                progress(&format!("{object}: {}", text.lines().next().unwrap_or_default()));
                told = text;
            }
            self.change(object).await;
        }
    }

    async fn release_stuck_pods(&self, object: &ObjectRef) -> Result<(), PortError> {
        let Some(live) = self.get(object).await? else {
            return Ok(());
        };
        for pod in self.pods(object, &live.0).await? {
            let (Some(name), Some(uid), true) = (
                pod.metadata("name"),
                pod.metadata("uid"),
                of_pod(&pod.0).is_some(),
            ) else {
                continue;
            };
            let pod = ObjectRef {
                api_version: "v1".into(),
                kind: "Pod".into(),
                namespace: object.namespace.clone(),
                name: name.into(),
            };
            self.delete(&pod, uid, Duration::from_mins(1)).await?;
        }
        Ok(())
    }

    async fn readiness(&self, object: &ObjectRef) -> Result<Readiness, PortError> {
        self.look(object).await.map(|(readiness, _)| readiness)
    }
}
