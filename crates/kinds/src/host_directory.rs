//! A directory on a host.
//!
//! Desired: `path`, `mode` (number), `contents`: `ours` when all that is ever in it belongs to us, so that removal
//! takes it whole; anything else is removed only when empty.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, Observed, ResourceId, Risk, Verdict};
use openg2p_ports::{FileState, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, mode, text, unknown};

pub(crate) struct HostDirectory;

#[async_trait]
impl Kind for HostDirectory {
    fn name(&self) -> &'static str {
        "host-directory"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            seen.push(match world.host.stat(text(subject.desired, "path")).await {
                Ok(FileState::Absent) => Observed::Absent,
                Ok(state) => Observed::Present(json!(state)),
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Present(state) if state.get("directory").is_some() => Verdict::Same,
            Observed::Present(_) => Verdict::Conflict(format!(
                "{} is there and is no directory",
                text(subject.desired, "path")
            )),
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
        }
    }

    fn risk(&self, action: Action, desired: &Value) -> Risk {
        // removal takes it with all that is in it
        if action == Action::Remove && text(desired, "contents") == "ours" {
            Risk::Data
        } else {
            Risk::Harmless
        }
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        vec![crate::file_claim(id, text(desired, "path"))]
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        crate::written_by(world, text(subject.desired, "path")).await
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
            .make_directory(text(subject.desired, "path"), mode(subject.desired))
            .await?;
        Ok(Value::Null)
    }

    fn stays(&self, entry: &Entry, _seen: &Value) -> Option<String> {
        let whole = text(&entry.desired, "contents") == "ours";
        (!whole).then(|| "files in it are not ours".into())
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        let path = text(&entry.desired, "path");
        let whole = text(&entry.desired, "contents") == "ours";
        if !whole && !world.host.list(path).await?.is_empty() {
            // somebody put things there: they stay, and so does their directory
            return Ok(());
        }
        world.host.remove_directory(path, whole).await
    }
}
