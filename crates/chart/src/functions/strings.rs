//! Sprig's functions for text.

use std::sync::Arc;

use super::arguments::{any, boolean, bounded, bytes, int, length, strval, strval_text, text};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::signature::{Function, Ty, fixed, variadic};
use crate::template::value::{Entries, Map, MapKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("hello", &[], |_, _| Ok("Hello!".into())),
    fixed("trim", &[Ty::Str], |_, args| {
        Ok(text(args, 0).trim_matches(is_space).into())
    }),
    fixed("upper", &[Ty::Str], |_, args| {
        Ok(text(args, 0).chars().map(upper).collect::<String>().into())
    }),
    fixed("lower", &[Ty::Str], |_, args| {
        Ok(text(args, 0).chars().map(lower).collect::<String>().into())
    }),
    fixed("repeat", &[Ty::Int, Ty::Str], repeat),
    fixed("trimall", &[Ty::Str, Ty::Str], trim_all),
    fixed("trimAll", &[Ty::Str, Ty::Str], trim_all),
    fixed("trimSuffix", &[Ty::Str, Ty::Str], |_, args| {
        let (suffix, whole) = (text(args, 0), text(args, 1));
        Ok(whole.strip_suffix(&*suffix).unwrap_or(&whole).into())
    }),
    fixed("trimPrefix", &[Ty::Str, Ty::Str], |_, args| {
        let (prefix, whole) = (text(args, 0), text(args, 1));
        Ok(whole.strip_prefix(&*prefix).unwrap_or(&whole).into())
    }),
    fixed("substr", &[Ty::Int, Ty::Int, Ty::Str], substr),
    fixed("trunc", &[Ty::Int, Ty::Str], trunc),
    fixed("contains", &[Ty::Str, Ty::Str], |_, args| {
        Ok(text(args, 1).contains(&*text(args, 0)).into())
    }),
    fixed("hasPrefix", &[Ty::Str, Ty::Str], |_, args| {
        Ok(bytes(args, 1).starts_with(bytes(args, 0)).into())
    }),
    fixed("hasSuffix", &[Ty::Str, Ty::Str], |_, args| {
        Ok(bytes(args, 1).ends_with(bytes(args, 0)).into())
    }),
    variadic("quote", &[Ty::Any], |_, args| {
        let quoted: Vec<String> = args
            .iter()
            .filter(|value| !value.is_nil())
            .map(|value| format::quote_bytes(strval(value).string_bytes().unwrap_or_default(), false))
            .collect();
        Ok(quoted.join(" ").into())
    }),
    variadic("squote", &[Ty::Any], |_, args| {
        let mut out = Vec::new();
        for value in args.iter().filter(|value| !value.is_nil()) {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.push(b'\'');
            out.extend_from_slice(&format::display_bytes(value));
            out.push(b'\'');
        }
        Ok(Value::string_from_bytes(out))
    }),
    variadic("cat", &[Ty::Any], |_, args| {
        let parts: Vec<Vec<u8>> = args
            .iter()
            .filter(|value| !value.is_nil())
            .map(format::display_bytes)
            .collect();
        Ok(Value::string_from_bytes(parts.join(&b' ')))
    }),
    fixed("indent", &[Ty::Int, Ty::Str], |_, args| indent(args, "")),
    fixed("nindent", &[Ty::Int, Ty::Str], |_, args| indent(args, "\n")),
    fixed("replace", &[Ty::Str, Ty::Str, Ty::Str], replace),
    fixed("plural", &[Ty::Str, Ty::Str, Ty::Int], |_, args| {
        Ok(if int(args, 2) == 1 {
            any(args, 0)
        } else {
            any(args, 1)
        }
        .clone())
    }),
    fixed("toString", &[Ty::Any], |_, args| Ok(strval(any(args, 0)))),
    fixed("toStrings", &[Ty::Any], |_, args| {
        Ok(Value::strings(string_slice(any(args, 0))))
    }),
    fixed("join", &[Ty::Str, Ty::Any], |_, args| {
        Ok(string_slice(any(args, 1)).join(&*text(args, 0)).into())
    }),
    fixed("split", &[Ty::Str, Ty::Str], |_, args| {
        Ok(numbered(split(&text(args, 0), &text(args, 1), None)))
    }),
    fixed("splitn", &[Ty::Str, Ty::Int, Ty::Str], |_, args| {
        Ok(numbered(split(
            &text(args, 0),
            &text(args, 2),
            Some(int(args, 1)),
        )))
    }),
    fixed("splitList", &[Ty::Str, Ty::Str], |_, args| {
        Ok(Value::strings(split(&text(args, 0), &text(args, 1), None)))
    }),
    fixed("ternary", &[Ty::Any, Ty::Any, Ty::Bool], |_, args| {
        Ok(if boolean(args, 2) {
            any(args, 0)
        } else {
            any(args, 1)
        }
        .clone())
    }),
    fixed("regexQuoteMeta", &[Ty::Str], |_, args| {
        let mut out = String::new();
        for character in text(args, 0).chars() {
            if "\\.+*?()|[]{}^$".contains(character) {
                out.push('\\');
            }
            out.push(character);
        }
        Ok(out.into())
    }),
];

