//! What `kubeadm init` and `kubeadm reset` do to a host.

use std::sync::Arc;

use serde_json::json;

use crate::objects::Objects;
use crate::things::Things;

/// Images that the control plane cannot start without, by the end of their repository.
const CONTROL_PLANE: &[&str] = &[
    "/kube-apiserver:",
    "/kube-controller-manager:",
    "/kube-scheduler:",
    "/etcd:",
    "/pause:",
    "/kube-proxy:",
    "/coredns:",
];

impl Things {
    /// `kubeadm init --config PATH`. `cut`: the run ends behind the credentials and before the API answers.
    pub(crate) fn kubeadm_init(&mut self, path: &str, cut: bool) -> Result<String, String> {
        let machine = &mut self.machine;
        let mut faults = Vec::new();
        if !machine.files.has(path) {
            return Err(format!(
                "unable to read config from \"{path}\": no such file or directory"
            ));
        }
        let configuration = machine.files.text(path);
        for program in ["kubelet", "conntrack", "ip", "iptables"] {
            if machine.program(program).is_none() {
                faults.push(format!(
                    "[ERROR FileExisting-{program}]: {program} not found in system path"
                ));
            }
        }
        if !machine.is_active("containerd.service") {
            faults.push("[ERROR CRI]: container runtime is not running".to_owned());
        }
        if machine.unit_state("kubelet.service").load != "loaded" {
            faults.push("[ERROR Service-Kubelet]: kubelet service does not exist".into());
        }
        for name in ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"] {
            if machine.kernel.settings.get(name).map(String::as_str) != Some("1") {
                faults.push(format!(
                    "[ERROR FileContent--proc-sys-{}]: contents are not set to 1",
                    name.replace('.', "-")
                ));
            }
        }
        for image in CONTROL_PLANE {
            if !machine.images.keys().any(|reference| reference.contains(image)) {
                faults.push(format!(
                    "[ERROR ImagePull]: image {image} is not present and its pull policy is Never"
                ));
            }
        }
        for folder in ["/etc/kubernetes/manifests", "/var/lib/etcd"] {
            if !machine.files.list(folder).is_empty() {
                faults.push(format!("[ERROR DirAvailable-{folder}]: {folder} is not empty"));
            }
        }
        if machine.files.has("/etc/kubernetes/admin.conf") {
            faults.push("[ERROR FileAvailable--etc-kubernetes-admin.conf]: it already exists".into());
        }
        if !faults.is_empty() {
            return Err(format!(
                "error execution phase preflight: [preflight] Some fatal errors occurred:\n{}",
                faults.join("\n")
            ));
        }
        // certificates and credentials come first, the API long after them
        machine
            .files
            .put("/etc/kubernetes/pki/ca.crt", "-----BEGIN CERTIFICATE-----\n");
        for name in [
            "admin.conf",
            "kubelet.conf",
            "scheduler.conf",
            "controller-manager.conf",
        ] {
            machine
                .files
                .put(&format!("/etc/kubernetes/{name}"), "kind: Config\n");
        }
        if cut {
            return Err("signal: killed".into());
        }
        machine
            .files
            .put("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n");
        machine
            .files
            .put("/var/lib/kubelet/kubeadm-flags.env", "KUBELET_KUBEADM_ARGS=\n");
        for name in [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ] {
            machine
                .files
                .put(&format!("/etc/kubernetes/manifests/{name}.yaml"), "kind: Pod\n");
        }
        machine.files.put("/var/lib/etcd/member/snap/db", "etcd\n");
        // kube-proxy mounts it, and containerd makes what a mount does not find
        machine.files.directories("/usr/lib/modules");
        machine.start("kubelet.service")?;
        let field = |name: &str| {
            let line = configuration
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim().trim_matches('"').to_owned()
        };
        let node = field("name");
        let images: Vec<String> = machine.images.keys().cloned().collect();
        let image = |part: &str| {
            images
                .iter()
                .find(|image| image.contains(part))
                .cloned()
                .unwrap_or_default()
        };
        let mut objects = Objects::new(&field("kubernetesVersion"));
        let seeds = [
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": if node.is_empty() { self.machine.name.clone() } else { node }}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubeadm-config", "namespace": "kube-system"}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kube-proxy", "namespace": "kube-system"}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns", "namespace": "kube-system"}}),
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
                "spec": {"template": {"spec": {"serviceAccountName": "kube-proxy", "containers": [{"name": "kube-proxy", "image": image("/kube-proxy:")}]}}}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "coredns", "namespace": "kube-system"},
                "spec": {"template": {"spec": {"serviceAccountName": "coredns", "containers": [{"name": "coredns", "image": image("/coredns:")}]}}}}),
        ];
        let clock = self.machine.facts.clock;
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            objects
                .apply(&namespace, "kube-apiserver", clock, &mut self.uids)
                .map_err(|refusal| refusal.why)?;
        }
        for seed in seeds {
            objects
                .apply(&seed, "kubeadm", clock, &mut self.uids)
                .map_err(|refusal| refusal.why)?;
        }
        self.cluster = Some(objects);
        self.machine
            .kernel
            .tables
            .extend(["ip kube-proxy".to_owned(), "ip6 kube-proxy".to_owned()]);
        self.machine.kernel.links.insert("openg2p0".into());
        self.machine.kernel.groups.insert("kubepods.slice".into());
        Ok("Your Kubernetes control-plane has initialized successfully!\n".into())
    }

    /// `kubeadm reset --force`. It leaves network rules, links and CNI's files, as the real one says itself. `cut`: the run ends
    /// when the kubelet is stopped.
    pub(crate) fn kubeadm_reset(&mut self, cut: bool) -> Result<String, String> {
        self.machine.stop("kubelet.service");
        if cut {
            return Err("signal: killed".into());
        }
        self.cluster = None;
        self.servers.clear();
        let files = &mut self.machine.files;
        for path in [
            "/etc/kubernetes/manifests",
            "/etc/kubernetes/pki",
            "/var/lib/etcd",
            "/var/lib/kubelet",
        ] {
            for name in files.list(path) {
                files.erase(&format!("{path}/{name}"));
            }
        }
        for name in [
            "admin.conf",
            "kubelet.conf",
            "scheduler.conf",
            "controller-manager.conf",
            "super-admin.conf",
        ] {
            files.erase(&format!("/etc/kubernetes/{name}"));
        }
        Ok(String::new())
    }

    /// Random bytes that nobody was given before.
    pub(crate) fn draw(&mut self, seed: u64, buffer: &mut [u8]) {
        let mut dice = crate::dice::Dice::new(seed ^ self.drawn.wrapping_mul(0xd134_2543_de82_ef95));
        for chunk in buffer.chunks_mut(8) {
            let bytes = dice.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        self.drawn += 1;
    }

    pub(crate) fn store(&mut self, name: &str, bytes: &[u8]) {
        self.state.insert(name.into(), Arc::from(bytes));
    }
}
