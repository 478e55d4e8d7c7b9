//! A file as a tree in which everything knows its place.

use serde_json::{Map, Number, Value};

use crate::diagnostic::Span;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// For a mapping or list: its first line only, which is what one wants to see of it.
    pub(crate) span: Span,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    /// A plain word on whose type YAML readers do not agree (`yes`, `0777`), with the reason.
    Ambiguous(String, &'static str),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
    /// Already reported; nothing more shall be said about it.
    Broken,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn new(span: Span, content: Content) -> Self {
        Self { span, content }
    }

    /// The entries of a mapping; `key:` with nothing behind it is an empty mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value some keys down.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.content {
            Content::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<u64> {
        match &self.content {
            Content::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Boolean(_) => "true or false",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::Ambiguous(..) => "a word without quotes that can be read in two ways",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
            Content::Broken => "something unreadable",
        }
    }

    /// As plain data.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null | Content::Broken => Value::Null,
            Content::Boolean(boolean) => Value::Bool(*boolean),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) | Content::Ambiguous(text, _) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Mapping(_) => Value::Object(self.to_map()),
        }
    }

    /// The entries as plain data.
    pub(crate) fn to_map(&self) -> Map<String, Value> {
        self.entries()
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.to_json()))
            .collect()
    }

    /// This tree with `over` laid on it: mappings are merged key by key, all else is replaced.
    pub(crate) fn merged(&self, over: &Node) -> Node {
        match (&self.content, &over.content) {
            // `key:` with nothing behind it does not take the defaults away.
            (Content::Mapping(_), Content::Null) => Node::new(over.span.clone(), self.content.clone()),
            (Content::Mapping(below), Content::Mapping(above)) => {
                let mut entries = below.clone();
                for entry in above {
                    match entries.iter_mut().find(|candidate| candidate.key == entry.key) {
                        Some(found) => {
                            found.value = found.value.merged(&entry.value);
                            found.key_span = entry.key_span.clone();
                        }
                        None => entries.push(entry.clone()),
                    }
                }
                Node::new(over.span.clone(), Content::Mapping(entries))
            }
            _ => over.clone(),
        }
    }

    /// A mapping with nothing in it, standing nowhere.
    pub(crate) fn empty_mapping() -> Node {
        Node::new(Span::nowhere(), Content::Mapping(Vec::new()))
    }
}
