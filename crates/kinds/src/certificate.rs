//! A server certificate from the site's own authority.
//!
//! Desired: `path` (without ending; `.key` and `.crt` are written), `authority` (its directory), `names`, `reload` (unit told of a new
//! one). Life 397 days (the CA/Browser Forum's limit of 2020, which Apple's clients enforce for private authorities
//! too when shorter limits do not apply); renewed when a third of it is left.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Verdict};
use openg2p_ports::{Command, FileContent, PortError, World};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use serde_json::{Value, json};
use x509_parser::extensions::GeneralName;

use crate::certificate_authority::{certificate_path, key_path, validity};
use crate::{Kind, Progress, Subject, run_checked, text, unfinished, unknown};

pub(crate) struct Certificate;

const LIFE_DAYS: i64 = 397;
const RENEW_BELOW_DAYS: i64 = LIFE_DAYS / 3;

fn names(desired: &Value) -> Vec<String> {
    let mut names: Vec<String> = serde_json::from_value(desired["names"].clone()).unwrap_or_default();
    names.sort();
    names
}

/// Names and remaining days of the first certificate of a PEM file, and whether `authority` signed it.
fn read(certificate: &[u8], authority: &[u8], now: i64) -> Option<Value> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate).ok()?;
    let leaf = pem.parse_x509().ok()?;
    let (_, authority) = x509_parser::pem::parse_x509_pem(authority).ok()?;
    let authority = authority.parse_x509().ok()?;
    let mut names: Vec<String> = leaf
        .subject_alternative_name()
        .ok()
        .flatten()
        .into_iter()
        .flat_map(|extension| extension.value.general_names.iter())
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    names.sort();
    let signed = leaf.verify_signature(Some(authority.public_key())).is_ok();
    let due = (leaf.validity().not_after.timestamp() - now) / 86_400 < RENEW_BELOW_DAYS;
    Some(json!({"names": names, "signedByAuthority": signed, "renewalDue": due}))
}

/// Seconds since 1970 from which and until which the first certificate of a PEM file is valid.
pub fn certificate_life(bytes: &[u8]) -> Option<(i64, i64)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(bytes).ok()?;
    let validity = pem.parse_x509().ok()?.validity().clone();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

fn failed(world: &World, path: &str, why: &dyn std::fmt::Display) -> PortError {
    PortError::new(
        "pki::certificate",
        format!("issue {path}.crt"),
        world.host.name(),
        why.to_string(),
    )
}

#[async_trait]
impl Kind for Certificate {
    fn name(&self) -> &'static str {
        "certificate"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let path = text(subject.desired, "path");
            let look = async {
                let certificate = world.host.read(&format!("{path}.crt")).await?;
                let key = world.host.read(&format!("{path}.key")).await?;
                let authority = world
                    .host
                    .read(&certificate_path(text(subject.desired, "authority")))
                    .await?
                    .unwrap_or_default();
                let now = world.host.facts().await?.clock;
                Ok::<_, PortError>(match (certificate, key) {
                    (Some(certificate), Some(_)) => {
                        Observed::Present(read(&certificate, &authority, now).unwrap_or(json!("unreadable")))
                    }
                    (None, None) => Observed::Absent,
                    _ => Observed::Present(json!("incomplete")),
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
        let wanted = json!({"names": names(subject.desired), "signedByAuthority": true, "renewalDue": false});
        if *state == wanted && unfinished(subject) {
            // A run was cut off: the key may be new and the certificate not, or both may be there and the unit goes on with the former
            // ones. Both are made anew.
            Verdict::Update(vec![FieldChange::new(
                "made",
                Some("not finished"),
                Some("finished"),
            )])
        } else if *state == wanted {
            Verdict::Same
        } else if subject.entry.is_none() {
            Verdict::Conflict(format!(
                "{}.crt is there and was not made by openg2p",
                text(subject.desired, "path")
            ))
        } else if state.is_object() {
            Verdict::Update(openg2p_plan::difference(&wanted, state))
        } else {
            Verdict::Update(vec![FieldChange::new("files", state.as_str(), Some("complete"))])
        }
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let path = text(desired, "path");
        [".crt", ".key"]
            .map(|ending| crate::file_claim(id, &format!("{path}{ending}")))
            .into()
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        crate::written_by(world, &format!("{}.crt", text(subject.desired, "path"))).await
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let path = text(subject.desired, "path");
        let directory = text(subject.desired, "authority");
        let missing = |what: String| failed(world, path, &format!("{what} is not there"));
        let authority_key = world.host.read(&key_path(directory)).await?;
        let authority_key = authority_key.ok_or_else(|| missing(key_path(directory)))?;
        let authority = world.host.read(&certificate_path(directory)).await?;
        let authority = authority.ok_or_else(|| missing(certificate_path(directory)))?;
        let now = world.host.facts().await?.clock;

        let problem = |error: rcgen::Error| failed(world, path, &error);
        let signer = KeyPair::from_pem(&String::from_utf8_lossy(&authority_key)).map_err(problem)?;
        let authority_text = String::from_utf8_lossy(&authority);
        let issuer = Issuer::from_ca_cert_pem(&authority_text, signer).map_err(problem)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(problem)?;
        let names = names(subject.desired);
        let mut params = CertificateParams::new(names.clone()).map_err(problem)?;
        let mut subject_name = DistinguishedName::new();
        // the common name holds at most 64 characters (X.520 ub-common-name); clients read the SAN alone
        if let Some(name) = names.first().filter(|name| name.len() <= 64) {
            subject_name.push(DnType::CommonName, name.as_str());
        }
        params.distinguished_name = subject_name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (start, end) =
            validity(now, LIFE_DAYS).ok_or_else(|| failed(world, path, &"the clock is out of range"))?;
        params.not_before = start;
        params.not_after = end;
        let certificate = params.signed_by(&key, &issuer).map_err(problem)?;

        world
            .host
            .write(
                &format!("{path}.key"),
                FileContent::Bytes(key.serialize_pem().as_bytes()),
                0o600,
            )
            .await?;
        let chain = format!("{}{authority_text}", certificate.pem());
        world
            .host
            .write(
                &format!("{path}.crt"),
                FileContent::Bytes(chain.as_bytes()),
                0o644,
            )
            .await?;
        let unit = text(subject.desired, "reload");
        if !unit.is_empty() && world.host.unit(unit).await?.active == "active" {
            run_checked(
                world,
                "host::systemd",
                Command::new("systemctl", ["reload", unit]),
            )
            .await?;
        }
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        let path = text(&entry.desired, "path");
        world.host.remove(&format!("{path}.crt")).await?;
        world.host.remove(&format!("{path}.key")).await
    }
}
