//! Everything that would stop an installation, found before its first effect and told together.

use openg2p_plan::Ledger;
use openg2p_ports::{FileState, Host, HostFacts, PortError};
use openg2p_run::Failure;

/// Room for unpacked images beside the bundle itself, and for data, in bytes: images take about twice their packed size in
/// containerd, a first environment's data less than a gigabyte.
const ROOM: u64 = 3 * 1024 * 1024 * 1024;
/// A control plane takes 0.9 GB and an environment 1.5 GB at rest.
const MEMORY: u64 = 3_500_000_000;
/// Certificates that are made an hour ahead of a device's clock are not valid there.
const CLOCK_SECONDS: i64 = 300;

/// Programs of other Kubernetes distributions, by a path that they make.
const FOREIGN: &[(&str, &str)] = &[
    ("/etc/kubernetes/admin.conf", "kubeadm"),
    ("/etc/kubernetes/manifests", "kubeadm"),
    ("/etc/rancher/k3s", "k3s"),
    ("/etc/rancher/rke2", "RKE2"),
    ("/var/lib/k0s", "k0s"),
    ("/var/snap/microk8s", "MicroK8s"),
];

/// What the operator asks for.
pub(crate) struct Wish<'a> {
    pub(crate) site: &'a str,
    pub(crate) release: &'a str,
    pub(crate) bundle_bytes: u64,
    pub(crate) clock: i64,
    pub(crate) ports: &'a [(u16, String)],
}

fn failure(code: &str, what: &str, place: &str, why: String, hint: &str) -> Failure {
    Failure {
        code: code.into(),
        what: what.into(),
        place: place.into(),
        why,
        hint: Some(hint.into()),
    }
}

/// Looks at the host; changes nothing.
pub(crate) async fn check(
    host: &dyn Host,
    wish: &Wish<'_>,
    ledger: &Ledger,
) -> Result<(Vec<Failure>, Vec<String>), PortError> {
    let facts = host.facts().await?;
    let name = host.name();
    let mut failures = machine(name, &facts, wish, ledger);
    let mut warnings = Vec::new();
    if !ledger.site.is_empty() && ledger.site != wish.site {
        failures.push(failure(
            "host::other-site",
            "use this host",
            name,
            format!(
                "it belongs to site `{}`, and the site file says `{}`",
                ledger.site, wish.site
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
    if ledger.entries.is_empty() {
        for (path, who) in FOREIGN {
            if host.stat(path).await? != FileState::Absent {
                failures.push(failure(
                    "host::foreign-kubernetes",
                    "use this host",
                    name,
                    format!("{path} is there: {who} made a Kubernetes here that openg2p did not make"),
                    "use another host, or remove that Kubernetes with the tool that made it",
                ));
                break;
            }
        }
        let listeners = host.listeners().await?;
        for (port, purpose) in wish.ports {
            let Some(listener) = listeners.iter().find(|listener| listener.port == *port) else {
                continue;
            };
            let who = listener
                .process
                .clone()
                .unwrap_or_else(|| "a program that cannot be named".into());
            failures.push(failure(
                "host::port-taken",
                "use this host",
                name,
                format!(
                    "TCP port {port} ({purpose}) is taken by {who} on {}",
                    listener.address
                ),
                "stop that program and keep it from starting again, or use another host",
            ));
        }
    }
    Ok((failures, warnings))
}

fn machine(name: &str, facts: &HostFacts, wish: &Wish<'_>, ledger: &Ledger) -> Vec<Failure> {
    let mut failures = Vec::new();
    let what = "use this host";
    if facts.user != 0 {
        let why = format!("the login has user id {}", facts.user);
        failures.push(failure(
            "host::not-root",
            what,
            name,
            why,
            "log in as root: set `ssh.user: root` for this node",
        ));
    }
    if facts.distribution != "debian" || facts.release != wish.release {
        failures.push(failure(
            "host::release",
            what,
            name,
            format!("it runs {} {}, and the bundle's packages are for Debian {}", facts.distribution, facts.release, wish.release),
            "install that Debian release on the host, or make a bundle for this one: `openg2p bundle create --release`",
        ));
    }
    if facts.architecture != "x86_64" {
        let why = format!(
            "its processor is {}, and the bundle is for x86_64",
            facts.architecture
        );
        failures.push(failure(
            "host::architecture",
            what,
            name,
            why,
            "use a host with an x86_64 processor",
        ));
    }
    // images and packages are there already once the ledger holds them
    let needed = if ledger.entries.is_empty() {
        wish.bundle_bytes * 3 + ROOM
    } else {
        wish.bundle_bytes / 4
    };
    if facts.disk_free < needed {
        failures.push(failure(
            "host::disk",
            what,
            name,
            format!(
                "/var/lib has {} free, and about {} are needed",
                gigabytes(facts.disk_free),
                gigabytes(needed)
            ),
            "make room or enlarge the disk, then try again",
        ));
    }
    let skew = (facts.clock - wish.clock).abs();
    if skew > CLOCK_SECONDS {
        failures.push(failure(
            "host::clock",
            what,
            name,
            format!("its clock differs from this machine's by {skew} s"),
            "set both clocks: `timedatectl set-ntp true`, or `chronyc makestep` where there is a time server",
        ));
    }
    failures
}

fn gigabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let value = bytes as f64 / 1e9;
    format!("{value:.1} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> HostFacts {
        HostFacts {
            release: "trixie".into(),
            distribution: "debian".into(),
            architecture: "x86_64".into(),
            disk_free: 100_000_000_000,
            memory: 8_000_000_000,
            ..HostFacts::default()
        }
    }

    const WISH: Wish<'_> = Wish {
        site: "s",
        release: "trixie",
        bundle_bytes: 1_000_000_000,
        clock: 0,
        ports: &[],
    };

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let facts = HostFacts {
            user: 1000,
            release: "bookworm".into(),
            disk_free: 1,
            clock: 4000,
            architecture: "aarch64".into(),
            ..good()
        };
        let codes: Vec<String> = machine("box1", &facts, &WISH, &Ledger::default())
            .into_iter()
            .map(|failure| failure.code)
            .collect();
        assert_eq!(
            codes,
            [
                "host::not-root",
                "host::release",
                "host::architecture",
                "host::disk",
                "host::clock"
            ]
        );
        assert_eq!(machine("box1", &good(), &WISH, &Ledger::default()), []);
    }
}
