//! Images in containerd.

use std::collections::BTreeSet;

use async_trait::async_trait;
use openg2p_ports::{PortError, World};

use super::{Checked, Found, Removed, Store};
use crate::Selection;

pub(crate) struct Images;

#[async_trait]
impl Store for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["container-image"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        // the site holds the images, its environments share them
        if *removed.selection != Selection::Site {
            return Ok(());
        }
        let ours: BTreeSet<&str> = removed
            .entries
            .iter()
            .filter_map(|entry| entry.desired["reference"].as_str())
            .collect();
        for (reference, _) in world.host.images().await?.unwrap_or_default() {
            if !ours.contains(reference.as_str()) {
                checked.kept.push(Found::unrecorded(reference));
            }
        }
        Ok(())
    }
}
