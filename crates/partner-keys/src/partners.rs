//! The partners' registered keys: one file each, read at every call, so that a changed `ConfigMap` counts at once.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;
use x509_parser::der_parser::asn1_rs::oid;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey as ParsedKey;

/// No certificate comes near this size; a larger file is something else.
const LARGEST_FILE: u64 = 64 * 1024;
const SMALLEST_RSA_KEY: usize = 2048;
const LARGEST_RSA_KEY: usize = 8192;

/// A partner's public key, with the one algorithm that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// For RS256: an `RSAPublicKey` of PKCS #1 in DER.
    Rsa(Vec<u8>),
    /// For ES256: a point of P-256, uncompressed.
    EcP256(Vec<u8>),
}

/// Why there is no usable key for a partner.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PartnerError {
    #[error("the reference id has characters other than A-Z, 0-9 and _, or is not 1 to 128 long")]
    ReferenceId,
    #[error("no key is registered for this partner")]
    Unknown,
    #[error("the partner's file cannot be read: {0}")]
    Unreadable(String),
    #[error("the partner's file is not one PEM block with a certificate or a public key: {0}")]
    Malformed(String),
    #[error("the partner's file holds a private key; it must be removed at once and the key replaced")]
    PrivateKey,
    #[error("the partner's key is not RSA of {SMALLEST_RSA_KEY} to {LARGEST_RSA_KEY} bits or P-256: {0}")]
    KeyKind(String),
    #[error("the partner's certificate is not valid before {0}")]
    NotYetValid(String),
    #[error("the partner's certificate has expired on {0}")]
    Expired(String),
    #[error("the partner's certificate is not meant for signatures (key usage)")]
    KeyUsage,
}

impl PartnerError {
    /// A stable word for logs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ReferenceId => "partner::reference-id",
            Self::Unknown => "partner::unknown",
            Self::Unreadable(_) => "partner::unreadable",
            Self::Malformed(_) => "partner::malformed",
            Self::PrivateKey => "partner::private-key",
            Self::KeyKind(_) => "partner::key-kind",
            Self::NotYetValid(_) => "partner::not-yet-valid",
            Self::Expired(_) => "partner::expired",
            Self::KeyUsage => "partner::key-usage",
        }
    }
}

/// The folder of the partners' files.
#[derive(Debug, Clone)]
pub(crate) struct Partners {
    folder: PathBuf,
}

impl Partners {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The key registered for a partner.
    pub(crate) fn key(&self, reference_id: &str, now: Timestamp) -> Result<PublicKey, PartnerError> {
        if !is_reference_id(reference_id) {
            return Err(PartnerError::ReferenceId);
        }
        let bytes = read(&self.folder.join(format!("{reference_id}.pem")))?;
        parse(&bytes, now)
    }

    /// Every registered partner and whether its key can be used; for the start and for `/health`.
    pub(crate) fn list(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".pem")?.to_owned()))
            .filter(|name| is_reference_id(name))
            .collect();
        names.sort();
        names
    }
}

/// The callers make the id from a name that their own client sends; only these characters may reach a file name.
fn is_reference_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn read(path: &Path) -> Result<Vec<u8>, PartnerError> {
    let unreadable = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::NotFound => PartnerError::Unknown,
        _ => PartnerError::Unreadable(why.to_string()),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(PartnerError::Malformed(format!(
            "it is larger than {LARGEST_FILE} bytes"
        )));
    }
    Ok(bytes)
}

/// Reads a file's content as it is valid `now`.
fn parse(bytes: &[u8], now: Timestamp) -> Result<PublicKey, PartnerError> {
    let blocks = pem::parse_many(bytes).map_err(|why| PartnerError::Malformed(why.to_string()))?;
    if blocks.iter().any(|block| block.tag().contains("PRIVATE KEY")) {
        return Err(PartnerError::PrivateKey);
    }
    let [block] = blocks.as_slice() else {
        return Err(PartnerError::Malformed(format!(
            "it has {} blocks, not one",
            blocks.len()
        )));
    };
    let malformed = |why: &dyn std::fmt::Display| PartnerError::Malformed(why.to_string());
    match block.tag() {
        "CERTIFICATE" => {
            let (rest, certificate) =
                X509Certificate::from_der(block.contents()).map_err(|why| malformed(&why))?;
            if !rest.is_empty() {
                return Err(PartnerError::Malformed("bytes follow the certificate".into()));
            }
            check_certificate(&certificate, now)?;
            key_of(certificate.public_key())
        }
        "PUBLIC KEY" => {
            let (rest, key) =
                SubjectPublicKeyInfo::from_der(block.contents()).map_err(|why| malformed(&why))?;
            if !rest.is_empty() {
                return Err(PartnerError::Malformed("bytes follow the public key".into()));
            }
            key_of(&key)
        }
        other => Err(PartnerError::Malformed(format!("its block is called {other:?}"))),
    }
}

