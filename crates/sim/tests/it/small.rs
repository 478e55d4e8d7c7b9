//! A small site made by hand: one or two things of every kind.

use std::sync::LazyLock;

use openg2p_plan::{Fingerprint, Inputs, Owner, Resource, ResourceId};
use openg2p_ports::Bundle as _;
use serde_json::{Value, json};

use crate::operator::Wish;
use crate::whole::BUNDLE;

const NGINX: &str = "/etc/openg2p/nginx/nginx.conf";
const UNIT: &str = "openg2p-nginx.service";

/// A release named `app`, packed as Helm packs it.
const RECORD: &str = "H4sIAAAAAAACA6tWykvMTVWyUlBKLChQ0lFQysxLywdyq2uB7OSMxKISEEcpN7UkMSWxJBHMQdNRllpUnJmfBxIx1DPQM1Cqra0FAPOxQ65XAAAA";

struct Maker(Vec<Resource>);

impl Maker {
    fn add(
        &mut self,
        kind: &str,
        name: &str,
        owner: &str,
        desired: Value,
        needs: &[&ResourceId],
    ) -> ResourceId {
        let id = ResourceId::new(kind, name);
        let owner = if owner == "site" {
            Owner::Site
        } else {
            Owner::Environment(owner.into())
        };
        self.0.push(Resource {
            id: id.clone(),
            owner,
            desired,
            needs: needs.iter().map(|id| (*id).clone()).collect(),
            follows: std::collections::BTreeSet::new(),
            why: "a test wants it".into(),
            asked_by: String::new(),
            part: "small".into(),
        });
        id
    }

    fn folder(&mut self, path: &str, ours: bool, needs: &[&ResourceId]) -> ResourceId {
        let contents = if ours { "ours" } else { "keep" };
        self.add(
            "host-directory",
            path,
            "site",
            json!({"path": path, "mode": 0o755, "contents": contents}),
            needs,
        )
    }

    fn file(&mut self, path: &str, text: &str, needs: &[&ResourceId]) -> ResourceId {
        self.add(
            "host-file",
            path,
            "site",
            json!({"path": path, "mode": 0o644, "text": text}),
            needs,
        )
    }

    fn unit(&mut self, unit: &str, state: &str, inputs: &Value, needs: &[&ResourceId]) -> ResourceId {
        self.add(
            "systemd-unit",
            unit,
            "site",
            json!({"unit": unit, "state": state, "restartOn": inputs}),
            needs,
        )
    }
}

fn owner_label(environment: &str) -> Value {
    json!({"openg2p.org/owner": format!("environment.{environment}")})
}

