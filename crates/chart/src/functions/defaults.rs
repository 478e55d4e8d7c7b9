//! Sprig's functions about emptiness.

use super::arguments::any;
use crate::template::signature::{Function, Ty, fixed, variadic};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("default", &[Ty::Any, Ty::Any], |_, args| {
        Ok(args
            .get(1)
            .filter(|given| !given.empty())
            .unwrap_or(any(args, 0))
            .clone())
    }),
    fixed("empty", &[Ty::Any], |_, args| Ok(any(args, 0).empty().into())),
    variadic("coalesce", &[Ty::Any], |_, args| {
        Ok(args
            .iter()
            .find(|value| !value.empty())
            .cloned()
            .unwrap_or(Value::Nil))
    }),
    variadic("all", &[Ty::Any], |_, args| {
        Ok(args.iter().all(|value| !value.empty()).into())
    }),
    variadic("any", &[Ty::Any], |_, args| {
        Ok(args.iter().any(|value| !value.empty()).into())
    }),
];
