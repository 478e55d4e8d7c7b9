//! Reads the first document of a YAML text.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::nodes::{Node, first_document};
use super::resolve::{Resolved, resolve_tagged};
use super::{Yaml, float_key};

/// Reads the first document; an empty text is null. The error is in the words of `go-yaml`.
pub(crate) fn read(text: &[u8]) -> Result<Yaml, String> {
    match first_document(text)? {
        Some(root) => {
            let mut decoder = Decoder::default();
            let document = decoder.decode(&root)?;
            if let Some(problem) = decoder.bad_key {
                return Err(problem);
            }
            finite(&document)?;
            Ok(document)
        }
        None => Ok(Yaml::Null),
    }
}

/// What YAML knows and JSON does not is found at the end, as in Helm: by then a later key may have replaced it.
fn finite(value: &Yaml) -> Result<(), String> {
    match value {
        Yaml::Float(number) if !number.is_finite() => {
            let text = crate::template::float::format_float(*number, 'g', None);
            Err(format!("json: unsupported value: {text}"))
        }
        Yaml::Seq(items) => items.iter().try_for_each(finite),
        Yaml::Map(entries) => entries.values().try_for_each(finite),
        _ => Ok(()),
    }
}

/// Turns nodes into values and refuses a document that is mostly aliases.
#[derive(Default)]
struct Decoder {
    decoded: usize,
    from_aliases: usize,
    alias_depth: usize,
    /// The first key that YAML has and JSON has not; found once the whole document was read, as in Helm.
    bad_key: Option<String>,
}

impl Decoder {
    fn decode(&mut self, node: &Node) -> Result<Yaml, String> {
        self.count()?;
        match node {
            Node::Alias(target) => {
                self.alias_depth += 1;
                let value = self.decode(target);
                self.alias_depth -= 1;
                value
            }
            Node::Itself(name) => Err(contains_itself(name)),
            Node::Scalar { value, tag, plain } => scalar(value, tag, *plain),
            Node::Seq(items) => Ok(Yaml::Seq(
                items
                    .iter()
                    .map(|item| self.decode(item))
                    .collect::<Result<_, _>>()?,
            )),
            Node::Map(entries) => {
                let mut map = BTreeMap::new();
                self.entries(entries, &mut map)?;
                Ok(Yaml::Map(map))
            }
        }
    }

    fn entries(
        &mut self,
        entries: &[(Rc<Node>, Rc<Node>)],
        map: &mut BTreeMap<String, Yaml>,
    ) -> Result<(), String> {
        for (key, value) in entries {
            if is_merge(key) {
                self.merge(value, map)?;
                continue;
            }
            let name = match self.decode(key)? {
                Yaml::Str(text) => text,
                Yaml::Int(number) => number.to_string(),
                Yaml::Float(number) => float_key(number),
                Yaml::Bool(value) => value.to_string(),
                Yaml::Null => {
                    let shown = go_argument(value);
                    self.bad_key.get_or_insert_with(|| {
                        format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")
                    });
                    self.decode(value)?;
                    continue;
                }
                Yaml::Uint(number) => {
                    let shown = go_argument(value);
                    self.bad_key.get_or_insert_with(|| {
                        format!("unsupported map key of type: uint64, key: {number:#x}, value: {shown}")
                    });
                    self.decode(value)?;
                    continue;
                }
                Yaml::Seq(_) | Yaml::Map(_) => {
                    return Err(format!("yaml: invalid map key: {}", go_syntax(key)));
                }
            };
            let value = self.decode(value)?;
            map.insert(name, value);
        }
        Ok(())
    }

    fn merge(&mut self, node: &Node, map: &mut BTreeMap<String, Yaml>) -> Result<(), String> {
        const WANT: &str = "yaml: map merge requires map or sequence of maps as the value";
        self.count()?;
        match node {
            Node::Map(entries) => self.entries(entries, map),
            Node::Alias(target) => match target.as_ref() {
                Node::Map(_) => {
                    self.alias_depth += 1;
                    let merged = self.merge(target, map);
                    self.alias_depth -= 1;
                    merged
                }
                _ => Err(WANT.to_owned()),
            },
            // Earlier maps of a sequence take precedence.
            Node::Seq(items) => items.iter().rev().try_for_each(|item| match item.as_ref() {
                Node::Seq(_) | Node::Scalar { .. } => Err(WANT.to_owned()),
                _ => self.merge(item, map),
            }),
            Node::Itself(name) => Err(contains_itself(name)),
            Node::Scalar { .. } => Err(WANT.to_owned()),
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.decoded += 1;
        if self.alias_depth > 0 {
            self.from_aliases += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counters")]
        let excessive = self.from_aliases > 100
            && self.decoded > 1000
            && self.from_aliases as f64 / self.decoded as f64 > allowed_ratio(self.decoded);
        if excessive {
            Err("yaml: document contains excessive aliasing".to_owned())
        } else {
            Ok(())
        }
    }
}

/// go-yaml's guard against documents that expand a thousandfold.
#[expect(clippy::cast_precision_loss, reason = "a ratio of counters")]
fn allowed_ratio(decoded: usize) -> f64 {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    match decoded {
        0..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * ((decoded - LOW) as f64 / (HIGH - LOW) as f64),
    }
}

fn contains_itself(anchor: &str) -> String {
    format!("yaml: anchor '{anchor}' value contains itself")
}

fn is_merge(key: &Node) -> bool {
    matches!(key, Node::Scalar { value, tag, plain }
        if value == "<<" && (*plain || tag == "tag:yaml.org,2002:merge"))
}

fn scalar(value: &str, tag: &str, plain: bool) -> Result<Yaml, String> {
    if tag.is_empty() && !plain {
        return Ok(Yaml::Str(value.to_owned()));
    }
    match resolve_tagged(tag, value)? {
        Resolved::Null => Ok(Yaml::Null),
        Resolved::Bool(value) => Ok(Yaml::Bool(value)),
        Resolved::Int(number) => Ok(Yaml::Int(number)),
        Resolved::Uint(number) => Ok(Yaml::Uint(number)),
        Resolved::Float(number) => Ok(Yaml::Float(number)),
        Resolved::Str | Resolved::Timestamp => Ok(Yaml::Str(value.to_owned())),
        Resolved::Binary(bytes) => Ok(Yaml::Str(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// A value in Go's syntax (`%#v`), as errors show keys that cannot be any.
fn go_syntax(node: &Node) -> String {
    match node {
        Node::Alias(target) => go_syntax(target),
        Node::Itself(_) => String::new(),
        Node::Scalar { value, tag, plain } => match scalar(value, tag, *plain) {
            Ok(Yaml::Null) | Err(_) => "interface {}(nil)".to_owned(),
            Ok(Yaml::Bool(value)) => value.to_string(),
            Ok(Yaml::Int(number)) => number.to_string(),
            Ok(Yaml::Uint(number)) => format!("{number:#x}"),
            Ok(Yaml::Float(number)) => crate::template::float::format_float(number, 'g', None),
            Ok(Yaml::Str(text)) => crate::template::format::quote(&text),
            Ok(Yaml::Seq(_) | Yaml::Map(_)) => String::new(),
        },
        Node::Seq(items) => {
            let items: Vec<String> = items.iter().map(|item| go_syntax(item)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Node::Map(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", go_syntax(key), go_syntax(value)))
                .collect();
            entries.sort();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// The same where the value is an argument of its own.
fn go_argument(node: &Node) -> String {
    let shown = go_syntax(node);
    if shown == "interface {}(nil)" {
        "<nil>".to_owned()
    } else {
        shown
    }
}