/// The host and an empty cluster.
fn host(make: &mut Maker) -> (ResourceId, ResourceId, ResourceId) {
    let etc = make.folder("/etc/openg2p", false, &[]);
    make.add(
        "host-file",
        "/etc/openg2p/link",
        "site",
        json!({"path": "/etc/openg2p/link", "link": "firewall.nft"}),
        &[&etc],
    );
    let volumes = make.folder("/var/lib/openg2p/volumes", true, &[]);
    let masked = make.unit("nginx.service", "masked", &json!({}), &[]);
    let names = [
        "conntrack",
        "containerd",
        "ipset",
        "iptables",
        "nftables",
        "nginx",
    ];
    let packages: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "version": "1.0-1"}))
        .collect();
    let packages = make.add(
        "host-packages",
        "debian",
        "site",
        json!({"packages": packages}),
        &[&masked],
    );
    let overlay = json!({"module": "overlay", "evidence": "filesystem:overlay"});
    make.add("kernel-module", "overlay", "site", overlay, &[&packages]);
    let bridge = json!({"module": "br_netfilter", "evidence": "/proc/sys/net/bridge"});
    let bridge = make.add("kernel-module", "br_netfilter", "site", bridge, &[&packages]);
    let settings = json!({"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"});
    let settings = json!({"path": "/etc/sysctl.d/90-openg2p.conf", "settings": settings});
    let settings = make.add(
        "sysctl",
        "/etc/sysctl.d/90-openg2p.conf",
        "site",
        settings,
        &[&bridge],
    );
    let drop_ins = make.folder("/etc/systemd/system/containerd.service.d", false, &[&packages]);
    let toml = make.file("/etc/openg2p/containerd.toml", "version = 2\n", &[&etc]);
    let text = "[Service]\nExecStart=\nExecStart=/usr/bin/containerd --config /etc/openg2p/containerd.toml\n";
    let drop_in = make.file(
        "/etc/systemd/system/containerd.service.d/50-openg2p.conf",
        text,
        &[&drop_ins],
    );
    let containerd = make.unit(
        "containerd.service",
        "running",
        &json!({"configuration": "1"}),
        &[&toml, &drop_in, &packages],
    );
    let mut binaries = Vec::new();
    for name in ["kubelet", "kubeadm"] {
        let blob = BUNDLE
            .members()
            .iter()
            .find(|member| member.kind == "binary" && member.name == name)
            .unwrap();
        let path = format!("/usr/local/bin/{name}");
        binaries.push(make.add(
            "host-file",
            &path,
            "site",
            json!({"path": path, "mode": 0o755, "blob": blob.sha256}),
            &[],
        ));
    }
    let text = "[Service]\nExecStart=/usr/local/bin/kubelet\n[Install]\nWantedBy=multi-user.target\n";
    let kubelet = make.file("/etc/systemd/system/kubelet.service", text, &[]);
    let kubelet = make.unit(
        "kubelet.service",
        "enabled",
        &json!({}),
        &[&kubelet, &binaries[0], &packages],
    );
    let cni = make.folder("/etc/cni", false, &[&packages]);
    let cni = make.folder("/etc/cni/net.d", false, &[&cni]);
    let network = make.file("/etc/cni/net.d/10-openg2p.conflist", "{}\n", &[&cni]);
    let text = "kubernetesVersion: v1.36.3\nnodeRegistration:\n  name: box1\n";
    let configuration = make.file("/etc/openg2p/kubeadm.yaml", text, &[&etc]);
    let mut needs = vec![
        volumes,
        settings,
        kubelet,
        network,
        configuration,
        containerd.clone(),
        binaries[1].clone(),
    ];
    for member in BUNDLE.members().iter().filter(|member| member.kind == "image") {
        let wanted = [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "etcd",
            "pause",
            "coredns",
            "redis",
        ];
        if !wanted.contains(&member.name.as_str()) {
            continue;
        }
        let desired = json!({"reference": member.reference, "digest": format!("sha256:{}", member.sha256), "size": member.size});
        needs.push(make.add("container-image", &member.name, "site", desired, &[&containerd]));
    }
    let desired = json!({"node": "box1", "version": "v1.36.3", "configuration": "/etc/openg2p/kubeadm.yaml", "ignorePreflightErrors": []});
    let cluster = make.add(
        "kubernetes-cluster",
        "control-plane",
        "site",
        desired,
        &needs.iter().collect::<Vec<_>>(),
    );

    let pki = make.folder("/etc/openg2p/pki", false, &[&etc]);
    let authority = json!({"directory": "/etc/openg2p/pki", "commonName": "Test", "domain": "example.org"});
    let authority = make.add("certificate-authority", "authority", "site", authority, &[&pki]);
    let nginx = make.folder("/etc/openg2p/nginx", false, &[&etc]);
    let sites = make.folder("/etc/openg2p/nginx/sites", false, &[&nginx]);
    let main = make.file(
        NGINX,
        "http {\n include /etc/nginx/mime.types;\n include /etc/openg2p/nginx/sites/*.conf;\n}\n",
        &[&nginx],
    );
    let text = format!(
        "[Service]\nExecStart=/usr/sbin/nginx -c {NGINX}\nExecReload=/usr/sbin/nginx -s reload -c {NGINX}\n[Install]\nWantedBy=multi-user.target\n"
    );
    let file = make.file(&format!("/etc/systemd/system/{UNIT}"), &text, &[&packages]);
    let edge = make.unit(
        UNIT,
        "running",
        &json!({"main": "1"}),
        &[&main, &file, &packages, &sites],
    );
    (cluster, authority, edge)
}

