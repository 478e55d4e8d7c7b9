//! The record of a release as Helm keeps it, so that `helm list`, `get` and `history` show what we installed.
//!
//! Desired: `namespace`, `release`, `labels`, `record` (the release as Helm's JSON without its times, state and revision, packed as Helm packs
//! it: gzip, then base64), `takeOver` (see the kind of Kubernetes objects). Each change of the release is a revision: a Secret
//! `sh.helm.release.v1.<release>.v<revision>`. Values of secrets are not in a record; `compose` puts references there.
//!
//! A Helm that was killed leaves a revision in `pending-install` or `pending-upgrade`, and refuses every further upgrade. Such a revision is
//! marked as failed, which it is, and ours follows; nothing is deleted.

use std::io::{Read as _, Write as _};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::{Action, Entry, FieldChange, Fingerprint, Observed, Verdict};
use openg2p_ports::{Object, ObjectRef, Ownership, PortError, World};
use serde_json::{Value, json};

use crate::kubernetes_object::{DESIRED_ANNOTATION, FIELD_MANAGER, OWNER_LABEL, takes};
use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct HelmRecord;

/// As many revisions as Helm itself keeps.
const KEPT: usize = 10;
/// Longest record that is unpacked: far more than a Secret can hold of honest content.
const LONGEST: u64 = 64 << 20;
const PENDING: [&str; 3] = ["pending-install", "pending-upgrade", "pending-rollback"];

fn secret_name(release: &str, revision: u64) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

fn place(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(namespace.into()),
        name: name.into(),
    }
}

/// One revision of a release.
struct Revision {
    number: u64,
    object: Object,
}

impl Revision {
    fn of(object: Object) -> Option<Self> {
        let number = object.label("version")?.parse().ok()?;
        Some(Self { number, object })
    }

    fn status(&self) -> &str {
        self.object.label("status").unwrap_or_default()
    }

    fn pending(&self) -> bool {
        PENDING.contains(&self.status())
    }

    fn ours(&self) -> bool {
        self.object.label(OWNER_LABEL).is_some()
    }
}

/// The revisions of a release among Helm's records, the oldest first.
fn revisions(records: &[Object], namespace: &str, release: &str) -> Vec<Revision> {
    let mine = records.iter().filter(|record| {
        record.label("name") == Some(release) && record.metadata("namespace") == Some(namespace)
    });
    let mut revisions: Vec<Revision> = mine.filter_map(|record| Revision::of(record.clone())).collect();
    revisions.sort_by_key(|revision| revision.number);
    revisions
}

fn pack(release: &Value) -> std::io::Result<String> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(release.to_string().as_bytes())?;
    Ok(STANDARD.encode(packer.finish()?))
}

