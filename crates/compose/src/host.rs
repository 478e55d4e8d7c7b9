//! What a bare host becomes: packages, kernel, containerd, kubelet, firewall.

use openg2p_plan::{Fingerprint, ResourceId};
use serde_json::{Value, json};

use crate::Composer;

/// Packages wanted for themselves; the bundle brings what they depend on.
const PACKAGES: &[&str] = &[
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "kmod",
    "nftables",
    "nginx",
    "runc",
    "socat",
];

/// Interface of the pods' bridge.
pub(crate) const POD_BRIDGE: &str = "openg2p0";

impl Composer<'_> {
    pub(crate) fn directory(
        &mut self,
        path: &str,
        mode: u32,
        ours: bool,
        needs: Vec<ResourceId>,
    ) -> ResourceId {
        let contents = if ours { "ours" } else { "keep" };
        let desired = json!({"path": path, "mode": mode, "contents": contents});
        self.on_host(
            "host-directory",
            path,
            "host",
            "holds files of openg2p",
            desired,
            needs,
        )
    }

    pub(crate) fn file(
        &mut self,
        path: &str,
        part: &str,
        why: &str,
        text: &str,
        needs: impl IntoIterator<Item = ResourceId>,
    ) -> ResourceId {
        self.on_host(
            "host-file",
            path,
            part,
            why,
            json!({"path": path, "mode": 0o644, "text": text}),
            needs,
        )
    }

    pub(crate) fn unit(
        &mut self,
        unit: &str,
        part: &str,
        why: &str,
        restart_on: &[ResourceId],
        needs: impl IntoIterator<Item = ResourceId>,
    ) -> ResourceId {
        let inputs: serde_json::Map<String, Value> = restart_on
            .iter()
            .filter_map(|id| {
                let resource = self.resources.iter().find(|resource| &resource.id == id)?;
                Some((id.to_string(), json!(Fingerprint::of(&resource.desired).short())))
            })
            .collect();
        let needs = needs.into_iter().chain(restart_on.iter().cloned());
        let desired = json!({"unit": unit, "state": "running", "restartOn": inputs});
        self.on_host("systemd-unit", unit, part, why, desired, needs)
    }

    pub(crate) fn binary(&mut self, name: &str, needs: Vec<ResourceId>) -> Option<ResourceId> {
        let member = self.member("binary", name, "kubernetes")?;
        let path = format!("/usr/local/bin/{name}");
        let desired = json!({"path": path, "mode": 0o755, "blob": member.sha256});
        Some(self.on_host(
            "host-file",
            &path,
            "kubernetes",
            &format!("{name} {}", member.version),
            desired,
            needs,
        ))
    }

    pub(crate) fn host(&mut self) {
        let etc = self.directory("/etc/openg2p", 0o755, false, vec![]);
        self.directory("/var/lib/openg2p/volumes", 0o711, true, vec![]);

        // Made before the programs that fill them come, so that the ledger knows that they were not there, and removal takes them
        // with all that is in them.
        let filled: Vec<ResourceId> = [
            ("/var/lib/containerd", 0o711),
            ("/opt/containerd", 0o711),
            ("/usr/libexec/kubernetes", 0o755),
            ("/var/log/containers", 0o755),
            ("/var/log/pods", 0o750),
        ]
        .into_iter()
        .map(|(path, mode)| self.directory(path, mode, true, vec![]))
        .collect();
        let cni = self.directory("/etc/cni", 0o755, false, vec![]);
        let cni = self.directory("/etc/cni/net.d", 0o755, false, vec![cni]);
        let www = self.directory("/var/www", 0o755, false, vec![]);
        let www = self.directory("/var/www/html", 0o755, false, vec![www]);
        // kube-proxy and kube-router mount it, and containerd makes what a mount does not find: a host whose kernel is another
        // machine's (a container) has none. Modules that a person put there keep it.
        let modules = self.directory("/usr/lib/modules", 0o755, false, vec![]);

        // Debian starts a package's daemon at its installation; the edge is a unit of our own with our own configuration, and
        // Debian's must not take its ports.
        let masked = json!({"unit": "nginx.service", "state": "masked", "restartOn": {}});
        let why = "Debian's own Nginx unit must not take the edge's ports";
        let masked = self.on_host("systemd-unit", "nginx.service", "edge", why, masked, []);
        let packages: Vec<Value> = PACKAGES
            .iter()
            .filter_map(|name| {
                let member = self.member("debian-package", name, "the host")?;
                Some(json!({"name": name, "version": member.version}))
            })
            .collect();
        let packages = self.on_host(
            "host-packages",
            "debian",
            "host",
            "container runtime, edge and network tools",
            // purging nginx leaves its sample page behind
            json!({"packages": packages, "leftovers": ["/var/www/html/index.nginx-debian.html"]}),
            filled.into_iter().chain([masked, cni, www, modules]),
        );

        self.kernel(&packages);
        self.containerd(&etc, &packages);
        self.kubelet(&packages);
        self.firewall(&etc, &packages);
    }

    fn kernel(&mut self, packages: &ResourceId) {
        for (module, evidence) in [
            ("overlay", "filesystem:overlay"),
            ("br_netfilter", "/proc/sys/net/bridge"),
        ] {
            let why = "container file systems and network policy need it";
            let desired = json!({"module": module, "evidence": evidence});
            self.on_host("kernel-module", module, "host", why, desired, [packages.clone()]);
        }
        let load = "/etc/modules-load.d/openg2p.conf";
        let text = "# Written by openg2p.\noverlay\nbr_netfilter\n".to_owned();
        self.file(
            load,
            "host",
            "loads the kernel's features at every boot",
            &text,
            [],
        );
        // bridge-nf: pods of one node talk over a bridge; without these their traffic would pass by every NetworkPolicy.
        // inotify: the kubelet, containerd and many pods watch files; Debian's 128 instances are used up by a dozen of them.
        let settings = json!({
            "net.bridge.bridge-nf-call-ip6tables": "1",
            "net.bridge.bridge-nf-call-iptables": "1",
            "net.ipv4.ip_forward": "1",
            "fs.inotify.max_user_instances": "1024",
        });
        let module = self.host_id("kernel-module", "br_netfilter");
        let path = "/etc/sysctl.d/90-openg2p.conf";
        self.on_host(
            "sysctl",
            path,
            "host",
            "routing between pods and room for watches",
            json!({"path": path, "settings": settings}),
            [module, packages.clone()],
        );
    }

    fn containerd(&mut self, etc: &ResourceId, packages: &ResourceId) {
        let pause = self
            .member("image", "pause", "containerd")
            .and_then(|member| member.reference)
            .unwrap_or_default();
        let systemd = self.lead.host.kubelet.get("cgroupDriver").and_then(Value::as_str) != Some("cgroupfs");
        let restrict = self.lead.host.restrict_oom_score_adj;
        let text = format!(
            r#"# Written by openg2p; changes here are overwritten.
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = {restrict}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = {systemd}
"#
        );
        let why = "containerd for Kubernetes";
        let configuration = self.file("/etc/openg2p/containerd.toml", "host", why, &text, [etc.clone()]);
        let folder = self.directory(
            "/etc/systemd/system/containerd.service.d",
            0o755,
            false,
            vec![packages.clone()],
        );
        let text = "# Written by openg2p.\n[Service]\nExecStart=\nExecStart=/usr/bin/containerd --config /etc/openg2p/containerd.toml\n";
        let drop_in = self.file(
            "/etc/systemd/system/containerd.service.d/50-openg2p.conf",
            "host",
            "containerd reads our configuration, the package's own stays as it is",
            text,
            [folder],
        );
        self.unit(
            "containerd.service",
            "host",
            "runs the containers",
            &[configuration, drop_in],
            [packages.clone()],
        );
    }

    fn kubelet(&mut self, packages: &ResourceId) {
        for name in ["kubelet", "kubeadm", "kubectl"] {
            self.binary(name, vec![]);
        }
        // The unit and its drop-in as kubeadm's packages have them: kubeadm writes the files they name.
        let text = "# Written by openg2p.\n[Unit]\nDescription=kubelet: the Kubernetes node agent\nAfter=containerd.service network-online.target\n\
            Wants=network-online.target\n\n[Service]\n\
            Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"\n\
            Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n\
            EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n\
            ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS\n\
            Restart=always\nRestartSec=5\nStartLimitIntervalSec=0\n\n[Install]\nWantedBy=multi-user.target\n";
        let text = text
            .replace("StartLimitIntervalSec=0\n\n[Install]", "\n[Install]")
            .replace(
                "Wants=network-online.target\n",
                "Wants=network-online.target\nStartLimitIntervalSec=0\n",
            );
        let file = self.file(
            "/etc/systemd/system/kubelet.service",
            "kubernetes",
            "starts the kubelet at boot",
            &text,
            [],
        );
        let binary = self.host_id("host-file", "/usr/local/bin/kubelet");
        let desired = json!({"unit": "kubelet.service", "state": "enabled", "restartOn": {}});
        let why = "the kubelet runs after every boot; kubeadm starts it the first time";
        self.on_host(
            "systemd-unit",
            "kubelet.service",
            "kubernetes",
            why,
            desired,
            [file, binary, packages.clone()],
        );
    }

    fn firewall(&mut self, etc: &ResourceId, packages: &ResourceId) {
        // A table of our own; nobody else's is read or changed. Before destination translation (priority -100), so that node
        // ports are closed too. Replies to the host's own connections come to ports from 32768 on.
        let text = format!(
            r#"# Written by openg2p; changes here are overwritten.
table inet openg2p
delete table inet openg2p
table inet openg2p {{
    chain prerouting {{
        type filter hook prerouting priority -150; policy accept;
        iifname {{ "lo", "{POD_BRIDGE}" }} accept
        fib daddr type local tcp dport {{ 2379-2381, 6443, 10248-10259, 30000-32767 }} counter drop comment "Kubernetes is not reachable from outside this host"
        fib daddr type local udp dport 30000-32767 counter drop
    }}
}}
"#
        );
        let rules = self.file(
            "/etc/openg2p/firewall.nft",
            "host",
            "closes Kubernetes to the outside",
            &text,
            [etc.clone()],
        );
        let text = "# Written by openg2p.\n[Unit]\nDescription=openg2p: Kubernetes is not reachable from outside this host\nDefaultDependencies=no\n\
            After=local-fs.target\nBefore=network-pre.target\nWants=network-pre.target\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
            ExecStart=/usr/sbin/nft -f /etc/openg2p/firewall.nft\nExecStop=/usr/sbin/nft delete table inet openg2p\n\n\
            [Install]\nWantedBy=multi-user.target\n";
        let unit = self.file(
            "/etc/systemd/system/openg2p-firewall.service",
            "host",
            "loads the rules before the network is up",
            text,
            [packages.clone()],
        );
        self.unit(
            "openg2p-firewall.service",
            "host",
            "the rules are in force",
            &[rules, unit],
            [packages.clone()],
        );
    }
}
