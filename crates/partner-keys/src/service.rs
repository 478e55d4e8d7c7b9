//! The calls.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap};
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::answer::{Answer, json_answer, keymanager_error, oauth_error, token, verified};
use crate::clients::Clients;
use crate::partners::Partners;
use crate::settings::Settings;
use crate::signature;
use crate::token;
use openg2p_json_log::Log;

/// A body must be here within this time; the callers themselves give up after five seconds.
const BODY_TIME: Duration = Duration::from_secs(20);
/// A form with a client's id and secret is small.
const LARGEST_FORM: u64 = 16 * 1024;

/// Everything that a call needs.
pub(crate) struct Service {
    partners: Partners,
    clients: Clients,
    token_seconds: u32,
    max_body: u64,
    /// Bytes of bodies that may be in memory at once, in KiB: outsiders decide how large the bodies are that the
    /// callers pass on before they know whether the signature is good.
    memory: Semaphore,
    log: Arc<Log>,
}

/// The part of the Keymanager's request that counts here. `certificateData` is not even read: the key is the
/// registered one, never one that comes with the request.
#[derive(Deserialize)]
struct VerifyCall<'a> {
    #[serde(borrow)]
    request: VerifyRequest<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyRequest<'a> {
    #[serde(borrow)]
    jwt_signature_data: Cow<'a, str>,
    #[serde(borrow)]
    actual_data: Cow<'a, str>,
    #[serde(borrow)]
    reference_id: Cow<'a, str>,
    #[serde(default)]
    validate_trust: Option<bool>,
}

#[derive(Deserialize, Default)]
struct TokenRequest {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// Why a body was not taken.
enum BodyError {
    TooLarge,
    NoLength,
    Broken,
}

impl Service {
    pub(crate) fn new(settings: &Settings, log: Arc<Log>) -> Self {
        let kibibytes = settings.max_body as usize / 1024 * 2;
        Self {
            partners: Partners::new(settings.partners.clone()),
            clients: Clients::new(settings.clients.clone()),
            token_seconds: settings.token_seconds,
            max_body: u64::from(settings.max_body),
            memory: Semaphore::new(kibibytes),
            log,
        }
    }

    /// Tells at the start which partners are registered and which of their files cannot be used.
    pub(crate) fn report_partners(&self) {
        let now = Timestamp::now();
        let names = self.partners.list();
        for name in &names {
            if let Err(why) = self.partners.key(name, now) {
                let fields = [("partner", name.as_str()), ("reason", why.code())];
                self.log.warning("partner-unusable", &why.to_string(), &fields);
            }
        }
        let message = format!(
            "{} partner(s) and {} client(s) are registered",
            names.len(),
            self.clients.count()
        );
        self.log
            .info("registered", &message, &[("partners", &names.join(" "))]);
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/health") => self.health(),
            (&Method::POST, "/token") => self.token(request).await,
            (&Method::POST, "/v1/keymanager/jwtVerify") => self.verify(request).await,
            (_, "/health" | "/token" | "/v1/keymanager/jwtVerify") => json_answer(
                StatusCode::METHOD_NOT_ALLOWED,
                &serde_json::json!({"error": "method_not_allowed"}),
            ),
            _ => json_answer(StatusCode::NOT_FOUND, &serde_json::json!({"error": "not_found"})),
        }
    }

    fn health(&self) -> Answer {
        let body = serde_json::json!({
            "status": "UP", "partners": self.partners.list().len(), "clients": self.clients.count()
        });
        json_answer(StatusCode::OK, &body)
    }

    async fn token(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Ok((bytes, _held)) = self.body(body, &head.headers, LARGEST_FORM).await else {
            return oauth_error(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the body cannot be read",
            );
        };
        let Some(mut asked) = token_request(&head.headers, &bytes) else {
            return oauth_error(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the body is neither a form nor JSON",
            );
        };
        if head.headers.contains_key(AUTHORIZATION) {
            if asked.client_secret.is_some() {
                return oauth_error(
                    StatusCode::BAD_REQUEST,
                    "invalid_request",
                    "the client authenticates twice",
                );
            }
            let Some((id, secret)) = basic(&head.headers) else {
                return oauth_error(
                    StatusCode::UNAUTHORIZED,
                    "invalid_client",
                    "the Authorization is not Basic",
                );
            };
            asked.client_id = Some(id);
            asked.client_secret = Some(secret);
        }
        if asked.grant_type.as_deref() != Some("client_credentials") {
            let text = "the only grant is client_credentials";
            return oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", text);
        }
        let id = asked.client_id.unwrap_or_default();
        let secret = asked.client_secret.unwrap_or_default();
        let made = self
            .clients
            .knows(&id, &secret)
            .then(|| self.clients.secret(&id))
            .flatten()
            .and_then(|known| token::issue(&id, &known, Timestamp::now(), self.token_seconds));
        if let Some(made) = made {
            self.log
                .info("token-issued", "a client got a token", &[("client", &id)]);
            return token(&made, self.token_seconds);
        }
        let message = "no such client, or a wrong secret";
        self.log.warning("token-refused", message, &[("client", &id)]);
        oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", message)
    }

