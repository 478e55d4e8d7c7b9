//! The Kubernetes control plane on a node, made by kubeadm.
//!
//! Desired: `node`, `version`, `configuration` (path of kubeadm's file), `ignorePreflightErrors`, `podSubnet`. A cluster that was seen once is never
//! reset by an apply, whatever happens to it; only an initialisation that never finished is cleaned up and tried again.

use std::time::Duration;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, EntryState, FieldChange, Observed, Risk, Verdict};
use openg2p_ports::{Command, FileState, ObjectRef, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, run_checked, text, unknown};

pub(crate) struct KubernetesCluster;

const ADMIN: &str = "/etc/kubernetes/admin.conf";

#[async_trait]
impl Kind for KubernetesCluster {
    fn name(&self) -> &'static str {
        "kubernetes-cluster"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for _ in subjects {
            let look = async {
                let manifests = world.host.stat("/etc/kubernetes/manifests").await? != FileState::Absent;
                let admin = world.host.stat(ADMIN).await? != FileState::Absent;
                if !admin {
                    if let Err(error) = world.cluster.reachable().await {
                        return Ok(Observed::Present(
                            json!({"initialised": "unreachable", "why": error.to_string()}),
                        ));
                    }
                    return Ok(if manifests {
                        Observed::Present(json!({"initialised": "partly"}))
                    } else {
                        Observed::Absent
                    });
                }
                Ok::<_, PortError>(match world.cluster.reachable().await {
                    Ok(Some(version)) => Observed::Present(json!({"initialised": "yes", "version": version})),
                    Ok(None) => Observed::Present(json!({"initialised": "partly"})),
                    Err(error) => {
                        Observed::Present(json!({"initialised": "unreachable", "why": error.to_string()}))
                    }
                })
            };
            seen.push(look.await.unwrap_or_else(|error| unknown(&error)));
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        let Some(entry) = subject.entry else {
            return Verdict::Conflict(format!(
                "this host already has a Kubernetes control plane that openg2p did not make ({ADMIN}); use another \
                 host, or remove it with the tool that made it"
            ));
        };
        let version = text(subject.desired, "version");
        match (entry.state, text(state, "initialised")) {
            (EntryState::Present, "yes") if text(state, "version") == version => Verdict::Same,
            (EntryState::Present, "yes") => Verdict::Conflict(format!(
                "the cluster runs {} and the bundle brings {version}; this version of openg2p does not upgrade a \
                 cluster in place",
                text(state, "version")
            )),
            (EntryState::Present, _) => Verdict::Unknown(format!(
                "the Kubernetes API does not answer, and a cluster that once worked is never made anew by an apply: \
                 {}; look at `journalctl --unit kubelet` and `crictl ps -a` on the host",
                text(state, "why")
            )),
            (_, "yes") => Verdict::Update(vec![FieldChange::new(
                "node",
                Some("not seen Ready"),
                Some("Ready"),
            )]),
            _ => Verdict::Replace("an initialisation was cut off before the cluster was ever used".into()),
        }
    }

    fn risk(&self, action: Action, _desired: &Value) -> Risk {
        // its database goes with it; what is replaced was never used
        if action == Action::Remove {
            return Risk::Data;
        }
        Risk::Downtime
    }

    fn estimate(&self, action: Action, _desired: &Value) -> f64 {
        if action == Action::Remove { 10.0 } else { 20.0 }
    }

    async fn intend(&self, world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        if let Some(entry) = subject.entry.filter(|entry| entry.details["tables"].is_array()) {
            return Ok(entry.details.clone());
        }
        Ok(json!({"tables": tables(world).await?}))
    }

