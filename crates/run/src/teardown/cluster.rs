//! The Kubernetes API: objects that bear the owner's label, claims of volumes, and what is somebody's own.

use async_trait::async_trait;
use openg2p_kinds::{KINDS_OF_PEOPLE, OWNER_LABEL, foreign};
use openg2p_ports::{Object, ObjectRef, PortError, World};

use super::{Checked, Found, Removed, Store};
use crate::Selection;

pub(crate) struct Kubernetes;

/// Kinds without a namespace that charts bring.
const CLUSTER_WIDE: &[(&str, &str)] = &[
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
];

#[async_trait]
impl Store for Kubernetes {
    fn name(&self) -> &'static str {
        "Kubernetes"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "helm-record",
            "kubernetes-hook",
            "kubernetes-object",
            "kubernetes-secret",
            "partner-certificate",
        ]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        // with the site the cluster itself is gone
        let Some(id) = removed.selection.environment() else {
            return Ok(());
        };
        if world.cluster.reachable().await?.is_none() {
            return Ok(());
        }
        // label and volumes tell the environment alone, so they say nothing of a module's things
        if matches!(removed.selection, Selection::Environment(_)) {
            marked(world, id, removed, checked).await?;
            volumes(world, id, checked).await?;
        }
        for what in foreign(world, id).await? {
            checked.kept.push(Found {
                what: format!("{what} in namespace {id}"),
                why: "it is somebody's own: no entry of the ledger records it".into(),
            });
        }
        Ok(())
    }
}

/// What bears the environment's label though no entry records it.
async fn marked(
    world: &World,
    id: &str,
    removed: &Removed<'_>,
    checked: &mut Checked,
) -> Result<(), PortError> {
    let label = format!("{OWNER_LABEL}=environment.{id}");
    for (api_version, kind) in KINDS_OF_PEOPLE.iter().chain(CLUSTER_WIDE) {
        for object in world.cluster.list(api_version, kind, None, Some(&label)).await? {
            let owners = object.0["metadata"]["ownerReferences"].as_array();
            if recorded(removed, kind, &object) || owners.is_some_and(|owners| !owners.is_empty()) {
                continue;
            }
            let namespace = object.metadata("namespace");
            let place = ObjectRef {
                api_version: (*api_version).into(),
                kind: (*kind).into(),
                namespace: namespace.map(Into::into),
                name: object.metadata("name").unwrap_or_default().into(),
            };
            let found = |why: &str| Found {
                what: place.to_string(),
                why: why.into(),
            };
            // we put nothing into namespaces of others without a record: somebody copied ours, label and all
            if namespace.is_some_and(|namespace| namespace != id) {
                checked.kept.push(found(
                    "it bears the owner's label in a namespace that is not the owner's, and no entry of the ledger records it",
                ));
            } else {
                checked.left.push(found(
                    "it bears the owner's label, and no entry of the ledger records it",
                ));
            }
        }
    }
    Ok(())
}

/// Volumes that were claimed from the environment and are still there.
async fn volumes(world: &World, id: &str, checked: &mut Checked) -> Result<(), PortError> {
    for volume in world.cluster.list("v1", "PersistentVolume", None, None).await? {
        if volume.0["spec"]["claimRef"]["namespace"] == id {
            checked.left.push(Found {
                what: format!("PersistentVolume {}", volume.metadata("name").unwrap_or_default()),
                why: "it was claimed from this environment and was not released".into(),
            });
        }
    }
    Ok(())
}

/// Whether an entry records the object: it is looked for by itself.
fn recorded(removed: &Removed<'_>, kind: &str, object: &Object) -> bool {
    removed.entries.iter().any(|entry| {
        let metadata = &entry.desired["manifest"]["metadata"];
        entry.desired["manifest"]["kind"] == kind
            && metadata["name"].as_str() == object.metadata("name")
            && metadata["namespace"].as_str() == object.metadata("namespace")
    })
}
