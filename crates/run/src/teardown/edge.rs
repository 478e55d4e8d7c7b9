//! Nginx' files and the certificates of host names.

use async_trait::async_trait;
use openg2p_ports::{PortError, World};

use super::{Checked, Removed, Store, unrecorded};

/// Files at the edge, of some kinds.
pub(crate) struct Edge {
    name: &'static str,
    kinds: &'static [&'static str],
}

pub(crate) const NGINX: Edge = Edge {
    name: "Nginx",
    kinds: &["nginx-site"],
};
pub(crate) const CERTIFICATES: Edge = Edge {
    name: "certificates",
    kinds: &["certificate", "certificate-authority"],
};

#[async_trait]
impl Store for Edge {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        unrecorded::search(world, removed, self.kinds, None, checked).await
    }
}
