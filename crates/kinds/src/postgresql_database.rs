//! A module's database and role, in the PostgreSQL server of its environment.
//!
//! Desired: `manifest` (the Job of the module's chart that makes both, see the chart postgres-init), `remove` (the Job that drops both),
//! `database`, `role`, `server` (the StatefulSet that serves them), `deadline`. Making and comparing are the Job's; the database is
//! recorded before the Job runs. Removal runs the other Job inside the environment, with the role that may make and drop databases
//! and no more: it drops what bears this owner's mark, proves that it is gone, and refuses anything else. When the server itself is gone
//! the database went with it.

use std::time::Duration;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, FieldChange, Observed, ResourceId, Risk, Verdict};
use openg2p_ports::{ObjectRef, Ownership, PortError, World};
use serde_json::{Value, json};

use crate::kubernetes_object::{FIELD_MANAGER, KubernetesObject, delete_ours};
use crate::{Kind, Progress, Subject, text};

pub(crate) struct PostgresqlDatabase;

fn server(desired: &Value) -> Option<ObjectRef> {
    serde_json::from_value(desired["server"].clone()).ok()
}

/// The Job of an entry's manifest, as an entry of its own.
fn job(entry: &Entry, manifest: &Value, details: Value) -> Entry {
    Entry {
        desired: json!({"manifest": manifest}),
        details,
        ..entry.clone()
    }
}

/// An entry of the version before as this one would have written it: the Job of a database was any other object then. None for all
/// other entries. How the database is dropped is known again with the next apply.
pub fn entry_of_today(entry: &Entry) -> Option<Entry> {
    let manifest = &entry.desired["manifest"];
    let container = &manifest["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array()?;
    if entry.resource.kind() != "kubernetes-object"
        || container["name"] != "postgres-init"
        || arguments.first()? != "provision"
    {
        return None;
    }
    let database = arguments
        .iter()
        .filter_map(Value::as_str)
        .find_map(|argument| argument.strip_prefix("--database="))?;
    let namespace = manifest["metadata"]["namespace"].as_str()?;
    let server = ObjectRef {
        api_version: "apps/v1".into(),
        kind: "StatefulSet".into(),
        namespace: Some(namespace.into()),
        name: "postgresql".into(),
    };
    let mut today = entry.clone();
    today.resource = ResourceId::new(PostgresqlDatabase.name(), &format!("{namespace}/{database}"));
    today.desired["database"] = json!(database);
    today.desired["server"] = json!(server);
    Some(today)
}

#[async_trait]
impl Kind for PostgresqlDatabase {
    fn name(&self) -> &'static str {
        "postgresql-database"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        KubernetesObject.observe(world, subjects).await
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        match KubernetesObject.compare(subject, observed) {
            // an entry of the version before does not say how the database is dropped
            Verdict::Same
                if subject
                    .entry
                    .is_some_and(|entry| entry.desired["remove"] != subject.desired["remove"]) =>
            {
                Verdict::Update(vec![FieldChange::new("removal", None, Some("recorded"))])
            }
            // its Job has another name when its template changes: it runs again, and finds or mends what is there
            Verdict::Replace(why) => Verdict::Replace(format!("{why}; the data stay")),
            other => other,
        }
    }

    fn risk(&self, action: Action, _desired: &Value) -> Risk {
        // another Job only looks at what is there
        if action == Action::Remove {
            Risk::Data
        } else {
            Risk::Harmless
        }
    }

    fn estimate(&self, action: Action, _desired: &Value) -> f64 {
        match action {
            Action::Remove => 6.0,
            _ => 15.0,
        }
    }

    fn inside(&self, desired: &Value) -> Option<ObjectRef> {
        server(desired)
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let mut claims = KubernetesObject.claims(id, desired);
        if let Some(server) = server(desired) {
            let place = format!("{}/{}", server.namespace.unwrap_or_default(), server.name);
            claims.extend(["database", "role"].map(|what| format!("{what} {place}/{}", text(desired, what))));
        }
        claims
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        KubernetesObject.changed_by(world, subject).await
    }

    async fn change(
        &self,
        world: &World,
        action: Action,
        subject: Subject<'_>,
        details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let recorded = subject
            .entry
            .and_then(|entry| Some((entry, ObjectRef::of(&entry.desired["manifest"])?)));
        if let Some((entry, before)) = recorded
            && ObjectRef::of(&subject.desired["manifest"]).as_ref() != Some(&before)
        {
            delete_ours(world, &before, entry).await?;
        }
        KubernetesObject
            .change(world, action, subject, details, progress)
            .await
    }

    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError> {
        if world.cluster.reachable().await?.is_none() {
            return Ok(());
        }
        let served = match server(&entry.desired) {
            Some(server) => world.cluster.get(&server).await?.is_some(),
            None => false,
        };
        let removal = &entry.desired["remove"];
        if served && removal.is_null() {
            return Err(PortError::new(
                "database::unknown-removal",
                "drop a database",
                entry.resource.to_string(),
                "the version of openg2p that made it did not record how it is dropped",
            )
            .hint("`openg2p apply` records it and changes nothing else; then remove it"));
        }
        let made = &entry.desired["manifest"];
        let Some(maker) = ObjectRef::of(made) else {
            return Ok(());
        };
        // a Job that still makes the database must not run beside the one that drops it
        delete_ours(world, &maker, entry).await?;
        if served && let Some(remover) = ObjectRef::of(removal) {
            progress(&format!("dropping database {}", text(&entry.desired, "database")));
            // one that was cut off, or that failed, is made anew
            if let Some(left) = world.cluster.get(&remover).await? {
                let uid = left.metadata("uid").unwrap_or_default().to_owned();
                world
                    .cluster
                    .delete(&remover, &uid, Duration::from_mins(3))
                    .await?;
            }
            let live = world
                .cluster
                .apply(removal, FIELD_MANAGER, Ownership::Respect)
                .await?;
            let deadline = entry.desired["deadline"].as_u64().unwrap_or(300);
            world
                .cluster
                .wait(&remover, Duration::from_secs(deadline), progress)
                .await?;
            let details = json!({"uid": live.metadata("uid")});
            delete_ours(world, &remover, &job(entry, removal, details)).await?;
        }
        Ok(())
    }
}