    async fn change(
        &self,
        world: &World,
        action: Action,
        subject: Subject<'_>,
        details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        if action == Action::Replace {
            progress("clearing away the initialisation that was cut off");
            reset(world).await?;
        }
        if action != Action::Update {
            progress("kubeadm makes the control plane");
            let mut arguments = vec![
                "init".to_owned(),
                "--config".to_owned(),
                text(subject.desired, "configuration").to_owned(),
            ];
            let passed_over: Vec<String> =
                serde_json::from_value(subject.desired["ignorePreflightErrors"].clone()).unwrap_or_default();
            if !passed_over.is_empty() {
                arguments.push(format!("--ignore-preflight-errors={}", passed_over.join(",")));
            }
            let init = Command::new("kubeadm", arguments).deadline(300);
            run_checked(world, "kubernetes::init", init)
                .await
                .map_err(|error| {
                    error.hint("read the kubelet's log on the host: journalctl --unit kubelet --lines 50")
                })?;
        }
        let node = ObjectRef {
            api_version: "v1".into(),
            kind: "Node".into(),
            namespace: None,
            name: text(subject.desired, "node").into(),
        };
        progress("waiting until the node is Ready");
        world
            .cluster
            .wait(&node, Duration::from_mins(3), progress)
            .await?;
        Ok(details)
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        progress("kubeadm takes the control plane down");
        reset(world).await?;
        let before: Vec<String> = serde_json::from_value(entry.details["tables"].clone()).unwrap_or_default();
        for table in tables(world).await? {
            // what iptables made for Kubernetes and now holds no rule; anything else has come to be used by somebody
            if !before.contains(&table)
                && IPTABLES.contains(&table.as_str())
                && is_empty(world, &table).await?
            {
                let words = ["delete", "table"].into_iter().chain(table.split(' '));
                run_checked(world, "host::nftables", Command::new("nft", words)).await?;
            }
        }
        Ok(())
    }
}

/// The tables that iptables makes behind nftables.
const IPTABLES: &[&str] = &[
    "ip filter",
    "ip mangle",
    "ip nat",
    "ip raw",
    "ip security",
    "ip6 filter",
    "ip6 mangle",
    "ip6 nat",
    "ip6 raw",
    "ip6 security",
];

/// Names of the nftables tables, as `family name`.
async fn tables(world: &World) -> Result<Vec<String>, PortError> {
    let text = run_checked(world, "host::nftables", Command::new("nft", ["list", "tables"])).await?;
    Ok(text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("table "))
        .map(str::to_owned)
        .collect())
}

/// Whether a table has chains at most, and no rule or set in any of them.
async fn is_empty(world: &World, table: &str) -> Result<bool, PortError> {
    let words = ["list", "table"].into_iter().chain(table.split(' '));
    let text = run_checked(world, "host::nftables", Command::new("nft", words)).await?;
    Ok(text.lines().map(str::trim).all(|line| {
        line.is_empty()
            || line == "}"
            || line.starts_with("table ")
            || line.starts_with("chain ")
            || line.starts_with("type ")
            || line.starts_with('#')
    }))
}

/// Takes down what kubeadm, the kubelet, kube-proxy and kube-router left on the host.
async fn reset(world: &World) -> Result<(), PortError> {
    // kubeadm removes files and containers, and says itself that it leaves network rules alone
    let command = Command::new(
        "kubeadm",
        [
            "reset",
            "--force",
            "--cri-socket=unix:///run/containerd/containerd.sock",
        ],
    );
    run_checked(world, "kubernetes::reset", command.deadline(180)).await?;
    for directory in [
        "/etc/kubernetes",
        "/var/lib/etcd",
        "/var/lib/kubelet",
        "/var/lib/cni",
        "/run/flannel",
    ] {
        if world.host.stat(directory).await? != FileState::Absent {
            world.host.remove_directory(directory, true).await?;
        }
    }
    // the kubelet leaves its empty control groups behind; a group that still holds a process refuses to go
    let groups = [
        "/sys/fs/cgroup",
        "-depth",
        "-type",
        "d",
        "-path",
        "*/kubepods*",
        "-exec",
        "rmdir",
        "{}",
        ";",
    ];
    world.host.run(Command::new("find", groups)).await?;
    for table in ["ip", "ip6"] {
        // absent where kube-proxy never ran: the failure is the wanted state
        world
            .host
            .run(Command::new("nft", ["delete", "table", table, "kube-proxy"]))
            .await?;
    }
    for tool in ["iptables", "ip6tables"] {
        remove_rules(world, tool).await?;
    }
    for link in ["openg2p0", "kube-bridge", "kube-ipvs0", "kube-dummy-if"] {
        world
            .host
            .run(Command::new("ip", ["link", "delete", link]))
            .await?;
    }
    let sets = world.host.run(Command::new("ipset", ["list", "-name"])).await?;
    for set in sets.stdout.lines().filter(|name| is_kubernetes_set(name)) {
        world.host.run(Command::new("ipset", ["destroy", set])).await?;
    }
    Ok(())
}

