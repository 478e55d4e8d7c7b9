//! Gathers what the doctor's rules judge. Looks only.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use openg2p_doctor::{
    CertificateFact, ClusterFact, Drift, EventFact, Facts, NameFact, UnitFact, WorkloadFact,
};
use openg2p_kinds::certificate_life;
use openg2p_plan::{Action, Entry, Ledger, Verdict};
use openg2p_ports::{Cluster, Command, ObjectRef, Readiness, World};

use crate::{Situation, workloads};

/// What Kubernetes itself rests on besides ours.
const API_CERTIFICATE: &str = "/etc/kubernetes/pki/apiserver.crt";
/// Events beyond so many say nothing new.
const EVENTS: usize = 200;

/// Looks at all that a site on this lead node rests on. `edge` is the address to which its host names should lead, `clock` the
/// operator's, in seconds since 1970 (0 where it is not known).
pub async fn examine(world: &World, ledger: &Ledger, situation: &Situation, edge: &str, clock: i64) -> Facts {
    let mut facts = Facts {
        node: world.host.name().to_owned(),
        clock,
        drift: drifts(situation),
        ..Facts::default()
    };
    match world.host.facts().await {
        Ok(host) => facts.host = host,
        Err(error) => {
            // nothing is concluded from a machine that was not seen
            facts.host.disk_free = u64::MAX;
            facts.clock = 0;
            facts.unread.push(error.to_string());
        }
    }
    look_at_units(world, ledger, &mut facts).await;
    look_at_certificates(world, ledger, &mut facts).await;
    look_at_names(world, ledger, edge, &mut facts).await;
    look_at_cluster(world, ledger, &mut facts).await;
    facts
}

fn drifts(situation: &Situation) -> Vec<Drift> {
    let found = situation.assessed.iter().filter_map(|item| {
        let resource = item.resource.id.to_string();
        let (word, why) = match &item.verdict {
            // what cannot be read has a trouble of its own
            Verdict::Same | Verdict::Unknown(_) => return None,
            Verdict::Create => ("create", "it is not there".to_owned()),
            Verdict::Update(changes) => {
                let fields: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
                ("update", format!("{} differs", fields.join(", ")))
            }
            Verdict::Replace(why) => ("replace", why.clone()),
            Verdict::Conflict(why) => ("refused", why.clone()),
        };
        Some(Drift {
            step: format!("{word} {resource}"),
            resource,
            why,
        })
    });
    let left = situation.orphans.iter().map(|owned| Drift {
        resource: owned.entry.resource.to_string(),
        step: format!("{} {}", Action::Remove.verb(), owned.entry.resource),
        why: "the site file does not ask for it any more".into(),
    });
    found.chain(left).collect()
}

fn of_kind<'a>(ledger: &'a Ledger, kind: &'a str) -> impl Iterator<Item = &'a Entry> {
    ledger
        .entries
        .values()
        .filter(move |entry| entry.resource.kind() == kind)
}

fn text<'a>(entry: &'a Entry, key: &str) -> &'a str {
    entry.desired[key].as_str().unwrap_or_default()
}

async fn look_at_units(world: &World, ledger: &Ledger, facts: &mut Facts) {
    let mut units: BTreeSet<String> = of_kind(ledger, "systemd-unit")
        .filter(|entry| text(entry, "state") == "running")
        .map(|entry| text(entry, "unit").to_owned())
        .collect();
    if of_kind(ledger, "kubernetes-cluster").next().is_some() {
        // kubeadm starts it, so that its own resource only enables it
        units.insert("kubelet.service".into());
    }
    for unit in units {
        match world.host.unit(&unit).await {
            Ok(state) => facts.units.push(UnitFact { unit, state }),
            Err(error) => facts.unread.push(error.to_string()),
        }
    }
}

async fn look_at_certificates(world: &World, ledger: &Ledger, facts: &mut Facts) {
    let own = of_kind(ledger, "certificate").map(|entry| format!("{}.crt", text(entry, "path")));
    let authorities = of_kind(ledger, "certificate-authority")
        .map(|entry| format!("{}/authority.crt", text(entry, "directory")));
    let paths: Vec<String> = own
        .chain(authorities)
        .chain(std::iter::once(API_CERTIFICATE.to_owned()))
        .collect();
    for path in paths {
        match world.host.read(&path).await {
            Ok(Some(bytes)) => {
                if let Some((not_before, not_after)) = certificate_life(&bytes) {
                    facts.certificates.push(CertificateFact {
                        path,
                        not_before,
                        not_after,
                    });
                }
            }
            // a file that is not there is drift, and told as that
            Ok(None) => {}
            Err(error) => facts.unread.push(error.to_string()),
        }
    }
}