/// Go's `unicode.IsSpace`.
pub(super) fn is_space(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    ) || (!character.is_ascii() && character.is_whitespace())
}

/// Go maps one character to one character.
pub(super) fn upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => character,
    }
}

/// Go maps one character to one character.
pub(super) fn lower(character: char) -> char {
    let mut mapped = character.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        _ if character == 'İ' => 'i',
        _ => character,
    }
}

fn repeat(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let count = bounded(int(args, 0))?;
    let whole = bytes(args, 1);
    bounded(length(whole.len()).saturating_mul(length(count)))?;
    Ok(Value::string_from_bytes(whole.repeat(count)))
}

#[expect(clippy::unnecessary_wraps, reason = "every function has this signature")]
fn trim_all(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let cut: Vec<char> = text(args, 0).chars().collect();
    Ok(text(args, 1)
        .trim_matches(|character| cut.contains(&character))
        .into())
}

fn substr(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let (start, end, whole) = (int(args, 0), int(args, 1), bytes(args, 2));
    let size = length(whole.len());
    let (from, to) = if start < 0 {
        (0, end)
    } else if end < 0 || end > size {
        (start, size)
    } else {
        (start, end)
    };
    part(whole, from, to)
}

/// A part of a string by byte positions, with Go's panic where they are out of range.
fn part(whole: &[u8], from: i64, to: i64) -> Result<Value, Fault> {
    let size = length(whole.len());
    if to < 0 || to > size {
        return Err(format!("runtime error: slice bounds out of range [:{to}] with length {size}").into());
    }
    if from > to || from < 0 {
        return Err(format!("runtime error: slice bounds out of range [{from}:{to}]").into());
    }
    let cut = |position: i64| usize::try_from(position).unwrap_or(0);
    Ok(Value::string_from_bytes(whole[cut(from)..cut(to)].to_vec()))
}

fn trunc(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let (count, whole) = (int(args, 0), bytes(args, 1));
    let size = length(whole.len());
    if count < 0 && size + count > 0 {
        return part(whole, size + count, size);
    }
    if count >= 0 && size > count {
        return part(whole, 0, count);
    }
    Ok(any(args, 1).clone())
}

fn indent(args: &[Value], before: &str) -> Result<Value, Fault> {
    let pad = vec![b' '; bounded(int(args, 0))?];
    let whole = bytes(args, 1);
    #[expect(clippy::naive_bytecount, reason = "a crate for one count is too much")]
    let lines = whole.iter().filter(|byte| **byte == b'\n').count() + 1;
    bounded(length(pad.len()).saturating_mul(length(lines)))?;
    let mut out = Vec::with_capacity(before.len() + whole.len() + pad.len() * lines);
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(&pad);
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line);
        if line.ends_with(b"\n") {
            out.extend_from_slice(&pad);
        }
    }
    Ok(Value::string_from_bytes(out))
}

fn replace(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let (old, new, whole) = (text(args, 0), text(args, 1), text(args, 2));
    let count = if old.is_empty() {
        whole.len() + 1
    } else {
        whole.len() / old.len()
    };
    bounded(
        length(new.len())
            .saturating_mul(length(count))
            .saturating_add(length(whole.len())),
    )?;
    Ok(whole.replace(&*old, &new).into())
}

/// Sprig's `strslice`.
pub(super) fn string_slice(value: &Value) -> Vec<String> {
    match value.elements() {
        Some(items) => items
            .iter()
            .filter(|item| !item.is_nil())
            .map(strval_text)
            .collect(),
        None if value.is_nil() => Vec::new(),
        None => vec![strval_text(value)],
    }
}

/// Go's `strings.SplitN`.
pub(super) fn split(separator: &str, whole: &str, most: Option<i64>) -> Vec<String> {
    let most = match most {
        Some(0) => return Vec::new(),
        Some(most) => usize::try_from(most).ok(),
        None => None,
    };
    if separator.is_empty() {
        let characters: Vec<char> = whole.chars().collect();
        let most = most.unwrap_or(characters.len()).min(characters.len());
        return (0..most)
            .map(|index| {
                let end = if index + 1 == most {
                    characters.len()
                } else {
                    index + 1
                };
                characters[index..end].iter().collect()
            })
            .collect();
    }
    match most {
        Some(most) => whole.splitn(most, separator).map(str::to_owned).collect(),
        None => whole.split(separator).map(str::to_owned).collect(),
    }
}

/// Parts under the keys `_0`, `_1` and so on.
fn numbered(parts: Vec<String>) -> Value {
    let entries: Entries = parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| (Arc::from(format!("_{index}")), Value::from(part)))
        .collect();
    Value::Map(Map::typed(entries, MapKind::Strings))
}