fn check_certificate(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), PartnerError> {
    let date = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_or_else(|_| "?".to_owned(), |time| time.to_string())
    };
    let validity = certificate.validity();
    if now.as_second() < validity.not_before.timestamp() {
        return Err(PartnerError::NotYetValid(date(validity.not_before)));
    }
    if now.as_second() > validity.not_after.timestamp() {
        return Err(PartnerError::Expired(date(validity.not_after)));
    }
    let usage = certificate
        .key_usage()
        .map_err(|why| PartnerError::Malformed(why.to_string()))?;
    if usage.is_some_and(|usage| !usage.value.digital_signature() && !usage.value.non_repudiation()) {
        return Err(PartnerError::KeyUsage);
    }
    Ok(())
}

fn key_of(key: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, PartnerError> {
    let algorithm = &key.algorithm;
    let parsed = key
        .parsed()
        .map_err(|why| PartnerError::Malformed(why.to_string()))?;
    // The identifier decides, not the shape of the bits: an RSASSA-PSS key, say, must not sign RS256.
    if algorithm.algorithm == oid!(1.2.840.113549.1.1.1) {
        let ParsedKey::RSA(rsa) = parsed else {
            return Err(PartnerError::KeyKind("the RSA key does not parse".into()));
        };
        let bits = rsa.key_size();
        if !(SMALLEST_RSA_KEY..=LARGEST_RSA_KEY).contains(&bits) {
            return Err(PartnerError::KeyKind(format!("RSA of {bits} bits")));
        }
        return Ok(PublicKey::Rsa(key.subject_public_key.data.to_vec()));
    }
    if algorithm.algorithm == oid!(1.2.840.10045.2.1) {
        let curve = algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok());
        let point = &key.subject_public_key.data;
        if curve != Some(oid!(1.2.840.10045.3.1.7)) {
            return Err(PartnerError::KeyKind("an elliptic curve other than P-256".into()));
        }
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(PartnerError::KeyKind(
                "a point of P-256 that is not uncompressed".into(),
            ));
        }
        return Ok(PublicKey::EcP256(point.to_vec()));
    }
    Err(PartnerError::KeyKind(format!(
        "algorithm {}",
        algorithm.algorithm
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_reference_ids_reach_a_file_name() {
        for good in ["PARTNER_G2P_BRIDGE", "PARTNER_", "A", "PARTNER_1"] {
            assert!(is_reference_id(good), "{good}");
        }
        let long = "A".repeat(129);
        for bad in [
            "",
            "../X",
            "PARTNER_a",
            "PARTNER.X",
            "PARTNER_É",
            "A/B",
            "A\0",
            "..data",
            long.as_str(),
        ] {
            assert!(!is_reference_id(bad), "{bad:?}");
            let partners = Partners::new("/".into());
            assert_eq!(
                partners.key(bad, Timestamp::now()),
                Err(PartnerError::ReferenceId)
            );
        }
    }

    #[test]
    fn files_that_are_no_single_public_key_are_refused() {
        let now = Timestamp::now();
        let block = |tag: &str| format!("-----BEGIN {tag}-----\nMAA=\n-----END {tag}-----\n");
        for (text, code) in [
            (String::new(), "partner::malformed"),
            ("not a key".into(), "partner::malformed"),
            (block("PUBLIC KEY"), "partner::malformed"),
            (block("CERTIFICATE"), "partner::malformed"),
            (block("RSA PUBLIC KEY"), "partner::malformed"),
            (block("PUBLIC KEY") + &block("PUBLIC KEY"), "partner::malformed"),
            (block("PRIVATE KEY"), "partner::private-key"),
            (
                block("PUBLIC KEY") + &block("RSA PRIVATE KEY"),
                "partner::private-key",
            ),
        ] {
            assert_eq!(parse(text.as_bytes(), now).unwrap_err().code(), code, "{text}");
        }
    }
}
