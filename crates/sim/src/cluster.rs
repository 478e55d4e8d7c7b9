//! The Kubernetes API.

use std::time::Duration;

use async_trait::async_trait;
use openg2p_ports::{Cluster, Object, ObjectRef, Ownership, PortError, Readiness, Trial};
use serde_json::Value;

use crate::objects::Refusal;
use crate::simulation::{Simulation, breathe};
use crate::things::Things;

const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// How often a wait looks in vain, with nobody else doing anything, before its deadline is taken to pass.
const PATIENCE: u32 = 40;

pub(crate) struct SimCluster(pub(crate) Simulation);

fn unreachable(why: &str) -> PortError {
    PortError::new("kubernetes::unreachable", "ask the Kubernetes API", ADMIN, why)
}

fn refused(code: &'static str, what: String, refusal: Refusal) -> PortError {
    PortError::new(code, what, ADMIN, refusal.why)
}

fn api(things: &Things) -> Result<&crate::Objects, PortError> {
    if !things.machine.files.has(ADMIN) {
        return Err(PortError::new(
            "kubernetes::credential",
            "connect to Kubernetes",
            ADMIN,
            "No such file or directory",
        ));
    }
    things
        .cluster
        .as_ref()
        .ok_or_else(|| unreachable("connection refused"))
}

impl Simulation {
    /// A host without a bundle beside a cluster without objects, for those who try the port of the Kubernetes API alone.
    pub fn with_cluster() -> Self {
        let mut things = Things::bare("box1");
        things.machine.files.put(ADMIN, String::new());
        things.cluster = Some(crate::Objects::new("v1.36.3"));
        Self::resume(things.into(), crate::SimBundle::default().into(), 0)
    }
}

/// The server's answer to an apply; the outer error is a server that does not answer.
fn apply(
    things: &mut Things,
    manifest: &Value,
    field_manager: &str,
    ownership: Ownership,
) -> Result<Result<Value, Refusal>, PortError> {
    api(things)?;
    let clock = things.machine.facts.clock;
    let Things {
        cluster: Some(objects),
        uids,
        ..
    } = things
    else {
        return Err(unreachable("connection refused"));
    };
    Ok(objects.apply_with(manifest, field_manager, ownership, clock, uids))
}

#[async_trait]
impl Cluster for SimCluster {
    async fn reachable(&self) -> Result<Option<String>, PortError> {
        self.0
            .look("cluster.reachable", "", |things| {
                if things.machine.files.has(ADMIN) {
                    api(things).map(|api| Some(api.version.clone()))
                } else {
                    Ok(None)
                }
            })
            .await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, PortError> {
        self.0
            .look("cluster.get", &object.to_string(), |things| {
                let stored = api(things)?.stored.get(object);
                Ok(stored.map(|stored| Object(stored.with_managers())))
            })
            .await
    }

    async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        label: Option<&str>,
    ) -> Result<Vec<Object>, PortError> {
        let place = format!("{kind} in {}", namespace.unwrap_or("the cluster"));
        self.0
            .look("cluster.list", &place, |things| {
                let wanted = label.and_then(|label| label.split_once('='));
                Ok(api(things)?
                    .all()
                    .filter(|(place, _)| place.api_version == api_version && place.kind == kind)
                    .filter(|(place, _)| namespace.is_none() || place.namespace.as_deref() == namespace)
                    .map(|(_, stored)| Object(stored.with_managers()))
                    .filter(|object| wanted.is_none_or(|(key, value)| object.label(key) == Some(value)))
                    .collect())
            })
            .await
    }

    async fn apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Object, PortError> {
        let what =
            ObjectRef::of(manifest).map_or_else(|| "a manifest".to_owned(), |object| object.to_string());
        self.0
            .touch("cluster.apply", &what, |things, _| {
                let applied = apply(things, manifest, field_manager, ownership)?.map_err(|refusal| {
                    let code = if refusal.status == 409 {
                        "kubernetes::conflict"
                    } else {
                        "kubernetes::apply"
                    };
                    refused(code, format!("apply {what}"), refusal)
                })?;
                things.settle();
                Ok(Object(applied))
            })
            .await
    }

