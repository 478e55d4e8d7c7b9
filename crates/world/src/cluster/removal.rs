//! Deletes objects, and waits until nothing of them is left.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, Preconditions};
use openg2p_ports::{Cluster as _, ObjectRef, PortError};
use serde_json::Value;

use super::KubernetesApi;
use super::transport::{built_in, is};

/// Whether other objects may belong to one of this kind.
fn has_dependents(object: &ObjectRef) -> bool {
    !built_in(object.group())
        || matches!(object.group(), "apps" | "batch")
        || object.kind == "ReplicationController"
}

impl KubernetesApi {
    pub(super) async fn delete_object(
        &self,
        object: &ObjectRef,
        uid: &str,
        deadline: Duration,
    ) -> Result<(), PortError> {
        // what controllers made of it goes first, so that nothing of it is left when it is gone
        let base = if has_dependents(object) {
            DeleteParams::foreground()
        } else {
            DeleteParams::background()
        };
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.into()),
                resource_version: None,
            }),
            ..base
        };
        let what = format!("delete {object}");
        let sent = self
            .send::<Value>(object, &what, "kubernetes::delete", |requests| {
                requests.delete(&object.name, &parameters)
            })
            .await?;
        match sent {
            None => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(error)) if is(&error, 404) => return Ok(()),
            Some(Err(error)) if is(&error, 409) => return Ok(()), // another object of the same name by now: not ours
            Some(Err(error)) => return Err(self.failed("kubernetes::delete", what, error)),
        }
        let started = Instant::now();
        loop {
            let version = match self.get(object).await? {
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
                    live.metadata("resourceVersion").unwrap_or_default().to_owned()
                }
            };
            self.change(object, &version).await;
        }
    }

    /// Waits until no volume is left that a claim of `namespace` held and that goes with its claim. A namespace is gone as soon as its claims
    /// are; the storage class removes the data behind them later, and until then they are not gone.
    pub(super) async fn volumes_gone(&self, namespace: &str, deadline: Duration) -> Result<(), PortError> {
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
            let place = ObjectRef {
                api_version: "v1".into(),
                kind: "PersistentVolume".into(),
                namespace: None,
                name: (*first).to_owned(),
            };
            let seen = volumes
                .iter()
                .find(|volume| volume.metadata("name") == Some(*first));
            let seen = seen.and_then(|volume| volume.metadata("resourceVersion"));
            self.change(&place, seen.unwrap_or_default()).await;
        }
    }
}
