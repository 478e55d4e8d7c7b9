//! Verifies a JSON Web Signature (RFC 7515, compact form) with one given key. The algorithm is decided by the key;
//! the signature's header must agree.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use thiserror::Error;

use crate::partners::PublicKey;

const LONGEST_HEADER: usize = 4096;
const LONGEST_SIGNATURE: usize = 2048;

/// Why a signature does not count.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SignatureError {
    #[error("it has not three parts")]
    Parts,
    #[error("its payload is not the data that it is said to sign")]
    OtherPayload,
    #[error("its payload is empty or not base64url without padding")]
    PayloadEncoding,
    #[error("its header is not base64url of a JSON object with a known meaning")]
    Header,
    #[error("its header names extensions that must be understood, and none is")]
    Critical,
    #[error("its algorithm is {found:?}, but the registered key is for {wanted}")]
    Algorithm { found: String, wanted: &'static str },
    #[error("its signature part is not base64url without padding")]
    SignatureEncoding,
    #[error("the registered key did not make it")]
    WrongKey,
}

impl SignatureError {
    /// A stable word for logs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Parts => "signature::parts",
            Self::OtherPayload => "signature::other-payload",
            Self::PayloadEncoding => "signature::payload-encoding",
            Self::Header => "signature::header",
            Self::Critical => "signature::critical",
            Self::Algorithm { .. } => "signature::algorithm",
            Self::SignatureEncoding => "signature::encoding",
            Self::WrongKey => "signature::wrong-key",
        }
    }
}

/// What of a header has a meaning here. A name that stands twice is an error in serde, as it must be.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
    #[serde(default)]
    b64: Option<serde_json::Value>,
}

/// Checks `token` (header, payload, signature) against the key and against the data that it must sign.
pub(crate) fn verify(token: &str, actual_data: &str, key: &PublicKey) -> Result<(), SignatureError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(SignatureError::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(SignatureError::Parts)?;
    if payload.contains('.') {
        return Err(SignatureError::Parts);
    }
    if payload != actual_data {
        return Err(SignatureError::OtherPayload);
    }
    if payload.is_empty()
        || !payload
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        return Err(SignatureError::PayloadEncoding);
    }
    if header.len() > LONGEST_HEADER {
        return Err(SignatureError::Header);
    }
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| SignatureError::Header)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| SignatureError::Header)?;
    if header.crit.is_some() || header.b64.is_some() {
        return Err(SignatureError::Critical);
    }
    let (wanted, algorithm, bytes): (_, &'static dyn ring::signature::VerificationAlgorithm, _) = match key {
        PublicKey::Rsa(bytes) => ("RS256", &RSA_PKCS1_2048_8192_SHA256, bytes),
        PublicKey::EcP256(bytes) => ("ES256", &ECDSA_P256_SHA256_FIXED, bytes),
    };
    if header.alg != wanted {
        return Err(SignatureError::Algorithm {
            found: header.alg,
            wanted,
        });
    }
    if signature.is_empty() || signature.len() > LONGEST_SIGNATURE {
        return Err(SignatureError::SignatureEncoding);
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| SignatureError::SignatureEncoding)?;
    UnparsedPublicKey::new(algorithm, bytes)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| SignatureError::WrongKey)
}
