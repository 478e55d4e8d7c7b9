//! Reads the first document of a YAML text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::nodes::{Node, first_document};
use super::resolve::{Resolved, resolve, resolve_tagged};
use super::table::{Table, settle};
use super::{Yaml, float_key};

/// What the texts of a document are kept in.
pub(super) trait Kept<'n>: AsRef<str> + From<&'n str> + From<String> + Ord {}

impl<'n, S: AsRef<str> + From<&'n str> + From<String> + Ord> Kept<'n> for S {}

/// Reads the first document; an empty text is null. The error is in the words of `go-yaml`.
pub(crate) fn read(text: &[u8]) -> Result<Yaml, String> {
    decoded(first_document(text)?.as_ref())
}

/// The same, for who only looks at the document.
pub(crate) fn examine<T>(text: &[u8], look: impl FnOnce(&Yaml<Cow<'_, str>>) -> T) -> Result<T, String> {
    let root = first_document(text)?;
    decoded::<Cow<'_, str>>(root.as_ref()).map(|document| look(&document))
}

fn decoded<'n, S: Kept<'n>>(root: Option<&'n Node<'_>>) -> Result<Yaml<S>, String> {
    let Some(root) = root else {
        return Ok(Yaml::Null);
    };
    let mut decoder = Decoder::default();
    let document = decoder.decode(root)?;
    if let Some(problem) = decoder.bad_key {
        return Err(problem);
    }
    finite(&document)?;
    Ok(document)
}

/// What YAML knows and JSON does not is found at the end, as in Helm: by then a later key may have replaced it.
fn finite<S>(value: &Yaml<S>) -> Result<(), String> {
    match value {
        Yaml::Float(number) if !number.is_finite() => {
            let text = crate::template::float::format_float(*number, 'g', None);
            Err(format!("json: unsupported value: {text}"))
        }
        Yaml::Seq(items) => items.iter().try_for_each(finite),
        Yaml::Map(entries) => entries.iter().try_for_each(|(_, value)| finite(value)),
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
    fn decode<'n, S: Kept<'n>>(&mut self, node: &'n Node<'_>) -> Result<Yaml<S>, String> {
        self.count()?;
        match node.bare() {
            Node::Alias(target) => {
                self.alias_depth += 1;
                let value = self.decode(target);
                self.alias_depth -= 1;
                value
            }
            Node::Itself(name) => Err(contains_itself(name)),
            Node::Anchored(target) => self.decode(target),
            Node::Scalar { value, tag, plain } => scalar(value, tag.as_deref(), *plain),
            Node::Seq(items) => Ok(Yaml::Seq(
                items
                    .iter()
                    .map(|item| self.decode(item))
                    .collect::<Result<_, _>>()?,
            )),
            Node::Map(entries) => {
                let mut found = Vec::with_capacity(entries.len());
                self.entries(entries, &mut found)?;
                Ok(Yaml::Map(Table::from(found)))
            }
        }
    }

    fn entries<'n, S: Kept<'n>>(
        &mut self,
        entries: &'n [(Node<'_>, Node<'_>)],
        found: &mut Vec<(S, Yaml<S>)>,
    ) -> Result<(), String> {
        for (key, value) in entries {
            if is_merge(key) {
                self.merge(value, found)?;
                continue;
            }
            let name: S = match self.decode(key)? {
                Yaml::Str(text) => text,
                Yaml::Int(number) => number.to_string().into(),
                Yaml::Float(number) => float_key(number).into(),
                Yaml::Bool(value) => value.to_string().into(),
                Yaml::Null => {
                    let shown = go_argument(value);
                    self.bad_key.get_or_insert_with(|| {
                        format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")
                    });
                    self.decode::<S>(value)?;
                    continue;
                }
                Yaml::Uint(number) => {
                    let shown = go_argument(value);
                    self.bad_key.get_or_insert_with(|| {
                        format!("unsupported map key of type: uint64, key: {number:#x}, value: {shown}")
                    });
                    self.decode::<S>(value)?;
                    continue;
                }
                Yaml::Seq(_) | Yaml::Map(_) => {
                    return Err(format!("yaml: invalid map key: {}", go_syntax(key)));
                }
            };
            let value = self.decode(value)?;
            found.push((name, value));
        }
        Ok(())
    }

    fn merge<'n, S: Kept<'n>>(
        &mut self,
        node: &'n Node<'_>,
        found: &mut Vec<(S, Yaml<S>)>,
    ) -> Result<(), String> {
        const WANT: &str = "yaml: map merge requires map or sequence of maps as the value";
        self.count()?;
        match node.bare() {
            Node::Map(entries) => {
                self.entries(entries, found)?;
                // The same map may be merged a thousand times.
                settle(found);
                Ok(())
            }
            Node::Alias(target) => match target.bare() {
                Node::Map(_) => {
                    self.alias_depth += 1;
                    let merged = self.merge(target, found);
                    self.alias_depth -= 1;
                    merged
                }
                _ => Err(WANT.to_owned()),
            },
            // Earlier maps of a sequence take precedence.
            Node::Seq(items) => items.iter().rev().try_for_each(|item| match item.bare() {
                Node::Seq(_) | Node::Scalar { .. } => Err(WANT.to_owned()),
                _ => self.merge(item, found),
            }),
            Node::Itself(name) => Err(contains_itself(name)),
            Node::Anchored(_) | Node::Scalar { .. } => Err(WANT.to_owned()),
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

fn is_merge(key: &Node<'_>) -> bool {
    matches!(key.bare(), Node::Scalar { value, tag, plain }
        if value == "<<" && (*plain || tag.as_deref() == Some("tag:yaml.org,2002:merge")))
}

fn scalar<'n, S: Kept<'n>>(value: &'n str, tag: Option<&str>, plain: bool) -> Result<Yaml<S>, String> {
    let resolved = match tag {
        None if plain => resolve(value),
        None => Resolved::Str,
        Some(tag) => resolve_tagged(tag, value)?,
    };
    match resolved {
        Resolved::Null => Ok(Yaml::Null),
        Resolved::Bool(value) => Ok(Yaml::Bool(value)),
        Resolved::Int(number) => Ok(Yaml::Int(number)),
        Resolved::Uint(number) => Ok(Yaml::Uint(number)),
        Resolved::Float(number) => Ok(Yaml::Float(number)),
        Resolved::Str | Resolved::Timestamp => Ok(Yaml::Str(value.into())),
        Resolved::Binary(bytes) => Ok(Yaml::Str(String::from_utf8_lossy(&bytes).into_owned().into())),
    }
}

/// A value in Go's syntax (`%#v`), as errors show keys that cannot be any.
fn go_syntax(node: &Node<'_>) -> String {
    match node {
        Node::Alias(target) | Node::Anchored(target) => go_syntax(target),
        Node::Itself(_) => String::new(),
        Node::Scalar { value, tag, plain } => match scalar::<Cow<'_, str>>(value, tag.as_deref(), *plain) {
            Ok(Yaml::Null) | Err(_) => "interface {}(nil)".to_owned(),
            Ok(Yaml::Bool(value)) => value.to_string(),
            Ok(Yaml::Int(number)) => number.to_string(),
            Ok(Yaml::Uint(number)) => format!("{number:#x}"),
            Ok(Yaml::Float(number)) => crate::template::float::format_float(number, 'g', None),
            Ok(Yaml::Str(text)) => crate::template::format::quote(&text),
            Ok(Yaml::Seq(_) | Yaml::Map(_)) => String::new(),
        },
        Node::Seq(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Node::Map(entries) => {
            // the last one of several entries with a key is the map's
            let entries: BTreeMap<String, String> = entries
                .iter()
                .map(|(key, value)| (go_syntax(key), go_syntax(value)))
                .collect();
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// The same where the value is an argument of its own.
fn go_argument(node: &Node<'_>) -> String {
    let shown = go_syntax(node);
    if shown == "interface {}(nil)" {
        "<nil>".to_owned()
    } else {
        shown
    }
}
