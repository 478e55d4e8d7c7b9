//! From tokens to nodes: libyaml's grammar, written as a descent.

use std::collections::HashMap;
use std::rc::Rc;

use super::scan::{Kind, Mark, Problem, Scan, Scanner};

/// Deeper documents are refused: they would only exhaust the stack of whoever walks them.
const MAX_DEPTH: usize = 1000;

/// A node of a document.
pub(super) enum Node {
    Scalar {
        value: String,
        tag: String,
        plain: bool,
    },
    Seq(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
    Alias(Rc<Node>),
    /// An alias inside of what its anchor marks.
    Itself(String),
}

/// Reads the first document; nothing where the text has none.
pub(super) fn first_document(text: &[u8]) -> Result<Option<Rc<Node>>, String> {
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

struct Parser {
    scanner: Scanner,
    /// Nothing while the anchored node is still being read.
    anchors: HashMap<String, Option<Rc<Node>>>,
    tags: Vec<(String, String)>,
    depth: usize,
    fault: Option<String>,
}

impl Parser {
    fn kind(&mut self) -> Scan<&Kind> {
        self.scanner.peek().map(|token| &token.kind)
    }

    fn is(&mut self, wanted: &[Kind]) -> Scan<bool> {
        let token = self.scanner.peek()?;
        Ok(wanted.contains(&token.kind))
    }

    fn start(&mut self) -> Scan<Mark> {
        self.scanner.peek().map(|token| token.start)
    }

    fn document(&mut self) -> Scan<Option<Rc<Node>>> {
        let implicit = !matches!(
            self.kind()?,
            Kind::VersionDirective { .. } | Kind::TagDirective { .. } | Kind::DocumentStart | Kind::StreamEnd
        );
        if self.is(&[Kind::StreamEnd])? {
            return Ok(None);
        }
        self.directives()?;
        let root = if implicit {
            self.node(true, false)?
        } else {
            if !self.is(&[Kind::DocumentStart])? {
                return Err(Problem::parser(
                    "did not find expected <document start>",
                    self.start()?,
                    None,
                ));
            }
            self.scanner.next()?;
            match self.kind()? {
                Kind::VersionDirective { .. }
                | Kind::TagDirective { .. }
                | Kind::DocumentStart
                | Kind::DocumentEnd
                | Kind::StreamEnd => empty(),
                _ => self.node(true, false)?,
            }
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
                Kind::TagDirective { handle, prefix } => {
                    if self.tags.iter().any(|(known, _)| known == handle) {
                        return Err(Problem::parser("found duplicate %TAG directive", at, None));
                    }
                    self.tags.push((handle.clone(), prefix.clone()));
                }
                _ => break,
            }
            self.scanner.next()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if !self.tags.iter().any(|(known, _)| known == handle) {
                self.tags.push((handle.to_owned(), prefix.to_owned()));
            }
        }
        Ok(())
    }

    fn fail_composing<T>(&mut self, fault: String) -> Scan<T> {
        let problem = Problem::reader(&fault);
        self.fault = Some(fault);
        Err(problem)
    }

    fn node(&mut self, block: bool, indentless: bool) -> Scan<Rc<Node>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail_composing(format!("exceeded max depth of {MAX_DEPTH}"));
        }
        let node = self.node_here(block, indentless);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, block: bool, indentless: bool) -> Scan<Rc<Node>> {
        let start = self.start()?;
        if let Kind::Alias(_) = self.kind()?
            && let Kind::Alias(name) = self.scanner.next()?.kind
        {
            return match self.anchors.get(&name) {
                Some(Some(node)) => Ok(Rc::new(Node::Alias(Rc::clone(node)))),
                // The rest of the text may be wrong in itself, which is told first.
                Some(None) => Ok(Rc::new(Node::Itself(name))),
                None => self.fail_composing(format!("unknown anchor '{name}' referenced")),
            };
        }
        let (mut anchor, mut tag) = (None, None);
        loop {
            let at = self.start()?;
            match self.kind()? {
                Kind::Anchor(name) if anchor.is_none() => anchor = Some(name.clone()),
                Kind::Tag { handle, suffix } if tag.is_none() => {
                    tag = Some((handle.clone(), suffix.clone(), at));
                }
                _ => break,
            }
            self.scanner.next()?;
        }
        let tag = match tag {
            None => String::new(),
            Some((handle, suffix, _)) if handle.is_empty() => suffix,
            Some((handle, suffix, at)) => {
                let prefix = self
                    .tags
                    .iter()
                    .find(|(known, _)| *known == handle)
                    .map(|(_, prefix)| prefix);
                match prefix {
                    Some(prefix) => format!("{prefix}{suffix}"),
                    None => return Err(Problem::parser("found undefined tag handle", at, Some(start))),
                }
            }
        };
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        let node = match self.kind()? {
            Kind::BlockEntry if indentless => self.indentless_sequence()?,
            Kind::Scalar { .. } => {
                let Kind::Scalar { value, plain } = self.scanner.next()?.kind else {
                    return Ok(empty());
                };
                let plain = (tag.is_empty() && plain) || tag == "!";
                Rc::new(Node::Scalar { value, tag, plain })
            }
            Kind::FlowSequenceStart => self.flow_sequence()?,
            Kind::FlowMappingStart => self.flow_mapping()?,
            Kind::BlockSequenceStart if block => self.block_sequence()?,
            Kind::BlockMappingStart if block => self.block_mapping()?,
            _ if anchor.is_some() || !tag.is_empty() => {
                let plain = tag.is_empty();
                Rc::new(Node::Scalar {
                    value: String::new(),
                    tag,
                    plain,
                })
            }
            _ => {
                let at = self.start()?;
                return Err(Problem::parser(
                    "did not find expected node content",
                    at,
                    Some(start),
                ));
            }
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Some(Rc::clone(&node)));
        }
        Ok(node)
    }

    fn block_sequence(&mut self) -> Scan<Rc<Node>> {
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        while self.is(&[Kind::BlockEntry])? {
            self.scanner.next()?;
            let none = self.is(&[Kind::BlockEntry, Kind::BlockEnd])?;
            items.push(if none { empty() } else { self.node(true, false)? });
        }
        if !self.is(&[Kind::BlockEnd])? {
            return Err(Problem::parser(
                "did not find expected '-' indicator",
                self.start()?,
                Some(start),
            ));
        }
        self.scanner.next()?;
        Ok(Rc::new(Node::Seq(items)))
    }

    fn indentless_sequence(&mut self) -> Scan<Rc<Node>> {
        let mut items = Vec::new();
        while self.is(&[Kind::BlockEntry])? {
            self.scanner.next()?;
            let none = self.is(&[Kind::BlockEntry, Kind::Key, Kind::Value, Kind::BlockEnd])?;
            items.push(if none { empty() } else { self.node(true, false)? });
        }
        Ok(Rc::new(Node::Seq(items)))
    }

    fn block_mapping(&mut self) -> Scan<Rc<Node>> {
        const NO_NODE: &[Kind] = &[Kind::Key, Kind::Value, Kind::BlockEnd];
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        while self.is(&[Kind::Key])? {
            self.scanner.next()?;
            let key = if self.is(NO_NODE)? {
                empty()
            } else {
                self.node(true, true)?
            };
            let mut value = empty();
            if self.is(&[Kind::Value])? {
                self.scanner.next()?;
                if !self.is(NO_NODE)? {
                    value = self.node(true, true)?;
                }
            }
            entries.push((key, value));
        }
        if !self.is(&[Kind::BlockEnd])? {
            return Err(Problem::parser(
                "did not find expected key",
                self.start()?,
                Some(start),
            ));
        }
        self.scanner.next()?;
        Ok(Rc::new(Node::Map(entries)))
    }

    fn flow_sequence(&mut self) -> Scan<Rc<Node>> {
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        while !self.is(&[Kind::FlowSequenceEnd])? {
            if !items.is_empty() {
                if !self.is(&[Kind::FlowEntry])? {
                    return Err(Problem::parser(
                        "did not find expected ',' or ']'",
                        self.start()?,
                        Some(start),
                    ));
                }
                self.scanner.next()?;
                if self.is(&[Kind::FlowSequenceEnd])? {
                    break;
                }
            }
            if self.is(&[Kind::Key])? {
                self.scanner.next()?;
                items.push(self.flow_pair()?);
            } else {
                items.push(self.node(false, false)?);
            }
        }
        self.scanner.next()?;
        Ok(Rc::new(Node::Seq(items)))
    }

    /// A mapping of one pair inside a flow sequence.
    fn flow_pair(&mut self) -> Scan<Rc<Node>> {
        let key = if self.is(&[Kind::Value, Kind::FlowEntry, Kind::FlowSequenceEnd])? {
            empty()
        } else {
            self.node(false, false)?
        };
        let mut value = empty();
        if self.is(&[Kind::Value])? {
            self.scanner.next()?;
            if !self.is(&[Kind::FlowEntry, Kind::FlowSequenceEnd])? {
                value = self.node(false, false)?;
            }
        }
        Ok(Rc::new(Node::Map(vec![(key, value)])))
    }

    fn flow_mapping(&mut self) -> Scan<Rc<Node>> {
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        while !self.is(&[Kind::FlowMappingEnd])? {
            if !entries.is_empty() {
                if !self.is(&[Kind::FlowEntry])? {
                    return Err(Problem::parser(
                        "did not find expected ',' or '}'",
                        self.start()?,
                        Some(start),
                    ));
                }
                self.scanner.next()?;
                if self.is(&[Kind::FlowMappingEnd])? {
                    break;
                }
            }
            let mut value = empty();
            let key;
            if self.is(&[Kind::Key])? {
                self.scanner.next()?;
                let none = self.is(&[Kind::Value, Kind::FlowEntry, Kind::FlowMappingEnd])?;
                key = if none { empty() } else { self.node(false, false)? };
                if self.is(&[Kind::Value])? {
                    self.scanner.next()?;
                    if !self.is(&[Kind::FlowEntry, Kind::FlowMappingEnd])? {
                        value = self.node(false, false)?;
                    }
                }
            } else {
                key = self.node(false, false)?;
            }
            entries.push((key, value));
        }
        self.scanner.next()?;
        Ok(Rc::new(Node::Map(entries)))
    }
}

fn empty() -> Rc<Node> {
    Rc::new(Node::Scalar {
        value: String::new(),
        tag: String::new(),
        plain: true,
    })
}
