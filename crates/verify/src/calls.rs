//! Signed calls through the edge, and what their failures mean.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::message::{Answer, compact, excerpt, request};
use crate::options::Options;
use crate::plan::uuid;
use crate::ports::{Clock, Edge, EdgeError, EdgeFailure, EdgeRequest, EdgeResponse, Random};
use crate::report::Verdict;
use crate::signing::Signer;

/// A service behind the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Spar,
    Bridge,
}

impl Service {
    /// The component whose log tells more.
    pub(crate) fn component(self) -> &'static str {
        match self {
            Self::Spar => "spar-mapper",
            Self::Bridge => "g2p-bridge-api",
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spar => "SPAR",
            Self::Bridge => "G2P Bridge",
        }
    }
}

/// Why a call did not bring what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// No service has seen it.
    NotSent(String),
    /// Nobody knows whether the service acted on it.
    Unknown(String),
    /// The edge or the service answered with an HTTP error.
    Http { status: u16, body: String },
    /// The service refused it.
    Refused(String),
    /// The answer has another shape.
    Shape(String),
}

impl CallError {
    /// What was seen.
    pub(crate) fn seen(&self) -> String {
        match self {
            Self::NotSent(why) => format!("the request did not get through the edge: {why}"),
            Self::Unknown(why) => {
                format!("no answer came, and nobody knows whether the request took effect: {why}")
            }
            Self::Http { status, body } if body.is_empty() => format!("HTTP {status}"),
            Self::Http { status, body } => format!("HTTP {status}: {body}"),
            Self::Refused(reason) => format!("refused: {reason}"),
            Self::Shape(what) => format!("an answer of another shape: {what}"),
        }
    }

    /// Where to look.
    pub(crate) fn look_at(&self, service: Service) -> String {
        let component = service.component();
        match self {
            Self::NotSent(_) => {
                "the edge: does the name resolve to this site, does Nginx run, is its certificate trusted?"
                    .into()
            }
            Self::Http {
                status: 502..=504, ..
            } => {
                format!(
                    "{component}: Nginx reaches no working pod of it; look at its pods and their readiness"
                )
            }
            Self::Http { status: 404, .. } => {
                "the edge: Nginx has no site for this host name, or not for this path".into()
            }
            Self::Http { status: 500, .. } => format!(
                "the log of {component}; an error at every call mostly means that it gets no token from partner-keys or no \
                 connection to its database"
            ),
            Self::Refused(reason) if reason == "rjct.jwt.invalid" => format!(
                "partner-keys: its log says why the signature for {component} was refused (is our certificate registered, \
                 and does the private key belong to it?)"
            ),
            Self::Unknown(_) | Self::Http { .. } | Self::Refused(_) | Self::Shape(_) => {
                format!("the log of {component}")
            }
        }
    }

    /// Failed, unless nobody can say.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Unknown(_) => Verdict::Unknown,
            _ => Verdict::Failed,
        }
    }

    /// Whether the same question can be asked again with hope.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_)
                | Self::Unknown(_)
                | Self::Http {
                    status: 500..=599 | 429,
                    ..
                }
        )
    }
}

/// Sends calls.
pub(crate) struct Caller<'a> {
    pub(crate) options: &'a Options,
    pub(crate) signer: &'a Signer,
    pub(crate) edge: &'a dyn Edge,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Random,
}

impl Caller<'_> {
    /// The body of a request, as it is signed and sent.
    pub(crate) fn body(&self, action: &str, message: &Value, count: usize) -> Vec<u8> {
        self.body_of(&self.options.sender_id, action, message, count)
    }

    /// The same for somebody else.
    pub(crate) fn body_of(&self, sender_id: &str, action: &str, message: &Value, count: usize) -> Vec<u8> {
        compact(&request(
            action,
            message,
            count,
            sender_id,
            &uuid(self.random),
            self.clock.now(),
        ))
    }

    /// Sends a body with this signature, or with none.
    pub(crate) async fn send(
        &self,
        service: Service,
        path: &str,
        body: Vec<u8>,
        signature: Option<String>,
    ) -> Result<EdgeResponse, EdgeError> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(signature.map(|signature| ("Signature".to_owned(), signature)));
        let host = match service {
            Service::Spar => &self.options.hosts.spar,
            Service::Bridge => &self.options.hosts.bridge,
        };
        self.edge
            .call(EdgeRequest {
                host: host.clone(),
                path: path.to_owned(),
                headers,
                body,
                within: self.options.call,
            })
            .await
    }

    /// A call as it should be; gives the message of a successful answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &str,
        action: &str,
        message: &Value,
        count: usize,
    ) -> Result<T, CallError> {
        let body = self.body(action, message, count);
        let signature = self.signer.sign_detached(&body);
        let answer = read(self.send(service, path, body, Some(signature)).await)?;
        if answer.header.status != "succ" {
            return Err(CallError::Refused(answer.header.reason()));
        }
        serde_json::from_value(answer.message).map_err(|why| CallError::Shape(why.to_string()))
    }
}

/// Reads an answer of G2P Connect.
pub(crate) fn read(outcome: Result<EdgeResponse, EdgeError>) -> Result<Answer, CallError> {
    let response = outcome.map_err(|error| match error.failure {
        EdgeFailure::NotSent => CallError::NotSent(error.message),
        EdgeFailure::Unknown => CallError::Unknown(error.message),
    })?;
    if response.status != 200 {
        return Err(CallError::Http {
            status: response.status,
            body: excerpt(&response.body),
        });
    }
    serde_json::from_slice(&response.body)
        .map_err(|why| CallError::Shape(format!("{why} in: {}", excerpt(&response.body))))
}
