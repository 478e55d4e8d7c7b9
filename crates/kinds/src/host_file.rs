//! A file on a host, written whole.
//!
//! Desired: `path`, `mode` (number), and either `text` or `blob` (SHA-256 of a member of the bundle), or `link`
//! (the target of a symbolic link). `reload`: a unit that reads the file while it runs and is told of new content.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Fingerprint, Observed, ResourceId, Verdict};
use openg2p_ports::{Command, FileContent, FileState, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, mode, run_checked, text, unfinished, unknown};

pub(crate) struct HostFile;

/// What should stand at the path, in the shape in which it is observed.
fn wanted(desired: &Value) -> Value {
    if let Some(target) = desired.get("link").and_then(Value::as_str) {
        return json!(FileState::Link(target.into()));
    }
    let sha256 = match desired.get("blob").and_then(Value::as_str) {
        Some(blob) => blob.to_owned(),
        None => Fingerprint::of_bytes(text(desired, "text").as_bytes())
            .as_str()
            .to_owned(),
    };
    json!(FileState::File {
        sha256,
        mode: mode(desired)
    })
}

#[async_trait]
impl Kind for HostFile {
    fn name(&self) -> &'static str {
        "host-file"
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
        let path = text(subject.desired, "path");
        match observed {
            Observed::Absent => Verdict::Create,
            // A run was cut off. The file may be there while its unit goes on with the former one, or a write of other content left its
            // temporary file beside it: both are mended by writing it again.
            Observed::Present(state) if *state == wanted(subject.desired) && unfinished(subject) => {
                Verdict::Update(vec![FieldChange::new(
                    "written",
                    Some("not finished"),
                    Some("finished"),
                )])
            }
            Observed::Present(state) if *state == wanted(subject.desired) => Verdict::Same,
            Observed::Present(_) if subject.entry.is_none() => Verdict::Conflict(format!(
                "{path} is there with other content and was not made by openg2p; move it away, or keep it and take \
                 what needs it out of the site file"
            )),
            Observed::Present(state) if state.get("file").is_none() && state.get("link").is_none() => {
                Verdict::Conflict(format!("{path} is there and is no regular file"))
            }
            Observed::Present(state) => Verdict::Update(
                openg2p_plan::difference(&wanted(subject.desired), state)
                    .into_iter()
                    .map(shorten)
                    .collect(),
            ),
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
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
        if let Some(target) = subject.desired.get("link").and_then(Value::as_str) {
            world.host.remove(path).await?;
            world.host.link(path, target).await?;
            return Ok(Value::Null);
        }
        let content = match subject.desired.get("blob").and_then(Value::as_str) {
            Some(blob) => FileContent::Blob(blob),
            None => FileContent::Bytes(text(subject.desired, "text").as_bytes()),
        };
        world.host.write(path, content, mode(subject.desired)).await?;
        // Another step may have made the unit load what somebody wrote here. When a run ends between the two, the entry is not finished
        // and the next one does both again.
        let unit = text(subject.desired, "reload");
        if !unit.is_empty() && world.host.unit(unit).await?.active == "active" {
            run_checked(
                world,
                "host::systemd",
                Command::new("systemctl", ["reload", unit]),
            )
            .await?;
        }
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        world.host.remove(text(&entry.desired, "path")).await
    }
}

/// Digests are long and people compare only whether they differ.
fn shorten(change: FieldChange) -> FieldChange {
    let cut = |value: Option<String>| value.map(|value| value.chars().take(12).collect::<String>());
    if change.path.ends_with("sha256") {
        FieldChange {
            path: "content".into(),
            from: cut(change.from),
            to: cut(change.to),
        }
    } else {
        change
    }
}
