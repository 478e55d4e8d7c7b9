//! A Kubernetes Secret whose content is made on the box, once.
//!
//! Desired: `namespace`, `name`, `labels`, `keys`: for each key one of `{"value": "…"}` (not secret, e.g. a user name),
//! `{"random": N}` (N characters of a 62-letter alphabet), `{"rsaPrivateKey": 2048}` (PKCS #8 PEM). Present keys are never made
//! again; the content is read only where it must be carried over and never leaves this file.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::{
    Action, Entry, EntryState, FieldChange, Fingerprint, Observed, ResourceId, Risk, Verdict,
};
use openg2p_ports::{ObjectRef, Ownership, PortError, Random, World};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::{Map, Value, json};

use crate::kubernetes_object::{FIELD_MANAGER, delete_ours, live, on_its_way};
use crate::{Kind, Progress, Subject, text, unknown};

pub(crate) struct KubernetesSecret;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(crate) fn reference(desired: &Value) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(text(desired, "namespace").into()),
        name: text(desired, "name").into(),
    }
}

/// `length` characters, each drawn without bias: bytes beyond the largest multiple of 62 are thrown away.
fn random_text(random: &dyn Random, length: usize) -> String {
    let limit = u8::try_from(256 / ALPHABET.len() * ALPHABET.len() - 1).unwrap_or(u8::MAX);
    let mut out = String::with_capacity(length);
    let mut buffer = [0_u8; 64];
    while out.len() < length {
        random.fill(&mut buffer);
        for byte in buffer.iter().filter(|byte| **byte <= limit) {
            if out.len() < length {
                out.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
            }
        }
    }
    out
}

/// A random generator over the port, for the key generator of the rsa crate.
struct Source<'a>(&'a dyn Random);

impl rsa::rand_core::TryRng for Source<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rsa::rand_core::TryCryptoRng for Source<'_> {}

fn make(world: &World, secret: &str, recipe: &Value) -> Result<String, PortError> {
    if let Some(value) = recipe.get("value").and_then(Value::as_str) {
        return Ok(value.into());
    }
    if let Some(length) = recipe.get("random").and_then(Value::as_u64) {
        return Ok(random_text(
            world.random.as_ref(),
            usize::try_from(length).unwrap_or(32),
        ));
    }
    let failed = |why: String| PortError::new("secret::make", "make a private key", secret, why);
    if let Some(bits) = recipe.get("rsaPrivateKey").and_then(Value::as_u64) {
        let bits = usize::try_from(bits).unwrap_or(2048);
        let key = rsa::PrivateKey::new(&mut Source(world.random.as_ref()), bits)
            .map_err(|error| failed(error.to_string()))?;
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| failed(error.to_string()))?;
        return Ok(pem.to_string());
    }
    Err(failed(format!(
        "the catalogue gives no recipe that this version knows: {recipe}"
    )))
}

fn wanted(desired: &Value) -> BTreeMap<String, Value> {
    desired["keys"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, recipe)| {
            let fixed = recipe.get("value").and_then(Value::as_str);
            (
                key.clone(),
                fixed.map_or(json!(true), |value| {
                    json!(Fingerprint::of_bytes(value.as_bytes()).short())
                }),
            )
        })
        .collect()
}

/// What is said of a lost secret.
const RESTORE: &str = "restore it from a backup: a new one would not open the data that the old one guards";

/// Whether the Secret was there and nobody decided to remove it: a change of it that was cut off makes it no less lost.
fn was_made(entry: &Entry) -> bool {
    match entry.state {
        EntryState::Present => true,
        EntryState::Intended => !text(&entry.details, "uid").is_empty(),
        EntryState::Removing => false,
    }
}

/// A key with random bytes that guards data, was there at the end of a run, and is not there any more.
fn lost_key<'a>(subject: Subject<'a>, state: &Value) -> Option<&'a String> {
    let entry = subject
        .entry
        .filter(|entry| entry.state == EntryState::Present && subject.desired["guardsData"] == true)?;
    let mut keys = subject.desired["keys"].as_object()?.iter();
    keys.find(|(key, recipe)| {
        recipe.get("value").is_none()
            && entry.desired["keys"].get(key).is_some()
            && state["keys"].get(key) != Some(&json!(true))
    })
    .map(|(key, _)| key)
}

