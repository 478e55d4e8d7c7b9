//! The values that templates see, with Go's notion of types.
//!
//! Go templates look at data through reflection: maps are shared and mutable (`set` changes the caller's map), numbers
//! keep their Go type, a missing key differs from an untyped nil. A plain JSON tree cannot express that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::object::Object;

/// Which Go integer type a [`Value::Int`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntKind {
    Int,
    Int64,
    Uint8,
    Uint32,
    Uint64,
}

impl IntKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
        }
    }

    pub(crate) fn is_unsigned(self) -> bool {
        matches!(self, Self::Uint8 | Self::Uint32 | Self::Uint64)
    }
}

/// Which Go slice type a [`Value::List`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    Any,
    Strings,
    Ints,
    Lists,
    Versions,
    /// Pointers to structs, such as the maintainers of a chart.
    Structs(&'static str),
}

/// Which Go map type a [`Value::Map`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    Any,
    Strings,
    Values,
    Files,
}

/// A Go slice: immutable here, because no template function changes a slice in place.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) items: Rc<Vec<Value>>,
    pub(crate) kind: ListKind,
    /// A nil slice prints like an empty one but becomes `null` in JSON.
    pub(crate) nil: bool,
}

impl List {
    pub(crate) fn new(items: Vec<Value>) -> Self {
        Self {
            items: Rc::new(items),
            kind: ListKind::Any,
            nil: false,
        }
    }

    pub(crate) fn typed(items: Vec<Value>, kind: ListKind) -> Self {
        Self {
            items: Rc::new(items),
            kind,
            nil: false,
        }
    }

    pub(crate) fn nil() -> Self {
        Self {
            items: Rc::default(),
            kind: ListKind::Any,
            nil: true,
        }
    }
}

/// The entries of a Go map, in key order.
pub(crate) type Entries = BTreeMap<Arc<str>, Value>;

/// A Go map: shared and mutable, as `set`, `unset` and `merge` need.
#[derive(Clone)]
pub(crate) struct Map {
    pub(crate) entries: Rc<RefCell<Entries>>,
    pub(crate) kind: MapKind,
    pub(crate) nil: bool,
}

impl Map {
    pub(crate) fn new(entries: Entries) -> Self {
        Self {
            entries: Rc::new(RefCell::new(entries)),
            kind: MapKind::Any,
            nil: false,
        }
    }

    pub(crate) fn typed(entries: Entries, kind: MapKind) -> Self {
        Self {
            entries: Rc::new(RefCell::new(entries)),
            kind,
            nil: false,
        }
    }

    pub(crate) fn nil() -> Self {
        Self {
            nil: true,
            ..Self::new(Entries::new())
        }
    }

    /// The same storage seen under another Go type, as an assignment between map types does.
    pub(crate) fn retyped(&self, kind: MapKind) -> Self {
        Self { kind, ..self.clone() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: impl Into<Arc<str>>, value: Value) {
        self.entries.borrow_mut().insert(key.into(), value);
    }

    pub(crate) fn remove(&self, key: &str) -> Option<Value> {
        self.entries.borrow_mut().remove(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.borrow().contains_key(key)
    }

    /// A copy of the entries, so that the map may change while they are walked.
    pub(crate) fn snapshot(&self) -> Vec<(Arc<str>, Value)> {
        self.entries
            .borrow()
            .iter()
            .map(|(key, value)| (Arc::clone(key), value.clone()))
            .collect()
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }
}

/// One value of a template.
#[derive(Clone)]
pub(crate) enum Value {
    /// No value: an untyped nil.
    Nil,
    Bool(bool),
    /// Any integer; unsigned 64-bit values keep their bits.
    Int(i64, IntKind),
    Float(f64),
    Str(Arc<str>),
    /// A Go string that is not UTF-8, such as a decoded key file.
    Raw(Rc<[u8]>),
    /// A byte slice, such as a file of the chart.
    Bytes(Rc<[u8]>),
    List(List),
    Map(Map),
    Object(Rc<dyn Object>),
}

impl Value {
    /// A Go string from bytes of any kind.
    pub(crate) fn string_from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Str(text.into()),
            Err(error) => Self::Raw(error.into_bytes().into()),
        }
    }

    pub(crate) fn int(number: i64) -> Self {
        Self::Int(number, IntKind::Int)
    }

    pub(crate) fn int64(number: i64) -> Self {
        Self::Int(number, IntKind::Int64)
    }

    pub(crate) fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(items))
    }

    pub(crate) fn strings<S: Into<Arc<str>>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List(List::typed(
            items.into_iter().map(|item| Self::Str(item.into())).collect(),
            ListKind::Strings,
        ))
    }

    pub(crate) fn map(entries: Entries) -> Self {
        Self::Map(Map::new(entries))
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Go's notion of truth in `if` and `with`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number, _) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Raw(bytes) | Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => map.len() > 0,
            Self::Object(object) => !object.is_nil(),
        }
    }

    /// Sprig's notion of emptiness, which agrees with [`Value::truth`] except for structs.
    pub(crate) fn empty(&self) -> bool {
        !self.truth()
    }

    /// The name of the Go type, as `%T` prints it.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_, kind) => kind.name().to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Str(_) | Self::Raw(_) => "string".to_owned(),
            Self::Bytes(_) => "[]uint8".to_owned(),
            Self::List(list) => match list.kind {
                ListKind::Any => "[]interface {}".to_owned(),
                ListKind::Strings => "[]string".to_owned(),
                ListKind::Ints => "[]int".to_owned(),
                ListKind::Lists => "[][]interface {}".to_owned(),
                ListKind::Versions => "chartutil.VersionSet".to_owned(),
                ListKind::Structs(name) => format!("[]{name}"),
            },
            Self::Map(map) => match map.kind {
                MapKind::Any => "map[string]interface {}".to_owned(),
                MapKind::Strings => "map[string]string".to_owned(),
                MapKind::Values => "chartutil.Values".to_owned(),
                MapKind::Files => "engine.files".to_owned(),
            },
            Self::Object(object) => object.type_name().to_owned(),
        }
    }

    /// The name of the Go kind, as `reflect.Kind` prints it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => kind.name(),
            Self::Float(_) => "float64",
            Self::Str(_) | Self::Raw(_) => "string",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(object) => object.kind_name(),
        }
    }

    /// The bytes of a Go string.
    pub(crate) fn string_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text.as_bytes()),
            Self::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements of anything that Go calls a slice.
    pub(crate) fn elements(&self) -> Option<Vec<Value>> {
        match self {
            Self::List(list) => Some(list.items.as_ref().clone()),
            Self::Bytes(bytes) => Some(
                bytes
                    .iter()
                    .map(|byte| Self::Int(i64::from(*byte), IntKind::Uint8))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Whether values found inside this one have an interface type, which decides how Go names them in errors.
    pub(crate) fn holds_interfaces(&self) -> bool {
        match self {
            Self::List(list) => list.kind == ListKind::Any,
            Self::Map(map) => matches!(map.kind, MapKind::Any | MapKind::Values),
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
