//! The site's own certificate authority, made on the box, constrained to the site's domain.
//!
//! Desired: `directory`, `commonName`, `domain`. Files: `authority.key` (0600) and `authority.crt`. It is never made anew while its
//! certificate stands: every device that trusts it would have to be told again.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, Observed, ResourceId, Risk, Verdict};
use openg2p_ports::{FileContent, PortError, World};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct CertificateAuthority;

/// Ten years: longer than a box's hardware, and changing it means visiting every device that trusts it.
const LIFE_DAYS: i64 = 3650;

pub(crate) fn key_path(directory: &str) -> String {
    format!("{directory}/authority.key")
}

pub(crate) fn certificate_path(directory: &str) -> String {
    format!("{directory}/authority.crt")
}

/// The day before now and `days` after it, as certificate dates: clocks of clients may be a little behind.
pub(crate) fn validity(now: i64, days: i64) -> Option<(time::OffsetDateTime, time::OffsetDateTime)> {
    let start = time::OffsetDateTime::from_unix_timestamp(now - 86_400).ok()?;
    let end = time::OffsetDateTime::from_unix_timestamp(now + days * 86_400).ok()?;
    Some((start, end))
}

fn failed(world: &World, why: &dyn std::fmt::Display) -> PortError {
    PortError::new(
        "pki::authority",
        "make the site's certificate authority",
        world.host.name(),
        why.to_string(),
    )
}

#[async_trait]
impl Kind for CertificateAuthority {
    fn name(&self) -> &'static str {
        "certificate-authority"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let directory = text(subject.desired, "directory");
            let read = async {
                let key = world.host.read(&key_path(directory)).await?.is_some();
                let certificate = world.host.read(&certificate_path(directory)).await?.is_some();
                Ok::<_, PortError>((key, certificate))
            };
            seen.push(match read.await {
                Ok((false, false)) => Observed::Absent,
                Ok((key, certificate)) => Observed::Present(json!({"key": key, "certificate": certificate})),
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        if state["key"] == true && state["certificate"] == true {
            return Verdict::Same;
        }
        if state["certificate"] == false {
            // the key is written first: a run was cut off between the two, or somebody lost the certificate
            return Verdict::Update(Vec::new());
        }
        Verdict::Conflict(format!(
            "{} is gone while its certificate is there; restore the key from a backup, or remove the certificate to \
             start anew (every device must then trust the new authority)",
            key_path(text(subject.desired, "directory"))
        ))
    }

    fn risk(&self, action: Action, _desired: &Value) -> Risk {
        // every device that trusts it must be told again when its key is gone
        if action == Action::Remove {
            return Risk::Data;
        }
        Risk::Downtime
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let directory = text(desired, "directory");
        [certificate_path(directory), key_path(directory)]
            .map(|path| crate::file_claim(id, &path))
            .into()
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        crate::written_by(world, &certificate_path(text(subject.desired, "directory"))).await
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let directory = text(subject.desired, "directory");
        let now = world.host.facts().await?.clock;
        let (key_file, certificate_file) = (key_path(directory), certificate_path(directory));
        // A key that stands is never made anew: it may be the one that devices trust already, with its certificate lost since.
        let standing = world.host.read(&key_file).await?;
        let key = match &standing {
            Some(text) => KeyPair::from_pem(&String::from_utf8_lossy(text)),
            None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        };
        let key = key.map_err(|error| failed(world, &error))?;
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, text(subject.desired, "commonName"));
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // RFC 5280 4.2.1.10: this authority cannot vouch for anybody else's names, so trusting it is no risk to
        // the people who do.
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(text(subject.desired, "domain").into())],
            excluded_subtrees: Vec::new(),
        });
        let (start, end) =
            validity(now, LIFE_DAYS).ok_or_else(|| failed(world, &"the clock is out of range"))?;
        params.not_before = start;
        params.not_after = end;
        let certificate = params.self_signed(&key).map_err(|error| failed(world, &error))?;
        if standing.is_none() {
            world
                .host
                .write(
                    &key_file,
                    FileContent::Bytes(key.serialize_pem().as_bytes()),
                    0o600,
                )
                .await?;
        }
        world
            .host
            .write(
                &certificate_file,
                FileContent::Bytes(certificate.pem().as_bytes()),
                0o644,
            )
            .await?;
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        let directory = text(&entry.desired, "directory");
        world.host.remove(&certificate_path(directory)).await?;
        world.host.remove(&key_path(directory)).await
    }
}
