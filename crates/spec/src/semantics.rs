//! What must hold between values: names that differ, networks that do not overlap, roles that are filled.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::declaration::ROLES;
use crate::diagnostic::{Diagnostic, Span};
use crate::draft::{Draft, DraftNode, Placed};
use crate::known::KnownComponents;
use crate::network::Network;
use crate::quote::quote;

/// Longest DNS name.
const LONGEST_NAME: usize = 253;

/// Ports that a machine with a role needs for itself.
const TAKEN: [(&str, &[u64]); 2] = [
    ("edge", &[80, 443]),
    ("server", &[2379, 2380, 6443, 10250, 10256, 10257, 10259]),
];

/// All contradictions. `file` is the person's file: findings are shown there, not in a profile.
pub(crate) fn contradictions(draft: &Draft<'_>, known: &KnownComponents, file: &str) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    duplicates(draft, &mut problems);
    roles(draft, &mut problems);
    ports(draft, &mut problems);
    networks(draft, file, &mut problems);
    host_names(draft, known, &mut problems);
    problems.extend(crate::claims::refused(draft, known));
    problems
}

/// What is allowed but should be looked at. `draft` is of the person's own tree.
pub(crate) fn doubts(draft: &Draft<'_>, known: &KnownComponents) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for environment in &draft.environments {
        let named = |name: &str| environment.modules.iter().any(|module| module.key == name);
        for module in &environment.modules {
            let needs = known
                .modules
                .get(&module.key)
                .into_iter()
                .flat_map(|known| &known.needs);
            for need in needs.filter(|need| known.modules.contains_key(*need) && !named(need)) {
                let (name, quoted) = (quote(&module.key), quote(need));
                let message = format!("{name} needs the module {quoted}, which is added to the environment");
                let problem = Diagnostic::warning("site::need-added", message, module.key_span.clone());
                problems.push(problem.help(format!(
                    "name it too (`{need}: {{}}`), so that the file says all that runs"
                )));
            }
        }
    }
    for (what, network) in [("pod", draft.pods), ("service", draft.services)] {
        if let Some((network, span)) = network.filter(|(network, _)| !network.is_private()) {
            let message = format!("the {what} network `{network}` is not within the private ranges");
            problems.push(
                Diagnostic::warning("site::public-network", message, span.clone())
                    .help("machines there cannot be reached from the box; use part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"),
            );
        }
    }
    problems
}

fn duplicates(draft: &Draft<'_>, problems: &mut Vec<Diagnostic>) {
    twice(
        "site::duplicate-node-name",
        "name",
        draft.nodes.iter().filter_map(|node| node.name),
        problems,
    );
    twice(
        "site::duplicate-node-address",
        "address",
        draft.nodes.iter().filter_map(|node| node.address),
        problems,
    );
}

fn twice<'a, T: Ord + Display + 'a>(
    code: &str,
    what: &str,
    values: impl Iterator<Item = Placed<'a, T>>,
    problems: &mut Vec<Diagnostic>,
) {
    let mut seen: BTreeMap<T, &Span> = BTreeMap::new();
    for (value, span) in values {
        if let Some(first) = seen.get(&value) {
            let message = format!("two nodes have the {what} `{value}`");
            let problem =
                Diagnostic::error(code, message, span.clone()).related((*first).clone(), "first here");
            problems.push(problem.help(format!("give each machine its own {what}")));
        } else {
            seen.insert(value, span);
        }
    }
}

fn roles(draft: &Draft<'_>, problems: &mut Vec<Diagnostic>) {
    let Some(nodes) = draft.nodes_span.filter(|_| !draft.nodes.is_empty()) else {
        return;
    };
    let holders = |role: &str| -> Vec<&Span> {
        let all = draft.nodes.iter().flat_map(|node| &node.roles);
        all.filter(|(name, _)| *name == role)
            .map(|(_, span)| *span)
            .collect()
    };
    let leads = holders("lead");
    if let [first, second, ..] = leads.as_slice() {
        let message = format!(
            "{} nodes have the role `lead`, but the engine runs on one only",
            leads.len()
        );
        let problem = Diagnostic::error("site::many-leads", message, (*second).clone());
        problems.push(
            problem
                .related((*first).clone(), "first here")
                .help("keep `lead` on one node"),
        );
    }
    // A role that is misspelt, or that cannot be read yet, may be the one that is missed.
    let unclear = |node: &DraftNode<'_>| {
        node.roles.is_empty() || node.roles.iter().any(|(role, _)| !ROLES.contains(role))
    };
    if draft.nodes.iter().any(unclear) {
        return;
    }
    for (role, meaning) in [
        ("lead", "the engine runs there"),
        ("server", "the Kubernetes control plane"),
        ("edge", "Nginx, the only way in"),
        ("storage", "local disks for volumes"),
    ] {
        if holders(role).is_empty() {
            let message = format!("no node has the role `{role}` ({meaning})");
            let problem = Diagnostic::error("site::missing-role", message, nodes.clone());
            problems.push(problem.help("one machine may have all: `roles: [lead, server, edge, storage]`"));
        }
    }
}

