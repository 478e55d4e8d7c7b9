//! The Kubernetes API through kube's client.

mod look;
mod pods;
mod readiness;
mod removal;
mod services;
mod transport;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{Request, Status};
use kube::{Client, Config};
use openg2p_ports::{Cluster, FieldConflict, Object, ObjectRef, Ownership, PortError, Readiness, Trial};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use pods::of_pod;
use transport::{Transport, is};

/// What is read of a list.
#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
}

/// What tells one kubeconfig file from the next: inode, length, time of change.
type Version = Option<(u64, u64, i64, i64)>;

fn version(path: &Path) -> Version {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ))
}

/// The API that a kubeconfig file leads to. The file may appear later and be written anew: it is read at the first need, and again when
/// it is another one.
pub struct KubernetesApi {
    kubeconfig: PathBuf,
    /// With the file that it was made of: a cluster that is made anew has other authorities and credentials.
    client: Mutex<Option<(Version, Client)>>,
    /// What the server behind that file called itself, after how many requests without an answer.
    server: Mutex<Option<(Version, u64, String)>>,
    transport: Transport,
}

impl KubernetesApi {
    /// The API behind `kubeconfig`.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            client: Mutex::new(None),
            server: Mutex::new(None),
            transport: Transport::default(),
        }
    }

    fn failed(&self, code: &'static str, what: impl Into<String>, why: impl std::fmt::Display) -> PortError {
        PortError::new(code, what, self.kubeconfig.display().to_string(), why.to_string())
    }

    /// Whether kubeadm's API server is to run beside the credential, which kubeadm writes first and removes last: a lost file is no cluster
    /// that was taken down, and what is in it is not gone.
    fn has_control_plane(&self) -> bool {
        self.kubeconfig
            .with_file_name("manifests/kube-apiserver.yaml")
            .exists()
    }

    async fn client(&self) -> Result<Client, PortError> {
        let mut slot = self.client.lock().await;
        let version = version(&self.kubeconfig);
        // a file that is gone was not replaced: what goes on ends with the connection that it has
        if let Some((known, client)) = slot.as_ref()
            && (version.is_none() || *known == version)
        {
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
        // `Transport` knows that a server which is busy for one request is busy for all
        config.default_retry = false;
        let client =
            Client::try_from(config).map_err(|error| self.failed("kubernetes::credential", what, error))?;
        *slot = Some((version, client.clone()));
        Ok(client)
    }

    /// The requests for objects of this kind and place; none when the server does not know the kind.
    async fn requests(&self, object: &ObjectRef) -> Result<Option<(Client, Request)>, PortError> {
        let client = self.client().await?;
        let path = self.transport.path(&client, object).await;
        let path = path.map_err(|error| {
            let what = format!("ask for the resources of {}", object.api_version);
            self.failed("kubernetes::read", what, error)
        })?;
        Ok(path.map(|path| (client, Request::new(path))))
    }

    /// Sends what `build` makes of the kind's requests; none when the server does not know the kind, or the object.
    async fn send<T: DeserializeOwned>(
        &self,
        object: &ObjectRef,
        what: &str,
        code: &'static str,
        build: impl FnOnce(&Request) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Option<Result<T, kube::Error>>, PortError> {
        let Some((client, requests)) = self.requests(object).await? else {
            return Ok(None);
        };
        let request = build(&requests).map_err(|error| self.failed(code, what, error))?;
        Ok(Some(self.transport.send(&client, &request).await))
    }

    async fn patch(
        &self,
        reference: &ObjectRef,
        manifest: &Value,
        parameters: &PatchParams,
    ) -> Result<Result<Object, kube::Error>, PortError> {
        let what = format!("apply {reference}");
        let sent = loop {
            let sent = self
                .send::<Value>(reference, &what, "kubernetes::apply", |requests| {
                    requests.patch(&reference.name, parameters, &Patch::Apply(manifest))
                })
                .await?;
            match &sent {
                Some(Err(kube::Error::Api(status)))
                    if transport::undeclared(status)
                        && self.transport.may_have_read_before(reference.group()).await => {}
                _ => break sent,
            }
        };
        let unknown = || {
            self.failed(
                "kubernetes::apply",
                &what,
                format!(
                    "the API server knows no kind {} of {}",
                    reference.kind, reference.api_version
                ),
            )
            .hint("its CustomResourceDefinition must be applied and established first")
        };
        Ok(sent.ok_or_else(unknown)?.map(Object))
    }

    fn manifest_reference(&self, manifest: &Value) -> Result<ObjectRef, PortError> {
        ObjectRef::of(manifest).ok_or_else(|| {
            self.failed(
                "kubernetes::manifest",
                "apply a manifest",
                "it has no apiVersion, kind or name",
            )
        })
    }
}

/// Fields of other managers, as the server names them in a refusal.
fn conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict {
            manager: cause.message.split('"').nth(1).unwrap_or("unknown").to_owned(),
            field: cause.field.clone(),
        })
        .collect()
}

