//! Who reaches whom inside the cluster: real connections from pods, each way with a control that it would be seen.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::tally::Tally;
use crate::product::Site;

/// Ends of connections in an environment: service and port.
const TARGETS: [(&str, u16); 6] = [
    ("postgresql", 5432),
    ("redis", 6379),
    ("partner-keys", 8080),
    ("spar-mapper", 8000),
    ("g2p-bridge-api", 8000),
    ("example-bank-api", 8000),
];

/// Connects to each `name=address:port` of its arguments and says what became of it. First come those that must be open, which begin with
/// `+`: they are tried until they are, for a new pod is let through only when its node has heard of it. Then its policies are in force, and
/// the others are tried for a while.
const PROBE: &str = "import socket, sys, time
from concurrent.futures import ThreadPoolExecutor
def probe(target, patience):
    name, place = target.split('=')
    address, port = place.rsplit(':', 1)
    end = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((address, int(port)), timeout=4).close()
            return name + ' open'
        except OSError as error:
            why = str(error)
        if time.monotonic() > end:
            return name + ' closed (' + why + ')'
        time.sleep(0.5)
with ThreadPoolExecutor(16) as pool:
    wanted = [target[1:] for target in sys.argv[1:] if target[0] == '+']
    others = [target for target in sys.argv[1:] if target[0] != '+']
    print('\\n'.join(pool.map(lambda target: probe(target, 60), wanted)))
    print('\\n'.join(pool.map(lambda target: probe(target, 6), others)))
";

/// A pod from which connections are tried, and what of [`TARGETS`] it must reach.
struct Prober {
    name: &'static str,
    namespace: String,
    /// The chart and the component that it claims to be; none for a stranger.
    component: Option<(&'static str, &'static str)>,
    reaches: &'static [&'static str],
}

/// Tries all ways.
pub(crate) fn run(site: &Site, tally: &Tally<'_>, environment: &str) {
    let ended = all(site, tally, environment);
    if let Err(error) = ended {
        tally.fail("connections between pods could be tried", &error);
    }
    // Whatever was made goes again; what was not made is not there.
    let namespace = format!("{environment} openg2p-stranger");
    for namespace in namespace.split(' ') {
        let _ = site.kubectl(&format!(
            "delete pod --namespace {namespace} --selector probe --wait --timeout=60s"
        ));
    }
    let _ = site.kubectl("delete namespace openg2p-stranger --wait --timeout=60s");
    let _ = site.kubectl("delete service --namespace kube-system openg2p-node-port");
}

fn all(site: &Site, tally: &Tally<'_>, environment: &str) -> anyhow::Result<()> {
    let image = site.kubectl(&format!(
        "get deployment --namespace {environment} g2p-bridge-api -o 'jsonpath={{.spec.template.spec.containers[0].image}}'"
    ))?;
    apply(
        site,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "openg2p-stranger"}}),
    )?;
    let own = || environment.to_owned();
    let probers = [
        Prober {
            name: "a-stranger",
            namespace: own(),
            component: None,
            reaches: &[],
        },
        Prober {
            name: "another-namespace",
            namespace: "openg2p-stranger".into(),
            component: Some(("g2p-bridge", "g2p-bridge-workers")),
            reaches: &[],
        },
        Prober {
            name: "the-bank",
            namespace: own(),
            component: Some(("example-bank", "example-bank-celery")),
            reaches: &["postgresql", "redis", "g2p-bridge-api"],
        },
        Prober {
            name: "the-workers",
            namespace: own(),
            component: Some(("g2p-bridge", "g2p-bridge-workers")),
            reaches: &["postgresql", "redis", "spar-mapper", "example-bank-api"],
        },
        Prober {
            name: "spar",
            namespace: own(),
            component: Some(("spar", "spar-mapper")),
            reaches: &["postgresql", "partner-keys"],
        },
        Prober {
            name: "the-self-service",
            namespace: own(),
            component: Some(("spar", "spar-self-service")),
            reaches: &["postgresql", "spar-mapper"],
        },
    ];
    let mut targets = Vec::new();
    for (service, port) in TARGETS {
        let address = site.kubectl(&format!(
            "get endpoints --namespace {environment} {service} -o 'jsonpath={{.subsets[0].addresses[0].ip}}'"
        ))?;
        ensure!(
            !address.trim().is_empty(),
            "service {service} has no pod behind it"
        );
        targets.push(format!("{service}={}:{port}", address.trim()));
    }
    for prober in &probers {
        apply(site, &pod(prober, image.trim(), &targets))?;
    }
    for prober in &probers {
        let seen = outcome(site, prober)?;
        let wrong: Vec<String> = TARGETS
            .iter()
            .filter_map(|(service, _)| {
                let open = *seen.get(*service)?;
                let wanted = prober.reaches.contains(service);
                (open != wanted).then(|| format!("{service} is {}", if open { "open" } else { "closed" }))
            })
            .collect();
        let all = seen.len() == TARGETS.len();
        let name = prober.name.replace('-', " ");
        let what = if prober.reaches.is_empty() {
            format!("a pod of {name} reaches nothing")
        } else {
            format!(
                "a pod of {name} reaches {}, and nothing else",
                prober.reaches.join(", ")
            )
        };
        tally.check(&what, {
            if !all {
                Err(anyhow::anyhow!("only {seen:?} was tried"))
            } else if wrong.is_empty() {
                Ok(())
            } else {
                Err(anyhow::anyhow!("{}", wrong.join(", ")))
            }
        });
    }
    node_port(site, tally)
}

