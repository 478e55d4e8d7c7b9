//! Sprig's functions for maps.

use std::sync::Arc;

use super::arguments::{any, finite, map, strval_text, text};
use super::merge;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed, variadic};
use crate::template::value::{Entries, List, Map, MapKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[Ty::Any], |_, args| {
        let mut entries = Entries::new();
        for pair in args.chunks(2) {
            let value = pair.get(1).cloned().unwrap_or_else(|| "".into());
            entries.insert(strval_text(&pair[0]).into(), value);
        }
        Ok(Value::map(entries))
    }),
    fixed("get", &[Ty::Map, Ty::Str], |_, args| {
        Ok(map(args, 0).get(&text(args, 1)).unwrap_or_else(|| "".into()))
    }),
    fixed("set", &[Ty::Map, Ty::Str, Ty::Any], |_, args| {
        let dict = map(args, 0);
        if dict.nil {
            return Err("assignment to entry in nil map".into());
        }
        dict.insert(&*text(args, 1), any(args, 2).clone());
        Ok(Value::Map(dict.retyped(MapKind::Any)))
    }),
    fixed("unset", &[Ty::Map, Ty::Str], |_, args| {
        let dict = map(args, 0);
        dict.remove(&text(args, 1));
        Ok(Value::Map(dict.retyped(MapKind::Any)))
    }),
    fixed("hasKey", &[Ty::Map, Ty::Str], |_, args| {
        Ok(map(args, 0).contains(&text(args, 1)).into())
    }),
    variadic("pluck", &[Ty::Str, Ty::Map], |_, args| {
        let key = text(args, 0);
        Ok(Value::list(
            (1..args.len())
                .filter_map(|index| map(args, index).get(&key))
                .collect(),
        ))
    }),
    // Go's order is random; ours is that of the keys.
    variadic("keys", &[Ty::Map], |_, args| {
        let keys = (0..args.len())
            .flat_map(|index| map(args, index).snapshot())
            .map(|(key, _)| key);
        Ok(Value::strings(keys))
    }),
    fixed("values", &[Ty::Map], |_, args| {
        Ok(Value::list(
            map(args, 0)
                .snapshot()
                .into_iter()
                .map(|(_, value)| value)
                .collect(),
        ))
    }),
    variadic("pick", &[Ty::Map, Ty::Str], |_, args| {
        let dict = map(args, 0);
        let picked = (1..args.len())
            .map(|index| text(args, index))
            .filter_map(|key| dict.get(&key).map(|value| (Arc::from(&*key), value)))
            .collect();
        Ok(Value::map(picked))
    }),
    variadic("omit", &[Ty::Map, Ty::Str], |_, args| {
        let mut kept: Entries = map(args, 0).snapshot().into_iter().collect();
        for index in 1..args.len() {
            kept.remove(&*text(args, index));
        }
        Ok(Value::map(kept))
    }),
    variadic("merge", &[Ty::Map, Ty::Map], |_, args| merge_all(args, false)),
    variadic("mustMerge", &[Ty::Map, Ty::Map], |_, args| merge_all(args, false)),
    variadic("mergeOverwrite", &[Ty::Map, Ty::Map], |_, args| {
        merge_all(args, true)
    }),
    variadic("mustMergeOverwrite", &[Ty::Map, Ty::Map], |_, args| {
        merge_all(args, true)
    }),
    fixed("deepCopy", &[Ty::Any], |_, args| deep_copied(finite(args, 0)?)),
    fixed("mustDeepCopy", &[Ty::Any], |_, args| {
        deep_copied(finite(args, 0)?)
    }),
    variadic("dig", &[Ty::Any], dig),
];

fn merge_all(args: &[Value], overwrite: bool) -> Result<Value, Fault> {
    let target = map(args, 0);
    for index in 1..args.len() {
        finite(args, index)?;
        if target.nil {
            // mergo makes a map where the pointer it got holds none.
            return merge_all(&[&[Value::map(Entries::new())], &args[1..]].concat(), overwrite);
        }
        merge::merge(&target, &map(args, index), overwrite)?;
    }
    Ok(Value::Map(target.retyped(MapKind::Any)))
}

/// A copy that shares no map with the original.
pub(super) fn deep_copied(value: &Value) -> Result<Value, Fault> {
    if value.is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    deep_copy(value, 0)
}

fn deep_copy(value: &Value, depth: usize) -> Result<Value, Fault> {
    if depth > 1000 {
        return Err("the value is nested more than 1000 levels deep".into());
    }
    Ok(match value {
        Value::List(list) => {
            let items = list
                .items
                .iter()
                .map(|item| deep_copy(item, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            Value::List(List {
                items: items.into(),
                ..list.clone()
            })
        }
        Value::Map(map) => {
            let mut entries = Entries::new();
            for (key, item) in map.snapshot() {
                entries.insert(key, deep_copy(&item, depth + 1)?);
            }
            Value::Map(Map {
                nil: map.nil,
                ..Map::typed(entries, map.kind)
            })
        }
        other => other.clone(),
    })
}

fn dig(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let [keys @ .., default, dict] = args else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let conversion = |value: &Value, wanted: &str| {
        let kind = if value.is_nil() {
            "nil".to_owned()
        } else {
            value.type_name()
        };
        Fault::new(format!(
            "interface conversion: interface {{}} is {kind}, not {wanted}"
        ))
    };
    let as_map = |value: &Value| match value {
        Value::Map(map) if map.kind == MapKind::Any => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    };
    let mut current = as_map(dict)?;
    let texts = keys.iter().map(|key| match key {
        Value::Str(key) => Ok(key.clone()),
        other => Err(conversion(other, "string")),
    });
    for (index, key) in texts.collect::<Result<Vec<_>, _>>()?.iter().enumerate() {
        let Some(value) = current.get(key) else {
            return Ok(default.clone());
        };
        if index + 1 == keys.len() {
            return Ok(value);
        }
        current = as_map(&value)?;
    }
    Ok(default.clone())
}
