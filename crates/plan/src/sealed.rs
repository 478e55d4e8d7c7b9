//! Bytes with a last line that holds the SHA-256 of all before it: any missing or changed byte is found.

use thiserror::Error;

use crate::Fingerprint;

const MARK: &str = "sha256 ";
/// Bytes of the last line.
const TRAILER: usize = MARK.len() + 64 + 1;

/// Bytes are missing or were altered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("it is cut off or was altered (expected digest {expected}, found {found})")]
pub struct Torn {
    /// As the last line says.
    pub expected: String,
    /// As computed.
    pub found: String,
}

/// `text` with its seal. Both end with a line's end.
pub fn seal(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let digest = Fingerprint::of_bytes(text.as_bytes());
    text.push_str(MARK);
    text.push_str(digest.as_str());
    text.push('\n');
    text.into_bytes()
}

/// What [`seal`] was given, if not a byte is missing or changed.
pub fn unseal(bytes: &[u8]) -> Result<&[u8], Torn> {
    let torn = |found: &str| Torn {
        expected: "a seal".into(),
        found: found.into(),
    };
    let split = bytes
        .len()
        .checked_sub(TRAILER)
        .ok_or_else(|| torn("too short"))?;
    let (body, trailer) = bytes.split_at(split);
    let trailer = std::str::from_utf8(trailer).map_err(|_| torn("not text"))?;
    let expected = trailer
        .strip_prefix(MARK)
        .and_then(|rest| rest.strip_suffix('\n'))
        .ok_or_else(|| torn("no seal"))?;
    let found = Fingerprint::of_bytes(body);
    if found.as_str() == expected {
        Ok(body)
    } else {
        Err(Torn {
            expected: expected.into(),
            found: found.as_str().into(),
        })
    }
}
