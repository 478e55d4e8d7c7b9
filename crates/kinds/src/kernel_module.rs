//! A feature of the kernel, loaded as a module where it is not built in.
//!
//! Desired: `module` and `evidence`: a path that exists when the feature is there, or `filesystem:NAME` for a line of
//! /proc/filesystems. Modules are not unloaded again: others may have come to use them.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, Observed, ResourceId, Verdict};
use openg2p_ports::{Command, FileState, PortError, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct KernelModule;

async fn there(world: &World, evidence: &str) -> Result<bool, PortError> {
    if let Some(filesystem) = evidence.strip_prefix("filesystem:") {
        let table = world.host.read("/proc/filesystems").await?.unwrap_or_default();
        return Ok(String::from_utf8_lossy(&table)
            .split_whitespace()
            .any(|word| word == filesystem));
    }
    Ok(world.host.stat(evidence).await? != FileState::Absent)
}

#[async_trait]
impl Kind for KernelModule {
    fn name(&self) -> &'static str {
        "kernel-module"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            seen.push(match there(world, text(subject.desired, "evidence")).await {
                Ok(true) => Observed::Present(json!(true)),
                Ok(false) => Observed::Absent,
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, _subject: Subject<'_>, observed: &Observed) -> Verdict {
        match observed {
            Observed::Absent => Verdict::Create,
            Observed::Present(_) => Verdict::Same,
            Observed::Unknown(why) => Verdict::Unknown(why.clone()),
        }
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let module = text(desired, "module");
        vec![format!("{} module {module}", crate::node(id))]
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let module = text(subject.desired, "module");
        crate::run_checked(world, "host::module", Command::new("modprobe", [module])).await?;
        if there(world, text(subject.desired, "evidence")).await? {
            return Ok(Value::Null);
        }
        Err(PortError::new(
            "host::module",
            format!("load kernel module {module}"),
            world.host.name(),
            format!(
                "modprobe succeeded, but {} is still not there",
                text(subject.desired, "evidence")
            ),
        )
        .hint("install the kernel package that belongs to the running kernel and reboot"))
    }

    fn stays(&self, _entry: &Entry, _seen: &Value) -> Option<String> {
        Some("a loaded module stays until the machine starts anew; nothing loads it then".into())
    }

    async fn remove(&self, _world: &World, _entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        Ok(())
    }
}
