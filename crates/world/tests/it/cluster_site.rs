//! What a site of these tests asks of a real API server: every kind of thing that the engine writes there, in three editions.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::{Owner, Resource, ResourceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::Maker;
use crate::node::PROVISIONER;

/// How long a thing may take to become ready, in seconds.
const DEADLINE: u64 = 60;

/// One site on the shared server, with a name in everything that it makes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Also a kind of its own and an object of that kind. Kubernetes' garbage collector looks for new kinds every half minute, so that
    /// their objects take as long to go.
    pub(crate) definition: bool,
    /// Keeps a copy of its ledger in the cluster, as an installation does. There is place for one.
    pub(crate) copy: bool,
}

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// A site of this edition.
    Site(u8),
    /// Nothing any more.
    Gone,
}

/// Install, edit, edit with things taken out and made anew, removal.
pub(crate) const WISHES: [Wish; 4] = [Wish::Site(0), Wish::Site(1), Wish::Site(2), Wish::Gone];

/// The Secrets with values that are made here.
pub(crate) const GENERATED: [&str; 2] = ["database", "signing"];

struct Site<'a> {
    make: Maker,
    lane: &'a Lane,
    edition: u8,
    /// The namespace, which all in it needs.
    namespace: ResourceId,
}

/// What this edition of a site asks for.
pub(crate) fn resources(lane: &Lane, edition: u8) -> Vec<Resource> {
    let mut site = Site {
        make: Maker::default(),
        lane,
        edition,
        namespace: ResourceId::new("kubernetes-object", &lane.name),
    };
    site.platform();
    let rights = site.rights();
    let settings = site.settings();
    let stores = site.stores(&settings);
    let done = site.jobs(&stores);
    let mut all = site.workloads(&done);
    all.extend([rights, settings, stores, done].concat());
    site.release(&all);
    site.make.0
}

