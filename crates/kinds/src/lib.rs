//! One folder per kind of resource: how it is observed, compared, changed and removed.
//!
//! Kinds reach the outside through the ports alone. Comparing is pure; changing is idempotent, so that a run that
//! was cut off anywhere can be repeated.

mod certificate;
mod certificate_authority;
mod container_image;
mod foreign;
mod helm_record;
mod host_directory;
mod host_file;
mod host_packages;
mod kernel_module;
mod kubernetes_cluster;
mod kubernetes_hook;
mod kubernetes_object;
mod kubernetes_secret;
mod nginx_site;
mod partner_certificate;
mod postgresql_database;
mod sysctl;
mod systemd_unit;

use async_trait::async_trait;
use openg2p_plan::{Action, Entry, EntryState, Observed, ResourceId, Risk, Verdict, Weight};
use openg2p_ports::{ObjectRef, PortError, World};
use serde_json::Value;

pub use certificate::certificate_life;
pub use foreign::{KINDS_OF_PEOPLE, foreign};
pub use kubernetes_object::{DESIRED_ANNOTATION, FIELD_MANAGER, OWNER_LABEL};
pub use kubernetes_object::{defines, fields_of, waits as waits_for_readiness};
pub use postgresql_database::entry_of_today;

/// Hears what a change is doing, in words for people.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A desired state with what the ledger knows of it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What it should be; for a removal, what it was recorded as.
    pub desired: &'a Value,
    /// The ledger's entry, absent for a thing that we never made.
    pub entry: Option<&'a Entry>,
}

/// One sort of managed thing.
#[async_trait]
pub trait Kind: Send + Sync {
    /// The name, first part of a resource's id.
    fn name(&self) -> &'static str;

    /// What is there now, in the order of `subjects`. Kinds ask the outside once for all where they can.
    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed>;

    /// What would have to be done. Pure.
    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict;

    /// What a change of a thing that is there, or its removal, may cost.
    fn risk(&self, _action: Action, _desired: &Value) -> Risk {
        Risk::Harmless
    }

    /// Expected seconds, before this machine has taught us better.
    fn estimate(&self, _action: Action, _desired: &Value) -> f64 {
        0.2
    }

    /// The Kubernetes object in which the thing lives and with which it goes, so that a removal of both removes that one first and
    /// leaves the inner one alone.
    fn inside(&self, _desired: &Value) -> Option<ObjectRef> {
        None
    }

    /// Why what is seen behind a removal may be there, in words; none when it should be gone.
    fn stays(&self, _entry: &Entry, _seen: &Value) -> Option<String> {
        None
    }

    /// What undoes a change, in words.
    fn undo(&self, action: Action, desired: &Value) -> String {
        match (action, self.risk(action, desired)) {
            (Action::Create, _) => "take it out of the site file and apply, or `openg2p destroy`",
            (Action::Update, _) => "apply the former site file",
            (Action::Replace | Action::Remove, Risk::Data) => {
                "nothing: its data are lost, restore them from a backup"
            }
            (Action::Replace, _) => "apply the former site file: it is then made again once more",
            (Action::Remove, _) => "apply a site file that has it: it is then made again",
        }
        .into()
    }

    /// All that a plan says of a step beyond the change itself. Making a thing that is not there harms nobody.
    fn weight(&self, action: Action, desired: &Value) -> Weight {
        Weight {
            risk: match action {
                Action::Create => Risk::Harmless,
                other => self.risk(other, desired),
            },
            guess: self.estimate(action, desired),
            undo: self.undo(action, desired),
        }
    }

