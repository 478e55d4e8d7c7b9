//! The shapes of the answers: OAuth's (RFC 6749) for tokens, the Keymanager's for verification.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

/// An answer on the wire.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Any JSON answer. None of them may be kept by a cache.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A token for a client.
pub(crate) fn token(token: &str, seconds: u32) -> Answer {
    json_answer(
        StatusCode::OK,
        &json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds}),
    )
}

/// A refused token, as RFC 6749 section 5.2 has it.
pub(crate) fn oauth_error(status: StatusCode, error: &str, description: &str) -> Answer {
    let mut answer = json_answer(status, &json!({"error": error, "error_description": description}));
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"partner-keys\""),
        );
    }
    answer
}

/// The Keymanager's answer to a verification that took place.
pub(crate) fn verified(valid: bool, now: Timestamp) -> Answer {
    let message = if valid {
        "Validation Successful"
    } else {
        "Validation Failed"
    };
    let response = json!({"signatureValid": valid, "message": message, "trustValid": "TRUST_NOT_VERIFIED"});
    keymanager(StatusCode::OK, &response, &Value::Null, now)
}

/// The Keymanager's answer to a verification that could not take place.
pub(crate) fn keymanager_error(status: StatusCode, code: &str, message: &str, now: Timestamp) -> Answer {
    keymanager(
        status,
        &Value::Null,
        &json!([{"errorCode": code, "message": message}]),
        now,
    )
}

fn keymanager(status: StatusCode, response: &Value, errors: &Value, now: Timestamp) -> Answer {
    let time = now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    json_answer(
        status,
        &json!({
            "id": null, "version": null, "responsetime": time, "metadata": null,
            "response": response, "errors": errors
        }),
    )
}
