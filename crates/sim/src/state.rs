//! The engine's storage, the bundle and the source of secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use openg2p_plan::Fingerprint;
use openg2p_ports::{Bundle, BundleMember, PortError, Random, State};

use crate::files::UNFINISHED;
use crate::simulation::Simulation;

/// The engine's storage.
pub struct SimState(pub(crate) Simulation);

#[async_trait]
impl State for SimState {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.0
            .look("state.read", name, |things| {
                Ok(things.state.get(name).map(|bytes| bytes.to_vec()))
            })
            .await
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.0
            .touch("state.replace", name, |things, cut| {
                let unfinished = format!("{name}{UNFINISHED}");
                if cut {
                    // all or nothing: what stood there stands, and the temporary file beside it
                    things.store(&unfinished, &bytes[..bytes.len() / 2]);
                } else {
                    things.state.remove(&unfinished);
                    things.store(name, bytes);
                }
                Ok(())
            })
            .await
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.0
            .touch("state.append", name, |things, cut| {
                let mut whole = things
                    .state
                    .get(name)
                    .map(|bytes| bytes.to_vec())
                    .unwrap_or_default();
                whole.extend(if cut { &bytes[..bytes.len() / 2] } else { bytes });
                things.store(name, &whole);
                Ok(())
            })
            .await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        let prefix = format!("{folder}/");
        self.0
            .look("state.list", folder, |things| {
                Ok(things
                    .state
                    .keys()
                    .filter_map(|name| name.strip_prefix(&prefix))
                    .filter(|name| !name.ends_with(UNFINISHED))
                    .map(str::to_owned)
                    .collect())
            })
            .await
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.0
            .touch("state.remove", name, |things, _| {
                things.state.remove(name);
                things.state.remove(&format!("{name}{UNFINISHED}"));
                Ok(())
            })
            .await
    }
}

/// A bundle in memory.
#[derive(Clone, Debug, Default)]
pub struct SimBundle {
    members: Vec<BundleMember>,
    blobs: BTreeMap<String, Arc<[u8]>>,
    digest: String,
}

impl SimBundle {
    /// A bundle of these members; content is given for what is read as bytes (binaries, charts).
    pub fn new(members: impl IntoIterator<Item = (BundleMember, Option<Vec<u8>>)>) -> Self {
        let mut bundle = Self::default();
        for (mut member, bytes) in members {
            if let Some(bytes) = bytes {
                Fingerprint::of_bytes(&bytes)
                    .as_str()
                    .clone_into(&mut member.sha256);
                bundle.blobs.insert(member.sha256.clone(), bytes.into());
            }
            bundle.members.push(member);
        }
        bundle
            .members
            .sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        let text: String = bundle
            .members
            .iter()
            .map(|member| format!("{} {} {}\n", member.kind, member.name, member.sha256))
            .collect();
        Fingerprint::of_bytes(text.as_bytes())
            .as_str()
            .clone_into(&mut bundle.digest);
        bundle
    }

    pub(crate) fn bytes(&self, sha256: &str) -> Result<Vec<u8>, PortError> {
        let missing = || {
            PortError::new(
                "bundle::blob-missing",
                "read a blob of the bundle",
                sha256,
                "it is not there",
            )
        };
        self.blobs
            .get(sha256)
            .map(|bytes| bytes.to_vec())
            .ok_or_else(missing)
    }

    pub(crate) fn image(&self, reference: &str) -> Result<String, PortError> {
        let found = self
            .members
            .iter()
            .find(|member| member.reference.as_deref() == Some(reference));
        let missing = || {
            PortError::new(
                "bundle::member-missing",
                "import an image",
                reference,
                "the bundle does not hold it",
            )
        };
        found
            .map(|member| format!("sha256:{}", member.sha256))
            .ok_or_else(missing)
    }
}

impl Bundle for SimBundle {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn members(&self) -> &[BundleMember] {
        &self.members
    }
}

pub(crate) struct SimRandom(pub(crate) Simulation);

impl Random for SimRandom {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}
