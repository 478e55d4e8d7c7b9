//! Regular expressions. Go's RE2 and the `regex` crate share their syntax but for a few escapes.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Captures, Regex};

use super::arguments::{int, text};
use super::pattern;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("regexMatch", &[Ty::Str, Ty::Str], |_, args| {
        Ok(compile(&text(args, 0))
            .is_ok_and(|regex| regex.is_match(&text(args, 1)))
            .into())
    }),
    fixed("mustRegexMatch", &[Ty::Str, Ty::Str], |_, args| {
        Ok(compile(&text(args, 0))
            .map_err(Fault::new)?
            .is_match(&text(args, 1))
            .into())
    }),
    fixed("regexFind", &[Ty::Str, Ty::Str], |call, args| {
        find(call, args, panics)
    }),
    fixed("mustRegexFind", &[Ty::Str, Ty::Str], |call, args| {
        find(call, args, plain)
    }),
    fixed("regexFindAll", &[Ty::Str, Ty::Str, Ty::Int], |_, args| {
        find_all(args, panics)
    }),
    fixed("mustRegexFindAll", &[Ty::Str, Ty::Str, Ty::Int], |_, args| {
        find_all(args, plain)
    }),
    fixed("regexReplaceAll", &[Ty::Str, Ty::Str, Ty::Str], |_, args| {
        replace(args, false, panics)
    }),
    fixed("mustRegexReplaceAll", &[Ty::Str, Ty::Str, Ty::Str], |_, args| {
        replace(args, false, plain)
    }),
    fixed(
        "regexReplaceAllLiteral",
        &[Ty::Str, Ty::Str, Ty::Str],
        |_, args| replace(args, true, panics),
    ),
    fixed(
        "mustRegexReplaceAllLiteral",
        &[Ty::Str, Ty::Str, Ty::Str],
        |_, args| replace(args, true, plain),
    ),
    fixed("regexSplit", &[Ty::Str, Ty::Str, Ty::Int], |_, args| {
        split(args, panics)
    }),
    fixed("mustRegexSplit", &[Ty::Str, Ty::Str, Ty::Int], |_, args| {
        split(args, plain)
    }),
];

type Complain = fn(&str, &str) -> Fault;

fn panics(pattern: &str, error: &str) -> Fault {
    Fault::new(format!("regexp: Compile({}): {error}", go_quote(pattern)))
}

fn plain(_: &str, error: &str) -> Fault {
    Fault::new(error)
}

fn go_quote(pattern: &str) -> String {
    if pattern.contains('`') {
        crate::template::format::quote(pattern)
    } else {
        format!("`{pattern}`")
    }
}

/// Compiles a pattern once and keeps it for the thread.
fn compile(pattern: &str) -> Result<Regex, String> {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    if let Some(regex) = KNOWN.with_borrow(|known| known.get(pattern).cloned()) {
        return Ok(regex);
    }
    let failed = |reason: String| format!("error parsing regexp: {reason}");
    let translated = pattern::translate(pattern).map_err(failed)?;
    let regex = regex::RegexBuilder::new(&translated)
        .size_limit(4 << 20)
        .build()
        .map_err(|error| failed(pattern::reason(&error, pattern)))?;
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 256 {
            known.clear();
        }
        known.insert(pattern.to_owned(), regex.clone());
    });
    Ok(regex)
}

fn find(_: &Call<'_, '_>, args: &[Value], complain: Complain) -> Result<Value, Fault> {
    let regex = compile(&text(args, 0)).map_err(|error| complain(&text(args, 0), &error))?;
    Ok(regex
        .find(&text(args, 1))
        .map_or("", |found| found.as_str())
        .into())
}

fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn find_all(args: &[Value], complain: Complain) -> Result<Value, Fault> {
    let regex = compile(&text(args, 0)).map_err(|error| complain(&text(args, 0), &error))?;
    let whole = text(args, 1);
    let found: Vec<&str> = regex
        .find_iter(&whole)
        .take(limit(int(args, 2)))
        .map(|found| found.as_str())
        .collect();
    if found.is_empty() {
        let nil = crate::template::value::List {
            kind: crate::template::value::ListKind::Strings,
            ..crate::template::value::List::nil()
        };
        return Ok(Value::List(nil));
    }
    Ok(Value::strings(found))
}

fn replace(args: &[Value], literal: bool, complain: Complain) -> Result<Value, Fault> {
    let regex = compile(&text(args, 0)).map_err(|error| complain(&text(args, 0), &error))?;
    let (whole, replacement) = (text(args, 1), text(args, 2));
    let replaced = if literal {
        regex.replace_all(&whole, regex::NoExpand(&replacement))
    } else {
        regex.replace_all(&whole, |captures: &Captures<'_>| expand(&replacement, captures))
    };
    Ok(replaced.into_owned().into())
}

/// Go's `Expand`: `$1`, `${1}`, `$name`, `${name}`, `$$`; the longest name counts.
fn expand(template: &str, captures: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let word = |text: &str| {
            text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(text.len())
        };
        let (name, after) = if let Some(inner) = rest.strip_prefix('{') {
            let length = word(inner);
            if length == 0 || !inner[length..].starts_with('}') {
                out.push('$');
                continue;
            }
            (&inner[..length], &inner[length + 1..])
        } else {
            let length = word(rest);
            if length == 0 {
                out.push('$');
                continue;
            }
            (&rest[..length], &rest[length..])
        };
        rest = after;
        let found = match name.parse::<usize>() {
            Ok(index) => captures.get(index),
            Err(_) => captures.name(name),
        };
        out.push_str(found.map_or("", |found| found.as_str()));
    }
    out.push_str(rest);
    out
}

fn split(args: &[Value], complain: Complain) -> Result<Value, Fault> {
    let pattern = text(args, 0);
    let regex = compile(&pattern).map_err(|error| complain(&pattern, &error))?;
    let (whole, count) = (text(args, 1), int(args, 2));
    if count == 0 {
        let nil = crate::template::value::List {
            kind: crate::template::value::ListKind::Strings,
            ..crate::template::value::List::nil()
        };
        return Ok(Value::List(nil));
    }
    if !pattern.is_empty() && whole.is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts: Vec<&str> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(&whole).take(limit(count)) {
        if count > 0 && parts.len() + 1 == limit(count) {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&whole[begin..end]);
        }
        begin = found.end();
    }
    if end != whole.len() {
        parts.push(&whole[begin..]);
    }
    Ok(Value::strings(parts))
}
