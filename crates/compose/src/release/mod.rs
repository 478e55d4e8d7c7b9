//! A chart's objects as resources.

mod hooks;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use openg2p_chart::{Chart, Hook, HookEvent, Release as HelmRelease, RenderOptions, Values};
use openg2p_names::kubernetes::OwnerLabel;
use openg2p_plan::{Fingerprint, Owner, Resource, ResourceId};
use serde_json::{Value, json};

use crate::database::Database;
use crate::{ComposeError, Composer, Draft};
use hooks::{Phase, Piece};

/// The kind of resource that a hook is.
const HOOK: &str = "kubernetes-hook";

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

/// The label of an owner. Ids that do not fit are refused before anything is composed of them.
pub(crate) fn owner_label(owner: &Owner) -> String {
    let named = match owner {
        Owner::Site => Ok(openg2p_names::Owner::Site),
        Owner::Environment(id) => openg2p_names::Owner::environment(id),
    };
    named
        .and_then(|owner| OwnerLabel::of(&owner))
        .map(String::from)
        .unwrap_or_default()
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

/// An object of a release on its way to a resource.
struct Part {
    id: ResourceId,
    piece: Piece,
    hook: Option<Hook>,
}

/// The order among a release's own objects: each stage needs the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Configuration, accounts, services.
    Basis,
    /// Jobs make and migrate the database that the other workloads log in to. Those would wait for it by themselves, but a
    /// Job that failed would then show only when their patience ends.
    Job,
    /// Programs that go on running.
    Server,
    /// An aggregated API answers only when the Deployment behind it does.
    Interface,
    /// No object of the release's own.
    Hook,
}

impl Stage {
    fn of(piece: &Piece) -> Self {
        match piece.kind.as_str() {
            _ if piece.phase != Phase::Main => Self::Hook,
            "Job" => Self::Job,
            "APIService" => Self::Interface,
            kind if is_workload(kind) => Self::Server,
            _ => Self::Basis,
        }
    }
}

/// What the stages, and what Jobs themselves say, make of a release: who needs whom.
fn chain(stages: &[Stage], pieces: &[Piece]) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    let jobs = || pieces.iter().enumerate().filter(|(_, piece)| piece.kind == "Job");
    for (waiter, job) in jobs() {
        let after = &job.manifest["metadata"]["annotations"][AFTER_ANNOTATION];
        let named = |piece: &Piece| {
            after.is_string() && piece.manifest["metadata"]["labels"][COMPONENT_LABEL] == *after
        };
        let before = jobs().filter(|(awaited, piece)| *awaited != waiter && named(piece));
        edges.extend(before.map(|(awaited, _)| (waiter, awaited)));
    }
    for (waiter, one) in stages.iter().enumerate() {
        let before = |(awaited, other): (usize, &Stage)| (other < one).then_some((waiter, awaited));
        if *one != Stage::Hook {
            edges.extend(stages.iter().enumerate().filter_map(before));
        }
    }
    edges
}

/// What the kind must know of a hook. `release` changes whenever the release does: hooks of upgrades run again then.
fn hook_of(hook: &Hook, content: &Fingerprint) -> Value {
    let on = |events: &[HookEvent]| hook.events.iter().any(|event| events.contains(event));
    let install = on(&[HookEvent::PreInstall, HookEvent::PostInstall]);
    let upgrade = on(&[HookEvent::PreUpgrade, HookEvent::PostUpgrade]);
    let mut value = json!({"install": install, "deletePolicies": hook.delete_policies});
    if upgrade {
        value["release"] = json!(content);
    }
    value
}