    /// What the resource writes to, so that two resources that would write to one thing are found: `box1 file /etc/x`,
    /// `object apps/Deployment dev/spar`. Pure.
    fn claims(&self, _id: &ResourceId, _desired: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Who changed the thing last, in words, where the outside can tell. Reads only.
    async fn changed_by(&self, _world: &World, _subject: Subject<'_>) -> Option<String> {
        None
    }

    /// What the ledger must remember before the effect, so that removal knows what is ours even if the run ends
    /// in the middle. Reads only.
    async fn intend(&self, _world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        Ok(subject.entry.map_or(Value::Null, |entry| entry.details.clone()))
    }

    /// Makes or changes the thing; `details` is what [`Kind::intend`] gave. Gives what the ledger shall remember.
    async fn change(
        &self,
        world: &World,
        action: Action,
        subject: Subject<'_>,
        details: Value,
        progress: Progress<'_>,
    ) -> Result<Value, PortError>;

    /// Removes what `entry` records, and nothing else.
    async fn remove(&self, world: &World, entry: &Entry, progress: Progress<'_>) -> Result<(), PortError>;
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// All kinds; a test walks the folder and misses what is not listed.
pub const KINDS: &[&dyn Kind] = &[
    &certificate::Certificate,
    &certificate_authority::CertificateAuthority,
    &container_image::ContainerImage,
    &helm_record::HelmRecord,
    &host_directory::HostDirectory,
    &host_file::HostFile,
    &host_packages::HostPackages,
    &kernel_module::KernelModule,
    &kubernetes_cluster::KubernetesCluster,
    &kubernetes_hook::KubernetesHook,
    &kubernetes_object::KubernetesObject,
    &kubernetes_secret::KubernetesSecret,
    &nginx_site::NginxSite,
    &partner_certificate::PartnerCertificate,
    &postgresql_database::PostgresqlDatabase,
    &sysctl::Sysctl,
    &systemd_unit::SystemdUnit,
];

/// Reads a field of a desired state as text; what `compose` writes is complete, so absence is empty text.
pub(crate) fn text<'a>(desired: &'a Value, key: &str) -> &'a str {
    desired.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a run was cut off while it made or changed the thing.
pub(crate) fn unfinished(subject: Subject<'_>) -> bool {
    subject
        .entry
        .is_some_and(|entry| entry.state == EntryState::Intended)
}

/// Permission bits of a desired state.
pub(crate) fn mode(desired: &Value) -> u32 {
    desired
        .get("mode")
        .and_then(Value::as_u64)
        .and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(0o644)
}

/// The node in the id of a thing on a host, `box1:/etc/x`; empty where there is none.
pub fn node(id: &ResourceId) -> &str {
    let (node, _) = id.name().split_once(':').unwrap_or_default();
    if node.contains('/') { "" } else { node }
}

/// The claim on a file of a host.
pub(crate) fn file_claim(id: &ResourceId, path: &str) -> String {
    format!("{} file {path}", node(id)).trim_start().to_owned()
}

/// The files among what a recorded thing claims, by their paths.
pub fn files(entry: &Entry) -> Vec<String> {
    let claims = kind(entry.resource.kind()).map(|kind| kind.claims(&entry.resource, &entry.desired));
    let node = node(&entry.resource);
    claims
        .into_iter()
        .flatten()
        .filter_map(|claim| {
            let claim = claim.strip_prefix(node).unwrap_or(&claim);
            claim.trim_start().strip_prefix("file ").map(ToOwned::to_owned)
        })
        .collect()
}

/// The claim on a Kubernetes object.
pub(crate) fn object_claim(group: &str, kind: &str, namespace: &str, name: &str) -> String {
    format!("object {group}/{kind} {namespace}/{name}")
}

/// Who wrote a file last, in words.
pub(crate) async fn written_by(world: &World, path: &str) -> Option<String> {
    let origin = world.host.origin(path).await.ok()??;
    let time = jiff::Timestamp::from_second(origin.modified).ok()?;
    Some(format!("{} at {time}", origin.user))
}

/// Turns a failed reading into an honest observation.
pub(crate) fn unknown(error: &PortError) -> Observed {
    Observed::Unknown(error.to_string())
}

/// Runs a program that must succeed.
pub(crate) async fn run_checked(
    world: &World,
    code: &'static str,
    command: openg2p_ports::Command,
) -> Result<String, PortError> {
    let shown = std::iter::once(command.program.as_str())
        .chain(command.arguments.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ");
    let output = world.host.run(command).await?;
    if output.status == Some(0) {
        return Ok(output.stdout);
    }
    let both = format!("{}\n{}", output.stdout.trim_end(), output.stderr.trim_end());
    let tail: Vec<&str> = both.lines().rev().take(12).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    let status = output
        .status
        .map_or("a signal".to_owned(), |status| format!("status {status}"));
    Err(PortError::new(
        code,
        format!("`{shown}`"),
        world.host.name(),
        format!("ended with {status}: {}", tail.join("\n").trim()),
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_folder_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .trim_end_matches(".rs")
                    .replace('_', "-")
            })
            .filter(|name| name != "lib" && name != "foreign")
            .collect();
        files.sort();
        let listed: Vec<&str> = super::KINDS.iter().map(|kind| kind.name()).collect();
        assert_eq!(files, listed);
    }
}