fn environment(
    make: &mut Maker,
    name: &str,
    rsa: bool,
    (cluster, authority, edge): &(ResourceId, ResourceId, ResourceId),
) {
    let labels = owner_label(name);
    let object = |kind: &str, object: &str| format!("{name}/{kind}/{object}");
    let manifest =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let namespace = make.add(
        "kubernetes-object",
        &object("Namespace", name),
        name,
        json!({"manifest": manifest}),
        &[cluster],
    );
    let secret = |keys: Value, secret: &str, guards: bool| json!({"namespace": name, "name": secret, "labels": labels, "keys": keys, "guardsData": guards});
    let keys = json!({"username": {"value": "app"}, "password": {"random": 32}});
    let password = make.add(
        "kubernetes-secret",
        &format!("{name}/password"),
        name,
        secret(keys, "password", true),
        &[&namespace],
    );
    let mut needs = vec![password];
    if rsa {
        let keys = json!({"private-key.pem": {"rsaPrivateKey": 2048}});
        let signing = make.add(
            "kubernetes-secret",
            &format!("{name}/signing"),
            name,
            secret(keys, "signing", false),
            &[&namespace],
        );
        for partner in ["PARTNER_A", "PARTNER_B"] {
            let desired = json!({"namespace": name, "secret": "signing", "key": "private-key.pem", "configMap": "partners",
                "entry": format!("{partner}.pem"), "commonName": partner});
            needs.push(make.add(
                "partner-certificate",
                &format!("{name}/{partner}"),
                name,
                desired,
                &[&signing],
            ));
        }
    }
    let metadata = |of: &str| json!({"name": of, "namespace": name, "labels": labels});
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("settings"), "data": {"a": "1"}});
    needs.push(make.add(
        "kubernetes-object",
        &object("ConfigMap", "settings"),
        name,
        json!({"manifest": manifest}),
        &[&namespace],
    ));
    let mut volumes = vec![json!({"name": "settings", "configMap": {"name": "settings"}})];
    if rsa {
        volumes.push(json!({"name": "partners", "configMap": {"name": "partners"}}));
    }
    let env =
        json!([{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "password"}}}]);
    let pod = json!({"containers": [{"name": "app", "image": "ghcr.io/openg2p/redis:8", "env": env}], "volumes": volumes});
    let manifest = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata("store"), "spec": {"replicas": 1,
        "template": {"spec": pod}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
    let desired = json!({"manifest": manifest, "deadline": 600});
    let needed: Vec<&ResourceId> = needs.iter().collect();
    let store = make.add(
        "kubernetes-object",
        &object("StatefulSet", "store"),
        name,
        desired,
        &needed,
    );
    let manifest = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata("migrate"), "spec": {"template": {"spec": pod}}});
    let job = |called: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(called), "spec": {"template": {"spec": pod}}});
    let database = make.add(
        "postgresql-database",
        &format!("{name}/{name}_app"),
        name,
        json!({
            "manifest": job("database"), "remove": job("database-remove"), "deadline": 600,
            "database": format!("{name}_app"), "role": format!("{name}_app"),
            "server": {"apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": name, "name": "store"},
        }),
        &[&store],
    );
    let migrate = make.add(
        "kubernetes-object",
        &object("Job", "migrate"),
        name,
        json!({"manifest": manifest, "deadline": 600}),
        &[&store, &database],
    );
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("app"), "spec": {"replicas": 1, "template": {"spec": pod}}});
    let app = make.add(
        "kubernetes-object",
        &object("Deployment", "app"),
        name,
        json!({"manifest": manifest, "deadline": 600}),
        &[&migrate],
    );
    let mut hook = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata("greet"), "spec": {"template": {"spec": pod}}});
    hook["metadata"]["annotations"] = json!({"helm.sh/hook": "post-install"});
    let desired = json!({"manifest": hook, "deadline": 600, "hook": {"install": true, "deletePolicies": []}});
    let greeted = make.add("kubernetes-hook", &object("Job", "greet"), name, desired, &[&app]);
    let desired = json!({"namespace": name, "release": "app", "labels": labels, "record": RECORD});
    make.add("helm-record", &format!("{name}/app"), name, desired, &[&greeted]);
    let host = format!("app.{name}.example.org");
    let path = format!("/etc/openg2p/pki/{host}");
    let desired = json!({"path": path, "authority": "/etc/openg2p/pki", "names": [host], "reload": UNIT});
    let certificate = make.add("certificate", &host, name, desired, &[authority]);
    let text = format!("server {{\n ssl_certificate {path}.crt;\n ssl_certificate_key {path}.key;\n}}\n");
    let desired = json!({"path": format!("/etc/openg2p/nginx/sites/{host}.conf"), "text": text, "configuration": NGINX, "unit": UNIT});
    make.add("nginx-site", &host, name, desired, &[&certificate, edge]);
}

/// With these environments; `rsa`: with private keys and their certificates, which take a second each.
pub(crate) fn wish(environments: &[&str], rsa: bool) -> Wish {
    let mut make = Maker(Vec::new());
    let parts = host(&mut make);
    for name in environments {
        environment(&mut make, name, rsa, &parts);
    }
    let inputs = Inputs {
        site: Fingerprint::of(&json!(environments)),
        bundle: BUNDLE.digest().into(),
        ledger_generation: 0,
        engine: "sim".into(),
    };
    Wish {
        site: "small".into(),
        resources: make.0,
        inputs,
    }
}

/// The same with everything in a `LazyLock`, for tests that take it a thousand times.
pub(crate) static DEV: LazyLock<Wish> = LazyLock::new(|| wish(&["dev"], false));

#[test]
fn every_kind_is_in_the_small_site() {
    let wish = wish(&["dev"], true);
    for kind in openg2p_kinds::KINDS {
        let there = wish
            .resources
            .iter()
            .any(|resource| resource.id.kind() == kind.name());
        assert!(
            there,
            "kind {} is missing: add one, so that it is killed at every call too",
            kind.name()
        );
    }
}
