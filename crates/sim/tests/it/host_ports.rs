//! The ports that are looked at before an installation are those that the site's own parts take on the host.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_compose::host_ports;
use serde_json::Value;

use crate::whole::{Keys, file, wish};

/// Host ports of a pod template: what it says itself, and with the host's network also what its probes ask.
fn ports_of(pod: &Value) -> BTreeSet<u16> {
    let shares = pod["hostNetwork"] == Value::Bool(true);
    let mut found = BTreeSet::new();
    let mut take = |port: &Value| {
        found.extend(port.as_u64().and_then(|port| u16::try_from(port).ok()));
    };
    for container in pod["containers"].as_array().into_iter().flatten() {
        for port in container["ports"].as_array().into_iter().flatten() {
            take(&port["hostPort"]);
            if shares {
                take(&port["containerPort"]);
            }
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            for way in ["httpGet", "tcpSocket", "grpc"] {
                if shares {
                    take(&container[probe][way]["port"]);
                }
            }
        }
    }
    found
}

#[test]
fn every_port_that_a_chart_takes_on_the_host_is_looked_at() {
    let wish = wish(
        &file(&[("dev", &["spar", "g2p-bridge", "example-bank"])]),
        Keys::Quick,
    );
    let checked: BTreeMap<u16, String> = host_ports("box1")
        .into_iter()
        .map(|port| (port.port, port.holder.to_string()))
        .collect();
    let mut taken = BTreeMap::new();
    for resource in &wish.resources {
        for port in ports_of(&resource.desired["manifest"]["spec"]["template"]["spec"]) {
            taken.insert(port, resource.id.to_string());
        }
    }
    // or the reading above finds nothing any more
    assert!(taken.contains_key(&20244), "{taken:?}");
    for (port, holder) in taken {
        assert_eq!(checked.get(&port), Some(&holder), "port {port}");
    }
}

#[test]
fn who_holds_a_port_is_a_resource_of_the_site() {
    let wish = wish(&file(&[]), Keys::Quick);
    let ids: BTreeSet<String> = wish
        .resources
        .iter()
        .map(|resource| resource.id.to_string())
        .collect();
    for port in host_ports("box1") {
        assert!(
            ids.contains(port.holder.as_str()),
            "{}: {}",
            port.port,
            port.holder
        );
    }
}
