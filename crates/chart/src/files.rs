//! `.Files`: the chart's other files.

use std::rc::Rc;

use base64::Engine as _;

use crate::functions::{base_path, to_yaml};
use crate::glob::Glob;
use crate::load::File;
use crate::template::object::{Method, MethodRun};
use crate::template::signature::Ty;
use crate::template::value::{Entries, Map, MapKind, Value};

/// The files of a chart as templates see them.
pub(crate) fn value(files: &[File]) -> Value {
    let entries = files
        .iter()
        .map(|file| {
            (
                file.name.as_str().into(),
                Value::Bytes(Rc::from(file.data.as_slice())),
            )
        })
        .collect();
    Value::Map(Map::typed(entries, MapKind::Files))
}

/// The methods of `.Files`.
pub(crate) fn method(name: &str) -> Option<Method> {
    let (params, run): (&'static [Ty], MethodRun) = match name {
        "Get" => (&[Ty::Str], |files, args| {
            Ok(Value::string_from_bytes(get(files, args).to_vec()))
        }),
        "GetBytes" => (&[Ty::Str], |files, args| Ok(Value::Bytes(get(files, args)))),
        "Lines" => (&[Ty::Str], |files, args| Ok(lines(&get(files, args)))),
        "Glob" => (&[Ty::Str], |files, args| Ok(glob(files, args))),
        "AsConfig" => (&[], |files, _| {
            Ok(flat(files, |bytes| String::from_utf8_lossy(bytes).into_owned()))
        }),
        "AsSecrets" => (&[], |files, _| {
            Ok(flat(files, |bytes| {
                base64::engine::general_purpose::STANDARD.encode(bytes)
            }))
        }),
        _ => return None,
    };
    Some(Method { params, run })
}

fn entries(files: &Value) -> Vec<(std::sync::Arc<str>, Rc<[u8]>)> {
    let Value::Map(map) = files else { return Vec::new() };
    map.snapshot()
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Bytes(bytes) => Some((name, bytes)),
            _ => None,
        })
        .collect()
}

fn get(files: &Value, args: &[Value]) -> Rc<[u8]> {
    let (Value::Map(map), Some(Value::Str(name))) = (files, args.first()) else {
        return Rc::from([]);
    };
    match map.get(name) {
        Some(Value::Bytes(bytes)) => bytes,
        _ => Rc::from([]),
    }
}

fn lines(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::strings(Vec::<String>::new());
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line).into_owned());
    Value::strings(lines)
}

fn glob(files: &Value, args: &[Value]) -> Value {
    let pattern = match args.first() {
        Some(Value::Str(pattern)) => Glob::compile(pattern),
        _ => None,
    };
    // Helm takes everything where the pattern is malformed.
    let kept: Entries = entries(files)
        .into_iter()
        .filter(|(name, _)| pattern.as_ref().is_none_or(|pattern| pattern.matches(name)))
        .map(|(name, bytes)| (name, Value::Bytes(bytes)))
        .collect();
    Value::Map(Map::typed(kept, MapKind::Files))
}

/// The files by their last names, as the text of a YAML map.
fn flat(files: &Value, write: impl Fn(&[u8]) -> String) -> Value {
    let map: Entries = entries(files)
        .into_iter()
        .map(|(name, bytes)| (base_path(&name).into(), Value::from(write(&bytes))))
        .collect();
    to_yaml(&Value::Map(Map::typed(map, MapKind::Strings))).into()
}
