//! When workloads run, and what controllers do by themselves.

use std::sync::Arc;

use openg2p_ports::{ObjectRef, Readiness, Waiting};
use serde_json::{Value, json};

use crate::objects::Objects;
use crate::things::{Machine, Things};

/// Where the storage class keeps volumes.
const VOLUMES: &str = "/var/lib/openg2p/volumes";

/// What makes and removes volumes.
fn is_provisioner(place: &ObjectRef) -> bool {
    place.kind == "Deployment" && place.name == "local-path-provisioner"
}

fn waiting(text: impl Into<String>) -> Readiness {
    Readiness::Waiting(Waiting(text.into()))
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

struct Pod<'a> {
    machine: &'a Machine,
    objects: &'a Objects,
    namespace: &'a str,
    owner: &'a ObjectRef,
}

impl Pod<'_> {
    fn object(&self, api_version: &str, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: Some(self.namespace.into()),
            name: name.into(),
        })
    }

    /// A Secret or ConfigMap that a pod cannot start without, and one key of it.
    fn source(&self, kind: &str, reference: &Value, name: &str) -> Option<String> {
        if reference["optional"] == true {
            return None;
        }
        let name = reference[name].as_str().unwrap_or_default();
        let Some(object) = self.object("v1", kind, name) else {
            return Some(format!("{} \"{name}\" not found", kind.to_lowercase()));
        };
        let keys = reference["key"]
            .as_str()
            .into_iter()
            .chain(items(reference, "items").filter_map(|item| item["key"].as_str()));
        keys.filter(|key| object["data"].get(*key).is_none())
            .map(|key| format!("couldn't find key {key} in {kind} {}/{name}", self.namespace))
            .next()
    }

    /// What keeps a pod of this template from running.
    fn obstacle(&self, template: &Value) -> Option<String> {
        let pod = &template["spec"];
        if let Some(account) = pod["serviceAccountName"].as_str()
            && account != "default"
            && self.object("v1", "ServiceAccount", account).is_none()
        {
            return Some(format!("serviceaccount \"{account}\" not found"));
        }
        for volume in items(pod, "volumes") {
            let parts = std::iter::once(volume).chain(items(&volume["projected"], "sources"));
            for part in parts {
                let found = if part["secret"].get("secretName").is_some() {
                    self.source("Secret", &part["secret"], "secretName")
                } else if part.get("secret").is_some() {
                    self.source("Secret", &part["secret"], "name")
                } else if part.get("configMap").is_some() {
                    self.source("ConfigMap", &part["configMap"], "name")
                } else {
                    None
                };
                if found.is_some() {
                    return found;
                }
            }
            if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str()
                && self.object("v1", "PersistentVolumeClaim", claim).is_none()
            {
                return Some(format!("persistentvolumeclaim \"{claim}\" not found"));
            }
        }
        for container in items(pod, "initContainers").chain(items(pod, "containers")) {
            let image = container["image"].as_str().unwrap_or_default();
            if !self.machine.images.contains_key(image) {
                return Some(format!(
                    "its image cannot be had (ErrImageNeverPull): {image} is not present"
                ));
            }
            for variable in items(container, "env") {
                for (kind, key) in [("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")] {
                    let reference = &variable["valueFrom"][key];
                    if let Some(found) = reference
                        .is_object()
                        .then(|| self.source(kind, reference, "name"))
                        .flatten()
                    {
                        return Some(found);
                    }
                }
            }
            for from in items(container, "envFrom") {
                for (kind, key) in [("Secret", "secretRef"), ("ConfigMap", "configMapRef")] {
                    let reference = &from[key];
                    if let Some(found) = reference
                        .is_object()
                        .then(|| self.source(kind, reference, "name"))
                        .flatten()
                    {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}

impl Things {
    /// How ready an object is now.
    pub(crate) fn readiness(&self, place: &ObjectRef) -> Readiness {
        let Some(objects) = &self.cluster else {
            return waiting("the cluster");
        };
        let Some(stored) = objects.stored.get(place) else {
            return waiting("it to appear");
        };
        let machine = &self.machine;
        let pod = Pod {
            machine,
            objects,
            namespace: place.namespace.as_deref().unwrap_or_default(),
            owner: place,
        };
        match place.kind.as_str() {
            "Node" => {
                let network = machine
                    .files
                    .list("/etc/cni/net.d")
                    .iter()
                    .any(|name| name.ends_with(".conflist"));
                if !network {
                    return waiting("Ready: container network is not ready: cni config uninitialized");
                }
                if machine.is_active("kubelet.service") {
                    Readiness::Ready
                } else {
                    waiting("Ready: Kubelet stopped posting status")
                }
            }
            "Job" if stored.done => Readiness::Ready,
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => {
                if !machine.is_active("containerd.service") {
                    return waiting("the container runtime");
                }
                let wanted = &stored.value["spec"]["template"];
                let template = stored.running.as_ref().unwrap_or(wanted);
                let obstacle = pod
                    .obstacle(template)
                    .or_else(|| self.database_obstacle(place, &stored.value));
                match obstacle {
                    Some(why) => Readiness::Stuck(format!("pod {}-0: {why}", pod.owner.name)),
                    None if template != wanted => waiting("its controller to replace the pod"),
                    None => Readiness::Ready,
                }
            }
            // nobody runs pods here: one that somebody puts says itself how it is
            "Pod" => {
                let conditions = stored.value["status"]["conditions"].as_array();
                let ready = conditions
                    .into_iter()
                    .flatten()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
                if ready { Readiness::Ready } else { waiting("Ready") }
            }
            "APIService" => {
                let service = &stored.value["spec"]["service"];
                let namespace = service["namespace"].as_str().unwrap_or_default();
                let ready = objects.stored.keys().any(|other| {
                    other.kind == "Deployment"
                        && other.namespace.as_deref() == Some(namespace)
                        && Some(other.name.as_str()) == service["name"].as_str()
                        && self.readiness(other) == Readiness::Ready
                });
                if ready {
                    Readiness::Ready
                } else {
                    waiting("Available: no endpoints")
                }
            }
            _ => Readiness::Ready,
        }
    }

    /// Controllers act: Jobs that can run complete, StatefulSets roll and get their volumes, kube-router writes its rules.
    pub(crate) fn settle(&mut self) {
        let Some(objects) = &self.cluster else { return };
        let open: Vec<ObjectRef> = objects
            .stored
            .iter()
            .filter(|(place, stored)| match place.kind.as_str() {
                "Job" => !stored.done,
                "StatefulSet" => true,
                "DaemonSet" => place.name == "kube-router",
                _ => false,
            })
            .map(|(place, _)| place.clone())
            .collect();
        for place in open {
            let ready = self.readiness(&place);
            let Some(objects) = &mut self.cluster else { return };
            let Some(stored) = objects.stored.get_mut(&place) else {
                continue;
            };
            match place.kind.as_str() {
                "Job" if ready == Readiness::Ready => {
                    Arc::make_mut(stored).done = true;
                    let job = stored.value.clone();
                    self.work_on_database(&place, &job);
                }
                // a rolling update goes on from a pod that runs; from one that does not, never (see `release_stuck_pods`)
                "StatefulSet" => {
                    let wanted = stored.value["spec"]["template"].clone();
                    let rolls =
                        !matches!(ready, Readiness::Stuck(_)) && stored.running.as_ref() != Some(&wanted);
                    if rolls {
                        Arc::make_mut(stored).running = Some(wanted);
                    }
                    self.claim_volumes(&place);
                }
                "DaemonSet" if ready == Readiness::Ready => self.machine.kernel.route(),
                _ => {}
            }
        }
    }

    fn claim_volumes(&mut self, place: &ObjectRef) {
        let clock = self.machine.facts.clock;
        let Some(objects) = &mut self.cluster else { return };
        let Some(stored) = objects.stored.get(place) else {
            return;
        };
        let namespace = place.namespace.clone().unwrap_or_default();
        let provisioner = objects.stored.keys().find(|place| is_provisioner(place));
        let by = provisioner.map_or_else(String::new, |place| format!("by {}\n", place.name));
        let claims: Vec<(String, Value)> = items(&stored.value["spec"], "volumeClaimTemplates")
            .filter_map(|claim| Some((claim["metadata"]["name"].as_str()?, &claim["spec"])))
            .map(|(claim, spec)| (format!("{claim}-{}-0", place.name), spec.clone()))
            .collect();
        for (name, mut spec) in claims {
            // every volume has a mode, asked for or not
            spec["volumeMode"] = "Filesystem".into();
            let manifest = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": namespace}, "spec": spec});
            let Some(claim) = ObjectRef::of(&manifest) else {
                continue;
            };
            if objects.get(&claim).is_some() {
                continue;
            }
            if let Ok(claim) = objects.apply(&manifest, "kube-controller-manager", clock, &mut self.uids) {
                let uid = claim["metadata"]["uid"].as_str().unwrap_or_default();
                self.machine.files.put(
                    &format!("{VOLUMES}/{namespace}_{name}/data"),
                    format!("volume of claim {uid}\n{by}"),
                );
            }
        }
    }

    /// Folders of volumes whose claim is gone are removed, as the storage class says, by the provisioner that made them, while it is there.
    pub(crate) fn reclaim_volumes(&mut self) {
        let kept = |folder: &str| {
            let (namespace, name) = folder.split_once('_').unwrap_or_default();
            let claim = ObjectRef {
                api_version: "v1".into(),
                kind: "PersistentVolumeClaim".into(),
                namespace: Some(namespace.into()),
                name: name.into(),
            };
            self.cluster
                .as_ref()
                .is_some_and(|objects| objects.get(&claim).is_some())
        };
        let provisioner = self.cluster.as_ref().is_some_and(|objects| {
            let mut places = objects.stored.keys();
            places.any(is_provisioner)
        });
        let gone: Vec<String> = self
            .volumes()
            .filter(|(folder, made)| (provisioner || !made.contains("\nby ")) && !kept(folder))
            .map(|(folder, _)| folder)
            .collect();
        for folder in gone {
            self.machine.files.erase(&format!("{VOLUMES}/{folder}"));
        }
        self.forget_servers();
    }

    /// Volumes whose claim was in this namespace.
    pub(crate) fn volumes_of(&self, namespace: &str) -> Vec<String> {
        let of = |folder: &str| folder.split_once('_').is_some_and(|(of, _)| of == namespace);
        let folders = self.volumes().map(|(folder, _)| folder);
        folders.filter(|folder| of(folder)).collect()
    }

    /// Folders of volumes that the storage class made, and not somebody else, with what stands in each.
    fn volumes(&self) -> impl Iterator<Item = (String, String)> {
        let folders = self.machine.files.list(VOLUMES).into_iter();
        folders.filter_map(|folder| {
            let made = self.machine.files.text(&format!("{VOLUMES}/{folder}/data"));
            made.starts_with("volume of claim ").then_some((folder, made))
        })
    }

    /// The pod of a StatefulSet that cannot run is made anew from the present template.
    pub(crate) fn release(&mut self, place: &ObjectRef) {
        if !matches!(self.readiness(place), Readiness::Stuck(_)) {
            return;
        }
        if let Some(stored) = self
            .cluster
            .as_mut()
            .and_then(|objects| objects.stored.get_mut(place))
        {
            let stored = Arc::make_mut(stored);
            stored.running = stored.value.pointer("/spec/template").cloned();
        }
    }
}

impl crate::kernel::Kernel {
    /// What kube-router puts into the kernel.
    fn route(&mut self) {
        for (tool, family) in [("iptables", "ip"), ("ip6tables", "ip6")] {
            self.tables.insert(format!("{family} filter"));
            let chains = self.chains.entry(format!("{tool} filter")).or_default();
            let words = |text: &[&str]| text.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            chains
                .entry("KUBE-ROUTER-INPUT".into())
                .or_insert_with(|| vec![words(&["-j", "RETURN"])]);
            let jump = words(&[
                "-m",
                "comment",
                "--comment",
                "kube-router netpol - 4IA",
                "-j",
                "KUBE-ROUTER-INPUT",
            ]);
            let input = chains.entry("INPUT".into()).or_default();
            if !input.contains(&jump) {
                input.push(jump);
            }
        }
        self.sets.extend([
            "KUBE-DST-2FAIIK2E".to_owned(),
            "inet6:KUBE-SRC-XYZ".to_owned(),
            "kube-router-local-ips".to_owned(),
        ]);
    }
}
