//! Fingerprints of states: SHA-256 over canonical JSON.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of a value's canonical JSON, in lower-case hexadecimal (64 characters).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fingerprint(#[schemars(regex(pattern = "^[0-9a-f]{64}$"))] String);

impl Fingerprint {
    /// The fingerprint of `value`.
    pub fn of(value: &Value) -> Self {
        let mut text = Vec::with_capacity(1024);
        write_canonical(value, &mut text);
        Self::of_bytes(&text)
    }

    /// The fingerprint of `{"<key>": <value>}`, without making that value.
    pub(crate) fn of_member(key: &str, value: &Value) -> Self {
        let mut text = Vec::with_capacity(1024);
        text.push(b'{');
        write_string(key, &mut text);
        text.push(b':');
        write_canonical(value, &mut text);
        text.push(b'}');
        Self::of_bytes(&text)
    }

    /// The fingerprint of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_hash(Sha256::new_with_prefix(bytes))
    }

    /// The fingerprint of all that a hash was given.
    pub(crate) fn of_hash(hash: Sha256) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self(text)
    }

    /// All 64 hexadecimal characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// JSON with sorted keys and no white space: the form over which fingerprints are taken.
pub fn canonical(value: &Value) -> String {
    let mut text = Vec::new();
    write_canonical(value, &mut text);
    // what serde_json writes is UTF-8
    String::from_utf8(text).unwrap_or_default()
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // writing to memory does not fail
    let _ = serde_json::to_writer(out, text);
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            // serde_json's map is a BTreeMap unless some crate of the build asks for `preserve_order`; sorting here
            // keeps fingerprints equal either way, and costs one comparison for each key of a map that is in order.
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            if !members.is_sorted_by(|a, b| a.0 <= b.0) {
                members.sort_by(|a, b| a.0.cmp(b.0));
            }
            out.push(b'{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => {
            let _ = serde_json::to_writer(out, scalar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_of_keys_does_not_matter() {
        let first: Value = serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":[1,2]}}"#).unwrap();
        let second = json!({"a": {"c": [1, 2], "d": 2}, "b": 1});
        assert_eq!(Fingerprint::of(&first), Fingerprint::of(&second));
        assert_eq!(canonical(&first), r#"{"a":{"c":[1,2],"d":2},"b":1}"#);
    }

    #[test]
    fn a_member_has_the_fingerprint_of_its_object() {
        let value = json!({"b\"": [null, true, 1.5, "ü"]});
        assert_eq!(
            Fingerprint::of_member("present", &value),
            Fingerprint::of(&json!({ "present": value }))
        );
        assert_eq!(
            Fingerprint::of_bytes(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
