//! Messages of the G2P Connect shape: how a request is written so that its signature counts, how an answer is read.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// Writes JSON exactly as the services write it again before they check the signature: no spaces, ASCII only
/// (Python's `json.dumps(separators=(",", ":"))`).
pub(crate) fn compact(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            written.push(character);
        } else {
            // Outside of strings JSON has no such characters.
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(written, "\\u{unit:04x}");
            }
        }
    }
    written.into_bytes()
}

/// A request, not signed yet.
pub(crate) fn request(
    action: &str,
    message: &Value,
    count: usize,
    sender_id: &str,
    message_id: &str,
    now: Timestamp,
) -> Value {
    json!({
        "header": {
            "version": "1.0.0",
            "message_id": message_id,
            "message_ts": now.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            "action": action,
            "sender_id": sender_id,
            "sender_uri": "",
            "receiver_id": "",
            "total_count": count,
            "is_msg_encrypted": false
        },
        "message": message
    })
}

/// The header of an answer, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct AnswerHeader {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) status_reason_code: Option<String>,
    #[serde(default)]
    pub(crate) status_reason_message: Option<String>,
}

impl AnswerHeader {
    /// Why something was refused: SPAR puts the code in one field, Bridge in the other.
    pub(crate) fn reason(&self) -> String {
        [&self.status_reason_code, &self.status_reason_message]
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .cloned()
            .unwrap_or_else(|| "no reason given".into())
    }
}

/// An answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Answer {
    pub(crate) header: AnswerHeader,
    #[serde(default)]
    pub(crate) message: Value,
}

/// The beginning of a text from outside, for people.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{} ..", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({"a": "Ä 😀 \u{7f} / \" \n", "b": [100.0, 100.25, 3, true, null]});
        let text = String::from_utf8(compact(&value)).unwrap();
        assert_eq!(
            text,
            "{\"a\":\"\\u00c4 \\ud83d\\ude00 \u{7f} / \\\" \\n\",\"b\":[100.0,100.25,3,true,null]}"
        );
    }

    #[test]
    fn the_reason_is_found_where_it_stands() {
        let read = |text: &str| serde_json::from_str::<AnswerHeader>(text).unwrap().reason();
        assert_eq!(
            read(r#"{"status":"rjct","status_reason_code":"rjct.jwt.invalid"}"#),
            "rjct.jwt.invalid"
        );
        assert_eq!(
            read(r#"{"status":"rjct","status_reason_code":null,"status_reason_message":"X"}"#),
            "X"
        );
        assert_eq!(
            read(r#"{"status":"rjct","status_reason_message":""}"#),
            "no reason given"
        );
    }
}
