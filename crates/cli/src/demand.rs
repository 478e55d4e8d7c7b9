//! What a prepared site asks of a host before anything is done there.

use openg2p_lead::protocol::{Demand, Port};
use serde_json::Value;

use crate::prepared::Prepared;

/// Everything that the host is looked at for.
pub(crate) fn demand(prepared: &Prepared) -> Demand {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let node = prepared.site.lead().map_or("", |node| node.name.as_str());
    let ports = openg2p_compose::host_ports(node)
        .into_iter()
        .map(|port| Port {
            port: port.port,
            purpose: port.purpose.to_owned(),
            holder: port.holder,
        })
        .collect();
    let of_kind = |kind: &'static str| {
        prepared
            .resources
            .iter()
            .filter(move |resource| resource.id.kind() == kind)
            .map(|resource| &resource.desired)
    };
    Demand {
        site: prepared.site.name.clone(),
        index: prepared.index_text.clone(),
        clock,
        ports,
        packages: of_kind("host-packages").flat_map(packages).collect(),
        images: of_kind("container-image")
            .filter_map(|desired| {
                Some(
                    desired["digest"]
                        .as_str()?
                        .trim_start_matches("sha256:")
                        .to_owned(),
                )
            })
            .collect(),
    }
}

fn packages(desired: &Value) -> Vec<(String, String)> {
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    desired["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|package| (text(package, "name"), text(package, "version")))
        .collect()
}
