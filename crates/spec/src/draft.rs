//! The parts of a tree that are valid by themselves, so that what concerns several of them can be checked even when
//! others are wrong.

use std::net::Ipv4Addr;

use crate::diagnostic::Span;
use crate::network::Network;
use crate::node::{Entry, Node};
use crate::rule::{self, Rule};

/// A value and where it stands.
pub(crate) type Placed<'a, T> = (T, &'a Span);

pub(crate) struct Draft<'a> {
    pub(crate) domain: Option<Placed<'a, &'a str>>,
    pub(crate) nodes: Vec<DraftNode<'a>>,
    /// The key `nodes`.
    pub(crate) nodes_span: Option<&'a Span>,
    pub(crate) pods: Option<Placed<'a, Network>>,
    pub(crate) services: Option<Placed<'a, Network>>,
    pub(crate) environments: Vec<DraftEnvironment<'a>>,
}

pub(crate) struct DraftNode<'a> {
    pub(crate) name: Option<Placed<'a, &'a str>>,
    pub(crate) address: Option<Placed<'a, Ipv4Addr>>,
    pub(crate) roles: Vec<Placed<'a, &'a str>>,
    pub(crate) port: Option<Placed<'a, u64>>,
}

pub(crate) struct DraftEnvironment<'a> {
    pub(crate) name: Placed<'a, &'a str>,
    /// What it was called when it was made, where the file says so.
    pub(crate) id: Option<Placed<'a, &'a str>>,
    pub(crate) commons: Vec<&'a Entry>,
    pub(crate) modules: Vec<&'a Entry>,
}

impl<'a> Draft<'a> {
    pub(crate) fn of(root: &'a Node) -> Self {
        let subnet = |key: &str, rule: Rule| {
            let (text, span) = valid(root.at(&["kubernetes", key])?, rule)?;
            Some((Network::parse(text)?, span))
        };
        let environments = root.get("environments").map(Node::entries).unwrap_or_default();
        Self {
            domain: root
                .at(&["site", "domain"])
                .and_then(|node| valid(node, Rule::Domain)),
            nodes: root
                .get("nodes")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .map(DraftNode::of)
                .collect(),
            nodes_span: root.entry("nodes").map(|entry| &entry.key_span),
            pods: subnet("podSubnet", Rule::PodSubnet),
            services: subnet("serviceSubnet", Rule::ServiceSubnet),
            environments: environments
                .iter()
                .filter(|entry| Rule::EnvironmentName.check(&entry.key).is_ok())
                .map(DraftEnvironment::of)
                .collect(),
        }
    }
}

impl<'a> DraftNode<'a> {
    fn of(node: &'a Node) -> Self {
        let address = node
            .get("address")
            .and_then(|node| Some((node.text()?, &node.span)));
        let port = node.at(&["ssh", "port"]);
        Self {
            name: node.get("name").and_then(|node| valid(node, Rule::DnsLabel)),
            address: address.and_then(|(text, span)| Some((rule::address(text).ok()?, span))),
            roles: node
                .get("roles")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|role| Some((role.text()?, &role.span)))
                .collect(),
            port: port.and_then(|node| Some((node.integer()?, &node.span))),
        }
    }
}

impl<'a> DraftEnvironment<'a> {
    fn of(entry: &'a Entry) -> Self {
        let components = |key: &str| {
            entry
                .value
                .get(key)
                .map(Node::entries)
                .unwrap_or_default()
                .iter()
                .collect()
        };
        Self {
            name: (&entry.key, &entry.key_span),
            id: entry
                .value
                .get("id")
                .and_then(|node| valid(node, Rule::EnvironmentName)),
            commons: components("commons"),
            modules: components("modules"),
        }
    }
}

fn valid(node: &Node, rule: Rule) -> Option<Placed<'_, &str>> {
    let text = node.text()?;
    rule.check(text).ok()?;
    Some((text, &node.span))
}