impl Site<'_> {
    fn environment(&self) -> Owner {
        Owner::Environment(self.lane.name.clone())
    }

    /// An object of the whole cluster.
    fn of_site(&mut self, mut manifest: Value, needs: &[ResourceId]) -> ResourceId {
        manifest["metadata"]["labels"] = labels(&Owner::Site);
        let needs: Vec<&ResourceId> = needs.iter().collect();
        let name = if manifest["kind"] == "Namespace" {
            self.lane.name.clone()
        } else {
            name(&manifest)
        };
        let desired = json!({"manifest": manifest, "deadline": DEADLINE});
        self.make
            .add("kubernetes-object", &name, &Owner::Site, desired, &needs)
    }

    /// A manifest for the namespace.
    fn inside(&self, mut manifest: Value) -> Value {
        manifest["metadata"]["namespace"] = json!(self.lane.name);
        manifest["metadata"]["labels"] = labels(&self.environment());
        manifest
    }

    fn add(&mut self, kind: &str, name: &str, desired: Value, needs: &[ResourceId]) -> ResourceId {
        let needs: Vec<&ResourceId> = needs.iter().chain([&self.namespace]).collect();
        let owner = Owner::Environment(self.lane.name.clone());
        self.make.add(kind, name, &owner, desired, &needs)
    }

    fn object(&mut self, manifest: Value, needs: &[ResourceId]) -> ResourceId {
        let manifest = self.inside(manifest);
        let name = name(&manifest);
        let desired = json!({"manifest": manifest, "deadline": DEADLINE});
        self.add("kubernetes-object", &name, desired, needs)
    }

    /// What changes with every edition.
    fn text(&self) -> String {
        format!("edition {}", self.edition)
    }

    fn platform(&mut self) {
        let lane = self.lane.name.clone();
        let edition = self.text();
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": lane, "annotations": {"example.org/edition": edition}}});
        self.of_site(manifest, &[]);
        let manifest = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": lane},
            "provisioner": PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
        self.of_site(manifest, &[]);
        let verbs: &[&str] = if self.edition == 0 {
            &["get"]
        } else {
            &["get", "list"]
        };
        let manifest = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": lane},
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": verbs}]});
        let role = self.of_site(manifest, &[]);
        let manifest = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": lane},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": lane},
            "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": lane}]});
        self.of_site(manifest, &[role]);
    }

    fn rights(&mut self) -> Vec<ResourceId> {
        let manifest = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"},
            "automountServiceAccountToken": false});
        let account = self.object(manifest, &[]);
        let mut roles = Vec::new();
        for (name, verb) in [("reader", "get"), ("writer", "update")] {
            let manifest = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": [verb]}]});
            roles.push(self.object(manifest, &[]));
        }
        // what a binding leads to cannot be changed in place: the last edition makes it anew
        let role = if self.edition < 2 { "reader" } else { "writer" };
        let manifest = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "app"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": self.lane.name}]});
        let binding = self.object(manifest, &[vec![account.clone()], roles.clone()].concat());
        let mut from = vec![json!({"podSelector": {}})];
        from.truncate(usize::from(self.edition));
        let manifest = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": from}]}});
        let policy = self.object(manifest, &[]);
        vec![account, binding, policy]
    }

    fn settings(&mut self) -> Vec<ResourceId> {
        let mut data = json!({"edition": self.text(), "stays": "as it is"});
        if self.edition == 0 {
            data["goes"] = json!("with the next edition");
        }
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data});
        let map = self.object(manifest, &[]);
        let marks = labels(&self.environment());
        let lane = self.lane.name.clone();
        let secret = |name: &str, keys: Value| json!({"namespace": lane, "name": name, "labels": marks, "keys": keys, "guardsData": true});
        let mut keys = json!({"username": {"value": self.text()}, "password": {"random": 32}});
        if self.edition > 0 {
            keys["second"] = json!({"random": 24});
        }
        let database = self.add("kubernetes-secret", GENERATED[0], secret(GENERATED[0], keys), &[]);
        let keys = json!({"key.pem": {"rsaPrivateKey": 2048}});
        let signing = self.add("kubernetes-secret", GENERATED[1], secret(GENERATED[1], keys), &[]);
        let desired = json!({"namespace": self.lane.name, "secret": GENERATED[1], "key": "key.pem", "configMap": "partners",
            "entry": "bank.pem", "commonName": "bank"});
        let partner = self.add(
            "partner-certificate",
            "bank",
            desired,
            std::slice::from_ref(&signing),
        );
        let mut all = vec![map, database, signing, partner];
        if self.edition < 2 {
            let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"}, "type": "Opaque",
                "data": {"edition": STANDARD.encode(self.text())}});
            all.push(self.object(manifest, &[]));
        }
        if self.lane.definition {
            all.push(self.definition());
        }
        all
    }

    /// A kind of its own, and an object of it.
    fn definition(&mut self) -> ResourceId {
        let group = format!("{}.example.org", self.lane.name);
        let mut properties = json!({"legs": {"type": "integer"}});
        if self.edition > 0 {
            properties["colour"] = json!({"type": "string"});
        }
        let manifest = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("oxen.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Ox", "listKind": "OxList", "plural": "oxen", "singular": "ox"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"spec": {"type": "object", "properties": properties}}}}}]}});
        let definition = self.of_site(manifest, &[]);
        // the definition gets a field, and the object has it, in one plan
        let spec = match self.edition {
            0 => json!({"legs": 4}),
            1 => json!({"legs": 4, "colour": "red"}),
            _ => json!({"legs": 4, "colour": "black"}),
        };
        let manifest = json!({"apiVersion": format!("{group}/v1"), "kind": "Ox", "metadata": {"name": "bo"}, "spec": spec});
        self.object(manifest, &[definition])
    }

    fn stores(&mut self, needs: &[ResourceId]) -> Vec<ResourceId> {
        let storage = ResourceId::new("kubernetes-object", &format!("StorageClass.{}", self.lane.name));
        let manifest = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "files"},
            "spec": self.claim()});
        let claim = self.object(manifest, std::slice::from_ref(&storage));
        let manifest = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
            "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"name": "sql", "port": 5432}]}});
        let service = self.object(manifest, &[]);
        let manifest = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"serviceName": "db", "replicas": 1, "selector": {"matchLabels": {"app": "db"}},
                "template": self.template("db", json!([])),
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": self.claim()}]}});
        let set = self.object(manifest, &[needs, &[storage, service.clone()]].concat());
        vec![claim, service, set]
    }

    fn claim(&self) -> Value {
        json!({"accessModes": ["ReadWriteOnce"], "storageClassName": self.lane.name,
            "resources": {"requests": {"storage": "1Gi"}}})
    }

    /// A pod that is another one with every edition.
    fn template(&self, app: &str, volumes: Value) -> Value {
        json!({"metadata": {"labels": {"app": app}}, "spec": {
            "terminationGracePeriodSeconds": 5,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": format!("registry.example.org/{app}:{}", self.edition),
                "env": [{"name": "EDITION", "value": self.text()}]}],
            "volumes": volumes}})
    }

    fn job(&self, name: &str) -> Value {
        let mut template = self.template(name, json!([]));
        template["spec"]["restartPolicy"] = json!("Never");
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 2, "template": template}})
    }

    /// What runs to its end before anything else starts: Jobs and hooks.
    fn jobs(&mut self, needs: &[ResourceId]) -> Vec<ResourceId> {
        let mut all = Vec::new();
        if self.edition < 2 {
            all.push(self.object(self.job("migrate"), needs));
        }
        let release = self.text();
        for (name, hook) in [
            (
                "prepare",
                json!({"install": true, "deletePolicies": ["before-hook-creation"]}),
            ),
            (
                "each-time",
                json!({"install": true, "release": release, "deletePolicies": ["before-hook-creation", "hook-succeeded"]}),
            ),
            (
                "upgrade",
                json!({"release": release, "deletePolicies": ["before-hook-creation"]}),
            ),
        ] {
            // one that runs once and for all stays as it was then
            let mut job = self.job(name);
            if hook.get("release").is_none() {
                job["spec"]["template"] = json!({"spec": {"restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "registry.example.org/prepare:1"}]}});
            }
            let desired = json!({"manifest": self.inside(job), "deadline": DEADLINE, "hook": hook});
            all.push(self.add("kubernetes-hook", name, desired, needs));
        }
        all
    }

    fn workloads(&mut self, needs: &[ResourceId]) -> Vec<ResourceId> {
        // which pods belong to it cannot be changed in place: the last edition makes it anew
        let app = if self.edition < 2 {
            "app"
        } else {
            "app-of-edition-2"
        };
        let volumes = json!([{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}]);
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": self.template(app, volumes)}});
        let deployment = self.object(manifest, needs);
        let manifest = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": self.template("agent", json!([]))}});
        let daemon = self.object(manifest, needs);
        // a TCP port at an address of the cluster would be tried for a second, for no proxy leads there
        let manifest = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"},
            "spec": {"selector": {"app": app}, "ports": [{"name": "main", "protocol": "UDP", "port": 8000 + u16::from(self.edition)}]}});
        let service = self.object(manifest, &[]);
        let manifest = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "app"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}}});
        let budget = self.object(manifest, &[]);
        let mut all = vec![deployment, daemon, service, budget];
        if self.edition < 2 {
            let mut nightly = self.job("nightly");
            nightly = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
                "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": nightly["spec"]}}});
            all.push(self.object(nightly, &[]));
        }
        all
    }

    /// The release as Helm would have recorded it.
    fn release(&mut self, needs: &[ResourceId]) {
        let content = json!({
            "name": "shop", "namespace": self.lane.name, "info": {"notes": "thanks"},
            "chart": {"metadata": {"name": "shop", "version": "1.2.3", "apiVersion": "v2"}, "templates": [], "values": {}},
            "config": {"edition": self.edition}, "manifest": "", "hooks": [],
        });
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(content.to_string().as_bytes()).unwrap();
        let record = STANDARD.encode(packer.finish().unwrap());
        let marks = labels(&self.environment());
        let desired =
            json!({"namespace": self.lane.name, "release": "shop", "labels": marks, "record": record});
        self.add("helm-record", "shop", desired, needs);
    }
}

/// The marks of an owner.
fn labels(owner: &Owner) -> Value {
    let owner = match owner {
        Owner::Site => "site".to_owned(),
        Owner::Environment(name) => format!("environment.{name}"),
    };
    json!({"openg2p.org/owner": owner, "app.kubernetes.io/managed-by": "openg2p"})
}

/// `Kind.name`, which is enough in one lane.
fn name(manifest: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}.{}",
        word(&manifest["kind"]),
        word(&manifest["metadata"]["name"])
    )
}
