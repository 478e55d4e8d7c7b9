//! Everything that would stop an installation, found before its first effect and told together.

mod room;

use std::path::Path;

use openg2p_bundle::index::Index;
use openg2p_plan::{Entry, Ledger};
use openg2p_ports::{FileState, Host, HostFacts, PortError};
use openg2p_run::Failure;

use crate::protocol::{Demand, Port};

/// A control plane takes 0.9 GB and an environment 1.5 GB at rest.
const MEMORY: u64 = 3_500_000_000;
/// Certificates that are made an hour ahead of a device's clock are not valid there.
const CLOCK_SECONDS: i64 = 300;

/// Programs of other Kubernetes distributions, by a path that they make.
const FOREIGN_KUBERNETES: &[(&str, &str)] = &[
    ("/etc/kubernetes/admin.conf", KUBEADM),
    ("/etc/kubernetes/manifests", KUBEADM),
    ("/etc/rancher/k3s", "k3s"),
    ("/etc/rancher/rke2", "RKE2"),
    ("/var/lib/k0s", "k0s"),
    ("/var/snap/microk8s", "MicroK8s"),
];
const KUBEADM: &str = "kubeadm";

/// Units and packages of other container runtimes. They share sockets, state and network rules with ours, and ours would take
/// their containers over.
const RUNTIME_UNITS: &[&str] = &["containerd.service", "docker.service", "docker.socket"];
const RUNTIME_PACKAGES: &[&str] = &[
    "containerd",
    "containerd.io",
    "docker.io",
    "docker-ce",
    "docker-ce-cli",
    "moby-containerd",
    "moby-engine",
];

fn failure(code: &str, place: &str, why: String, hint: &str) -> Failure {
    Failure {
        code: code.into(),
        what: "use this host".into(),
        place: place.into(),
        why,
        hint: Some(hint.into()),
    }
}

/// Looks at the host; changes nothing. `bundle` is where the bundle lies or will lie. Failures keep the host from being changed;
/// the warnings are for people.
pub(crate) async fn check(
    host: &dyn Host,
    demand: &Demand,
    index: &Index,
    ledger: &Ledger,
    bundle: &Path,
) -> Result<(Vec<Failure>, Vec<String>), PortError> {
    let facts = host.facts().await?;
    let name = host.name();
    let mut failures = machine(name, &facts, demand, index);
    failures.extend(room::short(
        name,
        facts.disk_free,
        &room::Need::of(demand, index, ledger, bundle),
    ));
    let mut warnings = Vec::new();
    if !ledger.site.is_empty() && ledger.site != demand.site {
        failures.push(failure(
            "host::other-site",
            name,
            format!(
                "it belongs to site `{}`, and the site file says `{}`",
                ledger.site, demand.site
            ),
            "use another host, or destroy the other site first",
        ));
    }
    if facts.memory < MEMORY {
        warnings.push(format!(
            "{name} has {} of memory; a box with one environment takes about 3.5 GB",
            gigabytes(facts.memory)
        ));
    }
    // what cannot be looked at stands in the way too, and hides nothing of the rest
    let looks = [
        foreign_kubernetes(host, ledger).await.map(Vec::from_iter),
        foreign_runtime(host, ledger).await.map(Vec::from_iter),
        taken_ports(host, &demand.ports, ledger).await,
    ];
    for look in looks {
        match look {
            Ok(found) => failures.extend(found),
            Err(error) => failures.push(error.into()),
        }
    }
    Ok((failures, warnings))
}

