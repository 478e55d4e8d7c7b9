//! The user's values: those of files, and those of single assignments.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::assign::{self, Mode};
use crate::error::ChartError;
use crate::load;
use crate::template::value::{Entries, Value};
use crate::yaml::{self, Table, Yaml};

/// A table of values as a user gives them, on top of which a chart's own are put.
///
/// Files come first, then assignments, in the order in which `helm` takes those of its command line: `--set-json`,
/// `--set`, `--set-string`, `--set-file`, `--set-literal`. Numbers of files are floats to a template, as in Helm; whole
/// numbers of `--set` are integers.
///
/// ```
/// use openg2p_chart::Values;
///
/// let mut values = Values::read(b"image: {tag: '1'}\n")?;
/// values.merge(Values::read(b"image: {repository: spar}\n")?);
/// values.set("replicas=2,hosts={a,b}")?;
/// assert_eq!(values.to_json()["replicas"], 2);
/// assert_eq!(values.to_json()["image"]["tag"], "1");
/// # Ok::<(), openg2p_chart::ChartError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    entries: BTreeMap<String, Node>,
}

/// A value with the types that Go has for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// A number of a file.
    Float(f64),
    /// A whole number of `--set`.
    Int(i64),
    Str(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Values {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a values file as Helm does.
    ///
    /// # Errors
    ///
    /// [`ChartError::File`] where the text is no YAML, or no table.
    pub fn read(text: &[u8]) -> Result<Self, ChartError> {
        let entries = load::read_values(text).map_err(|reason| ChartError::File {
            chart: ".".to_owned(),
            file: "values".to_owned(),
            reason,
        })?;
        Ok(Self {
            entries: table(&entries),
        })
    }

    /// Merges a later file over this one: tables are merged, everything else is replaced.
    pub fn merge(&mut self, later: Self) {
        merge(&mut self.entries, later.entries);
    }

    /// `--set`: assignments such as `a.b=1,c[0].d={x,y}`; whole numbers, `true`, `false` and `null` have their types.
    ///
    /// # Errors
    ///
    /// [`ChartError::Assignment`] with Helm's words.
    pub fn set(&mut self, line: &str) -> Result<(), ChartError> {
        self.assign("--set", line, &mut Mode::Typed)
    }

    /// `--set-string`: as [`Values::set`], and every value is a string.
    ///
    /// # Errors
    ///
    /// As [`Values::set`].
    pub fn set_string(&mut self, line: &str) -> Result<(), ChartError> {
        self.assign("--set-string", line, &mut Mode::Strings)
    }

    /// `--set-json`: the values are JSON.
    ///
    /// # Errors
    ///
    /// As [`Values::set`].
    pub fn set_json(&mut self, line: &str) -> Result<(), ChartError> {
        // Helm names the line and not the reason.
        self.assign("--set-json", line, &mut Mode::Json)
            .map_err(|_| ChartError::Assignment {
                reason: format!("failed parsing --set-json data {line}"),
            })
    }

    /// `--set-file`: each value is the content of the file that it names, which `read` gives.
    ///
    /// # Errors
    ///
    /// As [`Values::set`], and what `read` says.
    pub fn set_file(
        &mut self,
        line: &str,
        mut read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<(), ChartError> {
        self.assign("--set-file", line, &mut Mode::Files(&mut read))
    }

    /// `--set-literal`: one assignment whose value is everything behind the first `=`.
    ///
    /// # Errors
    ///
    /// As [`Values::set`].
    pub fn set_literal(&mut self, line: &str) -> Result<(), ChartError> {
        self.assign("--set-literal", line, &mut Mode::Literal)
    }

    fn assign(&mut self, option: &str, line: &str, mode: &mut Mode<'_>) -> Result<(), ChartError> {
        assign::assign(line, mode, &mut self.entries).map_err(|reason| ChartError::Assignment {
            reason: format!("failed parsing {option} data: {reason}"),
        })
    }

    /// As JSON. Whole numbers have no fraction, whatever they are to a template.
    pub fn to_json(&self) -> Json {
        Json::Object(json_table(&self.entries))
    }

    /// As YAML, with the keys in order, as Helm writes values.
    ///
    /// # Errors
    ///
    /// [`ChartError::Unwritable`]: YAML takes no control characters, not even escaped ones as go-yaml writes them.
    pub fn to_yaml(&self) -> Result<String, ChartError> {
        let values = Value::Map(crate::template::value::Map::new(self.entries()));
        let written = crate::functions::written_as_yaml(&values);
        written
            .map(|text| text + "\n")
            .map_err(|reason| ChartError::Unwritable { reason })
    }

    /// As templates see them.
    pub(crate) fn entries(&self) -> Entries {
        value_table(&self.entries)
    }
}

impl TryFrom<Json> for Values {
    type Error = ChartError;

    /// Numbers are read as from a values file.
    fn try_from(json: Json) -> Result<Self, ChartError> {
        match from_json(json) {
            Node::Table(entries) => Ok(Self { entries }),
            Node::Null => Ok(Self::default()),
            _ => Err(ChartError::Values {
                chart: ".".to_owned(),
                reason: "the user's values are no table".to_owned(),
            }),
        }
    }
}

fn merge(target: &mut BTreeMap<String, Node>, later: BTreeMap<String, Node>) {
    for (key, value) in later {
        match (target.get_mut(&key), value) {
            (Some(Node::Table(inner)), Node::Table(table)) => merge(inner, table),
            (_, value) => {
                target.insert(key, value);
            }
        }
    }
}

fn table(entries: &Table) -> BTreeMap<String, Node> {
    entries
        .iter()
        .map(|(key, value)| (key.to_string(), from_yaml(value)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "JSON numbers are floats in Go")]
fn from_yaml(yaml: &Yaml) -> Node {
    match yaml {
        Yaml::Null => Node::Null,
        Yaml::Bool(value) => Node::Bool(*value),
        Yaml::Int(number) => Node::Float(*number as f64),
        Yaml::Uint(number) => Node::Float(*number as f64),
        Yaml::Float(number) => Node::Float(*number),
        Yaml::Str(text) => Node::Str(text.to_string()),
        Yaml::Seq(items) => Node::List(items.iter().map(from_yaml).collect()),
        Yaml::Map(entries) => Node::Table(table(entries)),
    }
}

fn from_json(json: Json) -> Node {
    match json {
        Json::Null => Node::Null,
        Json::Bool(value) => Node::Bool(value),
        Json::Number(number) => Node::Float(number.as_f64().unwrap_or(0.0)),
        Json::String(text) => Node::Str(text),
        Json::Array(items) => Node::List(items.into_iter().map(from_json).collect()),
        Json::Object(entries) => Node::Table(
            entries
                .into_iter()
                .map(|(key, value)| (key, from_json(value)))
                .collect(),
        ),
    }
}

/// From a value that Go's JSON reader gave.
pub(crate) fn from_value(value: &Value) -> Node {
    match value {
        Value::Bool(value) => Node::Bool(*value),
        Value::Float(number) => Node::Float(*number),
        Value::Int(number, _) => Node::Int(*number),
        Value::Str(text) => Node::Str(text.to_string()),
        Value::List(list) => Node::List(list.items.iter().map(from_value).collect()),
        Value::Map(map) => Node::Table(
            map.snapshot()
                .iter()
                .map(|(key, value)| (key.to_string(), from_value(value)))
                .collect(),
        ),
        Value::Nil | Value::Raw(_) | Value::Bytes(_) | Value::Object(_) => Node::Null,
    }
}

fn json_table(entries: &BTreeMap<String, Node>) -> serde_json::Map<String, Json> {
    entries
        .iter()
        .map(|(key, value)| (key.clone(), to_json(value)))
        .collect()
}

fn to_json(node: &Node) -> Json {
    match node {
        Node::Null => Json::Null,
        Node::Bool(value) => Json::Bool(*value),
        Node::Float(number) => crate::functions::serialize::to_yaml(&Value::Float(*number))
            .map_or(Json::Null, |number| yaml::to_json(&number)),
        Node::Int(number) => Json::from(*number),
        Node::Str(text) => Json::String(text.clone()),
        Node::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Node::Table(entries) => Json::Object(json_table(entries)),
    }
}

fn value_table(entries: &BTreeMap<String, Node>) -> Entries {
    entries
        .iter()
        .map(|(key, value)| (key.as_str().into(), to_value(value)))
        .collect()
}

fn to_value(node: &Node) -> Value {
    match node {
        Node::Null => Value::Nil,
        Node::Bool(value) => Value::Bool(*value),
        Node::Float(number) => Value::Float(*number),
        Node::Int(number) => Value::int64(*number),
        Node::Str(text) => Value::Str(text.as_str().into()),
        Node::List(items) => Value::list(items.iter().map(to_value).collect()),
        Node::Table(entries) => Value::map(value_table(entries)),
    }
}
