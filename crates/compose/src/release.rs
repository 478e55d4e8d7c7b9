//! A chart's objects as resources.

use std::collections::BTreeSet;

use openg2p_chart::{Chart, Release as HelmRelease, RenderOptions};
use openg2p_plan::{Owner, ResourceId};
use serde_json::{Value, json};

use crate::{ComposeError, Composer, Draft};

/// Label that tells whose an object is.
const OWNER_LABEL: &str = "openg2p.org/owner";
/// Digests of a pod template's images.
const IMAGES_ANNOTATION: &str = "openg2p.org/images";
/// On a Job: it starts behind the Jobs of this component of the same release. Its pod would wait for them by itself, but only so long, and a
/// Job that it waits for in vain would be told late.
const AFTER_ANNOTATION: &str = "openg2p.org/after";
/// Label with a component's name.
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Label with the site's name.
const SITE_LABEL: &str = "openg2p.org/site";

pub(crate) struct Release<'a> {
    pub(crate) chart: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) owner: Owner,
    pub(crate) part: &'a str,
    pub(crate) values: Value,
    /// What every object needs.
    pub(crate) needs: Vec<ResourceId>,
    /// What its workloads need besides.
    pub(crate) workload_needs: Vec<ResourceId>,
    /// What its Jobs need besides: servers that must have come back from a change of their own.
    pub(crate) job_needs: Vec<ResourceId>,
}

/// The id of an object's resource.
pub(crate) fn object_id(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ResourceId {
    let group = api_version
        .split_once('/')
        .map_or(String::new(), |(group, _)| format!(".{group}"));
    let place = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
    ResourceId::new("kubernetes-object", &format!("{place}{kind}{group}/{name}"))
}

pub(crate) fn owner_label(owner: &Owner) -> String {
    match owner {
        Owner::Site => "site".into(),
        Owner::Environment(name) => format!("environment.{name}"),
    }
}

/// Kinds that do not live in a namespace; everything that our charts bring is known here, and what is not is namespaced.
fn cluster_wide(kind: &str) -> bool {
    matches!(
        kind,
        "Namespace"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "APIService"
            | "StorageClass"
            | "PersistentVolume"
            | "PriorityClass"
            | "IngressClass"
            | "RuntimeClass"
            | "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
    )
}

fn is_workload(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "Pod" | "APIService"
    )
}