fn unpack(packed: &str) -> Option<Value> {
    let bytes = STANDARD.decode(packed).ok()?;
    // records of Helm's first days are not compressed
    if !bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        return serde_json::from_slice(&bytes).ok();
    }
    let mut text = String::new();
    let unpacker = flate2::read::GzDecoder::new(bytes.as_slice());
    unpacker.take(LONGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The release in a record's Secret. A Secret's data is base64 once more.
fn release_of(object: &Object) -> Option<Value> {
    let data = STANDARD.decode(object.0["data"]["release"].as_str()?).ok()?;
    unpack(std::str::from_utf8(&data).ok()?)
}

/// `2026-11-24T22:00:00Z`.
fn time(clock: i64) -> String {
    let Ok(time) = time::OffsetDateTime::from_unix_timestamp(clock) else {
        return String::new();
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn failed(what: &str, place: &ObjectRef, why: &dyn std::fmt::Display) -> PortError {
    PortError::new("helm::record", what, place.to_string(), why.to_string())
}

/// Writes a revision's Secret.
async fn write(
    world: &World,
    subject: Subject<'_>,
    release: &Value,
    stamp: (&str, i64),
    mark: Option<&Fingerprint>,
) -> Result<Object, PortError> {
    let (name, namespace) = (
        text(subject.desired, "release"),
        text(subject.desired, "namespace"),
    );
    let number = release["version"].as_u64().unwrap_or(1);
    let place = place(namespace, &secret_name(name, number));
    let packed = pack(release).map_err(|error| failed("pack a record", &place, &error))?;
    let mut labels = subject.desired["labels"].clone();
    labels["name"] = json!(name);
    labels["owner"] = json!("helm");
    labels["status"] = release["info"]["status"].clone();
    labels["version"] = json!(number.to_string());
    labels[stamp.0] = json!(stamp.1.to_string());
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": place.name, "namespace": namespace, "labels": labels},
        "data": {"release": STANDARD.encode(packed)},
    });
    if let Some(mark) = mark {
        manifest["metadata"]["annotations"] = json!({DESIRED_ANNOTATION: mark});
    }
    // the state of a revision that Helm wrote becomes ours to say: the take-over was planned
    world
        .cluster
        .apply(&manifest, FIELD_MANAGER, Ownership::Take)
        .await
}

/// Gives an earlier revision the state in which Helm expects it behind a newer one.
async fn retire(
    world: &World,
    subject: Subject<'_>,
    revision: &Revision,
    clock: i64,
) -> Result<(), PortError> {
    let (status, why) = match revision.status() {
        "deployed" => ("superseded", "Superseded by a newer revision"),
        _ if revision.pending() => ("failed", "It was cut off before its end"),
        _ => return Ok(()),
    };
    // what cannot be read stays as it is: Helm passes it over too
    let Some(mut release) = release_of(&revision.object) else {
        return Ok(());
    };
    release["info"]["status"] = json!(status);
    release["info"]["description"] = json!(why);
    release["version"] = json!(revision.number);
    let mark = revision.object.annotation(DESIRED_ANNOTATION).map(str::to_owned);
    let mark = mark.and_then(|mark| serde_json::from_value::<Fingerprint>(json!(mark)).ok());
    write(world, subject, &release, ("modifiedAt", clock), mark.as_ref()).await?;
    Ok(())
}

#[async_trait]
impl Kind for HelmRecord {
    fn name(&self) -> &'static str {
        "helm-record"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        match world.cluster.reachable().await {
            Ok(None) => return vec![Observed::Absent; subjects.len()],
            Err(error) => return vec![unknown(&error); subjects.len()],
            Ok(Some(_)) => {}
        }
        let first = subjects.first().map(|subject| text(subject.desired, "namespace"));
        let same = subjects
            .iter()
            .all(|subject| Some(text(subject.desired, "namespace")) == first);
        let namespace = first.filter(|_| same);
        let records = match world
            .cluster
            .list("v1", "Secret", namespace, Some("owner=helm"))
            .await
        {
            Ok(records) => records,
            Err(error) => return vec![unknown(&error); subjects.len()],
        };
        let look = |subject: &Subject<'_>| {
            let (namespace, release) = (
                text(subject.desired, "namespace"),
                text(subject.desired, "release"),
            );
            let revisions = revisions(&records, namespace, release);
            let Some(newest) = revisions.last() else {
                return Observed::Absent;
            };
            let stuck: Vec<u64> = revisions
                .iter()
                .filter(|it| it.pending())
                .map(|it| it.number)
                .collect();
            Observed::Present(json!({
                "revision": newest.number,
                "status": newest.status(),
                "ours": newest.ours(),
                "record": newest.object.annotation(DESIRED_ANNOTATION),
                "stuck": stuck,
            }))
        };
        subjects.iter().map(look).collect()
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => return Verdict::Create,
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        let release = format!(
            "{}/{}",
            text(subject.desired, "namespace"),
            text(subject.desired, "release")
        );
        let taken = takes(subject.desired, &release);
        if subject.entry.is_none() && state["ours"] != true && !taken {
            return Verdict::Conflict(format!(
                "Helm has a release {release}; take it over with `--take-over {release}`, or remove it with Helm"
            ));
        }
        let wanted = Fingerprint::of(&json!(text(subject.desired, "record")));
        let revision = state["revision"].as_u64().unwrap_or(0);
        let mut changes = Vec::new();
        if state["ours"] != true {
            changes.push(FieldChange::new("owner", Some("Helm"), Some("openg2p")));
        }
        for stuck in state["stuck"].as_array().into_iter().flatten() {
            let field = format!("revision {stuck}");
            changes.push(FieldChange::new(&field, Some("pending, cut off"), Some("failed")));
        }
        if text(state, "record") != wanted.as_str()
            || text(state, "status") != "deployed"
            || !changes.is_empty()
        {
            let (from, to) = (revision.to_string(), (revision + 1).to_string());
            changes.push(FieldChange::new("revision", Some(&from), Some(&to)));
        }
        if changes.is_empty() {
            Verdict::Same
        } else {
            Verdict::Update(changes)
        }
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let (namespace, release) = (
            text(subject.desired, "namespace"),
            text(subject.desired, "release"),
        );
        let clock = world.host.facts().await?.clock;
        let records = world
            .cluster
            .list("v1", "Secret", Some(namespace), Some("owner=helm"))
            .await?;
        let known = revisions(&records, namespace, release);
        // the older ones first: a run that is cut off here leaves a release without a deployed revision, and the next run makes one
        for revision in &known {
            retire(world, subject, revision, clock).await?;
        }
        let number = known.last().map_or(1, |newest| newest.number + 1);
        let first = known
            .first()
            .and_then(|first| release_of(&first.object))
            .and_then(|first| first["info"]["first_deployed"].as_str().map(str::to_owned))
            .unwrap_or_else(|| time(clock));
        let packed = text(subject.desired, "record");
        let place = place(namespace, &secret_name(release, number));
        let mut content = unpack(packed).ok_or_else(|| {
            failed(
                "read the desired record",
                &place,
                &"it is not packed as Helm packs",
            )
        })?;
        content["version"] = json!(number);
        content["info"]["first_deployed"] = json!(first);
        content["info"]["last_deployed"] = json!(time(clock));
        content["info"]["deleted"] = json!("");
        content["info"]["status"] = json!("deployed");
        content["info"]["description"] = json!(if number == 1 {
            "Install complete"
        } else {
            "Upgrade complete"
        });
        let mark = Fingerprint::of(&json!(packed));
        write(world, subject, &content, ("createdAt", clock), Some(&mark)).await?;
        let old = (known.len() + 1).saturating_sub(KEPT);
        for revision in known.iter().take(old).filter(|revision| revision.ours()) {
            remove_revision(world, namespace, revision).await?;
        }
        Ok(Value::Null)
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        if world.cluster.reachable().await?.is_none() {
            return Ok(());
        }
        let (namespace, release) = (text(&entry.desired, "namespace"), text(&entry.desired, "release"));
        let records = world
            .cluster
            .list("v1", "Secret", Some(namespace), Some("owner=helm"))
            .await?;
        for revision in revisions(&records, namespace, release) {
            if revision.ours() {
                remove_revision(world, namespace, &revision).await?;
            }
        }
        Ok(())
    }
}

