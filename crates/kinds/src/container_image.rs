//! A container image in containerd's store, imported from the bundle.
//!
//! Desired: `reference` and `digest` (`sha256:…` of the manifest).

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Verdict};
use openg2p_ports::{PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct ContainerImage;

#[async_trait]
impl Kind for ContainerImage {
    fn name(&self) -> &'static str {
        "container-image"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let images = world.host.images().await;
        subjects
            .iter()
            .map(|subject| match &images {
                Err(error) => unknown(error),
                // no containerd yet: there are no images either
                Ok(None) => Observed::Absent,
                Ok(Some(images)) => images
                    .get(text(subject.desired, "reference"))
                    .map_or(Observed::Absent, |digest| Observed::Present(json!(digest))),
            })
            .collect()
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let digest = text(subject.desired, "digest");
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Present(seen) if seen.as_str() == Some(digest) => Verdict::Same,
            Observed::Present(seen) => {
                Verdict::Update(vec![FieldChange::new("digest", seen.as_str(), Some(digest))])
            }
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
        }
    }

    fn estimate(&self, _action: Action, desired: &Value) -> f64 {
        // containerd unpacks roughly 60 MB of uncompressed layers a second on a small machine
        #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
        let size = desired.get("size").and_then(Value::as_u64).unwrap_or(60_000_000) as f64;
        0.5 + size / 60_000_000.0
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let reference = text(desired, "reference");
        vec![format!("{} image {reference}", crate::node(id))]
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        world
            .host
            .import_image(text(subject.desired, "reference"))
            .await?;
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        match world.host.images().await? {
            Some(images) if images.contains_key(text(&entry.desired, "reference")) => {
                world.host.remove_image(text(&entry.desired, "reference")).await
            }
            _ => Ok(()),
        }
    }
}
