//! One host name that Nginx serves.
//!
//! Desired: `path` of the file, `text`, `configuration` (the main file that includes it), `unit`. The whole configuration is
//! tested before a reload; when the test fails the former file is put back and nothing was reloaded, so that no
//! connection is dropped and no neighbour is harmed.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, EntryState, FieldChange, Fingerprint, Observed, ResourceId, Verdict};
use openg2p_ports::{Command, FileContent, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, run_checked, text, unknown};

pub(crate) struct NginxSite;

async fn test_and_reload(world: &World, desired: &Value) -> Result<(), PortError> {
    let configuration = text(desired, "configuration");
    run_checked(
        world,
        "edge::nginx-test",
        Command::new("nginx", ["-t", "-q", "-c", configuration]),
    )
    .await?;
    let unit = text(desired, "unit");
    if world.host.unit(unit).await?.active == "active" {
        run_checked(
            world,
            "host::systemd",
            Command::new("systemctl", ["reload", unit]),
        )
        .await?;
    }
    Ok(())
}

#[async_trait]
impl Kind for NginxSite {
    fn name(&self) -> &'static str {
        "nginx-site"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            seen.push(match world.host.read(text(subject.desired, "path")).await {
                Ok(None) => Observed::Absent,
                Ok(Some(bytes)) => Observed::Present(json!(Fingerprint::of_bytes(&bytes))),
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let wanted = Fingerprint::of_bytes(text(subject.desired, "text").as_bytes());
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
            Observed::Present(_) if subject.entry.is_none() => Verdict::Conflict(format!(
                "{} is there and was not made by openg2p",
                text(subject.desired, "path")
            )),
            // written, but perhaps not yet loaded when a run was cut off: the reload is repeated
            Observed::Present(_)
                if subject
                    .entry
                    .is_some_and(|entry| entry.state == EntryState::Intended) =>
            {
                Verdict::Update(vec![FieldChange::new("loaded", Some("unknown"), Some("yes"))])
            }
            Observed::Present(seen) if *seen == json!(wanted) => Verdict::Same,
            Observed::Present(seen) => Verdict::Update(vec![FieldChange::new(
                "content",
                seen.as_str().and_then(|seen| seen.get(..12)),
                Some(wanted.short()),
            )]),
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
        let path = text(subject.desired, "path");
        let before = world.host.read(path).await?;
        let content = text(subject.desired, "text").as_bytes();
        world.host.write(path, FileContent::Bytes(content), 0o644).await?;
        let Err(error) = test_and_reload(world, subject.desired).await else {
            return Ok(Value::Null);
        };
        match before {
            Some(bytes) => world.host.write(path, FileContent::Bytes(&bytes), 0o644).await?,
            None => world.host.remove(path).await?,
        }
        Err(error.hint("the former configuration is back in place and Nginx goes on with it"))
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        world.host.remove(text(&entry.desired, "path")).await?;
        let unit = world.host.unit(text(&entry.desired, "unit")).await?;
        if unit.active == "active" {
            test_and_reload(world, &entry.desired).await?;
        }
        Ok(())
    }
}