fn machine(name: &str, facts: &HostFacts, demand: &Demand, index: &Index) -> Vec<Failure> {
    let mut failures = Vec::new();
    if facts.user != 0 {
        failures.push(failure(
            "host::not-root",
            name,
            format!("the login has user id {}", facts.user),
            "log in as root, or as a user who may use sudo without a password: `ssh.user` of this node",
        ));
    }
    if facts.distribution != "debian" || facts.release != index.debian_release {
        failures.push(failure(
            "host::release",
            name,
            format!(
                "it runs {} {}, and the bundle's packages are for Debian {}",
                facts.distribution, facts.release, index.debian_release
            ),
            "install that Debian release on the host, or make a bundle for this one: `openg2p bundle create --release`",
        ));
    }
    if facts.architecture != "x86_64" {
        failures.push(failure(
            "host::architecture",
            name,
            format!(
                "its processor is {}, and the bundle is for x86_64",
                facts.architecture
            ),
            "use a host with an x86_64 processor",
        ));
    }
    let skew = (facts.clock - demand.clock).abs();
    if skew > CLOCK_SECONDS {
        failures.push(failure(
            "host::clock",
            name,
            format!("its clock differs from this machine's by {skew} s"),
            "set both clocks: `timedatectl set-ntp true`, or `chronyc makestep` where there is a time server",
        ));
    }
    failures
}

/// Whether the ledger holds an entry that fits.
fn holds(ledger: &Ledger, fits: impl Fn(&Entry) -> bool) -> bool {
    ledger.entries.values().any(fits)
}

async fn foreign_kubernetes(host: &dyn Host, ledger: &Ledger) -> Result<Option<Failure>, PortError> {
    let ours = holds(ledger, |entry| entry.resource.kind() == "kubernetes-cluster");
    for (path, who) in FOREIGN_KUBERNETES {
        if ours && *who == KUBEADM {
            continue;
        }
        if host.stat(path).await? != FileState::Absent {
            return Ok(Some(failure(
                "host::foreign-kubernetes",
                host.name(),
                format!("{path} is there: {who} made a Kubernetes here that openg2p did not make"),
                "use another host, or remove that Kubernetes with the tool that made it",
            )));
        }
    }
    Ok(None)
}

/// Whether the site brought the container runtime that is there.
fn runtime_is_ours(ledger: &Ledger) -> bool {
    holds(ledger, |entry| match entry.resource.kind() {
        "host-packages" => entry.details["installed"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|package| package == "containerd"),
        "systemd-unit" => entry.desired["unit"] == "containerd.service",
        _ => false,
    })
}

async fn foreign_runtime(host: &dyn Host, ledger: &Ledger) -> Result<Option<Failure>, PortError> {
    if runtime_is_ours(ledger) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for unit in RUNTIME_UNITS {
        let state = host.unit(unit).await?;
        if state.load != "not-found" && !state.load.is_empty() {
            found.push(format!("unit {unit} ({})", state.active));
        }
    }
    let names: Vec<String> = RUNTIME_PACKAGES.iter().map(|name| (*name).to_owned()).collect();
    for (package, version) in host.packages(&names).await? {
        found.push(format!("package {package} {version}"));
    }
    if found.is_empty() {
        return Ok(None);
    }
    Ok(Some(failure(
        "host::foreign-containerd",
        host.name(),
        format!(
            "there is a container runtime that openg2p did not bring: {}",
            found.join(", ")
        ),
        "use another host; or, when nothing on it needs these containers any more, remove the runtime with its package \
         manager (`apt-get purge` with the packages named above) and a unit that was made by hand with its file",
    )))
}

/// A port whose holder stands in the ledger is ours; everything else that listens on it is foreign, on a half installed host too.
async fn taken_ports(host: &dyn Host, ports: &[Port], ledger: &Ledger) -> Result<Vec<Failure>, PortError> {
    let listeners = host.listeners().await?;
    let taken = ports
        .iter()
        .filter(|port| !ledger.entries.contains_key(&port.holder))
        .filter_map(|port| {
            let listener = listeners.iter().find(|listener| listener.port == port.port)?;
            let who = listener
                .process
                .clone()
                .unwrap_or_else(|| "a program that cannot be named".into());
            Some(failure(
                "host::port-taken",
                host.name(),
                format!(
                    "TCP port {} ({}) is taken by {who} on {}",
                    port.port, port.purpose, listener.address
                ),
                "stop that program and keep it from starting again, or use another host",
            ))
        });
    Ok(taken.collect())
}

fn gigabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let value = bytes as f64 / 1e9;
    format!("{value:.1} GB")
}

#[cfg(test)]
mod tests;
