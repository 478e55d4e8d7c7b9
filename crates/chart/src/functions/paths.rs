//! Go's `path` functions; the `os` ones are the same on Linux.

use super::arguments::text;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

const fn over(name: &'static str, run: crate::template::signature::Run) -> Function {
    fixed(name, &[Ty::Str], run)
}

pub(super) const FUNCTIONS: &[Function] = &[
    over("base", |_, args| Ok(base(&text(args, 0)).into())),
    over("osBase", |_, args| Ok(base(&text(args, 0)).into())),
    over("dir", |_, args| Ok(dir(&text(args, 0)).into())),
    over("osDir", |_, args| Ok(dir(&text(args, 0)).into())),
    over("clean", |_, args| Ok(clean(&text(args, 0)).into())),
    over("osClean", |_, args| Ok(clean(&text(args, 0)).into())),
    over("ext", |_, args| Ok(ext(&text(args, 0)).into())),
    over("osExt", |_, args| Ok(ext(&text(args, 0)).into())),
    over("isAbs", |_, args| Ok(Value::Bool(text(args, 0).starts_with('/')))),
    over("osIsAbs", |_, args| {
        Ok(Value::Bool(text(args, 0).starts_with('/')))
    }),
];

/// The last element of a path.
pub(crate) fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/".to_owned();
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned()
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |at| &name[at..]).to_owned()
}

/// The shortest equivalent path.
pub(crate) fn clean(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
