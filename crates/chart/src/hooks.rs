//! Hooks: objects that Helm runs at a point of a release's life instead of keeping them.

use std::collections::BTreeMap;

/// What an object's hook annotations say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Lower weights run first.
    pub weight: i64,
    /// When it is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`; Helm's default is the first.
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    pub output_log_policies: Vec<String>,
}

/// A point of a release's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HookEvent {
    /// Before anything is made.
    PreInstall,
    /// After everything is made.
    PostInstall,
    /// Before anything is deleted.
    PreDelete,
    /// After everything is deleted.
    PostDelete,
    /// Before anything is changed.
    PreUpgrade,
    /// After everything is changed.
    PostUpgrade,
    /// Before a return to an earlier revision.
    PreRollback,
    /// After a return to an earlier revision.
    PostRollback,
    /// When the release is tested.
    Test,
}

impl HookEvent {
    /// The name in annotations and in Helm's records.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// What the annotations make of an object.
pub(crate) enum Role {
    Object,
    Hook(Hook),
    /// A hook of an unknown kind, which Helm drops.
    Dropped,
}

/// Reads the hook annotations of an object.
pub(crate) fn role_of(annotations: &BTreeMap<String, String>) -> Role {
    let Some(events) = annotations.get("helm.sh/hook") else {
        return Role::Object;
    };
    let events: Option<Vec<HookEvent>> = events
        .split(',')
        .map(|event| HookEvent::parse(&event.trim().to_lowercase()))
        .collect();
    let policies = |name: &str| -> Vec<String> {
        annotations
            .get(name)
            .map(|policies| {
                policies
                    .split(',')
                    .map(|policy| policy.trim().to_lowercase())
                    .collect()
            })
            .unwrap_or_default()
    };
    let weight = annotations
        .get("helm.sh/hook-weight")
        .and_then(|weight| weight.parse().ok())
        .unwrap_or(0);
    let Some(events) = events else {
        return Role::Dropped;
    };
    Role::Hook(Hook {
        events,
        weight,
        delete_policies: policies("helm.sh/hook-delete-policy"),
        output_log_policies: policies("helm.sh/hook-output-log-policy"),
    })
}