/// Whether the server says that the change is impossible in place, rather than wrong.
fn immutable(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "immutable",
        "may not change once set",
        "may not be changed",
        "cannot change roleref",
        "updates to",
        "cannot be changed",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn in_words(conflicts: &[FieldConflict]) -> String {
    conflicts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[async_trait]
impl Cluster for KubernetesApi {
    async fn reachable(&self) -> Result<Option<String>, PortError> {
        if !self.kubeconfig.exists() {
            if self.has_control_plane() {
                return Err(self
                    .failed(
                        "kubernetes::credential",
                        "connect to Kubernetes",
                        "the control plane is on this host, and its administrator's credential is gone",
                    )
                    .hint("as root on the host: kubeadm init phase kubeconfig admin"));
            }
            // a cluster that was taken down leaves no credential: forget its connection too
            *self.client.lock().await = None;
            return Ok(None);
        }
        let file = version(&self.kubeconfig);
        let (silences, fresh) = self.transport.contact().await;
        if let Some((known, before, name)) = self.server.lock().await.as_ref()
            && (*known, *before, true) == (file, silences, fresh)
        {
            return Ok(Some(name.clone()));
        }
        let client = self.client().await?;
        let asked = tokio::time::timeout(Duration::from_secs(10), client.apiserver_version())
            .await
            .map_err(|_| {
                self.failed(
                    "kubernetes::unreachable",
                    "ask for the version",
                    "no answer within 10 s",
                )
            })?;
        self.transport.note(&asked).await;
        let name = asked
            .map_err(|error| self.failed("kubernetes::unreachable", "ask for the version", error))?
            .git_version;
        *self.server.lock().await = Some((file, silences, name.clone()));
        Ok(Some(name))
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, PortError> {
        let what = format!("read {object}");
        let code = "kubernetes::read";
        let sent = self
            .send::<Value>(object, &what, code, |requests| {
                requests.get(&object.name, &GetParams::default())
            })
            .await?;
        match sent {
            None => Ok(None),
            Some(Ok(found)) => Ok(Some(Object(found))),
            Some(Err(error)) if is(&error, 404) => Ok(None),
            Some(Err(error)) => Err(self.failed(code, what, error)),
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
        let mut parameters = ListParams::default();
        if let Some(label) = label {
            parameters = parameters.labels(label);
        }
        let place = namespace.map_or_else(
            || "the cluster".to_owned(),
            |namespace| format!("namespace {namespace}"),
        );
        let what = format!("list {kind} in {place}");
        let code = "kubernetes::list";
        let sent = self
            .send::<List>(&reference, &what, code, |requests| requests.list(&parameters))
            .await?;
        let items = match sent {
            // the kind itself is not there yet (a custom resource definition still to come)
            None => return Ok(Vec::new()),
            Some(Err(error)) if is(&error, 404) => return Ok(Vec::new()),
            Some(Err(error)) => return Err(self.failed(code, what, error)),
            Some(Ok(list)) => list.items,
        };
        let typed = items.into_iter().map(|mut item| {
            // members of a list do not bear their own type
            item["apiVersion"] = api_version.into();
            item["kind"] = kind.into();
            Object(item)
        });
        Ok(typed.collect())
    }

    async fn apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Object, PortError> {
        let reference = self.manifest_reference(manifest)?;
        let mut parameters = PatchParams::apply(field_manager).validation_strict();
        parameters.force = ownership == Ownership::Take;
        let what = format!("apply {reference}");
        match self.patch(&reference, manifest, &parameters).await? {
            Ok(live) => {
                if let (true, Some(group)) = (
                    reference.kind == "CustomResourceDefinition",
                    manifest["spec"]["group"].as_str(),
                ) {
                    self.transport.define(group).await;
                }
                Ok(live)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let others = conflicts(&status);
                let why = if others.is_empty() {
                    status.message.clone()
                } else {
                    in_words(&others)
                };
                Err(self.failed("kubernetes::conflict", what, why).hint(
                    "another program manages these fields; decide who shall, and take them out of the other one",
                ))
            }
            Err(kube::Error::Api(status)) => Err(self.failed("kubernetes::apply", what, &status.message)),
            Err(error) => Err(self.failed("kubernetes::apply", what, error)),
        }
    }

    async fn try_apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Trial, PortError> {
        let reference = self.manifest_reference(manifest)?;
        let mut parameters = PatchParams::apply(field_manager).validation_strict();
        parameters.force = ownership == Ownership::Take;
        parameters.dry_run = true;
        Ok(match self.patch(&reference, manifest, &parameters).await? {
            Ok(live) => Trial::Accepted(live),
            Err(kube::Error::Api(status)) => {
                let others = conflicts(&status);
                let why = status.message.clone();
                match status.code {
                    409 if !others.is_empty() => Trial::Conflict(others),
                    400 if why.contains("dry run") || why.contains("dryRun") => Trial::Impossible(why),
                    404 | 409 => Trial::Impossible(why),
                    400 | 403 | 422 if immutable(&why) => Trial::Immutable(why),
                    400 | 403 | 413 | 415 | 422 => Trial::Refused(why),
                    500 if transport::misspelt(&status) => Trial::Refused(why),
                    _ => {
                        return Err(self.failed("kubernetes::apply", format!("try {reference}"), why));
                    }
                }
            }
            Err(error) => {
                return Err(self.failed("kubernetes::apply", format!("try {reference}"), error));
            }
        })
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
            let mut version = String::new();
            let text = match self.look(object).await {
                Ok(look) => {
                    version = look.version;
                    match look.readiness {
                        Readiness::Ready => return self.services_lead(object, progress).await,
                        Readiness::Waiting(waiting) => {
                            trouble_since = None;
                            waiting.0
                        }
                        Readiness::Stuck(why) => {
                            let since = *trouble_since.get_or_insert_with(Instant::now);
                            if since.elapsed() >= look.patience {
                                return Err(self.failed("kubernetes::stuck", format!("start {object}"), why));
                            }
                            why
                        }
                    }
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
            self.change(object, &version).await;
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
        self.look(object).await.map(|look| look.readiness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lost_credential_is_not_taken_for_a_cluster_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = KubernetesApi::new(folder.path().join("admin.conf"));
        assert_eq!(cluster.reachable().await.unwrap(), None);
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        assert_eq!(cluster.reachable().await.unwrap(), None);
        std::fs::write(folder.path().join("manifests/kube-apiserver.yaml"), "").unwrap();
        let error = cluster.reachable().await.unwrap_err();
        assert_eq!(error.code, "kubernetes::credential");
        assert!(
            error
                .hint
                .unwrap()
                .contains("kubeadm init phase kubeconfig admin")
        );
    }
}
