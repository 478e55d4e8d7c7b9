//! Private keys: RSA, ECDSA and Ed25519, signing without any randomness of their own.

use p256::ecdsa::signature::Signer as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::signature::SignatureEncoding as _;

use crate::random::Randomness;

/// The injected source as the generator that the key libraries want.
pub(super) struct SourceRng<'s>(pub(super) &'s dyn Randomness);

impl rand_core::RngCore for SourceRng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl rand_core::CryptoRng for SourceRng<'_> {}

/// A private key and its public half in the form that certificates hold.
pub(super) struct Key {
    secret: Secret,
    public: Vec<u8>,
}

enum Secret {
    Rsa(Box<rsa::RsaPrivateKey>),
    Ecdsa(p256::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Key {
    pub(super) fn rsa(source: &dyn Randomness, bits: usize) -> Result<Self, String> {
        let key = rsa::RsaPrivateKey::new(&mut SourceRng(source), bits).map_err(|error| error.to_string())?;
        Self::new(Secret::Rsa(Box::new(key)))
    }

    pub(super) fn ecdsa(source: &dyn Randomness) -> Self {
        let key = p256::SecretKey::random(&mut SourceRng(source));
        Self {
            public: key.public_key().to_sec1_bytes().to_vec(),
            secret: Secret::Ecdsa(key),
        }
    }

    pub(super) fn ed25519(source: &dyn Randomness) -> Self {
        let mut seed = [0; 32];
        source.fill(&mut seed);
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Self {
            public: key.verifying_key().to_bytes().to_vec(),
            secret: Secret::Ed25519(key),
        }
    }

    fn new(secret: Secret) -> Result<Self, String> {
        let public = match &secret {
            Secret::Rsa(key) => key
                .to_public_key()
                .to_pkcs1_der()
                .map_err(|error| error.to_string())?
                .as_bytes()
                .to_vec(),
            Secret::Ecdsa(key) => key.public_key().to_sec1_bytes().to_vec(),
            Secret::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
        };
        Ok(Self { secret, public })
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        if !pem.contains("-----BEGIN ") {
            return Err("no PEM data in input".to_owned());
        }
        let start = pem.find("-----BEGIN ").unwrap_or(0);
        let pem = &pem[start..];
        let label = pem["-----BEGIN ".len()..]
            .split("-----")
            .next()
            .unwrap_or_default();
        let secret = match label {
            "RSA PRIVATE KEY" => rsa::RsaPrivateKey::from_pkcs1_pem(pem)
                .map(|key| Secret::Rsa(Box::new(key)))
                .map_err(|error| format!("parsing RSA private key from PEM: {error}"))?,
            "EC PRIVATE KEY" => p256::SecretKey::from_sec1_pem(pem)
                .map(Secret::Ecdsa)
                .map_err(|error| format!("parsing EC private key from PEM: {error}"))?,
            "PRIVATE KEY" => rsa::RsaPrivateKey::from_pkcs8_pem(pem)
                .map(|key| Secret::Rsa(Box::new(key)))
                .or_else(|_| p256::SecretKey::from_pkcs8_pem(pem).map(Secret::Ecdsa))
                .or_else(|_| ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Secret::Ed25519))
                .map_err(|error| format!("decoding PEM as PKCS#8: {error}"))?,
            other if other.ends_with(" PRIVATE KEY") => {
                let kind = other.trim_end_matches(" PRIVATE KEY");
                return Err(format!("invalid private key type {kind}"));
            }
            other => return Err(format!("no private key data in PEM block of type {other}")),
        };
        Self::new(secret)
    }

    /// The key as Sprig writes it.
    pub(super) fn pem(&self) -> Result<String, String> {
        let pem = match &self.secret {
            Secret::Rsa(key) => key
                .to_pkcs1_pem(LineEnding::LF)
                .map_err(|error| error.to_string())?,
            Secret::Ecdsa(key) => key
                .to_sec1_pem(LineEnding::LF)
                .map_err(|error| error.to_string())?,
            Secret::Ed25519(key) => key
                .to_pkcs8_pem(LineEnding::LF)
                .map_err(|error| error.to_string())?,
        };
        Ok(pem.to_string())
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.secret {
            Secret::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            Secret::Ecdsa(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            Secret::Ed25519(_) => &rcgen::PKCS_ED25519,
        }
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(match &self.secret {
            Secret::Rsa(key) => {
                let signer = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new(key.as_ref().clone());
                let signature = signer
                    .try_sign(message)
                    .map_err(|_| rcgen::Error::RemoteKeyError)?;
                signature.to_vec()
            }
            Secret::Ecdsa(key) => {
                let signature: p256::ecdsa::DerSignature = p256::ecdsa::SigningKey::from(key).sign(message);
                signature.as_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        })
    }
}
