//! The complete site as a file, every value with its origin.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::diagnostic::Span;
use crate::node::{Content, Node};
use crate::scalar;
use crate::secret::looks_secret;

const HIDDEN: &str = "(hidden)";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The person's file, at this line.
    File(String, usize),
    /// A fragment of a profile, at this line.
    Profile(String, usize),
    /// Nobody gave it.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, line) | Self::Profile(file, line) => write!(formatter, "{file}:{line}"),
            Self::BuiltIn => write!(formatter, "default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One value of the complete site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectiveValue {
    /// Such as `environments.dev.access` or `nodes[0].address`.
    pub path: String,
    /// What holds. Secret-looking values are hidden.
    pub value: Value,
    /// Who says so.
    pub from: Origin,
}

/// A line of the complete site as YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveLine {
    /// The YAML.
    pub text: String,
    /// Where its value comes from; none for lines that only hold a key.
    pub from: Option<Origin>,
}

/// The complete site with origins.
#[derive(Clone, PartialEq)]
pub struct Effective {
    root: Node,
    file: String,
}

impl fmt::Debug for Effective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Effective")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Effective {
    pub(crate) fn new(root: Node, file: &str) -> Self {
        Self {
            root,
            file: file.to_owned(),
        }
    }

    /// Every value, in the order of the file.
    pub fn values(&self) -> Vec<EffectiveValue> {
        let mut values = Vec::new();
        self.collect(&self.root, String::new(), false, &mut values);
        values
    }

    /// Who writes the key at `path` of the complete site: its own line, also where a profile fills in what stands below it.
    pub fn key(&self, path: &[&str]) -> Option<Origin> {
        let (last, above) = path.split_last()?;
        let entry = self.root.at(above)?.entry(last)?;
        Some(self.origin(&entry.key_span))
    }

    fn collect(&self, node: &Node, path: String, secret: bool, values: &mut Vec<EffectiveValue>) {
        match &node.content {
            Content::Mapping(entries) if !entries.is_empty() => {
                for entry in entries {
                    let below = if path.is_empty() {
                        entry.key.clone()
                    } else {
                        format!("{path}.{}", entry.key)
                    };
                    self.collect(&entry.value, below, secret || looks_secret(&entry.key), values);
                }
            }
            Content::List(items) if items.iter().any(is_collection) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, format!("{path}[{index}]"), secret, values);
                }
            }
            _ => {
                let value = if secret {
                    Value::from(HIDDEN)
                } else {
                    node.to_json()
                };
                values.push(EffectiveValue {
                    path,
                    value,
                    from: self.origin(&node.span),
                });
            }
        }
    }

    /// The complete site as YAML that can be read back (but for hidden values), line by line.
    pub fn lines(&self) -> Vec<EffectiveLine> {
        let mut lines = Vec::new();
        self.yaml(&self.root, 0, "", false, &mut lines);
        lines
    }

    /// `lead` is what stands before the first line of a collection that is the item of a list.
    fn yaml(&self, node: &Node, depth: usize, lead: &str, secret: bool, lines: &mut Vec<EffectiveLine>) {
        for (index, entry) in node.entries().iter().enumerate() {
            let indent = if index == 0 && !lead.is_empty() {
                lead.to_owned()
            } else {
                "  ".repeat(depth)
            };
            let secret = secret || looks_secret(&entry.key);
            let key = scalar_text(&entry.key);
            let value = &entry.value;
            match &value.content {
                Content::Mapping(entries) if !entries.is_empty() => {
                    lines.push(EffectiveLine {
                        text: format!("{indent}{key}:"),
                        from: None,
                    });
                    self.yaml(value, depth + 1, "", secret, lines);
                }
                Content::List(items) if items.iter().any(is_collection) => {
                    lines.push(EffectiveLine {
                        text: format!("{indent}{key}:"),
                        from: None,
                    });
                    for item in items {
                        self.item(item, depth + 1, secret, lines);
                    }
                }
                _ => {
                    let text = format!("{indent}{key}: {}", inline(value, secret));
                    lines.push(EffectiveLine {
                        text,
                        from: Some(self.origin(&value.span)),
                    });
                }
            }
        }
    }

    fn item(&self, item: &Node, depth: usize, secret: bool, lines: &mut Vec<EffectiveLine>) {
        let lead = format!("{}- ", "  ".repeat(depth));
        if matches!(&item.content, Content::Mapping(entries) if !entries.is_empty()) {
            self.yaml(item, depth + 1, &lead, secret, lines);
        } else {
            let text = format!("{lead}{}", inline(item, secret));
            lines.push(EffectiveLine {
                text,
                from: Some(self.origin(&item.span)),
            });
        }
    }

    fn origin(&self, span: &Span) -> Origin {
        if span.file.is_empty() {
            Origin::BuiltIn
        } else if span.file == self.file {
            Origin::File(span.file.clone(), span.line)
        } else {
            Origin::Profile(span.file.clone(), span.line)
        }
    }
}

fn is_collection(node: &Node) -> bool {
    matches!(&node.content, Content::Mapping(_) | Content::List(_))
}

/// A value on one line.
fn inline(node: &Node, secret: bool) -> String {
    match &node.content {
        Content::Mapping(entries) => {
            let inner = entries.iter().map(|entry| {
                let secret = secret || looks_secret(&entry.key);
                format!("{}: {}", scalar_text(&entry.key), inline(&entry.value, secret))
            });
            format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
        Content::List(items) => {
            let inner = items.iter().map(|item| inline(item, secret));
            format!("[{}]", inner.collect::<Vec<_>>().join(", "))
        }
        _ if secret => Value::from(HIDDEN).to_string(),
        Content::Text(text) | Content::Ambiguous(text, _) => scalar_text(text),
        _ => node.to_json().to_string(),
    }
}

/// Text as YAML: plain where every reader sees the same text, else in JSON's quotes, which YAML reads too.
fn scalar_text(text: &str) -> String {
    let safe_letter =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '+');
    let plain = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(safe_letter)
        && scalar::plain(text) == Content::Text(text.to_owned());
    if plain { text.to_owned() } else { escaped(text) }
}

/// JSON's escapes, and those for what a terminal would obey.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in Value::from(text).to_string().chars() {
        if crate::quote::is_treacherous(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
    out
}
