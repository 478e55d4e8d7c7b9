//! Sprig's functions for lists.

use super::arguments::{any, elements, int, length};
use super::reflection::deep_equal;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed, variadic};
use crate::template::value::{List, ListKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[Ty::Any], |_, args| Ok(Value::list(args.to_vec()))),
    variadic("tuple", &[Ty::Any], |_, args| Ok(Value::list(args.to_vec()))),
    fixed("append", &[Ty::Any, Ty::Any], push),
    fixed("push", &[Ty::Any, Ty::Any], push),
    fixed("mustAppend", &[Ty::Any, Ty::Any], push),
    fixed("mustPush", &[Ty::Any, Ty::Any], push),
    fixed("prepend", &[Ty::Any, Ty::Any], prepend),
    fixed("mustPrepend", &[Ty::Any, Ty::Any], prepend),
    fixed("first", &[Ty::Any], first),
    fixed("mustFirst", &[Ty::Any], first),
    fixed("last", &[Ty::Any], last),
    fixed("mustLast", &[Ty::Any], last),
    fixed("rest", &[Ty::Any], rest),
    fixed("mustRest", &[Ty::Any], rest),
    fixed("initial", &[Ty::Any], initial),
    fixed("mustInitial", &[Ty::Any], initial),
    fixed("reverse", &[Ty::Any], reverse),
    fixed("mustReverse", &[Ty::Any], reverse),
    fixed("compact", &[Ty::Any], compact),
    fixed("mustCompact", &[Ty::Any], compact),
    fixed("uniq", &[Ty::Any], uniq),
    fixed("mustUniq", &[Ty::Any], uniq),
    variadic("without", &[Ty::Any, Ty::Any], without),
    variadic("mustWithout", &[Ty::Any, Ty::Any], without),
    fixed("has", &[Ty::Any, Ty::Any], has),
    fixed("mustHas", &[Ty::Any, Ty::Any], has),
    variadic("slice", &[Ty::Any, Ty::Any], slice),
    variadic("mustSlice", &[Ty::Any, Ty::Any], slice),
    variadic("concat", &[Ty::Any], concat),
    fixed("chunk", &[Ty::Int, Ty::Any], chunk),
    fixed("mustChunk", &[Ty::Int, Ty::Any], chunk),
    fixed("sortAlpha", &[Ty::Any], |_, args| {
        let mut items = super::strings::string_slice(any(args, 0));
        if any(args, 0).is_nil() {
            items = vec!["<nil>".to_owned()];
        }
        items.sort();
        Ok(Value::strings(items))
    }),
];

fn push(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot push on type")?;
    items.push(any(args, 1).clone());
    Ok(Value::list(items))
}

fn prepend(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot prepend on type")?;
    items.insert(0, any(args, 1).clone());
    Ok(Value::list(items))
}

fn first(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    Ok(elements(any(args, 0), "Cannot find first on type")?
        .into_iter()
        .next()
        .unwrap_or(Value::Nil))
}

fn last(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    Ok(elements(any(args, 0), "Cannot find last on type")?
        .pop()
        .unwrap_or(Value::Nil))
}

fn rest(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot find rest on type")?;
    if items.is_empty() {
        return Ok(Value::List(List::nil()));
    }
    items.remove(0);
    Ok(Value::list(items))
}

fn initial(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot find initial on type")?;
    if items.pop().is_none() {
        return Ok(Value::List(List::nil()));
    }
    Ok(Value::list(items))
}

fn reverse(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot find reverse on type")?;
    items.reverse();
    Ok(Value::list(items))
}

fn compact(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot compact on type")?;
    items.retain(|item| !item.empty());
    Ok(Value::list(items))
}

fn uniq(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut kept: Vec<Value> = Vec::new();
    for item in elements(any(args, 0), "Cannot find uniq on type")? {
        if !kept.iter().any(|other| deep_equal(other, &item)) {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn without(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut items = elements(any(args, 0), "Cannot find without on type")?;
    let omitted = args.get(1..).unwrap_or_default();
    items.retain(|item| !omitted.iter().any(|other| deep_equal(other, item)));
    Ok(Value::list(items))
}

fn has(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    if any(args, 1).is_nil() {
        return Ok(false.into());
    }
    let items = elements(any(args, 1), "Cannot find has on type")?;
    Ok(items.iter().any(|item| deep_equal(any(args, 0), item)).into())
}

fn slice(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let list = any(args, 0);
    if list.is_nil() {
        return Err("runtime error: invalid memory address or nil pointer dereference".into());
    }
    let Some(items) = list.elements() else {
        return Err(format!("list should be type of slice or array but {}", list.kind_name()).into());
    };
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, super::numbers::to_int64);
    let end = args.get(2).map_or(length(items.len()), super::numbers::to_int64);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range {
        Some((start, end)) if start <= end && end <= items.len() => {
            let kind = if let Value::List(list) = list {
                list.kind
            } else {
                ListKind::Any
            };
            Ok(Value::List(List::typed(items[start..end].to_vec(), kind)))
        }
        _ => Err("reflect.Value.Slice: slice index out of bounds".into()),
    }
}

fn concat(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for list in args {
        if list.is_nil() {
            return Err("runtime error: invalid memory address or nil pointer dereference".into());
        }
        let items = list
            .elements()
            .ok_or_else(|| Fault::new(format!("Cannot concat type {} as list", list.kind_name())))?;
        all.extend(items);
    }
    // Go appends to a nil slice, which stays nil where nothing is appended.
    Ok(Value::List(if all.is_empty() {
        List::nil()
    } else {
        List::new(all)
    }))
}

fn chunk(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let size = int(args, 0);
    let items = elements(any(args, 1), "Cannot chunk type")?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        // Go counts the chunks first: a negative size that is at least as large as the list, but for one, makes none.
        let none = size < 0
            && items.len() > 1
            && u64::try_from(items.len() - 1).is_ok_and(|rest| rest <= size.unsigned_abs());
        if none {
            return Ok(Value::List(List::typed(Vec::new(), ListKind::Lists)));
        }
        return Err("runtime error: makeslice: len out of range".into());
    };
    let chunks: Vec<Value> = items
        .chunks(size)
        .map(|chunk| Value::list(chunk.to_vec()))
        .collect();
    Ok(Value::List(List::typed(chunks, ListKind::Lists)))
}