impl Composer<'_> {
    pub(crate) fn labels(&self, owner: &Owner) -> Value {
        json!({
            "app.kubernetes.io/managed-by": "openg2p",
            OWNER_LABEL: owner_label(owner),
            SITE_LABEL: self.inputs.site.name,
        })
    }

    pub(crate) fn namespace(&mut self, name: &str, owner: Owner, part: &str, security: &str) -> ResourceId {
        let mut labels = self.labels(&owner);
        for mode in ["enforce", "warn"] {
            labels[format!("pod-security.kubernetes.io/{mode}")] = json!(security);
        }
        let manifest =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        let needs = BTreeSet::from([self.cluster_id()]);
        let id = object_id("v1", "Namespace", None, name);
        self.add(Draft {
            kind: "kubernetes-object",
            name: id.name().to_owned(),
            owner,
            part,
            why: format!("holds {part}"),
            desired: json!({"manifest": manifest}),
            needs,
        })
    }

    /// Renders a chart and adds its objects; workloads need everything else of the release. Gives
    /// its workloads besides Jobs.
    pub(crate) fn release(&mut self, release: &Release<'_>) -> Vec<ResourceId> {
        let user = format!("{} in namespace {}", release.part, release.namespace);
        let Some(bytes) = self.inputs.charts.get(release.chart) else {
            self.errors.push(ComposeError::Missing {
                kind: "chart",
                name: release.chart.into(),
                user,
            });
            return Vec::new();
        };
        let mut failed = |why: String| {
            self.errors.push(ComposeError::Chart {
                chart: release.chart.into(),
                user: user.clone(),
                why,
            });
            Vec::new()
        };
        let chart = match Chart::from_tgz(bytes) {
            Ok(chart) => chart,
            Err(error) => return failed(error.to_string()),
        };
        let options = RenderOptions::new(HelmRelease::new(release.name, release.namespace))
            .with_values(release.values.clone());
        let rendered = match openg2p_chart::render(&chart, &options) {
            Ok(rendered) => rendered,
            Err(error) => return failed(error.to_string()),
        };
        let mut basis: Vec<ResourceId> = Vec::new();
        let mut workloads = Vec::new();
        let definitions = rendered.crds.iter().flat_map(|file| &file.objects);
        for object in definitions.chain(rendered.objects.iter().map(|object| &object.value)) {
            let mut manifest = object.clone();
            let kind = manifest["kind"].as_str().unwrap_or_default().to_owned();
            let api_version = manifest["apiVersion"].as_str().unwrap_or_default().to_owned();
            let Some(name) = manifest["metadata"]["name"].as_str().map(str::to_owned) else {
                continue;
            };
            let namespace = (!cluster_wide(&kind)).then(|| {
                manifest["metadata"]["namespace"]
                    .as_str()
                    .unwrap_or(release.namespace)
                    .to_owned()
            });
            if let Some(namespace) = &namespace {
                manifest["metadata"]["namespace"] = json!(namespace);
            }
            for (key, value) in self.labels(&release.owner).as_object().into_iter().flatten() {
                manifest["metadata"]["labels"][key] = value.clone();
            }
            self.pin_images(&mut manifest);
            let id = object_id(&api_version, &kind, namespace.as_deref(), &name);
            let draft = (id, manifest, kind);
            if is_workload(&draft.2) {
                workloads.push(draft);
            } else {
                basis.push(self.object(release, draft, &[]));
            }
        }
        basis.extend(release.workload_needs.iter().cloned());
        // Jobs make and migrate the database that the other workloads log in to. Those would wait for it by themselves, but a
        // Job that failed would then show only when their patience ends.
        let (jobs, others): (Vec<_>, Vec<_>) = workloads.into_iter().partition(|draft| draft.2 == "Job");
        let job_needs: Vec<ResourceId> = basis.iter().chain(&release.job_needs).cloned().collect();
        let components: Vec<(String, ResourceId)> = jobs
            .iter()
            .filter_map(|(id, manifest, _)| {
                let component = manifest["metadata"]["labels"][COMPONENT_LABEL].as_str()?;
                Some((component.to_owned(), id.clone()))
            })
            .collect();
        for draft in jobs {
            let after = draft.1["metadata"]["annotations"][AFTER_ANNOTATION].as_str();
            let before = components
                .iter()
                .filter(|(component, id)| Some(component.as_str()) == after && *id != draft.0)
                .map(|(_, id)| id.clone());
            let needs: Vec<ResourceId> = job_needs.iter().cloned().chain(before).collect();
            basis.push(self.object(release, draft, &needs));
        }
        // an aggregated API answers only when the Deployment behind it does
        let (interfaces, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|draft| draft.2 == "APIService");
        let mut running = Vec::new();
        for draft in others {
            running.push(self.object(release, draft, &basis));
        }
        let behind: Vec<ResourceId> = basis.iter().chain(&running).cloned().collect();
        running.extend(
            interfaces
                .into_iter()
                .map(|draft| self.object(release, draft, &behind))
                .collect::<Vec<_>>(),
        );
        running
    }

    /// Notes the digests of a workload's images in its pod template: an image that changed behind the same tag then starts
    /// new pods.
    fn pin_images(&self, manifest: &mut Value) {
        let Some(template) = manifest
            .pointer_mut("/spec/template")
            .filter(|template| template["spec"].is_object())
        else {
            return;
        };
        let mut digests = BTreeSet::new();
        for list in ["initContainers", "containers"] {
            for container in template["spec"][list].as_array().into_iter().flatten() {
                let image = container["image"].as_str();
                let members = self.inputs.members.iter().filter(|member| member.kind == "image");
                digests.extend(
                    members
                        .filter(|member| member.reference.is_some() && member.reference.as_deref() == image)
                        .map(|member| {
                            format!("{}@{}", member.name, member.sha256.get(..16).unwrap_or_default())
                        }),
                );
            }
        }
        let digests: Vec<String> = digests.into_iter().collect();
        template["metadata"]["annotations"][IMAGES_ANNOTATION] = json!(digests.join(","));
    }

    fn object(
        &mut self,
        release: &Release<'_>,
        (id, manifest, kind): (ResourceId, Value, String),
        basis: &[ResourceId],
    ) -> ResourceId {
        let needs = release.needs.iter().chain(basis).cloned().collect();
        let mut desired = json!({"manifest": manifest});
        if is_workload(&kind) {
            // as long as a program of ours waits for its database, plus its own start
            desired["deadline"] = json!(600);
        }
        self.add(Draft {
            kind: "kubernetes-object",
            name: id.name().to_owned(),
            owner: release.owner.clone(),
            part: release.part,
            why: format!("chart {} brings it", release.chart),
            desired,
            needs,
        })
    }
}
