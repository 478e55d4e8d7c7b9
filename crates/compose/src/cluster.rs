//! Kubernetes on the lead node, made by kubeadm, and the platform's releases.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use openg2p_catalog::ComponentKind;
use openg2p_plan::{Owner, ResourceId};
use serde_json::{Map, Value, json};

use crate::host::POD_BRIDGE;
use crate::release::Release;
use crate::{ComposeError, Composer};

/// Image members that kubeadm starts.
const CONTROL_PLANE: &[&str] = &[
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "pause",
];

impl Composer<'_> {
    pub(crate) fn cluster_id(&self) -> ResourceId {
        self.host_id("kubernetes-cluster", "control-plane")
    }

    fn image_id(&self, name: &str) -> ResourceId {
        self.host_id("container-image", name)
    }

    pub(crate) fn image_needs(&mut self, names: &[String]) -> Vec<ResourceId> {
        self.images.extend(names.iter().cloned());
        names.iter().map(|name| self.image_id(name)).collect()
    }

    /// Adds the images that some component asked for.
    pub(crate) fn used_images(&mut self) {
        let containerd = self.host_id("systemd-unit", "containerd.service");
        for name in std::mem::take(&mut self.images) {
            let Some(member) = self.member("image", &name, "a component that runs it") else {
                continue;
            };
            let desired = json!({
                "reference": member.reference, "digest": format!("sha256:{}", member.sha256), "size": member.size,
            });
            let why = format!("{name} {}", member.version);
            self.on_host(
                "container-image",
                &name,
                "images",
                &why,
                desired,
                [containerd.clone()],
            );
        }
    }

    /// Tag of an image member's reference.
    fn tag(&mut self, name: &str) -> (String, String) {
        let reference = self
            .member("image", name, "kubernetes")
            .and_then(|member| member.reference)
            .unwrap_or_default();
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference.as_str(), ""));
        (repository.to_owned(), tag.to_owned())
    }

    pub(crate) fn cluster(&mut self) {
        let site = self.inputs.site;
        let node = self.lead;
        let Some(kubeadm) = self.member("binary", "kubeadm", "kubernetes") else {
            return;
        };
        let (coredns, coredns_tag) = self.tag("coredns");
        let (_, etcd_tag) = self.tag("etcd");
        let coredns_repository = coredns
            .rsplit_once('/')
            .map_or(coredns.clone(), |(repository, _)| repository.to_owned());

        let initial = json!({
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": node.address, "bindPort": 6443},
            "nodeRegistration": {
                "name": node.name,
                "criSocket": "unix:///run/containerd/containerd.sock",
                // everything was imported from the bundle; nothing is fetched
                "imagePullPolicy": "Never",
                "kubeletExtraArgs": [{"name": "node-ip", "value": node.address}],
                // the only node carries the environments too
                "taints": [],
            },
        });
        let whole = json!({
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "clusterName": site.name,
            "kubernetesVersion": kubeadm.version,
            "networking": {"podSubnet": site.kubernetes.pod_subnet, "serviceSubnet": site.kubernetes.service_subnet},
            "dns": {"imageRepository": coredns_repository, "imageTag": coredns_tag},
            "etcd": {"local": {"imageTag": etcd_tag}},
        });
        let mut kubelet = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            // a pod's own log must not fill the disk on which its neighbours' data are
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 3,
        });
        merge(&mut kubelet, &node.host.kubelet);
        let mut proxy = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
        });
        merge(&mut proxy, &node.host.kube_proxy);
        let mut text = String::new();
        for document in [&initial, &whole, &kubelet, &proxy] {
            // kubeadm takes a comment before the first `---` for an empty document, and refuses it
            text.push_str("---\n# Written by openg2p; changes here are overwritten.\n");
            text.push_str(&serde_saphyr::to_string(document).unwrap_or_default());
            text.push('\n');
        }
        let etc = self.host_id("host-directory", "/etc/openg2p");
        let configuration = "/etc/openg2p/kubeadm.yaml";
        let file = self.file(
            configuration,
            "kubernetes",
            "how kubeadm makes the cluster",
            &text,
            [etc],
        );
        let network = self.pod_network();

        let images = self.image_needs(
            &CONTROL_PLANE
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        );
        let mut needs: BTreeSet<ResourceId> = images.into_iter().collect();
        needs.extend([file, network]);
        for (kind, name) in [
            ("host-file", "/usr/local/bin/kubeadm"),
            ("host-file", "/usr/local/bin/kubectl"),
            ("systemd-unit", "kubelet.service"),
            ("systemd-unit", "containerd.service"),
            ("systemd-unit", "openg2p-firewall.service"),
            ("sysctl", "/etc/sysctl.d/90-openg2p.conf"),
            ("kernel-module", "overlay"),
        ] {
            needs.insert(self.host_id(kind, name));
        }
        let desired = json!({
            "node": node.name,
            "version": kubeadm.version,
            "configuration": configuration,
            "ignorePreflightErrors": node.host.ignore_preflight_errors,
        });
        self.on_host(
            "kubernetes-cluster",
            "control-plane",
            "kubernetes",
            "runs the site's workloads",
            desired,
            needs,
        );
    }

    fn pod_network(&mut self) -> ResourceId {
        // The controller manager gives the first node the first /24 of the pod subnet.
        let subnet = first_pod_range(&self.inputs.site.kubernetes.pod_subnet).unwrap_or_default();
        if subnet.is_empty() {
            let why = format!(
                "`kubernetes.podSubnet` {} is no IPv4 network",
                self.inputs.site.kubernetes.pod_subnet
            );
            self.errors.push(ComposeError::Site(why));
        }
        let text = json!({
            "cniVersion": "0.4.0",
            "name": "openg2p",
            "plugins": [
                {
                    "type": "bridge", "bridge": POD_BRIDGE, "isDefaultGateway": true, "hairpinMode": true, "ipMasq": true,
                    "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]},
                },
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        let folder = self.host_id("host-directory", "/etc/cni/net.d");
        let text = serde_json::to_string_pretty(&text).unwrap_or_default() + "\n";
        self.file(
            "/etc/cni/net.d/10-openg2p.conflist",
            "kubernetes",
            "gives pods their addresses",
            &text,
            [folder],
        )
    }

    /// Releases of the platform.
    pub(crate) fn platform(&mut self) {
        let catalog = self.inputs.catalog;
        let mut namespaces = BTreeSet::new();
        for component in catalog.of_kind(ComponentKind::Platform) {
            let namespace = component
                .namespace
                .clone()
                .unwrap_or_else(|| "kube-system".into());
            let mut needs = vec![self.cluster_id()];
            if namespace != "kube-system" {
                if namespaces.insert(namespace.clone()) {
                    // platform parts mount host paths, which the restricted profile forbids to environments
                    self.namespace(&namespace, Owner::Site, &component.name, "privileged");
                }
                needs.push(crate::release::object_id("v1", "Namespace", None, &namespace));
            }
            let mut values = Value::Object(component.values.clone());
            if component.name == "kube-router" {
                values["serviceClusterIPRange"] = json!(self.inputs.site.kubernetes.service_subnet);
            }
            needs.extend(self.image_needs(&component.images));
            let running = self.release(&Release {
                chart: &component.chart,
                name: &component.release,
                namespace: &namespace,
                owner: Owner::Site,
                part: &component.name,
                values,
                needs,
                workload_needs: Vec::new(),
                job_needs: Vec::new(),
            });
            if component.guards {
                self.guards.extend(running);
            }
        }
    }
}

/// Overrides of a host replace fields of our own; nested maps are merged.
fn merge(base: &mut Value, over: &Map<String, Value>) {
    let Some(base) = base.as_object_mut() else { return };
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(inner @ Value::Object(_)), Value::Object(value)) => merge(inner, value),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// `10.244.0.0/16` gives `10.244.0.0/24`.
fn first_pod_range(subnet: &str) -> Option<String> {
    let (address, length) = subnet.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    (length <= 24).then(|| format!("{address}/24"))
}

/// The address of the cluster's DNS: the tenth of the service subnet, as kubeadm chooses it.
pub(crate) fn dns_address(subnet: &str) -> Option<IpAddr> {
    let (address, _) = subnet.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(u32::from(address).checked_add(10)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_kubeadm() {
        assert_eq!(dns_address("10.96.0.0/16"), Some("10.96.0.10".parse().unwrap()));
        assert_eq!(first_pod_range("10.244.0.0/16").as_deref(), Some("10.244.0.0/24"));
        assert_eq!(first_pod_range("10.244.0.0/25"), None);
    }

    #[test]
    fn overrides_are_merged_deeply() {
        let mut base = json!({"a": 1, "conntrack": {"min": 5, "maxPerCore": 7}});
        let over = json!({"conntrack": {"min": 0}, "b": 2});
        merge(&mut base, over.as_object().unwrap());
        assert_eq!(
            base,
            json!({"a": 1, "b": 2, "conntrack": {"min": 0, "maxPerCore": 7}})
        );
    }
}