/// kube-router's sets: KUBE-SRC-, KUBE-DST-, kube-router-.
fn is_kubernetes_set(name: &str) -> bool {
    let name = name.strip_prefix("inet6:").unwrap_or(name);
    name.starts_with("KUBE-") || name.starts_with("kube-router-")
}

/// Removes the chains of Kubernetes' own programs (`KUBE-…`, and CNI's `CNI-…`) and the rules that lead to them; every other
/// rule stays as it is.
async fn remove_rules(world: &World, tool: &str) -> Result<(), PortError> {
    let saved = world
        .host
        .run(Command::new(&format!("{tool}-save"), [] as [&str; 0]))
        .await?;
    for command in removal_commands(&saved.stdout) {
        let mut arguments = vec!["-w".to_owned(), "5".to_owned()];
        arguments.extend(command);
        world.host.run(Command::new(tool, arguments)).await?;
    }
    Ok(())
}

fn is_kubernetes_chain(name: &str) -> bool {
    name.starts_with("KUBE-") || name.starts_with("CNI-")
}

/// The commands that take Kubernetes' chains out of a saved rule set, in an order that works: first the rules that
/// jump to them, then flushing, then deleting.
fn removal_commands(saved: &str) -> Vec<Vec<String>> {
    let mut table = String::new();
    let (mut jumps, mut flushes, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(chain) = line.strip_prefix(':') {
            let chain = chain.split_whitespace().next().unwrap_or_default();
            if is_kubernetes_chain(chain) {
                flushes.push(vec!["-t".into(), table.clone(), "-F".into(), chain.to_owned()]);
                deletes.push(vec!["-t".into(), table.clone(), "-X".into(), chain.to_owned()]);
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let words = split_words(rule);
            let from = words.first().map(String::as_str).unwrap_or_default();
            let target = words
                .iter()
                .position(|word| word == "-j")
                .and_then(|at| words.get(at + 1));
            let ours = target.is_some_and(|target| is_kubernetes_chain(target));
            let commented = words.iter().any(|word| word.starts_with("kube-router"));
            if (ours || commented) && !is_kubernetes_chain(from) {
                let mut command = vec!["-t".to_owned(), table.clone(), "-D".to_owned()];
                command.extend(words);
                jumps.push(command);
            }
        }
    }
    jumps.into_iter().chain(flushes).chain(deletes).collect()
}

/// Splits a line of iptables-save, which quotes comments with double quotes and backslashes.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut any) = (false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            '\\' if quoted => word.extend(letters.next()),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            letter => word.push(letter),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chains_of_kubernetes_are_taken_out() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-ROUTER-INPUT - [0:0]\n:MINE - [0:0]\n\
                     -A INPUT -m comment --comment \"kube-router netpol - 4IA\" -j KUBE-ROUTER-INPUT\n\
                     -A INPUT -s 10.0.0.0/8 -j MINE\n-A KUBE-ROUTER-INPUT -j RETURN\nCOMMIT\n";
        let commands: Vec<String> = removal_commands(saved)
            .iter()
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(
            commands,
            [
                "-t filter -D INPUT -m comment --comment kube-router netpol - 4IA -j KUBE-ROUTER-INPUT",
                "-t filter -F KUBE-ROUTER-INPUT",
                "-t filter -X KUBE-ROUTER-INPUT",
            ]
        );
    }
}
