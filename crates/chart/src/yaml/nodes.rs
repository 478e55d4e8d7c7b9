//! From tokens to nodes: libyaml's grammar, written as a descent.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::scan::{Kind, Mark, Problem, Scan, Scanner};

/// Deeper documents are refused: they would only exhaust the stack of whoever walks them.
const MAX_DEPTH: usize = 1000;

/// A node of a document.
pub(super) enum Node<'t> {
    Scalar {
        value: Cow<'t, str>,
        tag: Option<Box<str>>,
        plain: bool,
    },
    Seq(Vec<Node<'t>>),
    Map(Vec<(Node<'t>, Node<'t>)>),
    /// What an anchor marks, where it stands.
    Anchored(Rc<Node<'t>>),
    Alias(Rc<Node<'t>>),
    /// An alias inside of what its anchor marks.
    Itself(&'t str),
}

impl Node<'_> {
    /// The node itself, where an anchor stands before it.
    pub(super) fn bare(&self) -> &Self {
        match self {
            Self::Anchored(node) => node,
            node => node,
        }
    }

    fn empty() -> Self {
        Self::Scalar {
            value: Cow::Borrowed(""),
            tag: None,
            plain: true,
        }
    }
}

/// Reads the first document; nothing where the text has none.
pub(super) fn first_document(text: &[u8]) -> Result<Option<Node<'_>>, String> {
    let mut parser = Scanner::new(text)
        .map(|scanner| Parser {
            scanner,
            anchors: HashMap::new(),
            tags: Vec::new(),
            depth: 0,
            fault: None,
        })
        .map_err(|problem| problem.message())?;
    let document = parser.document();
    // Faults of composing, such as an unknown anchor, come without a place.
    if let Some(fault) = parser.fault {
        return Err(format!("yaml: {fault}"));
    }
    document.map_err(|problem| problem.message())
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    /// Nothing while the anchored node is still being read.
    anchors: HashMap<&'t str, Option<Rc<Node<'t>>>>,
    tags: Vec<(String, String)>,
    depth: usize,
    fault: Option<String>,
}

/// What stands before the content of a node.
struct Properties {
    start: Mark,
    anchored: bool,
    tag: Option<Box<str>>,
}

impl<'t> Parser<'t> {
    fn kind(&mut self) -> Scan<&Kind<'t>> {
        self.scanner.peek().map(|token| &token.kind)
    }

    /// Whether the next token is one of those that the test accepts.
    fn is(&mut self, test: impl FnOnce(&Kind<'t>) -> bool) -> Scan<bool> {
        self.kind().map(test)
    }

    /// Takes the next token if the test accepts it.
    fn take(&mut self, test: impl FnOnce(&Kind<'t>) -> bool) -> Scan<bool> {
        let accepted = self.is(test)?;
        if accepted {
            self.scanner.next()?;
        }
        Ok(accepted)
    }

    fn start(&mut self) -> Scan<Mark> {
        self.scanner.peek().map(|token| token.start)
    }

    fn expected<T>(&mut self, what: &str, start: Option<Mark>) -> Scan<T> {
        Err(Problem::parser(
            &format!("did not find expected {what}"),
            self.start()?,
            start,
        ))
    }

    /// A node, or an empty one where the test accepts the next token already.
    fn node_unless(
        &mut self,
        none: impl FnOnce(&Kind<'t>) -> bool,
        block: bool,
        indentless: bool,
    ) -> Scan<Node<'t>> {
        if self.is(none)? {
            Ok(Node::empty())
        } else {
            self.node(block, indentless)
        }
    }

    fn document(&mut self) -> Scan<Option<Node<'t>>> {
        let implicit = !matches!(
            self.kind()?,
            Kind::VersionDirective { .. } | Kind::TagDirective(_) | Kind::DocumentStart | Kind::StreamEnd
        );
        if self.is(|kind| matches!(kind, Kind::StreamEnd))? {
            return Ok(None);
        }
        self.directives()?;
        let root = if implicit {
            self.node(true, false)?
        } else {
            if !self.take(|kind| matches!(kind, Kind::DocumentStart))? {
                return self.expected("<document start>", None);
            }
            let none = |kind: &Kind<'t>| {
                matches!(
                    kind,
                    Kind::VersionDirective { .. }
                        | Kind::TagDirective(_)
                        | Kind::DocumentStart
                        | Kind::DocumentEnd
                        | Kind::StreamEnd
                )
            };
            self.node_unless(none, true, false)?
        };
        // The end of the document is looked at, as go-yaml does; what follows is not.
        self.scanner.peek()?;
        Ok(Some(root))
    }

    fn directives(&mut self) -> Scan<()> {
        let mut versions = 0;
        loop {
            let at = self.start()?;
            match &self.scanner.peek()?.kind {
                Kind::VersionDirective { major, minor } => {
                    versions += 1;
                    if versions > 1 {
                        return Err(Problem::parser("found duplicate %YAML directive", at, None));
                    }
                    if (*major, *minor) != (1, 1) {
                        return Err(Problem::parser("found incompatible YAML document", at, None));
                    }
                }
                Kind::TagDirective(tag) => {
                    if self.tags.iter().any(|(known, _)| *known == tag.handle) {
                        return Err(Problem::parser("found duplicate %TAG directive", at, None));
                    }
                    self.tags.push((tag.handle.clone(), tag.text.clone()));
                }
                _ => return Ok(()),
            }
            self.scanner.next()?;
        }
    }

    /// What the handle of a tag stands for.
    fn prefix(&self, handle: &str) -> Option<&str> {
        let declared = self.tags.iter().find(|(known, _)| known == handle);
        match (declared, handle) {
            (Some((_, prefix)), _) => Some(prefix),
            (None, "!") => Some("!"),
            (None, "!!") => Some("tag:yaml.org,2002:"),
            (None, _) => None,
        }
    }

    fn fail_composing<T>(&mut self, fault: String) -> Scan<T> {
        let problem = Problem::reader(&fault);
        self.fault = Some(fault);
        Err(problem)
    }

    fn node(&mut self, block: bool, indentless: bool) -> Scan<Node<'t>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail_composing(format!("exceeded max depth of {MAX_DEPTH}"));
        }
        let token = self.scanner.peek()?;
        let start = token.start;
        let node = match token.kind {
            Kind::Alias(name) => {
                self.scanner.next()?;
                self.alias(name)?
            }
            Kind::Anchor(_) | Kind::Tag(_) => self.described(start, block, indentless)?,
            _ => {
                let properties = Properties {
                    start,
                    anchored: false,
                    tag: None,
                };
                self.content(properties, block, indentless)?
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn alias(&mut self, name: &'t str) -> Scan<Node<'t>> {
        match self.anchors.get(name) {
            Some(Some(node)) => Ok(Node::Alias(Rc::clone(node))),
            // The rest of the text may be wrong in itself, which is told first.
            Some(None) => Ok(Node::Itself(name)),
            None => self.fail_composing(format!("unknown anchor '{name}' referenced")),
        }
    }

    /// A node with an anchor, a tag or both.
    fn described(&mut self, start: Mark, block: bool, indentless: bool) -> Scan<Node<'t>> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            let at = self.start()?;
            match self.kind()? {
                Kind::Anchor(name) if anchor.is_none() => {
                    anchor = Some(*name);
                    self.scanner.next()?;
                }
                Kind::Tag(_) if tag.is_none() => {
                    if let Kind::Tag(found) = self.scanner.next()?.kind {
                        tag = Some((found, at));
                    }
                }
                _ => break,
            }
        }
        let tag = match tag {
            None => None,
            Some((tag, _)) if tag.handle.is_empty() => Some(tag.text.into()),
            Some((tag, at)) => match self.prefix(&tag.handle) {
                Some(prefix) => Some(format!("{prefix}{}", tag.text).into()),
                None => return Err(Problem::parser("found undefined tag handle", at, Some(start))),
            },
        };
        let properties = Properties {
            start,
            anchored: anchor.is_some(),
            tag,
        };
        let Some(anchor) = anchor else {
            return self.content(properties, block, indentless);
        };
        self.anchors.insert(anchor, None);
        let node = Rc::new(self.content(properties, block, indentless)?);
        self.anchors.insert(anchor, Some(Rc::clone(&node)));
        Ok(Node::Anchored(node))
    }

    fn content(&mut self, properties: Properties, block: bool, indentless: bool) -> Scan<Node<'t>> {
        let Properties { start, anchored, tag } = properties;
        match self.kind()? {
            Kind::BlockEntry if indentless => self.indentless_sequence(),
            Kind::Scalar { .. } => match self.scanner.next()?.kind {
                Kind::Scalar { value, plain } => {
                    let plain = (tag.is_none() && plain) || tag.as_deref() == Some("!");
                    Ok(Node::Scalar { value, tag, plain })
                }
                _ => Ok(Node::empty()),
            },
            Kind::FlowSequenceStart => self.flow_sequence(),
            Kind::FlowMappingStart => self.flow_mapping(),
            Kind::BlockSequenceStart if block => self.block_sequence(),
            Kind::BlockMappingStart if block => self.block_mapping(),
            _ if anchored || tag.is_some() => {
                let plain = tag.is_none();
                Ok(Node::Scalar {
                    value: Cow::Borrowed(""),
                    tag,
                    plain,
                })
            }
            _ => self.expected("node content", Some(start)),
        }
    }

    fn block_sequence(&mut self) -> Scan<Node<'t>> {
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        while self.take(|kind| matches!(kind, Kind::BlockEntry))? {
            let none = |kind: &Kind<'t>| matches!(kind, Kind::BlockEntry | Kind::BlockEnd);
            items.push(self.node_unless(none, true, false)?);
        }
        if !self.take(|kind| matches!(kind, Kind::BlockEnd))? {
            return self.expected("'-' indicator", Some(start));
        }
        Ok(Node::Seq(items))
    }

    fn indentless_sequence(&mut self) -> Scan<Node<'t>> {
        let mut items = Vec::new();
        while self.take(|kind| matches!(kind, Kind::BlockEntry))? {
            let none =
                |kind: &Kind<'t>| matches!(kind, Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd);
            items.push(self.node_unless(none, true, false)?);
        }
        Ok(Node::Seq(items))
    }

    fn block_mapping(&mut self) -> Scan<Node<'t>> {
        let none = |kind: &Kind<'t>| matches!(kind, Kind::Key | Kind::Value | Kind::BlockEnd);
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        while self.take(|kind| matches!(kind, Kind::Key))? {
            let key = self.node_unless(none, true, true)?;
            let value = if self.take(|kind| matches!(kind, Kind::Value))? {
                self.node_unless(none, true, true)?
            } else {
                Node::empty()
            };
            entries.push((key, value));
        }
        if !self.take(|kind| matches!(kind, Kind::BlockEnd))? {
            return self.expected("key", Some(start));
        }
        Ok(Node::Map(entries))
    }

    fn flow_sequence(&mut self) -> Scan<Node<'t>> {
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        while !self.take(|kind| matches!(kind, Kind::FlowSequenceEnd))? {
            if !items.is_empty() {
                if !self.take(|kind| matches!(kind, Kind::FlowEntry))? {
                    return self.expected("',' or ']'", Some(start));
                }
                if self.take(|kind| matches!(kind, Kind::FlowSequenceEnd))? {
                    break;
                }
            }
            items.push(if self.take(|kind| matches!(kind, Kind::Key))? {
                self.flow_pair()?
            } else {
                self.node(false, false)?
            });
        }
        Ok(Node::Seq(items))
    }

    /// A mapping of one pair inside a flow sequence.
    fn flow_pair(&mut self) -> Scan<Node<'t>> {
        let none = |kind: &Kind<'t>| matches!(kind, Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd);
        let key = self.node_unless(none, false, false)?;
        let value = if self.take(|kind| matches!(kind, Kind::Value))? {
            let none = |kind: &Kind<'t>| matches!(kind, Kind::FlowEntry | Kind::FlowSequenceEnd);
            self.node_unless(none, false, false)?
        } else {
            Node::empty()
        };
        Ok(Node::Map(vec![(key, value)]))
    }

    fn flow_mapping(&mut self) -> Scan<Node<'t>> {
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        while !self.take(|kind| matches!(kind, Kind::FlowMappingEnd))? {
            if !entries.is_empty() {
                if !self.take(|kind| matches!(kind, Kind::FlowEntry))? {
                    return self.expected("',' or '}'", Some(start));
                }
                if self.take(|kind| matches!(kind, Kind::FlowMappingEnd))? {
                    break;
                }
            }
            if !self.take(|kind| matches!(kind, Kind::Key))? {
                entries.push((self.node(false, false)?, Node::empty()));
                continue;
            }
            let none = |kind: &Kind<'t>| matches!(kind, Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd);
            let key = self.node_unless(none, false, false)?;
            let value = if self.take(|kind| matches!(kind, Kind::Value))? {
                let none = |kind: &Kind<'t>| matches!(kind, Kind::FlowEntry | Kind::FlowMappingEnd);
                self.node_unless(none, false, false)?
            } else {
                Node::empty()
            };
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}
