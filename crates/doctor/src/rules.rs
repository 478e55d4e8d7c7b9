//! The rules: from facts to troubles that point to each other.

use std::collections::BTreeMap;

use crate::words::{Hint, first_line, hint};
use crate::{Advice, ClusterFact, Facts, Trouble};

/// Below this, containerd cannot unpack an image and a database cannot grow; the kubelet evicts at 10 % or less.
const LITTLE_DISK: u64 = 2_000_000_000;
/// Certificates made an hour ahead are not valid yet; tokens and signatures are refused after minutes.
const SKEW: i64 = 120;
const DAY: i64 = 86_400;
/// The engine renews a certificate with a third of its life left; below this, nobody has applied for long.
const SOON: i64 = 21 * DAY;

type Troubles = BTreeMap<String, Trouble>;

fn advice(command: impl Into<String>, why: &str) -> Advice {
    Advice {
        command: command.into(),
        why: why.into(),
    }
}

fn apply() -> Advice {
    advice(
        "openg2p apply",
        "mends what differs from the site file; it shows its plan first",
    )
}

/// Steps of the present plan whose resources satisfy `wanted`.
fn steps(facts: &Facts, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    facts
        .drift
        .iter()
        .filter(|drift| wanted(&drift.resource))
        .map(|drift| drift.step.clone())
        .collect()
}

pub(crate) fn troubles(facts: &Facts) -> Troubles {
    let mut found = Troubles::new();
    machine(facts, &mut found);
    certificates(facts, &mut found);
    names(facts, &mut found);
    units(facts, &mut found);
    cluster(facts, &mut found);
    workloads(facts, &mut found);
    events(facts, &mut found);
    drift(facts, &mut found);
    found
}

fn machine(facts: &Facts, found: &mut Troubles) {
    let free = facts.host.disk_free;
    if free < LITTLE_DISK {
        let trouble = Trouble {
            code: "doctor::disk",
            words: format!("/var/lib has {} MB free", free / 1_000_000),
            place: facts.node.clone(),
            because: Vec::new(),
            advice: vec![
                advice(
                    "du -xh --max-depth=2 /var/lib /var/log | sort -h | tail",
                    "on that host: tells what takes the room",
                ),
                advice(
                    "openg2p status",
                    "tells when everything runs again; evicted pods come back by themselves",
                ),
            ],
            steps: Vec::new(),
        };
        found.insert("disk".into(), trouble);
    }
    let skew = facts.host.clock - facts.clock;
    if facts.clock != 0 && skew.abs() > SKEW {
        let way = if skew > 0 { "ahead of" } else { "behind" };
        let trouble = Trouble {
            code: "doctor::clock",
            words: format!("its clock is {} s {way} this machine's", skew.abs()),
            place: facts.node.clone(),
            because: Vec::new(),
            advice: vec![advice(
                "timedatectl set-ntp true",
                "on that host: lets the clock follow a time server; then `openg2p doctor` again",
            )],
            steps: Vec::new(),
        };
        found.insert("clock".into(), trouble);
    }
}

fn certificates(facts: &Facts, found: &mut Troubles) {
    for certificate in &facts.certificates {
        let now = facts.host.clock;
        let left = certificate.not_after - now;
        let words = if left < 0 {
            format!("the certificate expired {} days ago", -left / DAY)
        } else if certificate.not_before > now {
            "the certificate is not valid yet".to_owned()
        } else if left < SOON {
            format!("the certificate expires in {} days", left / DAY)
        } else {
            continue;
        };
        let kubernetes = certificate.path.starts_with("/etc/kubernetes/");
        let help = if kubernetes {
            advice(
                "kubeadm certs renew all",
                "on that host, as root; then restart the control plane's pods",
            )
        } else {
            apply()
        };
        let stem = certificate.path.trim_end_matches(".crt").rsplit('/').next();
        let name = stem.unwrap_or_default().to_owned();
        let trouble = Trouble {
            code: "doctor::certificate",
            words,
            place: certificate.path.clone(),
            because: vec!["clock".into()],
            advice: vec![help],
            steps: steps(facts, |id| id.starts_with("certificate") && id.ends_with(&name)),
        };
        found.insert(format!("certificate {}", certificate.path), trouble);
    }
}

