//! `merge` and `mergeOverwrite`, by the rules of the mergo library that Sprig uses.

use crate::template::fault::Fault;
use crate::template::value::{Map, Value};

/// Merges one map into another. Without `overwrite` only what is missing or empty in the target changes; with it the
/// source wins, except that two maps are merged.
pub(super) fn merge(target: &Map, source: &Map, overwrite: bool) -> Result<(), Fault> {
    merge_at(target, source, overwrite, 0)
}

fn merge_at(target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), Fault> {
    if depth > 1000 {
        return Err("the value is nested more than 1000 levels deep".into());
    }
    if target.same(source) {
        return Ok(());
    }
    for (key, new) in source.snapshot() {
        if new.is_nil() {
            if overwrite {
                target.insert(key, new);
            }
            continue;
        }
        let old = target.get(&key);
        if let (Some(Value::Map(into)), Value::Map(from)) = (&old, &new) {
            merge_at(into, from, overwrite, depth + 1)?;
            if into.len() > 0 {
                continue;
            }
        }
        if overwrite || old.is_none_or(|old| !old.truth()) {
            target.insert(key, new);
        }
    }
    Ok(())
}
