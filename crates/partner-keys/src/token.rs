//! Access tokens for our own clients.
//!
//! The callers keep a token until its announced end and do not ask for another one after a refusal. A token must
//! therefore outlive a restart of this service and count on every replica: it is signed (HMAC-SHA-256) with a key made
//! from the client's own secret, so nothing has to be stored, and a removed client or a changed secret ends its tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clients::{ClientSecret, Clients};

/// The header of every token; a token with any other one is not ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;
const ISSUER: &str = "partner-keys";
const AUDIENCE: &str = "keymanager";
/// A token really lives this much longer than announced: a caller may send it in the last announced moment.
const GRACE_SECONDS: i64 = 30;
const LONGEST: usize = 2048;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
}

/// Why a token does not count.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    #[error("no token was sent")]
    Missing,
    #[error("the token is not one of ours")]
    Malformed,
    #[error("the token's client is not, or no longer, one of ours")]
    UnknownClient,
    #[error("the token's signature is wrong, or its client's secret has changed")]
    WrongSignature,
    #[error("the token has expired")]
    Expired,
}

impl TokenError {
    /// A stable word for logs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token::missing",
            Self::Malformed => "token::malformed",
            Self::UnknownClient => "token::unknown-client",
            Self::WrongSignature => "token::wrong-signature",
            Self::Expired => "token::expired",
        }
    }
}

/// Makes a token for a client that has shown its secret.
pub(crate) fn issue(client_id: &str, secret: &ClientSecret, now: Timestamp, seconds: u32) -> Option<String> {
    let claims = Claims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: client_id.into(),
        iat: now.as_second(),
        exp: now.as_second() + i64::from(seconds) + GRACE_SECONDS,
    };
    let claims = serde_json::to_vec(&claims).ok()?;
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(HEADER),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let tag = hmac::sign(&key(client_id, secret)?, signed.as_bytes());
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

/// Checks a token and tells whose it is.
pub(crate) fn check(token: Option<&str>, clients: &Clients, now: Timestamp) -> Result<String, TokenError> {
    let token = token.ok_or(TokenError::Missing)?;
    if token.len() > LONGEST {
        return Err(TokenError::Malformed);
    }
    let (signed, tag) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
    if decode(header)? != HEADER.as_bytes() {
        return Err(TokenError::Malformed);
    }
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
    let tag = decode(tag)?;
    let secret = clients.secret(&claims.sub).ok_or(TokenError::UnknownClient)?;
    let key = key(&claims.sub, &secret).ok_or(TokenError::WrongSignature)?;
    hmac::verify(&key, signed.as_bytes(), &tag).map_err(|_| TokenError::WrongSignature)?;
    if claims.iss != ISSUER || claims.aud != AUDIENCE {
        return Err(TokenError::Malformed);
    }
    if now.as_second() >= claims.exp {
        return Err(TokenError::Expired);
    }
    Ok(claims.sub)
}

/// The key for a client's tokens. Derived, so that the secret itself is used for one purpose only.
fn key(client_id: &str, secret: &ClientSecret) -> Option<hmac::Key> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"openg2p partner-keys");
    let extracted = salt.extract(secret.reveal());
    let info = [&b"access token v1"[..], client_id.as_bytes()];
    let expanded = extracted.expand(&info, hmac::HMAC_SHA256).ok()?;
    Some(hmac::Key::from(expanded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_token_lives_as_long_as_announced_and_dies_with_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "secret of a").unwrap();
        fs::write(folder.path().join("b"), "secret of b").unwrap();
        let clients = Clients::new(folder.path().to_owned());
        let token = issue("a", &clients.secret("a").unwrap(), moment(0), 300).unwrap();
        let at = |second| check(Some(&token), &clients, moment(second));
        assert_eq!(at(0), Ok("a".into()));
        assert_eq!(at(300), Ok("a".into()));
        assert_eq!(at(330), Err(TokenError::Expired));

        fs::write(folder.path().join("a"), "another secret").unwrap();
        assert_eq!(at(0), Err(TokenError::WrongSignature));
        fs::remove_file(folder.path().join("a")).unwrap();
        assert_eq!(at(0), Err(TokenError::UnknownClient));
    }

    #[test]
    fn a_token_cannot_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "same").unwrap();
        fs::write(folder.path().join("b"), "same").unwrap();
        let clients = Clients::new(folder.path().to_owned());
        let token = issue("a", &clients.secret("a").unwrap(), moment(0), 300).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let with = |header: &str, claims: &str, tag: &str| format!("{header}.{claims}.{tag}");
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        // Another client with the very same secret still has another key.
        let other = URL_SAFE_NO_PAD.encode(claims.replace("\"a\"", "\"b\""));
        let longer = URL_SAFE_NO_PAD.encode(claims.replace("1800000330", "1900000330"));
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
        for (changed, error) in [
            (with(parts[0], &other, parts[2]), TokenError::WrongSignature),
            (with(parts[0], &longer, parts[2]), TokenError::WrongSignature),
            (with(&none, parts[1], ""), TokenError::Malformed),
            (with(parts[0], parts[1], ""), TokenError::WrongSignature),
            (parts[0].to_owned(), TokenError::Malformed),
            (String::new(), TokenError::Malformed),
            (format!("{token}."), TokenError::Malformed),
            ("x".repeat(3000), TokenError::Malformed),
        ] {
            assert_eq!(
                check(Some(&changed), &clients, moment(0)),
                Err(error),
                "{changed}"
            );
        }
        assert_eq!(check(None, &clients, moment(0)), Err(TokenError::Missing));
    }
}
