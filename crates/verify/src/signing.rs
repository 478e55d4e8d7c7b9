//! Detached JSON Web Signatures as the partners of SPAR and Bridge make them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use thiserror::Error;

/// A private key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The text is not one PEM block with a private key.
    #[error("the signing key is not one PEM block with a private key: {0}")]
    Pem(String),
    /// The key is of another kind or too weak.
    #[error("the signing key is neither RSA of 2048 to 4096 bits nor P-256: {0}")]
    Kind(String),
}

impl KeyError {
    /// A stable word for this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pem(_) => "verify::key-not-pem",
            Self::Kind(_) => "verify::key-kind",
        }
    }
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    EcP256(Box<EcdsaKeyPair>),
}

/// Signs with a partner's private key: RS256 or ES256, as the key is.
pub struct Signer(Pair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Signer").field(&self.algorithm()).finish()
    }
}

impl Signer {
    /// Reads a key in PEM: PKCS #8 for both kinds, PKCS #1 for RSA too.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|why| KeyError::Pem(why.to_string()))?;
        let kind = |why: ring::error::KeyRejected| KeyError::Kind(why.to_string());
        match block.tag() {
            "PRIVATE KEY" => match RsaKeyPair::from_pkcs8(block.contents()) {
                Ok(pair) => Ok(Self(Pair::Rsa(Box::new(pair)))),
                Err(not_rsa) => EcdsaKeyPair::from_pkcs8(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    block.contents(),
                    &SystemRandom::new(),
                )
                .map(|pair| Self(Pair::EcP256(Box::new(pair))))
                .map_err(|_| kind(not_rsa)),
            },
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(block.contents())
                .map(|pair| Self(Pair::Rsa(Box::new(pair))))
                .map_err(kind),
            other => Err(KeyError::Pem(format!("its block is called {other:?}"))),
        }
    }

    /// The algorithm's name in a signature's header.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Pair::Rsa(_) => "RS256",
            Pair::EcP256(_) => "ES256",
        }
    }

    /// The detached signature of a body: `header..signature`.
    #[must_use]
    pub fn sign_detached(&self, body: &[u8]) -> String {
        let header = self.header();
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
        format!(
            "{header}..{}",
            URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()))
        )
    }

    /// A signature in the right form, with these bytes instead of what the key would have made.
    pub(crate) fn forge_detached(&self, mut noise: impl FnMut(&mut [u8])) -> String {
        let mut bytes = vec![0; self.signature_length()];
        noise(&mut bytes);
        // Smaller than any modulus of this length, so that it is a possible signature and not merely a wrong number.
        if let Some(first) = bytes.first_mut() {
            *first &= 0x3f;
        }
        format!("{}..{}", self.header(), URL_SAFE_NO_PAD.encode(bytes))
    }

    fn header(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm()))
    }

    fn signature_length(&self) -> usize {
        match &self.0 {
            Pair::Rsa(pair) => pair.public().modulus_len(),
            Pair::EcP256(_) => 64,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // Fails only for a buffer of another length than the modulus.
                match pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature) {
                    Ok(()) => signature,
                    Err(_) => Vec::new(),
                }
            }
            // Fails only without system randomness; an empty signature is refused by every service.
            Pair::EcP256(pair) => pair
                .sign(&random, message)
                .map_or_else(|_| Vec::new(), |made| made.as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_private_key_is_refused_without_being_shown() {
        for text in [
            "",
            "secret",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        ] {
            let error = Signer::from_pem(text).unwrap_err();
            assert_eq!(error.code(), "verify::key-not-pem");
            assert!(!error.to_string().contains("secret"));
        }
        let weak = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert_eq!(Signer::from_pem(weak).unwrap_err().code(), "verify::key-kind");
    }

    #[test]
    fn a_detached_signature_has_an_empty_middle() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signer = Signer::from_pem(&key.serialize_pem()).unwrap();
        assert_eq!(signer.algorithm(), "ES256");
        assert_eq!(format!("{signer:?}"), "Signer(\"ES256\")");
        let made = signer.sign_detached(b"{}");
        let [header, "", signature] = made.split('.').collect::<Vec<_>>()[..] else {
            panic!("{made}")
        };
        let covered = format!("{header}.{}", URL_SAFE_NO_PAD.encode("{}"));
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_FIXED,
            key.public_key_raw().to_vec(),
        );
        assert!(
            public
                .verify(covered.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
                .is_ok()
        );
    }
}