async fn remove_revision(world: &World, namespace: &str, revision: &Revision) -> Result<(), PortError> {
    let object = &revision.object;
    let place = place(namespace, object.metadata("name").unwrap_or_default());
    let uid = object.metadata("uid").unwrap_or_default();
    world
        .cluster
        .delete(&place, uid, std::time::Duration::from_mins(1))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_packed_as_helm_packs_it() {
        let release = json!({"name": "shop", "version": 3});
        let packed = pack(&release).unwrap();
        assert!(packed.starts_with("H4sI"), "{packed}");
        assert_eq!(unpack(&packed), Some(release.clone()));
        assert_eq!(unpack(&STANDARD.encode(release.to_string())), Some(release));
        assert_eq!(unpack("no record"), None);
    }

    #[test]
    fn times_are_written_as_helm_reads_them() {
        assert_eq!(time(1_795_557_600), "2026-11-24T22:00:00Z");
    }

    #[test]
    fn a_foreign_release_is_a_conflict_and_a_stuck_one_is_healed() {
        let desired = json!({"namespace": "dev", "release": "shop", "record": "x"});
        let state = |ours: bool| {
            Observed::Present(
                json!({"revision": 2, "status": "pending-upgrade", "ours": ours, "record": null, "stuck": [2]}),
            )
        };
        let subject = |desired| Subject { desired, entry: None };
        assert!(matches!(
            HelmRecord.compare(subject(&desired), &state(false)),
            Verdict::Conflict(_)
        ));
        let mut asked = desired.clone();
        asked["takeOver"] = json!(["dev/shop"]);
        let Verdict::Update(changes) = HelmRecord.compare(subject(&asked), &state(false)) else {
            panic!("nothing to do")
        };
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["owner", "revision 2", "revision"]);
    }
}
