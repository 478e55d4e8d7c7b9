//! How the workloads are, from the ledger and the cluster.

use futures::future::join_all;
use openg2p_plan::Ledger;
use openg2p_ports::{Cluster, ObjectRef, Readiness};

use crate::protocol::Workload;

/// Workloads that the ledger holds, with their state.
pub(crate) async fn workloads(cluster: &dyn Cluster, ledger: &Ledger) -> Vec<Workload> {
    let entries = ledger.entries.values().filter_map(|entry| {
        let manifest = entry.desired.get("manifest")?;
        let object = ObjectRef::of(manifest)?;
        // a hook has done its work once, whatever became of it
        let stays = entry.resource.kind() == "kubernetes-object";
        (stays && openg2p_run::waits_for_readiness(manifest)).then_some((entry, object))
    });
    let looks = entries.map(|(entry, object)| async move {
        let (state, why) = match cluster.get(&object).await {
            Ok(None) => ("absent", "it is not there".to_owned()),
            Err(error) => ("unknown", error.to_string()),
            Ok(Some(_)) => match cluster.readiness(&object).await {
                Ok(Readiness::Ready) => ("ready", String::new()),
                Ok(Readiness::Waiting(waiting)) => ("waiting", waiting.0),
                Ok(Readiness::Stuck(why)) => ("stuck", why),
                Err(error) => ("unknown", error.to_string()),
            },
        };
        Workload {
            owner: entry.owner.to_string(),
            part: entry.part.clone(),
            object: object.to_string(),
            state: state.into(),
            why,
        }
    });
    let mut all = join_all(looks).await;
    all.sort_by(|a, b| (&a.owner, &a.part, &a.object).cmp(&(&b.owner, &b.part, &b.object)));
    all
}
