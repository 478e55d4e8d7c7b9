//! A systemd unit: whether it starts at boot, whether it runs, and with which inputs it was started last.
//!
//! Desired: `unit`, `state` (`running`; `enabled` for a unit that something else starts; `masked` for one that must never start), `restartOn`: fingerprints of what the
//! unit reads at its start, by resource id. The ledger keeps the inputs of the last start; a change of them restarts.

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, EntryState, FieldChange, Observed, ResourceId, Risk, Verdict};
use openg2p_ports::{Command, PortError, UnitState, World};
use serde_json::{Value, json};

use crate::{Kind, Progress, Subject, run_checked, text, unknown};

pub(crate) struct SystemdUnit;

/// What of a unit's state means something beyond the moment: a unit that is started again and again goes through
/// `activating` and back, and no plan rests on where it just was.
fn lasting(state: &UnitState, wanted: &str) -> Value {
    let active = match state.active.as_str() {
        "active" | "reloading" => "active",
        "failed" => "failed",
        _ => "inactive",
    };
    let mut lasting = json!({"load": state.load, "enabled": state.enabled});
    if wanted != "enabled" {
        lasting["active"] = json!(active);
    }
    lasting
}

#[async_trait]
impl Kind for SystemdUnit {
    fn name(&self) -> &'static str {
        "systemd-unit"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        for subject in subjects {
            seen.push(match world.host.unit(text(subject.desired, "unit")).await {
                Ok(state) if state.load == "not-found" => Observed::Absent,
                Ok(state) => Observed::Present(lasting(&state, text(subject.desired, "state"))),
                Err(error) => unknown(&error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        if text(subject.desired, "state") == "masked" {
            return if text(state, "load") == "masked" {
                Verdict::Same
            } else if text(state, "active") == "active" && subject.entry.is_none() {
                // somebody serves with it
                Verdict::Conflict(format!(
                    "{} runs, and openg2p did not start it; stop and disable it if this host shall be the site's edge",
                    text(subject.desired, "unit")
                ))
            } else {
                Verdict::Update(vec![FieldChange::new(
                    "load",
                    Some(text(state, "load")),
                    Some("masked"),
                )])
            };
        }
        let mut changes = Vec::new();
        if text(state, "enabled") == "disabled" {
            changes.push(FieldChange::new("enabled", Some("disabled"), Some("enabled")));
        }
        if text(subject.desired, "state") == "enabled" {
            return if changes.is_empty() {
                Verdict::Same
            } else {
                Verdict::Update(changes)
            };
        }
        if text(state, "active") != "active" {
            changes.push(FieldChange::new(
                "active",
                Some(text(state, "active")),
                Some("active"),
            ));
        }
        let started_with = subject
            .entry
            .filter(|entry| entry.state == EntryState::Present)
            .map(|entry| &entry.desired["restartOn"]);
        if started_with != Some(&subject.desired["restartOn"]) {
            for change in openg2p_plan::difference(
                &subject.desired["restartOn"],
                started_with.unwrap_or(&Value::Null),
            ) {
                changes.push(FieldChange {
                    path: format!("restart for {}", change.path),
                    ..change
                });
            }
            if changes.is_empty() {
                changes.push(FieldChange::new("inputs", None, None));
            }
        }
        if changes.is_empty() {
            Verdict::Same
        } else {
            Verdict::Update(changes)
        }
    }

    fn risk(&self, action: Action, desired: &Value) -> Risk {
        if text(desired, "state") != "running" {
            return Risk::Harmless;
        }
        if action == Action::Remove {
            return Risk::Downtime;
        }
        Risk::Restart
    }

    fn estimate(&self, _action: Action, _desired: &Value) -> f64 {
        1.0
    }

    fn claims(&self, id: &ResourceId, desired: &Value) -> Vec<String> {
        let unit = text(desired, "unit");
        vec![format!("{} unit {unit}", crate::node(id))]
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let unit = text(subject.desired, "unit");
        run_checked(
            world,
            "host::systemd",
            Command::new("systemctl", ["daemon-reload"]),
        )
        .await?;
        if text(subject.desired, "state") == "masked" {
            run_checked(world, "host::systemd", Command::new("systemctl", ["mask", unit])).await?;
            if world.host.unit(unit).await?.active == "active" {
                run_checked(world, "host::systemd", Command::new("systemctl", ["stop", unit])).await?;
            }
            return Ok(Value::Null);
        }
        run_checked(
            world,
            "host::systemd",
            Command::new("systemctl", ["enable", unit]),
        )
        .await?;
        if text(subject.desired, "state") == "enabled" {
            return Ok(Value::Null);
        }
        let restart = Command::new("systemctl", ["restart", unit]);
        if let Err(error) = run_checked(world, "host::unit-failed", restart).await {
            let log = world
                .host
                .run(Command::new(
                    "journalctl",
                    ["--no-pager", "--lines=8", "--output=cat", "--unit", unit],
                ))
                .await
                .map(|output| output.stdout)
                .unwrap_or_default();
            return Err(PortError {
                why: format!("{}\n{}", error.why, log.trim_end()),
                ..error
            }
            .hint(format!(
                "read the whole log on the host: journalctl --unit {unit}"
            )));
        }
        Ok(Value::Null)
    }

    fn stays(&self, entry: &Entry, seen: &Value) -> Option<String> {
        let was_masked = text(&entry.desired, "state") == "masked";
        if was_masked && text(seen, "load") != "masked" {
            return Some("it is Debian's own, and no longer masked".into());
        }
        let rests = text(seen, "active") != "active" && text(seen, "enabled") != "enabled";
        (!was_masked && rests).then(|| "it is a package's own; it is stopped and does not start again".into())
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        let unit = text(&entry.desired, "unit");
        let state = world.host.unit(unit).await?;
        if text(&entry.desired, "state") == "masked" {
            if state.load == "masked" {
                run_checked(
                    world,
                    "host::systemd",
                    Command::new("systemctl", ["unmask", unit]),
                )
                .await?;
            }
            return Ok(());
        }
        if state.load == "not-found" {
            return Ok(());
        }
        run_checked(
            world,
            "host::systemd",
            Command::new("systemctl", ["disable", "--now", unit]),
        )
        .await?;
        // a failed unit would stay in systemd's memory after its file is gone
        world
            .host
            .run(Command::new("systemctl", ["reset-failed", unit]))
            .await?;
        Ok(())
    }
}