fn names(facts: &Facts, found: &mut Troubles) {
    for name in &facts.names {
        if name.found.contains(&name.wanted) {
            continue;
        }
        let words = if name.found.is_empty() {
            "the name does not exist in DNS".to_owned()
        } else {
            format!("the name leads to {}, not to the edge", name.found.join(", "))
        };
        let trouble = Trouble {
            code: "doctor::dns",
            words,
            place: name.name.clone(),
            because: Vec::new(),
            advice: vec![advice(
                format!("{}. A {}", name.name, name.wanted),
                "this record is missing where the site's domain is kept, or in /etc/hosts of the devices",
            )],
            steps: Vec::new(),
        };
        found.insert(format!("name {}", name.name), trouble);
    }
}

fn units(facts: &Facts, found: &mut Troubles) {
    for unit in &facts.units {
        if unit.state.active == "active" {
            continue;
        }
        let because = match unit.unit.as_str() {
            "kubelet.service" => vec!["unit containerd.service".to_owned(), "disk".into()],
            _ => vec!["disk".to_owned()],
        };
        let trouble = Trouble {
            code: "doctor::unit",
            words: format!(
                "the unit is {} ({})",
                or_unknown(&unit.state.active),
                or_unknown(&unit.state.load)
            ),
            place: unit.unit.clone(),
            because,
            advice: vec![
                apply(),
                advice(
                    format!("journalctl --no-pager --lines=30 --unit {}", unit.unit),
                    "on that host: tells its last words",
                ),
            ],
            steps: steps(facts, |id| id.ends_with(&unit.unit)),
        };
        found.insert(format!("unit {}", unit.unit), trouble);
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn cluster(facts: &Facts, found: &mut Troubles) {
    let ClusterFact::Silent(why) = &facts.cluster else {
        return;
    };
    let mut because = vec![
        "unit containerd.service".to_owned(),
        "unit kubelet.service".into(),
        "disk".into(),
    ];
    because.extend(
        facts
            .certificates
            .iter()
            .filter(|certificate| certificate.path.starts_with("/etc/kubernetes/"))
            .map(|certificate| format!("certificate {}", certificate.path)),
    );
    let trouble = Trouble {
        code: "doctor::api",
        words: format!("the Kubernetes API does not answer: {}", first_line(why)),
        place: facts.node.clone(),
        because,
        advice: vec![advice(
            "crictl ps --all --name kube-apiserver",
            "on that host: tells whether the API server runs, `crictl logs` why not",
        )],
        steps: Vec::new(),
    };
    found.insert("api".into(), trouble);
}

/// Whether a workload is the database of its environment.
fn is_database(object: &str) -> bool {
    object.ends_with("/postgresql")
}

fn is_names(object: &str) -> bool {
    object.ends_with("/coredns")
}

/// What explains a message of something in `namespace`; adds troubles that the message itself is the only sign of.
fn explained(facts: &Facts, namespace: &str, message: &str, found: &mut Troubles) -> Vec<String> {
    let workload = |named: fn(&str) -> bool| {
        facts
            .workloads
            .iter()
            .filter(move |workload| named(&workload.object))
            .filter(move |workload| workload.namespace == namespace || is_names(&workload.object))
            .map(|workload| format!("workload {}", workload.object))
            .collect::<Vec<_>>()
    };
    match hint(message) {
        Some(Hint::Disk) => {
            // the kubelet or a database met a full disk, even if there is room again
            found.entry("disk".into()).or_insert_with(|| Trouble {
                code: "doctor::disk",
                words: "there was no room on the disk".into(),
                place: facts.node.clone(),
                because: Vec::new(),
                advice: vec![advice(
                    "df -h /var/lib",
                    "on that host: tells how much room there is",
                )],
                steps: Vec::new(),
            });
            vec!["disk".into()]
        }
        Some(Hint::Memory) => {
            found.entry("memory".into()).or_insert_with(|| Trouble {
                code: "doctor::memory",
                words: format!("{} MB of memory are not enough", facts.host.memory / 1_000_000),
                place: facts.node.clone(),
                because: Vec::new(),
                advice: vec![advice(
                    "openg2p show --effective",
                    "shows each component's size: choose a smaller profile, or give the host more memory",
                )],
                steps: Vec::new(),
            });
            vec!["memory".into()]
        }
        Some(Hint::Names) => workload(is_names),
        Some(Hint::Certificate) => std::iter::once("clock".to_owned())
            .chain(
                facts
                    .certificates
                    .iter()
                    .map(|certificate| format!("certificate {}", certificate.path)),
            )
            .collect(),
        Some(Hint::Database) => workload(is_database),
        Some(Hint::Image) => missing(facts, "image", "doctor::image", message, found, |id| {
            id.starts_with("container-image/")
        }),
        Some(Hint::Object) => missing(facts, "object", "doctor::object", message, found, |id| {
            let quoted = message.split('"').nth(1).or_else(|| message.rsplit('/').next());
            let name = quoted.unwrap_or_default();
            id.starts_with("kubernetes-") && !name.is_empty() && id.ends_with(&format!("/{name}"))
        }),
        None => Vec::new(),
    }
}

/// Something that a message says is missing: the plan knows whether it can be made again.
fn missing(
    facts: &Facts,
    sort: &str,
    code: &'static str,
    message: &str,
    found: &mut Troubles,
    wanted: impl Fn(&str) -> bool,
) -> Vec<String> {
    let steps = steps(facts, wanted);
    let words = first_line(message);
    let key = format!(
        "{sort} {}",
        if steps.is_empty() {
            words.clone()
        } else {
            steps.join(" ")
        }
    );
    let refused = steps.iter().any(|step| step.starts_with("refused"));
    let help = if refused {
        advice(
            "openg2p plan",
            "tells why the engine does not make it again, and what a person can do",
        )
    } else {
        apply()
    };
    found.entry(key.clone()).or_insert_with(|| Trouble {
        code,
        words: format!("something that it needs is missing: {words}"),
        place: facts.node.clone(),
        because: vec!["disk".into()],
        advice: vec![help],
        steps,
    });
    vec![key]
}

fn workloads(facts: &Facts, found: &mut Troubles) {
    for workload in &facts.workloads {
        let mut because = explained(facts, &workload.namespace, &workload.why, found);
        let key = format!("workload {}", workload.object);
        because.retain(|other| *other != key);
        because.push("api".into());
        let name = workload.object.rsplit('/').next().unwrap_or_default().to_owned();
        let code = if is_database(&workload.object) {
            "doctor::database"
        } else if is_names(&workload.object) {
            "doctor::cluster-dns"
        } else {
            "doctor::workload"
        };
        let trouble = Trouble {
            code,
            words: first_line(&workload.why),
            place: workload.object.clone(),
            because,
            advice: vec![
                advice(
                    "openg2p plan",
                    "tells whether it differs from what the site file asks for",
                ),
                advice(
                    format!("kubectl --namespace {} describe pods", workload.namespace),
                    "on the lead node: tells what its pods say",
                ),
            ],
            steps: steps(facts, |id| {
                id.starts_with("kubernetes-object/") && id.ends_with(&format!("/{name}"))
            }),
        };
        found.insert(key, trouble);
    }
}

fn events(facts: &Facts, found: &mut Troubles) {
    for event in &facts.events {
        let namespace = event
            .object
            .split_once(' ')
            .and_then(|(_, name)| name.split_once('/'))
            .map_or("", |(namespace, _)| namespace);
        // an event alone is no trouble: it may be long over, and pods that recovered leave many
        let text = format!("{}: {}", event.reason, event.message);
        let because = explained(facts, namespace, &text, found);
        if because.is_empty() {
            continue;
        }
        let trouble = Trouble {
            code: "doctor::event",
            words: first_line(&text),
            place: event.object.clone(),
            because,
            advice: Vec::new(),
            steps: Vec::new(),
        };
        found
            .entry(format!("event {} {}", event.object, event.reason))
            .or_insert(trouble);
    }
}

/// What differs from the site file and is named by no other trouble yet.
fn drift(facts: &Facts, found: &mut Troubles) {
    let told: Vec<String> = found.values().flat_map(|trouble| trouble.steps.clone()).collect();
    let left: Vec<&crate::Drift> = facts
        .drift
        .iter()
        .filter(|drift| !told.contains(&drift.step))
        .collect();
    let Some(first) = left.first() else { return };
    let more = match left.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let trouble = Trouble {
        code: "doctor::drift",
        words: format!("differs from the site file: {}{more}", first_line(&first.why)),
        place: first.resource.clone(),
        because: vec!["api".into()],
        advice: vec![advice("openg2p plan", "shows each difference"), apply()],
        steps: left.iter().map(|drift| drift.step.clone()).collect(),
    };
    found.insert("drift".into(), trouble);
}