async fn look_at_names(world: &World, ledger: &Ledger, edge: &str, facts: &mut Facts) {
    let names: BTreeSet<String> = of_kind(ledger, "certificate")
        .flat_map(|entry| entry.desired["names"].as_array().into_iter().flatten())
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let looks = names.into_iter().map(|name| async move {
        let command = Command::new("getent", ["ahosts", &name]).deadline(10);
        (world.host.run(command).await, name)
    });
    for (output, name) in join_all(looks).await {
        match output {
            // 2: getent found no such name
            Ok(output) if matches!(output.status, Some(0 | 2)) => {
                let mut found: Vec<String> = output
                    .stdout
                    .lines()
                    .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
                    .collect();
                found.dedup();
                facts.names.push(NameFact {
                    name,
                    wanted: edge.to_owned(),
                    found,
                });
            }
            Ok(output) => facts
                .unread
                .push(format!("getent ahosts {name}: {}", output.stderr.trim())),
            Err(error) => facts.unread.push(error.to_string()),
        }
    }
}

async fn look_at_cluster(world: &World, ledger: &Ledger, facts: &mut Facts) {
    let cluster = world.cluster.as_ref();
    facts.cluster = match cluster.reachable().await {
        Ok(Some(_)) => ClusterFact::Answers,
        Ok(None) => ClusterFact::Absent,
        Err(error) => ClusterFact::Silent(error.to_string()),
    };
    if facts.cluster != ClusterFact::Answers {
        return;
    }
    for workload in workloads(cluster, ledger).await {
        // what is absent is drift, and told as that
        if matches!(workload.state.as_str(), "ready" | "absent") {
            continue;
        }
        let name = workload.object.split_once(' ').map_or("", |(_, name)| name);
        facts.workloads.push(WorkloadFact {
            namespace: name
                .split_once('/')
                .map_or("", |(namespace, _)| namespace)
                .to_owned(),
            object: workload.object,
            why: workload.why,
        });
    }
    let names = ObjectRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        namespace: Some("kube-system".into()),
        name: "coredns".into(),
    };
    if let Ok(Some(_)) = cluster.get(&names).await
        && let Ok(Readiness::Waiting(openg2p_ports::Waiting(why)) | Readiness::Stuck(why)) =
            cluster.readiness(&names).await
    {
        facts.workloads.push(WorkloadFact {
            namespace: "kube-system".into(),
            object: names.to_string(),
            why,
        });
    }
    match cluster.list("v1", "Event", None, None).await {
        Ok(events) => {
            let warnings = events.iter().filter(|event| event.0["type"] == "Warning");
            let mut met: BTreeMap<ObjectRef, bool> = BTreeMap::new();
            for event in warnings.take(EVENTS) {
                let field = |pointer: &str| {
                    let text = event.0.pointer(pointer).and_then(serde_json::Value::as_str);
                    text.unwrap_or_default().to_owned()
                };
                let object = ObjectRef {
                    api_version: field("/involvedObject/apiVersion"),
                    kind: field("/involvedObject/kind"),
                    namespace: Some(field("/involvedObject/namespace")).filter(|it| !it.is_empty()),
                    name: field("/involvedObject/name"),
                };
                let suffers = match met.get(&object) {
                    Some(suffers) => *suffers,
                    None => suffers(cluster, &object).await,
                };
                if suffers {
                    facts.events.push(EventFact {
                        object: object.to_string(),
                        reason: field("/reason"),
                        message: field("/message"),
                    });
                }
                met.insert(object, suffers);
            }
        }
        Err(error) => facts.unread.push(error.to_string()),
    }
}

/// Whether what a warning is about is there and not ready. Kubernetes keeps warnings for an hour: most pods of a new
/// cluster have one of a moment before what they mount was made, and run since.
async fn suffers(cluster: &dyn Cluster, object: &ObjectRef) -> bool {
    match cluster.get(object).await {
        Ok(Some(_)) => !matches!(cluster.readiness(object).await, Ok(Readiness::Ready)),
        Ok(None) => false,
        // what cannot be looked at may well suffer
        Err(_) => true,
    }
}
