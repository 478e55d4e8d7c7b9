//! `openg2p verify` on the lead node: through the edge's own address, with the environment's own keys.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_ports::{Cluster, ObjectRef, PortError};
use openg2p_run::{EventKind, Sink};
use openg2p_verify::{Event, Hosts, Options, Overall, Signer};
use openg2p_world::{BankBooks, HttpsEdge, KubernetesApi, SystemClock, SystemRandom};

use crate::paths;

pub(crate) struct Wish {
    pub(crate) environment: String,
    pub(crate) domain: String,
    pub(crate) edge: IpAddr,
    pub(crate) beneficiaries: u32,
    pub(crate) deadline: u64,
}

async fn object(
    cluster: &dyn Cluster,
    kind: &str,
    environment: &str,
    name: &str,
) -> Result<serde_json::Value, PortError> {
    let reference = ObjectRef {
        api_version: "v1".into(),
        kind: kind.into(),
        namespace: Some(environment.into()),
        name: name.into(),
    };
    match cluster.get(&reference).await? {
        Some(object) => Ok(object.0),
        None => Err(PortError::new(
            "verify::missing",
            format!("read {reference}"),
            environment,
            "it is not there",
        )
        .hint("`openg2p status` tells what is missing, `openg2p apply` makes it")),
    }
}

/// The bytes under a key of a Secret.
async fn secret(
    cluster: &dyn Cluster,
    environment: &str,
    name: &str,
    key: &str,
) -> Result<Vec<u8>, PortError> {
    let object = object(cluster, "Secret", environment, name).await?;
    let encoded = object["data"][key].as_str().unwrap_or_default();
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    if bytes.is_empty() {
        return Err(PortError::new(
            "verify::missing",
            format!("read Secret {name}"),
            environment,
            format!("it has no `{key}`"),
        ));
    }
    Ok(bytes)
}

/// Runs the check, tells its progress, and gives whether everything was as it should be.
pub(crate) async fn run(node: &str, wish: &Wish, sink: &dyn Sink) -> Result<bool, PortError> {
    let environment = wish.environment.as_str();
    let cluster = KubernetesApi::new(paths::KUBECONFIG);
    if cluster.reachable().await?.is_none() {
        return Err(PortError::new(
            "verify::no-cluster",
            "verify",
            node,
            "there is no Kubernetes on this host",
        )
        .hint("make the site first: `openg2p apply`"));
    }
    let host = |name: &str| format!("{name}.{}", wish.domain);
    let hosts = Hosts {
        spar: host("spar"),
        bridge: host("g2p-bridge"),
    };
    let authority = std::fs::read(paths::AUTHORITY).map_err(|error| {
        PortError::new(
            "verify::authority",
            "read the site's authority",
            paths::AUTHORITY,
            error.to_string(),
        )
    })?;
    let edge = HttpsEdge::new(wish.edge, &[&hosts.spar, &hosts.bridge], &authority)?;
    let key = secret(&cluster, environment, "openg2p-verify-signing", "private-key.pem").await?;
    let signer = Signer::from_pem(&String::from_utf8_lossy(&key)).map_err(|error| {
        PortError::new(
            "verify::key",
            "read the signing key",
            environment,
            error.to_string(),
        )
    })?;
    let user = secret(&cluster, environment, "example-bank-database", "username").await?;
    let user = String::from_utf8_lossy(&user).into_owned();
    let password = secret(&cluster, environment, "example-bank-database", "password").await?;
    let service = object(&cluster, "Service", environment, "postgresql").await?;
    let books = book_address(&service, environment)?;
    // the naming function gives database and role the same name
    let books = BankBooks::open(&books, &user, &user, &password).await?;

    let mut options = Options::new(environment, hosts);
    options.beneficiaries = wish.beneficiaries;
    options.deadline = Duration::from_secs(wish.deadline);
    let mut events = |event: Event| match event {
        Event::Progress {
            phase,
            done,
            of,
            doing,
        } => {
            sink.emit(EventKind::Message {
                text: format!("{}: {done} of {of}, {doing}", phase.title()),
            });
        }
        Event::PhaseEnded { time } => {
            #[expect(clippy::cast_precision_loss, reason = "seconds with one decimal")]
            let seconds = time.took_ms as f64 / 1000.0;
            sink.emit(EventKind::Message {
                text: format!("{} ({seconds:.1} s)", time.phase.title()),
            });
        }
        Event::PhaseBegan { .. } | Event::Checked { .. } => {}
    };
    let (clock, random) = (SystemClock::default(), SystemRandom);
    let report = openg2p_verify::verify(&options, &signer, &edge, &books, &clock, &random, &mut events)
        .await
        .map_err(|error| PortError::new("verify::options", "verify", environment, error.to_string()))?;
    let passed = report.overall == Overall::Passed;
    let value = serde_json::to_value(&report).unwrap_or_default();
    sink.emit(EventKind::Result { value });
    Ok(passed)
}

fn book_address(service: &serde_json::Value, environment: &str) -> Result<String, PortError> {
    match service["spec"]["clusterIP"].as_str() {
        Some(address) if address != "None" && !address.is_empty() => Ok(address.to_owned()),
        _ => Err(PortError::new(
            "verify::books",
            "find the database",
            environment,
            "Service postgresql has no cluster address",
        )),
    }
}