    async fn verify(&self, request: Request<Incoming>) -> Answer {
        let now = Timestamp::now();
        let (head, body) = request.into_parts();
        // Before the body is taken: strangers get no memory.
        let client = match token::check(presented_token(&head.headers), &self.clients, now) {
            Ok(client) => client,
            Err(why) => {
                self.log
                    .warning("caller-refused", &why.to_string(), &[("reason", why.code())]);
                let text = "Authentication Failed";
                return keymanager_error(StatusCode::UNAUTHORIZED, "KER-ATH-401", text, now);
            }
        };
        let refused = |reason: &str, message: &str| {
            self.log.warning(
                "request-refused",
                message,
                &[("client", &client), ("reason", reason)],
            );
        };
        let (bytes, _held) = match self.body(body, &head.headers, self.max_body).await {
            Ok(body) => body,
            Err(why) => {
                let (status, message) = match why {
                    BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
                    BodyError::NoLength => (StatusCode::LENGTH_REQUIRED, "the body has no Content-Length"),
                    BodyError::Broken => (StatusCode::BAD_REQUEST, "the body did not arrive"),
                };
                refused("request::body", message);
                return keymanager_error(status, "KER-CSS-999", message, now);
            }
        };
        let Ok(VerifyCall { request }) = serde_json::from_slice::<VerifyCall<'_>>(&bytes) else {
            refused("request::shape", "the body is not a jwtVerify request");
            return keymanager_error(StatusCode::OK, "KER-CSS-999", "Invalid request input", now);
        };
        if request.validate_trust == Some(true) {
            refused(
                "request::validate-trust",
                "validateTrust was asked for; no chains of trust are known here",
            );
            let message = "Trust validation is not available: keys are registered one by one";
            return keymanager_error(StatusCode::OK, "KER-JWS-105", message, now);
        }
        self.judge(&request, &client, now)
    }

    /// The verification itself.
    fn judge(&self, request: &VerifyRequest<'_>, client: &str, now: Timestamp) -> Answer {
        let partner = request.reference_id.as_ref();
        let key = match self.partners.key(partner, now) {
            Ok(key) => key,
            Err(why) => {
                let fields = [("partner", partner), ("client", client), ("reason", why.code())];
                self.log.warning("signature-refused", &why.to_string(), &fields);
                return keymanager_error(StatusCode::OK, "KER-JWS-107", &why.to_string(), now);
            }
        };
        match signature::verify(&request.jwt_signature_data, &request.actual_data, &key) {
            Ok(()) => {
                let bytes = request.actual_data.len().to_string();
                let fields = [
                    ("partner", partner),
                    ("client", client),
                    ("bytes", bytes.as_str()),
                ];
                self.log
                    .info("signature-accepted", "the registered key made it", &fields);
                verified(true, now)
            }
            Err(why) => {
                let fields = [("partner", partner), ("client", client), ("reason", why.code())];
                self.log.warning("signature-refused", &why.to_string(), &fields);
                verified(false, now)
            }
        }
    }

    /// Reads a body within its time, once there is room for it.
    async fn body(
        &self,
        body: Incoming,
        headers: &HeaderMap,
        limit: u64,
    ) -> Result<(Bytes, SemaphorePermit<'_>), BodyError> {
        if headers.contains_key(hyper::header::TRANSFER_ENCODING) {
            return Err(BodyError::NoLength);
        }
        let length = body.size_hint().exact().ok_or(BodyError::NoLength)?;
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        let kibibytes = u32::try_from(length.div_ceil(1024)).map_err(|_| BodyError::TooLarge)?;
        let read = async {
            let held = self
                .memory
                .acquire_many(kibibytes)
                .await
                .map_err(|_| BodyError::Broken)?;
            let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
            let bytes = limited.collect().await.map_err(|_| BodyError::Broken)?.to_bytes();
            Ok((bytes, held))
        };
        tokio::time::timeout(BODY_TIME, read)
            .await
            .unwrap_or(Err(BodyError::Broken))
    }
}

fn token_request(headers: &HeaderMap, body: &[u8]) -> Option<TokenRequest> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/json") {
        return serde_json::from_slice(body).ok();
    }
    let mut asked = TokenRequest::default();
    for (name, value) in form_urlencoded::parse(body) {
        let place = match name.as_ref() {
            "grant_type" => &mut asked.grant_type,
            "client_id" => &mut asked.client_id,
            "client_secret" => &mut asked.client_secret,
            _ => continue,
        };
        // RFC 6749: a parameter must not be there twice.
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    Some(asked)
}

/// The client's id and secret of a Basic header, which carries both percent-encoded (RFC 6749 section 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        form_urlencoded::parse(part.as_bytes())
            .next()
            .map(|(name, _)| name.into_owned())
    };
    Some((decode(id)?, decode(secret).unwrap_or_default()))
}

/// SPAR and Bridge send the token in a cookie called Authorization; others send it as RFC 6750 says.
fn presented_token(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(token.trim());
    }
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == "Authorization").then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn the_token_is_found_in_a_cookie_or_a_bearer_header() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        assert_eq!(
            presented_token(&with("cookie", "a=b; Authorization=t.t.t; c=d")),
            Some("t.t.t")
        );
        assert_eq!(
            presented_token(&with("authorization", "Bearer t.t.t")),
            Some("t.t.t")
        );
        assert_eq!(presented_token(&with("authorization", "Basic t.t.t")), None);
        assert_eq!(presented_token(&with("cookie", "XAuthorization=t.t.t")), None);
        assert_eq!(presented_token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_form_with_a_parameter_twice_is_refused() {
        let headers = HeaderMap::new();
        assert!(token_request(&headers, b"client_id=a&client_id=b").is_none());
        let asked = token_request(
            &headers,
            b"client_id=a%2Bb&client_secret=c+d&grant_type=client_credentials&x=y",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.client_id.as_deref(), Some("a+b"));
        assert_eq!(asked.client_secret.as_deref(), Some("c d"));
    }

    #[test]
    fn a_basic_header_is_decoded() {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode("spar-mapper:p%3Aw"));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        assert_eq!(basic(&headers), Some(("spar-mapper".into(), "p:w".into())));
    }
}