#[async_trait]
impl Kind for KubernetesSecret {
    fn name(&self) -> &'static str {
        "kubernetes-secret"
    }

    async fn observe(&self, world: &World, subjects: &[Subject<'_>]) -> Vec<Observed> {
        let mut seen = Vec::with_capacity(subjects.len());
        match world.cluster.reachable().await {
            Ok(None) => return vec![Observed::Absent; subjects.len()],
            Err(error) => return vec![unknown(&error); subjects.len()],
            Ok(Some(_)) => {}
        }
        let places: Vec<ObjectRef> = subjects
            .iter()
            .map(|subject| reference(subject.desired))
            .collect();
        let found = live(world, &places).await;
        for (subject, place) in subjects.iter().zip(&places) {
            seen.push(match found.get(place) {
                None => Observed::Absent,
                Some(Ok(object)) => {
                    let data = object.0["data"].as_object().cloned().unwrap_or_default();
                    // random values are only known to be there; fixed ones are compared by fingerprint
                    let keys: Map<String, Value> = wanted(subject.desired)
                        .into_iter()
                        .filter_map(|(key, shape)| {
                            let bytes = STANDARD.decode(data.get(&key)?.as_str()?).ok()?;
                            let seen = if shape == json!(true) {
                                json!(!bytes.is_empty())
                            } else {
                                json!(Fingerprint::of_bytes(&bytes).short())
                            };
                            Some((key, seen))
                        })
                        .collect();
                    Observed::Present(json!({"keys": keys, "uid": object.metadata("uid")}))
                }
                Some(Err(error)) => unknown(error),
            });
        }
        seen
    }

    fn compare(&self, subject: Subject<'_>, observed: &Observed) -> Verdict {
        let state = match observed {
            Observed::Absent => {
                return match subject.entry {
                    // Making a new one would lock a module out of data that only the old one opens.
                    Some(entry) if subject.desired["guardsData"] == true && was_made(entry) => {
                        Verdict::Conflict(format!(
                            "Secret {}/{} was made by run {} and is gone; {RESTORE}",
                            text(subject.desired, "namespace"),
                            text(subject.desired, "name"),
                            entry.created_by
                        ))
                    }
                    _ => Verdict::Create,
                };
            }
            Observed::Unknown(why) => return Verdict::Unknown(why.clone()),
            Observed::Present(state) => state,
        };
        if subject.entry.is_none() {
            return Verdict::Conflict(format!(
                "Secret {}/{} is there and was not made by openg2p",
                text(subject.desired, "namespace"),
                text(subject.desired, "name")
            ));
        }
        if let Some(key) = lost_key(subject, state) {
            return Verdict::Conflict(format!(
                "key {key} of Secret {}/{} is gone; {RESTORE}",
                text(subject.desired, "namespace"),
                text(subject.desired, "name")
            ));
        }
        let mut changes: Vec<FieldChange> = wanted(subject.desired)
            .into_iter()
            .filter(|(key, shape)| state["keys"].get(key) != Some(shape))
            .map(|(key, _)| FieldChange::new(&key, None, Some("made on the box")))
            .collect();
        let recorded = subject
            .entry
            .is_none_or(|entry| entry.state == EntryState::Present);
        if changes.is_empty() && !recorded {
            // a run was cut off before it could note the uid, by which removal knows this Secret for ours
            changes.push(FieldChange::new("uid", Some("not recorded"), Some("recorded")));
        }
        if changes.is_empty() {
            Verdict::Same
        } else {
            Verdict::Update(changes)
        }
    }

    fn risk(&self, action: Action, _desired: &Value) -> Risk {
        // a secret is made once; what was encrypted or signed with it is lost with it
        match action {
            Action::Remove | Action::Replace => Risk::Data,
            _ => Risk::Restart,
        }
    }

    fn claims(&self, _id: &ResourceId, desired: &Value) -> Vec<String> {
        let (namespace, name) = (text(desired, "namespace"), text(desired, "name"));
        vec![crate::object_claim("", "Secret", namespace, name)]
    }

    async fn changed_by(&self, world: &World, subject: Subject<'_>) -> Option<String> {
        crate::kubernetes_object::last_manager(world, &reference(subject.desired)).await
    }

    async fn intend(&self, world: &World, subject: Subject<'_>) -> Result<Value, PortError> {
        let leaving = subject
            .entry
            .is_some_and(|entry| entry.state == EntryState::Removing);
        // wanted again behind a removal that was cut off: the uid of one that went on purpose would make it count as lost
        if leaving && world.cluster.get(&reference(subject.desired)).await?.is_none() {
            return Ok(Value::Null);
        }
        Ok(on_its_way(subject))
    }

    async fn change(
        &self,
        world: &World,
        _action: Action,
        subject: Subject<'_>,
        _details: Value,
        _progress: Progress<'_>,
    ) -> Result<Value, PortError> {
        let place = reference(subject.desired);
        let current = world.cluster.get(&place).await?;
        let mut data = Map::new();
        for (key, recipe) in subject.desired["keys"].as_object().into_iter().flatten() {
            let there = current
                .as_ref()
                .and_then(|object| object.0["data"].get(key))
                .cloned();
            let keep = there.filter(|_| recipe.get("value").is_none());
            let value = match keep {
                Some(value) => value,
                None => json!(STANDARD.encode(make(world, &place.to_string(), recipe)?)),
            };
            data.insert(key.clone(), value);
        }
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": place.name, "namespace": place.namespace, "labels": subject.desired["labels"]},
            "data": data,
        });
        let object = world
            .cluster
            .apply(&manifest, FIELD_MANAGER, Ownership::Respect)
            .await?;
        Ok(json!({"uid": object.metadata("uid")}))
    }

    async fn remove(&self, world: &World, entry: &Entry, _progress: Progress<'_>) -> Result<(), PortError> {
        delete_ours(world, &reference(&entry.desired), entry).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::Mutex<u8>);
    impl Random for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            let mut next = self.0.lock().unwrap();
            for byte in buffer {
                *byte = *next;
                *next = next.wrapping_add(1);
            }
        }
    }

    #[test]
    fn no_letter_is_drawn_more_often_than_another() {
        let random = Counting(std::sync::Mutex::new(0));
        let text = random_text(&random, 62 * 40);
        let mut counts = BTreeMap::new();
        for letter in text.chars() {
            *counts.entry(letter).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 40), "{counts:?}");
    }
}
