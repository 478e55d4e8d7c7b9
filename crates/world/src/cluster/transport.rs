//! Requests to the API server: where a kind lives, and what to do when the server is busy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Client;
use kube::core::{GroupVersionKind, Status};
use kube::discovery::ApiResource;
use openg2p_ports::ObjectRef;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

/// How long a busy server is asked again.
const BUSY: Duration = Duration::from_mins(2);
/// How long a server that does not answer at all is: a control plane that restarts is away for seconds.
const AWAY: Duration = Duration::from_secs(30);
/// The first pause; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an answer, to whatever was asked, shows that the server is there. Each of a thousand steps asks whether it is.
const FRESH: Duration = Duration::from_secs(1);

/// How long a server may go on with the former schema of a definition that it has accepted: it reads them again behind its answer.
const SETTLES: Duration = Duration::from_secs(10);

/// What is shared by all requests.
#[derive(Default)]
pub(super) struct Transport {
    /// A server that asked one request to slow down means all of them.
    quiet_until: Mutex<Option<Instant>>,
    contact: Mutex<Contact>,
    /// Groups of definitions that were applied, and when.
    defined: Mutex<BTreeMap<String, Instant>>,
    /// Resources of groups that are not Kubernetes' own, by API version and kind.
    custom: Mutex<BTreeMap<(String, String), ApiResource>>,
}

/// What the requests so far show of the server.
#[derive(Clone, Copy, Default)]
struct Contact {
    /// When it answered last.
    answered: Option<Instant>,
    /// How many requests it did not answer; behind each, another server may be there.
    silences: u64,
}

/// What an error says of trying again.
enum Again {
    /// Never: the answer is the answer.
    No,
    /// The server is busy; it may say for how long.
    Busy(Option<Duration>),
    /// There was no answer.
    Away,
}

fn again(error: &kube::Error) -> Again {
    match error {
        kube::Error::Api(status) => match status.code {
            500 if misspelt(status) => Again::No,
            429 | 500 | 502 | 503 | 504 => {
                let asked = status
                    .details
                    .as_ref()
                    .map_or(0, |details| details.retry_after_seconds);
                Again::Busy((asked > 0).then(|| Duration::from_secs(asked.into())))
            }
            _ => Again::No,
        },
        kube::Error::HyperError(_) | kube::Error::Service(_) => Again::Away,
        _ => Again::No,
    }
}

/// Whether the server says that its schema does not have a field.
pub(super) fn undeclared(status: &Status) -> bool {
    misspelt(status) || status.message.contains("strict decoding error")
}

/// An apply with a field that the schema does not have is answered with 500, though no other attempt will end otherwise.
pub(super) fn misspelt(status: &Status) -> bool {
    status.message.contains("failed to create typed patch object")
}

pub(super) fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// Groups that every API server has; their resources are known without asking.
pub(super) fn built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

impl Transport {
    /// Sends a request that may safely be sent twice, until the server answers it. A busy server (429, 5xx) slows down all requests of this
    /// client; no request is given up before [`BUSY`] has passed.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        client: &Client,
        request: &http::Request<Vec<u8>>,
    ) -> Result<T, kube::Error> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            self.quiet().await;
            let mut copy = http::Request::new(request.body().clone());
            request.method().clone_into(copy.method_mut());
            request.uri().clone_into(copy.uri_mut());
            request.headers().clone_into(copy.headers_mut());
            let result = client.request::<T>(copy).await;
            self.note(&result).await;
            let error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match again(&error) {
                Again::Busy(asked) if started.elapsed() < BUSY => {
                    let pause = asked.unwrap_or(pause).min(LONGEST_PAUSE);
                    *self.quiet_until.lock().await = Some(Instant::now() + pause);
                }
                Again::Away if started.elapsed() < AWAY => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Remembers whether there was an answer, good or bad.
    pub(super) async fn note<T>(&self, result: &Result<T, kube::Error>) {
        let mut contact = self.contact.lock().await;
        match result {
            Ok(_) | Err(kube::Error::Api(_)) => contact.answered = Some(Instant::now()),
            Err(_) => contact.silences += 1,
        }
    }

    /// How many requests the server did not answer so far, and whether it answered one just now.
    pub(super) async fn contact(&self) -> (u64, bool) {
        let contact = *self.contact.lock().await;
        let fresh = contact
            .answered
            .is_some_and(|answered| answered.elapsed() < FRESH);
        (contact.silences, fresh)
    }

    /// A definition of this group was applied.
    pub(super) async fn define(&self, group: &str) {
        self.defined.lock().await.insert(group.to_owned(), Instant::now());
    }

    /// Whether what the server says of fields of this group may rest on a schema that was just replaced. Waits for a moment then.
    pub(super) async fn may_have_read_before(&self, group: &str) -> bool {
        let since = self.defined.lock().await.get(group).map(Instant::elapsed);
        let settles = since.is_some_and(|since| since < SETTLES);
        if settles {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        settles
    }

    async fn quiet(&self) {
        loop {
            let until = *self.quiet_until.lock().await;
            match until.and_then(|until| until.checked_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
    }

    /// The path of a kind's objects; none when the server does not know the kind (its definition is still to come).
    pub(super) async fn path(
        &self,
        client: &Client,
        object: &ObjectRef,
    ) -> Result<Option<String>, kube::Error> {
        let (group, version) = object
            .api_version
            .split_once('/')
            .unwrap_or(("", &object.api_version));
        let resource = if built_in(group) {
            let kind = GroupVersionKind::gvk(group, version, &object.kind);
            ApiResource::from_gvk(&kind)
        } else {
            match self.custom(client, object, group, version).await? {
                Some(resource) => resource,
                None => return Ok(None),
            }
        };
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let place = object
            .namespace
            .as_ref()
            .map_or(String::new(), |namespace| format!("/namespaces/{namespace}"));
        Ok(Some(format!("{root}{place}/{}", resource.plural)))
    }

    /// Only the server knows the plural that somebody gave to a kind.
    async fn custom(
        &self,
        client: &Client,
        object: &ObjectRef,
        group: &str,
        version: &str,
    ) -> Result<Option<ApiResource>, kube::Error> {
        let key = (object.api_version.clone(), object.kind.clone());
        if let Some(known) = self.custom.lock().await.get(&key) {
            return Ok(Some(known.clone()));
        }
        let path = format!("/apis/{group}/{version}");
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let answer: serde_json::Value = match self.send(client, &request).await {
            Ok(answer) => answer,
            Err(error) if is(&error, 404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let plural = answer["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|resource| resource["kind"] == object.kind.as_str())
            .filter_map(|resource| resource["name"].as_str())
            .find(|name| !name.contains('/'));
        let Some(plural) = plural else { return Ok(None) };
        let kind = GroupVersionKind::gvk(group, version, &object.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        self.custom.lock().await.insert(key, resource.clone());
        Ok(Some(resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_kubernetes_need_no_discovery() {
        for group in [
            "",
            "apps",
            "batch",
            "rbac.authorization.k8s.io",
            "apiregistration.k8s.io",
        ] {
            assert!(built_in(group), "{group}");
        }
        assert!(!built_in("networking.istio.io"));
    }
}
