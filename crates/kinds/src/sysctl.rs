//! Kernel settings, now and at every boot.
//!
//! Desired: `path` of a file below /etc/sysctl.d and `settings`, a map of dotted names to values. The ledger remembers
//! the values before us; removal sets them back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Verdict, difference};
use openg2p_ports::{Command, FileContent, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unfinished, unknown};

pub(crate) struct Sysctl;

fn settings(desired: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(desired["settings"].clone()).unwrap_or_default()
}

fn file(desired: &Value) -> String {
    let mut lines = String::from("# Written by openg2p; changes here are overwritten.\n");
    for (name, value) in settings(desired) {
        let _ = writeln!(lines, "{name} = {value}");
    }
    lines
}

async fn current(world: &World, desired: &Value) -> Result<BTreeMap<String, String>, PortError> {
    let mut values = BTreeMap::new();
    for name in settings(desired).into_keys() {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        if let Some(bytes) = world.host.read(&path).await? {
            let value = String::from_utf8_lossy(&bytes)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            values.insert(name, value);
        }
    }
    Ok(values)
}

#[async_trait]
impl Kind for Sysctl {
    fn name(&self) -> &'static str {
        "sysctl"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let read = async {
                let file = world.host.read(text(subject.desired, "path")).await?;
                let values = current(world, subject.desired).await?;
                Ok::<_, PortError>((file, values))
            };
            seen.push(match read.await {
                Ok((None, _)) => Observed::Absent,
                Ok((Some(file), values)) => {
                    Observed::Present(json!({"file": String::from_utf8_lossy(&file), "settings": values}))
                }
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
            Observed::Present(state) => {
                let changes = difference(
                    &json!({"file": file(subject.desired), "settings": settings(subject.desired)}),
                    state,
                );
                match (changes.is_empty(), subject.entry.is_some()) {
                    // a run was cut off: a write of other content may have left its temporary file beside this one
                    (true, true) if unfinished(subject) => Verdict::Update(vec![FieldChange::new(
                        "written",
                        Some("not finished"),
                        Some("finished"),
                    )]),
                    (true, _) => Verdict::Same,
                    (false, true) => Verdict::Update(changes),
                    (false, false) => Verdict::Conflict(format!(
                        "{} is there and was not made by openg2p",
                        text(subject.desired, "path")
                    )),
                }
            }
        }
    }

    async fn intend(&self, world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        if let Some(entry) = subject.entry.filter(|entry| entry.details["before"].is_object()) {
            return Ok(entry.details.clone());
        }
        Ok(json!({"before": current(world, subject.desired).await?}))
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let settings = desired["settings"].as_object().into_iter().flatten();
        let settings = settings.map(|(name, _)| format!("{} setting {name}", crate::node(id)));
        std::iter::once(crate::file_claim(id, text(desired, "path")))
            .chain(settings)
            .collect()
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        crate::written_by(world, text(subject.desired, "path")).await
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let path = text(subject.desired, "path");
        world
            .host
            .write(path, FileContent::Bytes(file(subject.desired).as_bytes()), 0o644)
            .await?;
        crate::run_checked(
            world,
            "host::sysctl",
            Command::new("sysctl", ["--quiet", "--load", path]),
        )
        .await?;
        Ok(details)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        world.host.remove(text(&entry.desired, "path")).await?;
        let before: BTreeMap<String, String> =
            serde_json::from_value(entry.details["before"].clone()).unwrap_or_default();
        let now = current(world, &entry.desired).await?;
        for (name, value) in before {
            // a setting whose module is gone, or that somebody else has changed since, is left alone
            if now.get(&name) == settings(&entry.desired).get(&name) && now.get(&name) != Some(&value) {
                let assignment = format!("{name}={value}");
                crate::run_checked(
                    world,
                    "host::sysctl",
                    Command::new("sysctl", ["--quiet", "--write", &assignment]),
                )
                .await?;
            }
        }
        Ok(())
    }
}
