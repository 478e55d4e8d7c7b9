//! The resolved site: what the rest of the engine reads. Every default has been filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One site, complete: profile defaults merged, every field present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// DNS label, e.g. `ministry`; asked for before the whole site is destroyed.
    pub name: String,
    /// Parent DNS domain of every host name, e.g. `g2p.example.org`.
    pub domain: String,
    /// Name of the profile folder whose defaults were merged.
    pub profile: String,
    /// Machines; exactly one has [`Role::Lead`].
    pub nodes: Vec<Node>,
    /// Who provides Kubernetes.
    pub kubernetes: Kubernetes,
    /// The way in.
    pub edge: Edge,
    /// Environments by name (a DNS label; becomes the namespace).
    pub environments: BTreeMap<String, Environment>,
}

impl Site {
    /// The node where the engine runs.
    pub fn lead(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.roles.contains(&Role::Lead))
    }
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// DNS label; also the Kubernetes node name.
    pub name: String,
    /// Where SSH and the edge answer.
    pub address: IpAddr,
    /// What the machine does.
    pub roles: BTreeSet<Role>,
    /// How the machine is reached.
    pub ssh: Ssh,
    /// Settings of this host that differ from the product's defaults.
    pub host: HostOverrides,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The engine runs here.
    Lead,
    /// Kubernetes control plane.
    Server,
    /// Kubernetes worker.
    Agent,
    /// Nginx, the only way in.
    Edge,
    /// Local disks for volumes.
    Storage,
}

/// How a machine is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// Login name; must be root or may use sudo without a password.
    pub user: String,
    /// TCP port.
    pub port: u16,
    /// The host's public key as in an OpenSSH `known_hosts` line (`ssh-ed25519 AAAA...`). Without it the
    /// operator's own `known_hosts` decides; an unknown key is refused either way.
    pub host_key: Option<String>,
}

/// Settings of one host that differ from the product's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostOverrides {
    /// containerd's CRI option `restrict_oom_score_adj`.
    pub restrict_oom_score_adj: bool,
    /// Fields merged over our `KubeletConfiguration` (kubelet.config.k8s.io/v1beta1).
    pub kubelet: Map<String, Value>,
    /// Fields merged over our `KubeProxyConfiguration` (kubeproxy.config.k8s.io/v1alpha1).
    pub kube_proxy: Map<String, Value>,
    /// Kubeadm preflight checks to pass over, by kubeadm's own names.
    pub ignore_preflight_errors: Vec<String>,
}

/// Who provides Kubernetes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// `kubeadm` is the only provider of this version.
    pub provider: Provider,
    /// IPv4 CIDR of pods.
    pub pod_subnet: String,
    /// IPv4 CIDR of services.
    pub service_subnet: String,
}

/// Providers of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// We make the cluster with kubeadm.
    Kubeadm,
}

/// The way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Where certificates come from.
    pub certificates: Certificates,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Certificates {
    /// An authority made on the box, constrained to the site's domain.
    LocalAuthority {},
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// What its namespace, databases, labels and marks are called: the name that it had when it was made. Its key in
    /// [`Site::environments`] is what people and host names call it now.
    pub id: String,
    /// Profile folder for this environment; the site's by default.
    pub profile: String,
    /// Who may reach its hosts.
    pub access: Access,
    /// Commons services by catalogue name, with their chart values: the profile's and over them the site file's.
    pub commons: BTreeMap<String, Map<String, Value>>,
    /// Modules by catalogue name, with their chart values likewise. What a component needs is in here too.
    pub modules: BTreeMap<String, Map<String, Value>>,
}

/// Who may reach an environment's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Only through private channels (today: the host's own networks).
    Private,
    /// From anywhere.
    Public,
}
