//! Lines that hang together: each bears the digest of itself and of all before it, so that a line that was cut off, altered,
//! taken out or moved is found.
//!
//! A line is `{"line":N,"record":…,"chain":"<64 hexadecimal letters>"}`. The chain begins with an anchor, a text that says what the
//! lines belong to; a whole file in another one's place is found too. Lines taken from the end are found by whoever knows how many
//! there must be: the ledger's log and the journal of its run each name the other's generation.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Fingerprint;

const BEFORE: &str = ",\"chain\":\"";
const BEHIND: &str = "\"}";
/// Bytes of a line behind its record.
const TAIL: usize = BEFORE.len() + 64 + BEHIND.len();

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    line: usize,
    record: Value,
}

/// Where the next line goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    last: Fingerprint,
    next: usize,
}

/// What was read of a file of lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// The records of all lines before the first damage.
    pub records: Vec<Value>,
    /// What is wrong with the rest; none when the file is whole.
    pub damage: Option<String>,
    /// Where the next line would go on.
    pub chain: Chain,
}

impl Chain {
    /// A chain that begins with `anchor`.
    pub fn begin(anchor: &str) -> Self {
        Self {
            last: Fingerprint::of_bytes(anchor.as_bytes()),
            next: 0,
        }
    }

    fn digest(&self, head: &[u8]) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(self.last.as_str().as_bytes());
        hash.update(head);
        Fingerprint::of_hash(hash)
    }

    /// The line of `record`, with its end of line; the chain goes on behind it.
    pub fn line(&mut self, record: &Value) -> Vec<u8> {
        let mut line = format!("{{\"line\":{},\"record\":", self.next).into_bytes();
        // a value of JSON can always be written
        line.extend(serde_json::to_vec(record).unwrap_or_default());
        self.last = self.digest(&line);
        self.next += 1;
        for part in [BEFORE, self.last.as_str(), BEHIND, "\n"] {
            line.extend_from_slice(part.as_bytes());
        }
        line
    }

    /// The record of one line without its end, when it is the next one of this chain; else what is wrong with it.
    pub fn take(&mut self, line: &[u8]) -> Result<Value, &'static str> {
        let at = line.len().checked_sub(TAIL).ok_or("it is cut off or altered")?;
        let (head, tail) = line.split_at(at);
        let said = tail
            .strip_prefix(BEFORE.as_bytes())
            .and_then(|rest| rest.strip_suffix(BEHIND.as_bytes()))
            .ok_or("it is cut off or altered")?;
        let digest = self.digest(head);
        if said != digest.as_str().as_bytes() {
            return Err("its digest does not fit: it or a line before it was altered, taken out or moved");
        }
        let mut text = head.to_vec();
        text.push(b'}');
        let parsed: Head = serde_json::from_slice(&text).map_err(|_| "it is not a line of this version")?;
        if parsed.line != self.next {
            return Err("its number does not fit");
        }
        self.last = digest;
        self.next += 1;
        Ok(parsed.record)
    }

    /// Reads lines that begin with `anchor`, to the first damage.
    pub fn read(anchor: &str, bytes: &[u8]) -> Lines {
        let mut chain = Self::begin(anchor);
        let mut records = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                let damage = format!("line {} has no end: it was cut off", chain.next + 1);
                return Lines {
                    records,
                    damage: Some(damage),
                    chain,
                };
            };
            match chain.take(&rest[..end]) {
                Ok(record) => records.push(record),
                Err(why) => {
                    let damage = format!("line {}: {why}", chain.next + 1);
                    return Lines {
                        records,
                        damage: Some(damage),
                        chain,
                    };
                }
            }
            rest = &rest[end + 1..];
        }
        Lines {
            records,
            damage: None,
            chain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> (Vec<u8>, Vec<Value>) {
        let mut chain = Chain::begin("journal r1");
        let records = vec![
            json!({"record": "intent", "step": 0}),
            json!("ä\n\"}"),
            json!({"result": [1, 2.5]}),
        ];
        let bytes = records.iter().flat_map(|record| chain.line(record)).collect();
        (bytes, records)
    }

    fn lines_in(bytes: &[u8]) -> usize {
        bytes.split(|byte| *byte == b'\n').count() - 1
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, records) = sample();
        let lines = Chain::read("journal r1", &bytes);
        assert_eq!((lines.records, lines.damage), (records, None));
        assert_eq!(Chain::read("x", b"").damage, None);
    }

    #[test]
    fn a_chain_goes_on_behind_what_was_read() {
        let (mut bytes, _) = sample();
        let mut chain = Chain::read("journal r1", &bytes).chain;
        bytes.extend(chain.line(&json!(7)));
        let lines = Chain::read("journal r1", &bytes);
        assert_eq!((lines.records.len(), lines.damage), (4, None));
    }

    #[test]
    fn every_truncation_loses_lines_from_the_end_only_and_is_told_within_a_line() {
        let (bytes, records) = sample();
        for length in 0..bytes.len() {
            let lines = Chain::read("journal r1", &bytes[..length]);
            let whole = lines_in(&bytes[..length]);
            assert_eq!(lines.records, records[..whole]);
            let at_end = length == 0 || bytes[length - 1] == b'\n';
            assert_eq!(lines.damage.is_none(), at_end, "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found_at_its_line() {
        let (bytes, records) = sample();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[position] ^= 1 << bit;
                let lines = Chain::read("journal r1", &altered);
                let before = lines_in(&bytes[..position]);
                assert!(lines.damage.is_some(), "byte {position} bit {bit}");
                assert_eq!(lines.records, records[..before], "byte {position} bit {bit}");
            }
        }
    }

    #[test]
    fn lines_taken_out_moved_or_of_another_file_are_found() {
        let (bytes, _) = sample();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        for order in [[0, 2].as_slice(), &[1, 0, 2], &[0, 0, 1, 2], &[1, 2]] {
            let moved: Vec<u8> = order.iter().flat_map(|index| lines[*index]).copied().collect();
            assert!(Chain::read("journal r1", &moved).damage.is_some(), "{order:?}");
        }
        assert!(Chain::read("journal r2", &bytes).damage.is_some());
    }
}
