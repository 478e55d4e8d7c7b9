//! A very small site on a cluster that is there already: so cheap that it can be lived through twenty thousand times.
//!
//! Each environment has a namespace, a Secret that guards a volume, settings and a store; each of its modules a Secret, a Job, a
//! Deployment, a certificate and a host name at the edge. Two of everything would show nothing that one of everything does not.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use openg2p_plan::{Fingerprint, Inputs, Owner, Resource, ResourceId};
use openg2p_sim::{SimBundle, Simulation, SimulationState, Things};
use serde_json::{Value, json};

use crate::operator::{Wish, apply};

/// An image that is on the host already.
pub(crate) const IMAGE: &str = "registry.example.org/store:1";
const NGINX: &str = "/etc/openg2p/nginx/nginx.conf";
const UNIT: &str = "openg2p-nginx.service";
pub(crate) const ENVIRONMENTS: [&str; 3] = ["dev", "prod", "qa"];
pub(crate) const MODULES: [&str; 6] = ["bridge", "pbms", "registry", "social", "spar", "verifier"];

/// Environments with their modules, and which edition of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub environments: BTreeMap<&'static str, Vec<&'static str>>,
    pub edition: u8,
}

impl Shape {
    pub(crate) fn of(environments: &[&'static str], modules: &[&'static str]) -> Self {
        let list = modules.to_vec();
        Self {
            environments: environments.iter().map(|name| (*name, list.clone())).collect(),
            edition: 0,
        }
    }

    /// Puts a module in, or takes it out.
    pub(crate) fn toggle(&mut self, environment: &'static str, module: &'static str) {
        let modules = self.environments.entry(environment).or_default();
        match modules.iter().position(|known| *known == module) {
            Some(at) => {
                modules.remove(at);
            }
            None => modules.push(module),
        }
        modules.sort_unstable();
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "edition {}", self.edition)?;
        for (name, modules) in &self.environments {
            write!(formatter, "; {name}: {}", modules.join(", "))?;
        }
        Ok(())
    }
}

/// Resources in the making.
#[derive(Default)]
pub(crate) struct Maker(pub Vec<Resource>);

impl Maker {
    pub(crate) fn add(
        &mut self,
        kind: &str,
        name: &str,
        owner: &Owner,
        desired: Value,
        needs: &[&ResourceId],
    ) -> ResourceId {
        let id = ResourceId::new(kind, name);
        self.0.push(Resource {
            id: id.clone(),
            owner: owner.clone(),
            desired,
            needs: needs.iter().map(|id| (*id).clone()).collect(),
            follows: std::collections::BTreeSet::new(),
            why: "a test wants it".into(),
            asked_by: String::new(),
            part: "tiny".into(),
        });
        id
    }

    fn folder(&mut self, path: &str, needs: &[&ResourceId]) -> ResourceId {
        let desired = json!({"path": path, "mode": 0o755, "contents": "keep"});
        self.add("host-directory", path, &Owner::Site, desired, needs)
    }

    fn file(&mut self, path: &str, text: &str, needs: &[&ResourceId]) -> ResourceId {
        let desired = json!({"path": path, "mode": 0o644, "text": text});
        self.add("host-file", path, &Owner::Site, desired, needs)
    }
}

/// What belongs to the site: the edge and the authority.
fn edge(make: &mut Maker, edition: u8) -> (ResourceId, ResourceId) {
    let etc = make.folder("/etc/openg2p", &[]);
    let pki = make.folder("/etc/openg2p/pki", &[&etc]);
    let authority = json!({"directory": "/etc/openg2p/pki", "commonName": "Test", "domain": "example.org"});
    let authority = make.add(
        "certificate-authority",
        "authority",
        &Owner::Site,
        authority,
        &[&pki],
    );
    let nginx = make.folder("/etc/openg2p/nginx", &[&etc]);
    let sites = make.folder("/etc/openg2p/nginx/sites", &[&nginx]);
    let text = format!(
        "# edition {edition}\nhttp {{\n include /etc/nginx/mime.types;\n include /etc/openg2p/nginx/sites/*.conf;\n}}\n"
    );
    let desired = json!({"path": NGINX, "mode": 0o644, "text": text, "reload": UNIT});
    let main = make.add("host-file", NGINX, &Owner::Site, desired, &[&nginx]);
    let text = format!(
        "[Service]\nExecStart=/usr/sbin/nginx -c {NGINX}\nExecReload=/usr/sbin/nginx -s reload -c {NGINX}\n[Install]\nWantedBy=multi-user.target\n"
    );
    let unit = make.file(&format!("/etc/systemd/system/{UNIT}"), &text, &[]);
    let desired = json!({"unit": UNIT, "state": "running", "restartOn": {"main": edition}});
    let unit = make.add(
        "systemd-unit",
        UNIT,
        &Owner::Site,
        desired,
        &[&main, &unit, &sites],
    );
    (authority, unit)
}

