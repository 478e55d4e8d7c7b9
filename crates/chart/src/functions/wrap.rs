//! Wrapping and shortening text, byte by byte as Sprig's library does it.

use super::arguments::{any, bytes, int, length};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("wrap", &[Ty::Int, Ty::Str], |_, args| {
        Ok(Value::string_from_bytes(wrap(
            bytes(args, 1),
            int(args, 0),
            b"\n",
            false,
        )))
    }),
    fixed("wrapWith", &[Ty::Int, Ty::Str, Ty::Str], |_, args| {
        let separator = if bytes(args, 1).is_empty() {
            b"\n"
        } else {
            bytes(args, 1)
        };
        Ok(Value::string_from_bytes(wrap(
            bytes(args, 2),
            int(args, 0),
            separator,
            true,
        )))
    }),
    fixed("abbrev", &[Ty::Int, Ty::Str], |_, args| {
        let width = int(args, 0);
        if width < 4 {
            return Ok(any(args, 1).clone());
        }
        Ok(Value::string_from_bytes(abbreviate(bytes(args, 1), 0, width)))
    }),
    fixed("abbrevboth", &[Ty::Int, Ty::Int, Ty::Str], abbreviate_both),
];

#[expect(clippy::unnecessary_wraps, reason = "every function has this signature")]
fn abbreviate_both(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let (left, right) = (int(args, 0), int(args, 1));
    if right < 4 || (left > 0 && right < 7) {
        return Ok(any(args, 2).clone());
    }
    Ok(Value::string_from_bytes(abbreviate(bytes(args, 2), left, right)))
}

fn abbreviate(whole: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let size = length(whole.len());
    if size <= width {
        return whole.to_vec();
    }
    let mut offset = offset.min(size);
    if size - offset < width - 3 {
        offset = size - (width - 3);
    }
    let at = |position: i64| usize::try_from(position).unwrap_or(0).min(whole.len());
    if offset <= 4 {
        return [&whole[..at(width - 3)], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < size {
        return [b"...".as_slice(), &abbreviate(&whole[at(offset)..], 0, width - 3)].concat();
    }
    [b"...".as_slice(), &whole[at(size - (width - 3))..]].concat()
}

fn wrap(whole: &[u8], width: i64, separator: &[u8], break_words: bool) -> Vec<u8> {
    let width = usize::try_from(width.max(1)).unwrap_or(1);
    let size = whole.len();
    let mut offset = 0;
    let mut out = Vec::new();
    while size - offset > width {
        if whole[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = width + offset + 1;
        if let Some(space) = whole[offset..end].iter().rposition(|byte| *byte == b' ') {
            out.extend_from_slice(&whole[offset..offset + space]);
            out.extend_from_slice(separator);
            offset += space + 1;
        } else if break_words {
            out.extend_from_slice(&whole[offset..offset + width]);
            out.extend_from_slice(separator);
            offset += width;
        } else if let Some(space) = whole[offset + width..].iter().position(|byte| *byte == b' ') {
            let at = offset + width + space;
            out.extend_from_slice(&whole[offset..at]);
            out.extend_from_slice(separator);
            offset = at + 1;
        } else {
            out.extend_from_slice(&whole[offset..]);
            offset = size;
        }
    }
    out.extend_from_slice(&whole[offset..]);
    out
}