fn ports(draft: &Draft<'_>, problems: &mut Vec<Diagnostic>) {
    for DraftNode { roles, port, .. } in &draft.nodes {
        let Some((port, span)) = port else { continue };
        for (role, taken) in TAKEN {
            if taken.contains(port) && roles.iter().any(|(name, _)| *name == role) {
                let message = format!("SSH cannot have port {port}: the role `{role}` needs it");
                let problem = Diagnostic::error("site::port-taken", message, (*span).clone());
                problems.push(problem.help("let SSH answer on another port of this machine, such as 22"));
            }
        }
    }
}

fn networks(draft: &Draft<'_>, file: &str, problems: &mut Vec<Diagnostic>) {
    const CODE: &str = "site::network-overlap";
    let origin = |span: &Span| {
        if span.file == file {
            String::new()
        } else {
            format!(" (from {})", span.file)
        }
    };
    if let (Some((pods, pods_span)), Some((services, services_span))) = (draft.pods, draft.services)
        && pods.overlaps(services)
    {
        let message = format!(
            "the pod network `{pods}`{} and the service network `{services}`{} overlap",
            origin(pods_span),
            origin(services_span)
        );
        let span = if services_span.file == file {
            services_span
        } else {
            pods_span
        };
        let mut problem = Diagnostic::error(CODE, message, span.clone()).help("give each its own range");
        if services_span.file == file && pods_span.file == file {
            problem = problem.related(pods_span.clone(), "the pod network");
        }
        problems.push(problem);
    }
    for (what, key, network) in [
        ("pod", "podSubnet", draft.pods),
        ("service", "serviceSubnet", draft.services),
    ] {
        let Some((network, network_span)) = network else {
            continue;
        };
        for (address, span) in draft.nodes.iter().filter_map(|node| node.address) {
            if !network.overlaps(Network { address, prefix: 32 }) {
                continue;
            }
            let message = format!(
                "the address `{address}` lies within the {what} network `{network}`{}",
                origin(network_span)
            );
            let help = format!("set `kubernetes.{key}` to a network that no machine is in");
            let mut problem = Diagnostic::error(CODE, message, span.clone()).help(help);
            if network_span.file == file {
                problem = problem.related(network_span.clone(), format!("the {what} network"));
            }
            problems.push(problem);
        }
    }
}

/// Every `<host>.<environment>.<domain>` must be a DNS name.
fn host_names(draft: &Draft<'_>, known: &KnownComponents, problems: &mut Vec<Diagnostic>) {
    let Some((domain, _)) = draft.domain else { return };
    for environment in &draft.environments {
        let (name, span) = environment.name;
        let hosts = environment
            .modules
            .iter()
            .chain(&environment.commons)
            .flat_map(|component| {
                let found = known
                    .modules
                    .get(&component.key)
                    .or_else(|| known.commons.get(&component.key));
                found.into_iter().flat_map(|known| &known.hosts)
            });
        let Some(host) = hosts.max_by_key(|host| host.len()) else {
            continue;
        };
        let length = host.len() + 1 + name.len() + 1 + domain.len();
        if length > LONGEST_NAME {
            let message = format!(
                "the host name `{host}.<environment>.<domain>` would have {length} bytes; a DNS name has at most {LONGEST_NAME}"
            );
            problems.push(
                Diagnostic::error("site::host-name-too-long", message, span.clone()).help(format!(
                    "shorten the environment's name or the domain by {}",
                    length - LONGEST_NAME
                )),
            );
        }
    }
}
