//! Whether the Services of a workload lead to its pods yet. The API calls a pod ready some moments before each node's proxy has heard of
//! it, and until then the node refuses connections: who takes the API's word for it, as `kubectl rollout status` does, may be met by an
//! edge that answers 502.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use openg2p_ports::{Cluster as _, ObjectRef, PortError};
use serde_json::Value;
use tokio::net::TcpStream;

use super::KubernetesApi;

/// How long a refused connection is tried again. kube-proxy gathers changes for one second; a port that is still refused after this is
/// one where the pods themselves do not listen, which is for the chart to know.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);
/// No answer within this is a network policy's silence, or a node elsewhere: nothing can be learned from here.
const SILENCE: Duration = Duration::from_secs(1);

impl KubernetesApi {
    /// Waits until no TCP port of a Service that selects the pods of `object` (a workload that is ready) is refused from this host.
    pub(super) async fn services_lead(
        &self,
        object: &ObjectRef,
        progress: &(dyn for<'p> Fn(&'p str) + Send + Sync),
    ) -> Result<(), PortError> {
        let workload = matches!(object.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet");
        if object.group() != "apps" || !workload {
            return Ok(());
        }
        let Some(live) = self.get(object).await? else {
            return Ok(());
        };
        if live.0["spec"]["replicas"].as_i64() == Some(0) {
            return Ok(());
        }
        let labels = &live.0["spec"]["template"]["metadata"]["labels"];
        let services = self
            .list("v1", "Service", object.namespace.as_deref(), None)
            .await?;
        let addresses: Vec<SocketAddr> = services
            .iter()
            .filter(|service| selects(&service.0["spec"]["selector"], labels))
            .flat_map(|service| addresses(&service.0))
            .collect();
        let end = Instant::now() + PATIENCE;
        let mut told = false;
        for address in addresses {
            while refused(address).await && Instant::now() < end {
                if !told {
                    progress(&format!("{object}: its Service to lead to its pods"));
                    told = true;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
        Ok(())
    }
}

/// A selector without labels selects nothing.
fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|wanted| {
        !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// Cluster address and TCP ports; none for a Service without an address of its own.
fn addresses(service: &Value) -> Vec<SocketAddr> {
    let spec = &service["spec"];
    let Some(address) = spec["clusterIP"]
        .as_str()
        .and_then(|text| text.parse::<IpAddr>().ok())
    else {
        return Vec::new();
    };
    let ports = spec["ports"].as_array().into_iter().flatten();
    ports
        .filter(|port| port["protocol"].as_str().unwrap_or("TCP") == "TCP")
        .filter_map(|port| u16::try_from(port["port"].as_u64()?).ok())
        .map(|port| SocketAddr::new(address, port))
        .collect()
}

async fn refused(address: SocketAddr) -> bool {
    let connected = tokio::time::timeout(SILENCE, TcpStream::connect(address)).await;
    matches!(connected, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_belongs_to_the_pods_that_it_selects() {
        let labels = json!({"app": "spar", "part": "api"});
        assert!(selects(&json!({"app": "spar"}), &labels));
        assert!(selects(&json!({"app": "spar", "part": "api"}), &labels));
        assert!(!selects(&json!({"app": "spar", "part": "worker"}), &labels));
        assert!(!selects(&json!({}), &labels));
        assert!(!selects(&Value::Null, &labels));
        assert!(!selects(&json!({"app": "spar"}), &Value::Null));
    }

    #[test]
    fn only_tcp_ports_at_an_address_of_its_own_are_tried() {
        let service = |address: &str| {
            json!({"spec": {"clusterIP": address, "ports": [
                {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 9153},
            ]}})
        };
        let found = addresses(&service("10.96.0.10"));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.96.0.10:53", "10.96.0.10:9153"]);
        assert_eq!(addresses(&service("None")), []);
        assert_eq!(
            addresses(&json!({"spec": {"type": "ExternalName", "externalName": "a.example"}})),
            []
        );
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_refused_and_one_with_a_listener_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!refused(address).await);
        drop(listener);
        assert!(refused(address).await);
    }
}
