//! A certificate for one of our own senders, registered with the environment's verifier of signatures.
//!
//! Desired: `namespace`, `secret` and `key` (where its private key is), `configMap` and `entry` (where the certificate goes), `commonName`. Only
//! that entry of the ConfigMap is ours: others may register partners beside it.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Verdict};
use openg2p_ports::{ObjectRef, Ownership, PortError, World};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use serde_json::{Value, json};

use crate::certificate_authority::validity;
use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct PartnerCertificate;

/// Ten years; the verifier refuses it afterwards, and the plan renews it a year before.
const LIFE_DAYS: i64 = 3650;

fn config_map(desired: &Value) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(text(desired, "namespace").into()),
        name: text(desired, "configMap").into(),
    }
}

/// With what the names of our field managers begin, one per entry.
pub(crate) const MANAGERS: &str = "openg2p-partner-";

fn manager(desired: &Value) -> String {
    format!(
        "{MANAGERS}{}",
        text(desired, "entry").to_lowercase().replace(['.', '_'], "-")
    )
}

async fn key(world: &World, desired: &Value) -> Result<Option<KeyPair>, PortError> {
    let secret = ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(text(desired, "namespace").into()),
        name: text(desired, "secret").into(),
    };
    let Some(object) = world.cluster.get(&secret).await? else {
        return Ok(None);
    };
    let failed = |why: String| PortError::new("secret::key", "read a private key", secret.to_string(), why);
    let encoded = object.0["data"][text(desired, "key")]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let pem = STANDARD
        .decode(encoded)
        .map_err(|error| failed(error.to_string()))?;
    let pem = String::from_utf8(pem).map_err(|_| failed("it is not text".into()))?;
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256)
        .map(Some)
        .map_err(|error| failed(error.to_string()))
}

/// Whether the certificate is for `key` and has more than a year left.
fn matches(certificate: &str, key: &KeyPair, now: i64) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()) else {
        return false;
    };
    let Ok(parsed) = pem.parse_x509() else {
        return false;
    };
    parsed.public_key().raw == key.subject_public_key_info()
        && parsed.validity().not_after.timestamp() - now > 365 * 86_400
}

#[async_trait]
impl Kind for PartnerCertificate {
    fn name(&self) -> &'static str {
        "partner-certificate"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        match world.cluster.reachable().await {
            Ok(None) => return vec![Observed::Absent; subjects.len()],
            Err(error) => return vec![unknown(&error); subjects.len()],
            Ok(Some(_)) => {}
        }
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let look = async {
                let Some(map) = world.cluster.get(&config_map(subject.desired)).await? else {
                    return Ok(Observed::Absent);
                };
                let Some(certificate) = map.0["data"][text(subject.desired, "entry")].as_str() else {
                    return Ok(Observed::Absent);
                };
                let now = world.host.facts().await?.clock;
                let fits = key(world, subject.desired)
                    .await?
                    .is_some_and(|key| matches(certificate, &key, now));
                Ok::<_, PortError>(Observed::Present(json!({"matchesKey": fits})))
            };
            seen.push(look.await.unwrap_or_else(|error| unknown(&error)));
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
            Observed::Present(state) if state["matchesKey"] == true => Verdict::Same,
            Observed::Present(_) if subject.entry.is_none() => Verdict::Conflict(format!(
                "entry {} of {} is there and was not made by openg2p",
                text(subject.desired, "entry"),
                config_map(subject.desired)
            )),
            Observed::Present(_) => Verdict::Update(vec![FieldChange::new(
                "certificate",
                Some("of another key or due"),
                Some("of the present key"),
            )]),
        }
    }

    fn claims(&self, _id: &ResourceId, desired: &Value) -> Vec<String> {
        let of = |key: &str| text(desired, key);
        vec![format!(
            "entry {} of object /ConfigMap {}/{}",
            of("entry"),
            of("namespace"),
            of("configMap")
        )]
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let place = config_map(subject.desired);
        let failed = |why: String| {
            PortError::new(
                "pki::partner",
                "make a partner's certificate",
                place.to_string(),
                why,
            )
        };
        let key = key(world, subject.desired)
            .await?
            .ok_or_else(|| failed(format!("Secret {} is not there", text(subject.desired, "secret"))))?;
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, text(subject.desired, "commonName"));
        params.distinguished_name = name;
        let now = world.host.facts().await?.clock;
        let (start, end) =
            validity(now, LIFE_DAYS).ok_or_else(|| failed("the clock is out of range".into()))?;
        params.not_before = start;
        params.not_after = end;
        let certificate = params
            .self_signed(&key)
            .map_err(|error| failed(error.to_string()))?;
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": place.name, "namespace": place.namespace},
            "data": {text(subject.desired, "entry"): certificate.pem()},
        });
        world
            .cluster
            .apply(&manifest, &manager(subject.desired), Ownership::Respect)
            .await?;
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        let place = config_map(&entry.desired);
        if world.cluster.reachable().await?.is_none() || world.cluster.get(&place).await?.is_none() {
            return Ok(());
        }
        // applying without data gives up the entry that this field manager holds, and touches no other
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": place.name, "namespace": place.namespace},
        });
        world
            .cluster
            .apply(&manifest, &manager(&entry.desired), Ownership::Respect)
            .await?;
        Ok(())
    }
}
