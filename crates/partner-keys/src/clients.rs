//! The services that may ask: one file per client, its content is the client's secret. Read at every call.

use std::path::PathBuf;

use ring::hmac;
use ring::rand::SystemRandom;

/// The folder of the clients' secrets.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    folder: PathBuf,
}

/// A client's secret; it is neither printed nor compared byte by byte.
pub(crate) struct ClientSecret(Vec<u8>);

impl ClientSecret {
    /// The secret as key material.
    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl Clients {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The secret of a client, if it is one of ours.
    pub(crate) fn secret(&self, client_id: &str) -> Option<ClientSecret> {
        if !is_client_id(client_id) {
            return None;
        }
        let mut secret = std::fs::read(self.folder.join(client_id)).ok()?;
        if secret.last() == Some(&b'\n') {
            secret.pop();
        }
        // An empty file is a mistake, not a client without a secret.
        (!secret.is_empty()).then_some(ClientSecret(secret))
    }

    /// Whether this is a client of ours and this is its secret. Takes the same time for every answer.
    pub(crate) fn knows(&self, client_id: &str, presented: &str) -> bool {
        let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else {
            return false;
        };
        let known = self.secret(client_id);
        let expected = known
            .as_ref()
            .map_or(&b"no such client"[..], ClientSecret::reveal);
        // Two MACs under a key of the moment are compared, in constant time and whatever the lengths are.
        let tag = hmac::sign(&key, expected);
        hmac::verify(&key, presented.as_bytes(), tag.as_ref()).is_ok() && known.is_some()
    }

    /// How many clients there are.
    pub(crate) fn count(&self) -> usize {
        std::fs::read_dir(&self.folder).map_or(0, |entries| {
            entries
                .filter_map(Result::ok)
                .filter(|entry| entry.file_name().to_str().is_some_and(is_client_id))
                .count()
        })
    }
}

/// What may be a file name. Names that begin with a dot are the kubelet's own (`..data`).
fn is_client_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_of_a_known_client_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spar-mapper"), "s3cret\n").unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        let clients = Clients::new(folder.path().to_owned());
        assert!(clients.knows("spar-mapper", "s3cret"));
        assert_eq!(clients.count(), 2);
        for (id, secret) in [
            ("spar-mapper", "s3cre"),
            ("spar-mapper", "s3cret\n"),
            ("spar-mapper", ""),
            ("empty", ""),
            ("nobody", "no such client"),
            ("..data", ""),
            ("../clients/spar-mapper", "s3cret"),
            ("", ""),
        ] {
            assert!(!clients.knows(id, secret), "{id:?} {secret:?}");
        }
    }
}
