//! PostgreSQL. Each entry is a database with its role and the grants that name it. Where the server stays, the Job that dropped them has
//! looked again before it ended well (see `openg2p-init remove`), and the entry is gone only then; where the server went, they went with
//! its volume, which the store Kubernetes looks for.

use async_trait::async_trait;
use openg2p_ports::{ObjectRef, PortError, World};

use super::{Checked, Found, Removed, Store};

pub(crate) struct Databases;

#[async_trait]
impl Store for Databases {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["postgresql-database"]
    }

    async fn search(
        &self,
        world: &World,
        removed: &Removed<'_>,
        checked: &mut Checked,
    ) -> Result<(), PortError> {
        if world.cluster.reachable().await?.is_none() {
            return Ok(());
        }
        for entry in removed.entries {
            // a Job that drops and did not end well is kept by Kubernetes, and by it is known what is left
            let Some(dropper) = ObjectRef::of(&entry.desired["remove"]) else {
                continue;
            };
            if world.cluster.get(&dropper).await?.is_some() {
                checked.left.push(Found {
                    what: format!(
                        "database {}",
                        entry.desired["database"].as_str().unwrap_or_default()
                    ),
                    why: format!("{dropper} did not end well; its log tells why"),
                });
            }
        }
        Ok(())
    }
}
