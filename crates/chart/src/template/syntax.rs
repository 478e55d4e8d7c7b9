//! The syntax tree of templates.

use std::sync::Arc;

use super::fault::Location;
use super::signature::Function;

/// The text of a template file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

impl Source {
    /// The line and column of a byte, as Go's `ErrorContext` counts them.
    pub(crate) fn location(&self, offset: usize) -> Location {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = match before.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => offset - newline - 1,
            None => offset,
        };
        Location {
            file: Arc::clone(&self.name),
            line,
            column,
        }
    }
}

/// A named template.
pub(crate) struct Tree {
    pub(crate) name: Arc<str>,
    pub(crate) source: Arc<Source>,
    /// Files of the same text share them: a library comes with every chart that depends on it.
    pub(crate) nodes: Arc<Vec<Node>>,
}

impl Tree {
    /// Whether nothing but white space is in it; such a definition never replaces another one.
    pub(crate) fn is_empty(&self) -> bool {
        is_empty(&self.nodes)
    }
}

/// Whether nothing but white space is in it.
pub(super) fn is_empty(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

pub(crate) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    // In boxes, because every text would take as much room as they do.
    If(Box<Branch>),
    Range(Box<Branch>),
    With(Box<Branch>),
    Template {
        offset: usize,
        name: Arc<str>,
        pipe: Option<Box<Pipe>>,
    },
    Break,
    Continue,
}

pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

pub(crate) struct Pipe {
    pub(crate) offset: usize,
    pub(crate) declared: Vec<Arc<str>>,
    pub(crate) assign: bool,
    pub(crate) commands: Vec<Command>,
}

pub(crate) struct Command {
    pub(crate) offset: usize,
    pub(crate) args: Vec<Expr>,
}

pub(crate) struct Expr {
    pub(crate) offset: usize,
    pub(crate) kind: ExprKind,
}

pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number { value: Number, text: Box<str> },
    Str { value: Text, text: Box<str> },
    Field(Vec<Arc<str>>),
    Variable(Arc<str>, Vec<Arc<str>>),
    Function(&'static Function),
    Pipe(Box<Pipe>),
    Chain(Box<Expr>, Vec<Arc<str>>),
}

/// A number constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

/// A string constant, which escapes can make something else than UTF-8.
pub(crate) enum Text {
    Utf8(Arc<str>),
    Raw(Box<[u8]>),
}