fn environment(
    make: &mut Maker,
    name: &str,
    modules: &[&str],
    edition: u8,
    (authority, edge): &(ResourceId, ResourceId),
) {
    let owner = Owner::Environment(name.into());
    let labels = json!({"openg2p.org/owner": format!("environment.{name}")});
    let metadata = |object: &str| json!({"name": object, "namespace": name, "labels": labels});
    let manifest =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let namespace = make.add(
        "kubernetes-object",
        &format!("Namespace/{name}"),
        &owner,
        json!({"manifest": manifest}),
        &[],
    );
    let secret = |make: &mut Maker, of: &str| {
        let keys = json!({"username": {"value": of}, "password": {"random": 32}});
        let desired =
            json!({"namespace": name, "name": of, "labels": labels, "keys": keys, "guardsData": true});
        make.add(
            "kubernetes-secret",
            &format!("{name}/{of}"),
            &owner,
            desired,
            &[&namespace],
        )
    };
    let object = |make: &mut Maker, kind: &str, of: &str, rest: Value, needs: &[&ResourceId]| {
        let api_version = match kind {
            "Job" => "batch/v1",
            "ConfigMap" => "v1",
            _ => "apps/v1",
        };
        let mut manifest = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata(of)});
        for (key, value) in rest.as_object().into_iter().flatten() {
            manifest[key] = value.clone();
        }
        make.add(
            "kubernetes-object",
            &format!("{name}/{kind}/{of}"),
            &owner,
            json!({"manifest": manifest, "deadline": 600}),
            needs,
        )
    };
    let pod = |password: &str| {
        let variable =
            json!({"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": password, "key": "password"}}});
        json!({"spec": {"containers": [{"name": "main", "image": IMAGE, "env": [variable]}]}})
    };
    let store = secret(make, "store");
    let settings = object(
        make,
        "ConfigMap",
        "settings",
        json!({"data": {"edition": edition.to_string()}}),
        &[&namespace],
    );
    let template = json!([{"metadata": {"name": "data"}}]);
    let spec = json!({"spec": {"replicas": 1, "template": pod("store"), "volumeClaimTemplates": template}});
    let store = object(make, "StatefulSet", "store", spec, &[&store, &settings]);
    for module in modules {
        let password = secret(make, module);
        let spec = json!({"spec": {"template": pod(module)}});
        let job = object(
            make,
            "Job",
            &format!("{module}-database"),
            spec,
            &[&store, &password],
        );
        let spec = json!({"spec": {"replicas": 1, "template": pod(module)}});
        object(make, "Deployment", module, spec, &[&job]);
        let host = format!("{module}.{name}.example.org");
        let path = format!("/etc/openg2p/pki/{host}");
        let desired = json!({"path": path, "authority": "/etc/openg2p/pki", "names": [host], "reload": UNIT});
        let certificate = make.add("certificate", &host, &owner, desired, &[authority]);
        let text = format!("server {{\n ssl_certificate {path}.crt;\n ssl_certificate_key {path}.key;\n}}\n");
        let desired = json!({"path": format!("/etc/openg2p/nginx/sites/{host}.conf"), "text": text, "configuration": NGINX, "unit": UNIT});
        make.add("nginx-site", &host, &owner, desired, &[&certificate, edge]);
    }
}

/// What a site of this shape asks for.
pub(crate) fn wish(shape: &Shape) -> Wish {
    let mut make = Maker(Vec::new());
    let parts = edge(&mut make, shape.edition);
    for (name, modules) in &shape.environments {
        environment(&mut make, name, modules, shape.edition, &parts);
    }
    Wish {
        site: "tiny".into(),
        resources: make.0,
        inputs: Inputs {
            site: Fingerprint::of(&json!(shape.to_string())),
            bundle: String::new(),
            ledger_generation: 0,
            engine: "sim".into(),
        },
    }
}

static BUNDLE: LazyLock<Arc<SimBundle>> = LazyLock::new(|| Arc::new(SimBundle::new([])));

/// A host with Nginx and containerd, in a cluster that somebody else runs.
static BARE: LazyLock<SimulationState> = LazyLock::new(|| {
    let mut things = Things::bare("box1");
    let machine = &mut things.machine;
    machine.apt_install("nginx");
    machine.systemctl(&["disable", "--now", "nginx.service"]);
    machine.apt_install("containerd");
    machine.images.insert(IMAGE.into(), "sha256:0".into());
    things.join_cluster("v1.36.3");
    Arc::new(things)
});

pub(crate) fn bare() -> SimulationState {
    BARE.clone()
}

pub(crate) fn resume(state: &SimulationState, seed: u64) -> Simulation {
    Simulation::resume(state.clone(), BUNDLE.clone(), seed)
}

/// The site of that shape, made at once and without trouble.
pub(crate) fn installed(shape: &Shape) -> Simulation {
    let simulation = resume(&BARE, 1);
    apply(&simulation, &wish(shape), "install").well();
    simulation
}
