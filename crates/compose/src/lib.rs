//! From a site, the catalogue and a bundle to the desired resources.
//!
//! Pure: what it is given decides what it gives. Nothing here knows what is on a host already; that is the plan's business.

mod cluster;
mod database;
mod edge;
mod environment;
mod host;
mod order;
mod release;

use std::collections::{BTreeMap, BTreeSet};

use openg2p_catalog::Catalog;
use openg2p_plan::{Owner, Resource, ResourceId};
use openg2p_ports::BundleMember;
use openg2p_spec::Site;
use openg2p_spec::model::Node;
use serde_json::Value;
use thiserror::Error;

pub use edge::AUTHORITY_DIRECTORY;
pub use openg2p_names::NameError;

/// What is composed from.
pub struct Inputs<'a> {
    /// The resolved site.
    pub site: &'a Site,
    /// What can be deployed.
    pub catalog: &'a Catalog,
    /// What the bundle holds.
    pub members: &'a [BundleMember],
    /// Charts of the bundle by name, as tgz bytes.
    pub charts: &'a BTreeMap<String, Vec<u8>>,
}

/// Why a site cannot be composed. All of them come together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ComposeError {
    /// The bundle lacks something.
    #[error("bundle::member-missing: the bundle has no {kind} `{name}`, which {user} needs")]
    Missing {
        /// Kind of member.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Who needs it.
        user: String,
    },
    /// A chart cannot be rendered.
    #[error("chart::render: chart {chart} of {user}: {why}")]
    Chart {
        /// The chart.
        chart: String,
        /// Component and environment.
        user: String,
        /// Why.
        why: String,
    },
    /// Parts of a chart wait for one another.
    #[error(
        "chart::hook-deadlock: chart {chart} of {user} can never be ready, for its parts wait for one another: {ring}; take one \
         of them out of the ring in the chart"
    )]
    HookDeadlock {
        /// The chart.
        chart: String,
        /// Component and environment.
        user: String,
        /// Who waits for whom, and by what it was seen.
        ring: String,
    },
    /// A name does not fit.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two parts of the site would be one and the same thing.
    #[error("name::claimed-twice: {first} and {second} both claim {name}")]
    ClaimedTwice {
        /// What they claim: a resource's id.
        name: String,
        /// Who claims it.
        first: String,
        /// Who else.
        second: String,
    },
    /// A component is not in the catalogue.
    #[error("catalog::unknown: {user} asks for component `{name}`, which the catalogue does not have")]
    Component {
        /// The component.
        name: String,
        /// Who asks.
        user: String,
    },
    /// The site file lacks something that this version needs.
    #[error("site::incomplete: {0}")]
    Site(String),
}

/// Everything that the site should be.
pub fn compose(inputs: &Inputs<'_>) -> Result<Vec<Resource>, Vec<ComposeError>> {
    let Some(lead) = inputs.site.lead() else {
        return Err(vec![ComposeError::Site("no node has the role `lead`".into())]);
    };
    let mut composer = Composer {
        inputs,
        lead,
        resources: Vec::new(),
        errors: Vec::new(),
        images: BTreeSet::new(),
        guards: Vec::new(),
    };
    composer.host();
    composer.cluster();
    composer.edge();
    composer.platform();
    for name in inputs.site.environments.keys() {
        composer.environment(name);
    }
    composer.used_images();
    composer.claimed_twice();
    release::definitions_first(&mut composer.resources);
    order::edge_behind_workloads(&mut composer.resources);
    if composer.errors.is_empty() {
        Ok(composer.resources)
    } else {
        Err(composer.errors)
    }
}

/// A TCP port that a node with these parts must have free before the resource that listens on it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The port.
    pub port: u16,
    /// What listens on it.
    pub purpose: &'static str,
    /// The resource that starts it: while the ledger holds this one, the port is ours.
    pub holder: ResourceId,
}