/// Custom resources need the definition of their kind, whichever release brings it: until it is established the API server knows no
/// such kind.
pub(crate) fn definitions_first(resources: &mut [Resource]) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let defined: BTreeMap<(String, String), ResourceId> = resources
        .iter()
        .map(|resource| (&resource.id, &resource.desired["manifest"]))
        .filter(|(_, manifest)| manifest["kind"] == "CustomResourceDefinition")
        .map(|(id, manifest)| {
            let spec = &manifest["spec"];
            ((text(&spec["group"]), text(&spec["names"]["kind"])), id.clone())
        })
        .collect();
    for resource in resources {
        let manifest = &resource.desired["manifest"];
        let Some((group, _)) = manifest["apiVersion"].as_str().and_then(|it| it.split_once('/')) else {
            continue;
        };
        let kind = (group.to_owned(), text(&manifest["kind"]));
        resource.needs.extend(defined.get(&kind).cloned());
    }
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
        let values = match Values::try_from(release.values.clone()) {
            Ok(values) => values,
            Err(error) => return failed(error.to_string()),
        };
        let options =
            RenderOptions::new(HelmRelease::new(release.name, release.namespace)).with_values(values);
        let rendered = match openg2p_chart::render(&chart, &options) {
            Ok(rendered) => rendered,
            Err(error) => return failed(error.to_string()),
        };
        let definitions = rendered.crds.iter().flat_map(|file| &file.objects);
        let all = definitions.map(|value| (value, None)).chain(
            rendered
                .objects
                .iter()
                .map(|object| (object.value(), object.hook.as_ref())),
        );
        let mut drafts = Vec::new();
        for (object, hook) in all {
            drafts.extend(self.draft(release, object, hook));
        }
        let stages: Vec<Stage> = drafts.iter().map(|draft| Stage::of(&draft.piece)).collect();
        let pieces: Vec<Piece> = drafts.iter().map(|draft| draft.piece.clone()).collect();
        let order = match hooks::order(&pieces, &chain(&stages, &pieces)) {
            Ok(order) => order,
            Err(ring) => {
                self.errors.push(ComposeError::HookDeadlock {
                    chart: release.chart.into(),
                    user,
                    ring,
                });
                return Vec::new();
            }
        };
        let record = record::packed(&chart, release, &drafts, rendered.notes.as_deref());
        let content: Vec<&Value> = pieces
            .iter()
            .filter(|piece| piece.phase == Phase::Main)
            .map(|piece| &piece.manifest)
            .collect();
        let content = Fingerprint::of(&json!(content));
        let ids: Vec<ResourceId> = drafts.iter().map(|draft| draft.id.clone()).collect();
        let mut running = Vec::new();
        for (at, draft) in drafts.into_iter().enumerate() {
            let mut needs: BTreeSet<ResourceId> = release.needs.iter().cloned().collect();
            needs.extend(order.needs[at].iter().map(|need| ids[*need].clone()));
            let workload = is_workload(&draft.piece.kind);
            if workload {
                needs.extend(release.workload_needs.iter().cloned());
            }
            if draft.piece.kind == "Job" {
                needs.extend(release.job_needs.iter().cloned());
            }
            if matches!(stages[at], Stage::Server | Stage::Interface) {
                running.push(draft.id.clone());
            }
            let mut desired = json!({"manifest": draft.piece.manifest});
            if workload {
                // as long as a program of ours waits for its database, plus its own start
                desired["deadline"] = json!(600);
            }
            if let Some(hook) = &draft.hook {
                desired["hook"] = hook_of(hook, &content);
            } else if let Some(made) = Database::of(&draft.piece.manifest) {
                made.describe(&mut desired);
            }
            let why = order
                .why
                .get(&at)
                .cloned()
                .unwrap_or_else(|| format!("chart {} brings it", release.chart));
            self.add(Draft {
                kind: draft.id.kind(),
                name: draft.id.name().to_owned(),
                owner: release.owner.clone(),
                part: release.part,
                why,
                desired,
                needs,
            });
        }
        let labels = self.labels(&release.owner);
        self.add(Draft {
            kind: "helm-record",
            name: format!("{}/{}", release.namespace, release.name),
            owner: release.owner.clone(),
            part: release.part,
            why: "shows the release to Helm".into(),
            desired: json!({
                "namespace": release.namespace, "release": release.name, "labels": labels, "record": record,
            }),
            needs: release.needs.iter().cloned().chain(ids).collect(),
        });
        running
    }

    /// One object of a chart with what every object of ours bears; none for what has no name, and for hooks that are no part of what a
    /// site should be.
    fn draft(&self, release: &Release<'_>, object: &Value, hook: Option<&Hook>) -> Option<Part> {
        let phase = match hook {
            None => Phase::Main,
            Some(hook) => Phase::of(hook)?,
        };
        let mut manifest = object.clone();
        let kind = manifest["kind"].as_str().unwrap_or_default().to_owned();
        let api_version = manifest["apiVersion"].as_str().unwrap_or_default().to_owned();
        let name = manifest["metadata"]["name"].as_str()?.to_owned();
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
        let mut id = object_id(&api_version, &kind, namespace.as_deref(), &name);
        if hook.is_some() {
            id = ResourceId::new(HOOK, id.name());
        } else if let Some(made) = Database::of(&manifest) {
            id = ResourceId::new(Database::KIND, &format!("{}/{}", release.namespace, made.name));
        }
        Some(Part {
            id,
            piece: Piece {
                kind,
                name,
                manifest,
                phase,
            },
            hook: hook.cloned(),
        })
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
}
