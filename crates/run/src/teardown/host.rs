//! The host: files, folders, units, packages, kernel settings.

use async_trait::async_trait;
use openg2p_ports::{FileState, PortError, World};

use super::{Checked, Found, Removed, Store};
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
    "/var/lib/openg2p/volumes",
];

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
        if *removed.selection != Selection::Site {
            return Ok(());
        }
        for path in PLACES {
            if world.host.stat(path).await? != FileState::Absent {
                checked.kept.push(Found {
                    what: (*path).into(),
                    why: "no entry of the ledger records it".into(),
                });
            }
        }
        Ok(())
    }
}
