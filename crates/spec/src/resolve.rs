//! From the person's tree and the profiles to the complete site.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::declaration::DEFAULT_PROFILE;
use crate::diagnostic::{Diagnostic, Span};
use crate::known::KnownComponents;
use crate::model::{
    Access, Certificates, Edge, Environment, HostOverrides, Kubernetes, Node as Machine, Provider, Role,
    Site, Ssh,
};
use crate::node::{Content, Entry, Node};
use crate::profiles::{Profile, Profiles};
use crate::quote::quote;
use crate::rule::Rule;
use crate::suggest::closest;

const CATEGORIES: [&str; 2] = ["commons", "modules"];

/// The person's tree laid over the defaults of its profiles. Unknown profiles are reported and passed over.
pub(crate) fn merged(
    root: &Node,
    profiles: &Profiles,
    known: &KnownComponents,
    problems: &mut Vec<Diagnostic>,
) -> Node {
    let profile_node = root
        .at(&["site", "profile"])
        .cloned()
        .unwrap_or_else(|| Node::new(Span::nowhere(), Content::Text(DEFAULT_PROFILE.to_owned())));
    let site_profile = find(&profile_node, profiles, problems);

    let mut tree = root.clone();
    insert_default(&mut tree, "site", Node::empty_mapping());
    if let Some(site) = value_mut(&mut tree, "site") {
        insert_default(site, "profile", profile_node.clone());
    }
    for key in ["kubernetes", "edge"] {
        if let Some(defaults) = site_profile.and_then(|profile| profile.site.get(key)) {
            lay_under(&mut tree, key, defaults);
        }
    }
    let each_node = site_profile.and_then(|profile| profile.site.get("eachNode"));
    if let (Some(defaults), Some(Content::List(nodes))) = (
        each_node,
        value_mut(&mut tree, "nodes").map(|node| &mut node.content),
    ) {
        for node in nodes
            .iter_mut()
            .filter(|node| matches!(node.content, Content::Mapping(_)))
        {
            *node = keep_order(defaults, node);
        }
    }
    insert_default(&mut tree, "environments", Node::empty_mapping());
    if let Some(Content::Mapping(environments)) =
        value_mut(&mut tree, "environments").map(|node| &mut node.content)
    {
        for environment in environments {
            let own = environment
                .value
                .get("profile")
                .map(|node| find(node, profiles, problems));
            let layers: Vec<&Profile> = [site_profile, own.flatten()].into_iter().flatten().collect();
            environment.value = environment_with_defaults(&environment.value, &layers, &profile_node, known);
        }
    }
    tree
}

/// One environment over the defaults of its profiles, lowest layer first.
fn environment_with_defaults(
    environment: &Node,
    layers: &[&Profile],
    site_profile: &Node,
    known: &KnownComponents,
) -> Node {
    let mut tree = match &environment.content {
        Content::Mapping(_) => environment.clone(),
        Content::Null => Node::new(environment.span.clone(), Content::Mapping(Vec::new())),
        _ => return environment.clone(),
    };
    let each = layers
        .iter()
        .filter_map(|profile| profile.site.get("eachEnvironment"));
    let defaults = each.fold(Node::empty_mapping(), |below, above| below.merged(above));
    tree = keep_order(&defaults, &tree);
    insert_default(&mut tree, "profile", site_profile.clone());
    for category in CATEGORIES {
        insert_default(&mut tree, category, Node::empty_mapping());
    }
    add_needs(&mut tree, known);
    for category in CATEGORIES {
        let Some(Content::Mapping(components)) = value_mut(&mut tree, category).map(|node| &mut node.content)
        else {
            continue;
        };
        for component in components {
            let values = layers
                .iter()
                .filter_map(|profile| profile.components.get(&component.key));
            let defaults = values.fold(Node::empty_mapping(), |below, above| below.merged(above));
            component.value = defaults.merged(&component.value);
        }
    }
    tree
}

/// Adds what the components need and the environment does not name. Its place is that of the component that needs it.
fn add_needs(environment: &mut Node, known: &KnownComponents) {
    let mut waiting: Vec<(String, Span)> = Vec::new();
    for category in CATEGORIES {
        let entries = environment.get(category).map(Node::entries).unwrap_or_default();
        waiting.extend(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.key_span.clone())),
        );
    }
    while let Some((name, span)) = waiting.pop() {
        let Some(component) = known.commons.get(&name).or_else(|| known.modules.get(&name)) else {
            continue;
        };
        for need in &component.needs {
            let present = CATEGORIES
                .iter()
                .any(|category| environment.at(&[category, need]).is_some());
            let category = if known.commons.contains_key(need) {
                "commons"
            } else {
                "modules"
            };
            let offered = known.commons.contains_key(need) || known.modules.contains_key(need);
            if present || !offered {
                continue;
            }
            if let Some(components) = value_mut(environment, category) {
                insert_default(
                    components,
                    need,
                    Node::new(span.clone(), Content::Mapping(Vec::new())),
                );
                waiting.push((need.clone(), span.clone()));
            }
        }
    }
}

fn find<'a>(name: &Node, profiles: &'a Profiles, problems: &mut Vec<Diagnostic>) -> Option<&'a Profile> {
    let text = name.text().filter(|text| Rule::DnsLabel.check(text).is_ok())?;
    let found = profiles.get(text);
    if found.is_none() {
        let all = profiles.names().map(quote).collect::<Vec<_>>().join(", ");
        let help = match closest(text, profiles.names()) {
            Some(meant) => format!("did you mean {}? there are {all}", quote(meant)),
            None => format!("there are {all}"),
        };
        let message = format!("there is no profile {}", quote(text));
        problems.push(Diagnostic::error("site::unknown-profile", message, name.span.clone()).help(help));
    }
    found
}

