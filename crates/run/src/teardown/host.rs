//! The host: files, folders, units, packages, kernel settings.

use async_trait::async_trait;
use openg2p_ports::{FileState, PortError, World};

use super::{Checked, Found, Removed, Store, unrecorded};
use crate::Selection;

pub(crate) struct Host;

/// Where an installation puts things. After a whole removal nothing of ours is there; what is there is told.
const PLACES: &[&str] = &[
    "/etc/openg2p",
    "/etc/kubernetes",
    "/etc/cni/net.d",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    VOLUMES,
];

/// Where the volumes of the default storage class are, each in a folder `<volume>_<namespace>_<claim>` (local-path-provisioner's
/// naming; none of the three can hold a `_`).
const VOLUMES: &str = "/var/lib/openg2p/volumes";

/// Data of an environment's volumes.
async fn volumes(world: &World, namespace: &str, checked: &mut Checked) -> Result<(), PortError> {
    for name in world.host.list(VOLUMES).await? {
        if name.rsplit('_').nth(1) == Some(namespace) {
            checked.left.push(Found {
                what: format!("{VOLUMES}/{name}"),
                why: "data of a volume of this environment are in it".into(),
            });
        }
    }
    Ok(())
}

#[async_trait]
impl Store for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "host-directory",
            "host-file",
            "host-packages",
            "kernel-module",
            "kubernetes-cluster",
            "sysctl",
            "systemd-unit",
        ]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        match removed.selection {
            Selection::Modules(..) => Ok(()),
            Selection::Environment(id) => {
                volumes(world, id, checked).await?;
                unrecorded::search(world, removed, self.kinds(), Some(id), checked).await
            }
            Selection::Site => {
                for path in PLACES {
                    if world.host.stat(path).await? != FileState::Absent {
                        checked.kept.push(Found::unrecorded(*path));
                    }
                }
                unrecorded::search(world, removed, self.kinds(), None, checked).await
            }
        }
    }
}