    async fn try_apply(
        &self,
        manifest: &Value,
        field_manager: &str,
        ownership: Ownership,
    ) -> Result<Trial, PortError> {
        let what =
            ObjectRef::of(manifest).map_or_else(|| "a manifest".to_owned(), |object| object.to_string());
        self.0
            .look("cluster.try_apply", &what, |things| {
                let mut copy = things.clone();
                Ok(match apply(&mut copy, manifest, field_manager, ownership)? {
                    Ok(value) => Trial::Accepted(Object(value)),
                    Err(refusal) if !refusal.conflicts.is_empty() => Trial::Conflict(refusal.conflicts),
                    Err(refusal) if refusal.why.contains("immutable") => Trial::Immutable(refusal.why),
                    Err(refusal) if refusal.status == 404 => Trial::Impossible(refusal.why),
                    Err(refusal) => Trial::Refused(refusal.why),
                })
            })
            .await
    }

    async fn delete(&self, object: &ObjectRef, uid: &str, deadline: Duration) -> Result<(), PortError> {
        let gone = self
            .0
            .touch("cluster.delete", &object.to_string(), |things, _| {
                api(things)?;
                let clock = things.machine.facts.clock;
                let Some(objects) = &mut things.cluster else {
                    return Err(unreachable("connection refused"));
                };
                let gone = match objects.delete(object, uid, clock) {
                    Ok(gone) => gone,
                    // another object of that name by now: the real adapter takes that for gone
                    Err(refusal) if refusal.status == 409 => true,
                    Err(refusal) => {
                        return Err(refused("kubernetes::delete", format!("delete {object}"), refusal));
                    }
                };
                things.reclaim_volumes();
                let left = match object.kind.as_str() {
                    "Namespace" if gone => things.volumes_of(&object.name),
                    _ => Vec::new(),
                };
                if left.is_empty() {
                    return Ok(gone);
                }
                Err(PortError::new(
                    "kubernetes::volumes-left",
                    format!("remove the volumes of namespace {}", object.name),
                    ADMIN,
                    format!("{} of them are still there: {}", left.len(), left.join(", ")),
                ))
            })
            .await?;
        let mut patience = 0;
        let mut seen = self.0.count();
        while !gone && patience < PATIENCE {
            breathe().await;
            let things = self.0.things();
            let live = things.cluster.as_ref().and_then(|objects| objects.get(object));
            if live.is_none_or(|live| live["metadata"]["uid"] != uid) {
                return Ok(());
            }
            patience = if self.0.count() == seen { patience + 1 } else { 0 };
            seen = self.0.count();
        }
        if gone {
            return Ok(());
        }
        self.0.pass(deadline);
        Err(PortError::new(
            "kubernetes::delete-deadline",
            format!("delete {object}"),
            ADMIN,
            format!("it is still there after {} s", deadline.as_secs()),
        ))
    }

    async fn wait(
        &self,
        object: &ObjectRef,
        deadline: Duration,
        progress: &(dyn for<'p> Fn(&'p str) + Send + Sync),
    ) -> Result<(), PortError> {
        self.0
            .look("cluster.wait", &object.to_string(), |things| {
                api(things).map(|_| ())
            })
            .await?;
        let mut told = String::new();
        let mut patience = 0;
        let mut seen = self.0.count();
        loop {
            let (text, stuck) = match self.0.things().readiness(object) {
                Readiness::Ready => return Ok(()),
                Readiness::Waiting(waiting) => (waiting.0, false),
                Readiness::Stuck(why) => (why, true),
            };
            if text != told {
                progress(&format!("{object}: {text}"));
                told.clone_from(&text);
            }
            patience = if self.0.count() == seen { patience + 1 } else { 0 };
            seen = self.0.count();
            if patience > PATIENCE {
                if stuck {
                    return Err(PortError::new(
                        "kubernetes::stuck",
                        format!("start {object}"),
                        ADMIN,
                        text,
                    ));
                }
                self.0.pass(deadline);
                let why = format!("not ready after {} s: {text}", deadline.as_secs());
                return Err(PortError::new(
                    "kubernetes::deadline",
                    format!("wait for {object}"),
                    ADMIN,
                    why,
                ));
            }
            breathe().await;
        }
    }

    async fn release_stuck_pods(&self, object: &ObjectRef) -> Result<(), PortError> {
        self.0
            .touch("cluster.release", &object.to_string(), |things, _| {
                api(things)?;
                things.release(object);
                things.settle();
                Ok(())
            })
            .await
    }

    async fn readiness(&self, object: &ObjectRef) -> Result<Readiness, PortError> {
        self.0
            .look("cluster.readiness", &object.to_string(), |things| {
                api(things)?;
                Ok(things.readiness(object))
            })
            .await
    }
}
