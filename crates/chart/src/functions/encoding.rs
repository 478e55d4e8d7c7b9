//! Base64 and base32.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::arguments::bytes;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("b64enc", &[Ty::Str], |_, args| {
        Ok(STANDARD.encode(bytes(args, 0)).into())
    }),
    fixed("b64dec", &[Ty::Str], |_, args| {
        Ok(match decode64(bytes(args, 0)) {
            Ok(decoded) => Value::string_from_bytes(decoded),
            Err(at) => format!("illegal base64 data at input byte {at}").into(),
        })
    }),
    fixed(
        "b32enc",
        &[Ty::Str],
        |_, args| Ok(encode32(bytes(args, 0)).into()),
    ),
    fixed("b32dec", &[Ty::Str], |_, args| {
        // Line ends are taken out before positions are counted, unlike with base64.
        let input: Vec<u8> = bytes(args, 0)
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .collect();
        Ok(match decode32(&input) {
            Ok(decoded) => Value::string_from_bytes(decoded),
            Err(at) => format!("illegal base32 data at input byte {at}").into(),
        })
    }),
];

/// Decodes like Go's `StdEncoding`: line ends are skipped, and the error is a position.
pub(super) fn decode64(input: &[u8]) -> Result<Vec<u8>, usize> {
    decode(input, 6, 4, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    })
}

fn decode32(input: &[u8]) -> Result<Vec<u8>, usize> {
    decode(input, 5, 8, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    })
}

/// Decodes groups of digits of so many bits with `=` padding.
fn decode(input: &[u8], bits: u32, group: usize, digit: impl Fn(u8) -> Option<u8>) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(input.len());
    let (mut buffer, mut held, mut count) = (0_u64, 0_u32, 0_usize);
    let mut bytes = input
        .iter()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'))
        .peekable();
    while let Some((at, byte)) = bytes.next() {
        if *byte == b'=' {
            let place = count % group;
            let allowed = if group == 4 {
                place >= 2
            } else {
                matches!(place, 2 | 4 | 5 | 7)
            };
            if !allowed {
                return Err(at);
            }
            for _ in place + 1..group {
                match bytes.next() {
                    Some((_, b'=')) => {}
                    // Base64 reports the padding that lacks its second half.
                    Some((at, _)) => return Err(if group == 4 { at - 1 } else { at }),
                    None => return Err(input.len()),
                }
            }
            return match bytes.next() {
                Some((at, _)) => Err(at),
                None => Ok(out),
            };
        }
        let value = digit(*byte).ok_or(at)?;
        buffer = (buffer << bits) | u64::from(value);
        held += bits;
        count += 1;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((buffer >> held) & 0xFF).unwrap_or(0));
            buffer &= (1 << held) - 1;
        }
    }
    // Go reports the start of an incomplete group.
    if count.is_multiple_of(group) {
        Ok(out)
    } else {
        Err(input.len() - count % group)
    }
}

fn encode32(input: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for group in input.chunks(5) {
        let mut buffer = [0_u8; 8];
        buffer[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(buffer);
        let digits = (group.len() * 8).div_ceil(5);
        for index in 0..8 {
            if index < digits {
                let digit = usize::try_from((bits >> (35 - 5 * index)) & 31).unwrap_or(0);
                out.push(char::from(ALPHABET[digit]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