/// A node port that leads somewhere is reached on the host and not from outside.
fn node_port(site: &Site, tally: &Tally<'_>) -> anyhow::Result<()> {
    let port = 31_999;
    apply(
        site,
        &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "openg2p-node-port", "namespace": "kube-system"},
            "spec": {"type": "NodePort", "selector": {"k8s-app": "kube-dns"},
                "ports": [{"port": 9153, "targetPort": 9153, "nodePort": port, "protocol": "TCP"}]}}),
    )?;
    let address = site.host()?.address;
    // kube-proxy needs a moment for its rules
    let within = site.on_host(&format!(
        "for try in $(seq 1 50); do timeout 1 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo open && exit 0; sleep 0.2; done; echo closed"
    ))?;
    ensure!(
        within.trim() == "open",
        "the node port is not reached on the host itself, so its being closed would show nothing"
    );
    let outside = std::net::TcpStream::connect_timeout(
        &std::net::SocketAddr::new(std::net::IpAddr::V4(address), port),
        std::time::Duration::from_secs(2),
    );
    tally.check("a node port that leads somewhere is closed to the outside", {
        outside
            .is_err()
            .then_some(())
            .context("it is reached from outside")
    });
    Ok(())
}

fn apply(site: &Site, manifest: &Value) -> anyhow::Result<()> {
    let text = manifest.to_string();
    ensure!(
        !text.contains("END-OF-MANIFEST"),
        "the manifest holds its own end"
    );
    let script = format!(
        "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache apply -f - <<'END-OF-MANIFEST'\n{text}\nEND-OF-MANIFEST"
    );
    site.on_host(&script).map(drop)
}

fn pod(prober: &Prober, image: &str, targets: &[String]) -> Value {
    let mut labels = BTreeMap::from([("probe", prober.name)]);
    if let Some((chart, component)) = prober.component {
        // as the charts label their pods: release and chart have one name
        labels.insert("app.kubernetes.io/name", chart);
        labels.insert("app.kubernetes.io/instance", chart);
        labels.insert("app.kubernetes.io/part-of", "openg2p");
        labels.insert("app.kubernetes.io/component", component);
    }
    let mut command = vec!["python".to_owned(), "-c".into(), PROBE.into()];
    command.extend(targets.iter().map(|target| {
        let wanted = prober
            .reaches
            .iter()
            .any(|service| target.split('=').next() == Some(*service));
        format!("{}{target}", if wanted { "+" } else { "" })
    }));
    json!({"apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": format!("probe-{}", prober.name), "namespace": prober.namespace, "labels": labels},
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "probe", "image": image, "imagePullPolicy": "Never", "command": command,
            // never ready: the Service of the component that it claims to be must not send anybody here
            "readinessProbe": {"exec": {"command": ["false"]}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
        }],
    }})
}

/// What the pod said: service and whether it is open.
fn outcome(site: &Site, prober: &Prober) -> anyhow::Result<BTreeMap<String, bool>> {
    let place = format!("--namespace {} pod/probe-{}", prober.namespace, prober.name);
    site.kubectl(&format!(
        "wait {place} --for=jsonpath='{{.status.phase}}'=Succeeded --timeout=150s"
    ))
    .with_context(|| format!("the pod that is {}", prober.name))?;
    let log = site.kubectl(&format!(
        "logs --namespace {} probe-{}",
        prober.namespace, prober.name
    ))?;
    let mut seen = BTreeMap::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some(name), Some("open")) => drop(seen.insert(name.to_owned(), true)),
            (Some(name), Some("closed")) => drop(seen.insert(name.to_owned(), false)),
            _ => bail!("the pod that is {} said: {log}", prober.name),
        }
    }
    Ok(seen)
}
