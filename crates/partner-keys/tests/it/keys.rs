//! Real keys: RSA by OpenSSL (ring makes none), P-256 by ring, certificates by rcgen.

use std::process::Command;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose, date_time_ymd};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

/// A partner's pair of keys.
pub(crate) struct Key {
    pub(crate) private_pem: String,
    pair: KeyPair,
}

/// Makes an RSA key of so many bits.
pub(crate) fn rsa_pem(bits: u32) -> String {
    let output = Command::new("openssl")
        .args(["genrsa", &bits.to_string()])
        .output()
        .expect("openssl, to make an RSA key");
    let output = if String::from_utf8_lossy(&output.stdout).contains("BEGIN RSA PRIVATE KEY") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, &output.stdout).unwrap();
        Command::new("openssl")
            .args(["pkcs8", "-topk8", "-nocrypt", "-in"])
            .arg(&path)
            .output()
            .unwrap()
    } else {
        output
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Two RSA keys for all tests; making them takes a while.
pub(crate) fn rsa(index: usize) -> Key {
    static MADE: OnceLock<[String; 2]> = OnceLock::new();
    let pem = MADE.get_or_init(|| [rsa_pem(2048), rsa_pem(3072)])[index].clone();
    let pair = KeyPair::from_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    Key {
        private_pem: pem,
        pair,
    }
}

/// A new P-256 key.
pub(crate) fn ec() -> Key {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    Key {
        private_pem: pair.serialize_pem(),
        pair,
    }
}

impl Key {
    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// A self-signed certificate, valid from one year to another.
    pub(crate) fn certificate(&self, from: i32, until: i32, usages: &[KeyUsagePurpose]) -> String {
        let mut parameters = CertificateParams::new(vec!["partner".to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(until, 1, 1);
        parameters.key_usages = usages.to_vec();
        parameters.self_signed(&self.pair).unwrap().pem()
    }

    /// Signs `header.payload`.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let der = pem::parse(&self.private_pem).unwrap().into_contents();
        let random = SystemRandom::new();
        let signature = if let Ok(key) = RsaKeyPair::from_pkcs8(&der) {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
                .unwrap();
            signature
        } else {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random).unwrap();
            key.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A signature as the packages' own senders make it.
    pub(crate) fn jws(&self, payload: &str) -> String {
        let algorithm = if self.private_pem.len() > 1000 {
            "RS256"
        } else {
            "ES256"
        };
        self.sign(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), payload)
    }
}