fn value_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.content {
        Content::Mapping(entries) => entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value),
        _ => None,
    }
}

fn insert_default(node: &mut Node, key: &str, value: Node) {
    if let Content::Mapping(entries) = &mut node.content {
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) if entry.value.content == Content::Null => {
                entry.value.content = value.content;
            }
            Some(_) => {}
            None => entries.push(Entry {
                key: key.to_owned(),
                key_span: value.span.clone(),
                value,
            }),
        }
    }
}

fn lay_under(node: &mut Node, key: &str, defaults: &Node) {
    insert_default(node, key, defaults.clone());
    if let Some(value) = value_mut(node, key) {
        *value = defaults.merged(value);
    }
}

/// `over` laid on `defaults`, with the keys of `over` first, as the person wrote them.
fn keep_order(defaults: &Node, over: &Node) -> Node {
    let mut merged = defaults.merged(over);
    if let Content::Mapping(entries) = &mut merged.content {
        let place = |key: &str| {
            over.entries()
                .iter()
                .position(|entry| entry.key == key)
                .unwrap_or(usize::MAX)
        };
        entries.sort_by_key(|entry| place(&entry.key));
    }
    merged
}

/// Reads the complete tree. What is missing in it is a fault of the profile, for the person's own part was checked.
pub(crate) fn site(tree: &Node) -> Result<Site, String> {
    let nodes = tree.get("nodes").map(Node::items).unwrap_or_default();
    let environments = tree.get("environments").map(Node::entries).unwrap_or_default();
    Ok(Site {
        name: text(tree, &["site", "name"])?,
        domain: text(tree, &["site", "domain"])?,
        profile: text(tree, &["site", "profile"])?,
        nodes: nodes.iter().map(machine).collect::<Result<_, _>>()?,
        kubernetes: Kubernetes {
            provider: word(
                tree,
                &["kubernetes", "provider"],
                &[("kubeadm", Provider::Kubeadm)],
            )?,
            pod_subnet: text(tree, &["kubernetes", "podSubnet"])?,
            service_subnet: text(tree, &["kubernetes", "serviceSubnet"])?,
        },
        edge: Edge {
            certificates: certificates(tree)?,
        },
        environments: environments
            .iter()
            .map(|entry| Ok((entry.key.clone(), environment(&entry.key, &entry.value)?)))
            .collect::<Result<_, String>>()?,
    })
}

fn certificates(tree: &Node) -> Result<Certificates, String> {
    let path = ["edge", "certificates", "localAuthority"];
    tree.at(&path)
        .map(|_| Certificates::LocalAuthority {})
        .ok_or_else(|| path.join("."))
}

fn machine(node: &Node) -> Result<Machine, String> {
    let roles = [
        ("lead", Role::Lead),
        ("server", Role::Server),
        ("agent", Role::Agent),
        ("edge", Role::Edge),
        ("storage", Role::Storage),
    ];
    let given = node.get("roles").map(Node::items).unwrap_or_default();
    let host = node.get("host");
    let mapping = |key: &str| {
        host.and_then(|host| host.get(key))
            .map(Node::to_map)
            .unwrap_or_default()
    };
    let port = node
        .at(&["ssh", "port"])
        .and_then(Node::integer)
        .and_then(|port| u16::try_from(port).ok());
    Ok(Machine {
        name: text(node, &["name"])?,
        address: text(node, &["address"])?
            .parse::<IpAddr>()
            .map_err(|error| error.to_string())?,
        roles: given
            .iter()
            .map(|role| word(role, &[], &roles))
            .collect::<Result<BTreeSet<_>, _>>()?,
        ssh: Ssh {
            user: text(node, &["ssh", "user"])?,
            port: port.ok_or("ssh.port")?,
            host_key: node.at(&["ssh", "hostKey"]).and_then(Node::text).map(tidy_key),
        },
        host: HostOverrides {
            restrict_oom_score_adj: host
                .and_then(|host| host.get("restrictOomScoreAdj"))
                .and_then(Node::boolean)
                .unwrap_or_default(),
            kubelet: mapping("kubelet"),
            kube_proxy: mapping("kubeProxy"),
            ignore_preflight_errors: host
                .and_then(|host| host.get("ignorePreflightErrors"))
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|item| item.text().map(str::to_owned))
                .collect(),
        },
    })
}

/// Type and key with one space between them; the comment behind says nothing that is trusted.
fn tidy_key(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn environment(name: &str, node: &Node) -> Result<Environment, String> {
    let components = |key: &str| -> BTreeMap<String, Map<String, Value>> {
        let entries = node.get(key).map(Node::entries).unwrap_or_default();
        entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.to_map()))
            .collect()
    };
    Ok(Environment {
        id: node.get("id").and_then(Node::text).unwrap_or(name).to_owned(),
        profile: text(node, &["profile"])?,
        access: word(
            node,
            &["access"],
            &[("private", Access::Private), ("public", Access::Public)],
        )?,
        commons: components("commons"),
        modules: components("modules"),
    })
}

fn text(node: &Node, path: &[&str]) -> Result<String, String> {
    node.at(path)
        .and_then(Node::text)
        .map(str::to_owned)
        .ok_or_else(|| path.join("."))
}

fn word<T: Copy>(node: &Node, path: &[&str], words: &[(&str, T)]) -> Result<T, String> {
    let text = node.at(path).and_then(Node::text).ok_or_else(|| path.join("."))?;
    words
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| path.join("."))
}
