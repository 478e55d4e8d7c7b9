//! Nginx' files and the certificates of host names.

use async_trait::async_trait;
use openg2p_ports::{PortError, World};

use super::{Checked, Removed, Store, unrecorded};

pub(crate) struct Nginx;
pub(crate) struct Certificates;

#[async_trait]
impl Store for Nginx {
    fn name(&self) -> &'static str {
        "Nginx"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["nginx-site"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        unrecorded::search(world, removed, self.kinds(), None, checked).await
    }
}

#[async_trait]
impl Store for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["certificate", "certificate-authority"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        unrecorded::search(world, removed, self.kinds(), None, checked).await
    }
}
