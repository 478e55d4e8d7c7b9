//! What Go's reflection knows about a function: the types of its parameters.

use super::exec::Call;
use super::fault::Fault;
use super::value::{IntKind, ListKind, MapKind, Value};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    /// `interface{}`
    Any,
    /// `reflect.Value`, which the built-in functions take
    Reflect,
    Str,
    Int,
    Uint32,
    Float,
    Bool,
    /// `map[string]interface{}`
    Map,
    /// `[]interface{}`
    List,
    /// `time.Time`
    Time,
    /// `*semver.Version`
    Version,
    /// Sprig's certificate struct
    Certificate,
}

impl Ty {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Time => "time.Time",
            Self::Version => "*semver.Version",
            Self::Certificate => "sprig.certificate",
        }
    }

    /// Whether Go may put an untyped nil there.
    pub(crate) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Reflect | Self::Map | Self::List)
    }

    pub(crate) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any | Self::Reflect, _)
            | (Self::Str, Value::Str(_) | Value::Raw(_))
            | (Self::Int, Value::Int(_, IntKind::Int))
            | (Self::Uint32, Value::Int(_, IntKind::Uint32))
            | (Self::Float, Value::Float(_))
            | (Self::Bool, Value::Bool(_)) => true,
            (Self::Map, Value::Map(map)) => matches!(map.kind, MapKind::Any | MapKind::Values),
            (Self::List, Value::List(list)) => list.kind == ListKind::Any,
            (Self::Time, Value::Object(object)) => object.time().is_some(),
            (Self::Version, Value::Object(object)) => object.version().is_some(),
            (Self::Certificate, Value::Object(object)) => object.certificate().is_some(),
            _ => false,
        }
    }

    /// What a nil becomes for this parameter.
    pub(crate) fn zero(self) -> Value {
        match self {
            Self::Map => Value::Map(super::value::Map::nil()),
            Self::List => Value::List(super::value::List::nil()),
            _ => Value::Nil,
        }
    }
}

/// The code behind a template function.
pub(crate) type Run = fn(&Call<'_, '_>, &[Value]) -> Result<Value, Fault>;

/// A function that templates can call.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Ty],
    /// The last parameter may be repeated, or absent.
    pub(crate) variadic: bool,
    /// One of text/template's own functions.
    pub(crate) builtin: bool,
    pub(crate) run: Run,
}

/// A function with a fixed number of parameters.
pub(crate) const fn fixed(name: &'static str, params: &'static [Ty], run: Run) -> Function {
    Function {
        name,
        params,
        variadic: false,
        builtin: false,
        run,
    }
}

/// A function whose last parameter is variadic.
pub(crate) const fn variadic(name: &'static str, params: &'static [Ty], run: Run) -> Function {
    Function {
        name,
        params,
        variadic: true,
        builtin: false,
        run,
    }
}