/// The TCP ports that the node `node` needs, on the host's own addresses.
pub fn host_ports(node: &str) -> Vec<HostPort> {
    let on_node = |kind: &str, name: &str| ResourceId::new(kind, &format!("{node}:{name}"));
    let edge = on_node("systemd-unit", edge::UNIT);
    let cluster = on_node("kubernetes-cluster", "control-plane");
    let policy = release::object_id("apps/v1", "DaemonSet", Some("kube-system"), "kube-router");
    [
        (80, "the edge's redirect to HTTPS", &edge),
        (443, "the edge", &edge),
        (2379, "etcd", &cluster),
        (2380, "etcd", &cluster),
        (2381, "etcd's metrics", &cluster),
        (6443, "the Kubernetes API", &cluster),
        (10248, "the kubelet's health", &cluster),
        (10249, "kube-proxy's metrics", &cluster),
        (10250, "the kubelet", &cluster),
        (10256, "kube-proxy", &cluster),
        (10257, "the controller manager", &cluster),
        (10259, "the scheduler", &cluster),
        (20244, "kube-router's health", &policy),
    ]
    .into_iter()
    .map(|(port, purpose, holder)| HostPort {
        port,
        purpose,
        holder: holder.clone(),
    })
    .collect()
}

struct Composer<'a> {
    inputs: &'a Inputs<'a>,
    lead: &'a Node,
    resources: Vec<Resource>,
    errors: Vec<ComposeError>,
    /// Names of image members that some component runs.
    images: BTreeSet<String>,
    /// Workloads that must run before anything of an environment does.
    guards: Vec<ResourceId>,
}

/// A resource that is being described.
struct Draft<'a> {
    kind: &'a str,
    name: String,
    owner: Owner,
    part: &'a str,
    why: String,
    desired: Value,
    needs: BTreeSet<ResourceId>,
}

impl Composer<'_> {
    /// Adds a resource of the site on the lead node and gives its id.
    fn on_host(
        &mut self,
        kind: &str,
        name: &str,
        part: &str,
        why: &str,
        desired: Value,
        needs: impl IntoIterator<Item = ResourceId>,
    ) -> ResourceId {
        let name = format!("{}:{name}", self.lead.name);
        self.add(Draft {
            kind,
            name,
            owner: Owner::Site,
            part,
            why: why.into(),
            desired,
            needs: needs.into_iter().collect(),
        })
    }

    fn add(&mut self, draft: Draft<'_>) -> ResourceId {
        let id = ResourceId::new(draft.kind, &draft.name);
        self.resources.push(Resource {
            id: id.clone(),
            owner: draft.owner,
            desired: draft.desired,
            needs: draft.needs,
            follows: BTreeSet::new(),
            why: draft.why,
            asked_by: String::new(),
            part: draft.part.into(),
        });
        id
    }

    /// A member of the bundle; its absence is noted for the end.
    fn member(&mut self, kind: &'static str, name: &str, user: &str) -> Option<BundleMember> {
        let found = self
            .inputs
            .members
            .iter()
            .find(|member| member.kind == kind && member.name == name);
        if found.is_none() {
            self.errors.push(ComposeError::Missing {
                kind,
                name: name.into(),
                user: user.into(),
            });
        }
        found.cloned()
    }

    /// Notes every id that two parts of the site have. What the site file alone can tell is refused there with its lines; this is
    /// what charts bring.
    fn claimed_twice(&mut self) {
        let claim = |resource: &Resource| format!("{} of {}", resource.part, resource.owner);
        let mut first: BTreeMap<&ResourceId, &Resource> = BTreeMap::new();
        for resource in &self.resources {
            match first.get(&resource.id) {
                Some(other) => self.errors.push(ComposeError::ClaimedTwice {
                    name: resource.id.to_string(),
                    first: claim(other),
                    second: claim(resource),
                }),
                None => {
                    first.insert(&resource.id, resource);
                }
            }
        }
    }

    fn host_id(&self, kind: &str, name: &str) -> ResourceId {
        ResourceId::new(kind, &format!("{}:{name}", self.lead.name))
    }
}
