//! Reads a template into trees: Go's `text/template/parse`, with its look-ahead, its checks and its errors.

use std::sync::Arc;

use super::fault::{Fault, Location};
use super::format::quote;
use super::lexer::{Item, Lexer, Token};
use super::signature::Function;
use super::syntax::{Branch, Node, Source, Text, Tree, is_empty};

/// How deep parentheses and blocks may be nested: enough for any author, few enough for the stack.
const MAX_DEPTH: usize = 500;

/// Finds a function by its name.
pub(crate) type Lookup = fn(&str) -> Option<&'static Function>;

/// A text that was read, of whichever files it is the text.
pub(crate) struct Parsed {
    text: Arc<str>,
    /// What it defines, by their names.
    defined: Vec<(Arc<str>, Arc<Vec<Node>>)>,
    nodes: Arc<Vec<Node>>,
}

impl Parsed {
    /// The trees that a file of this text and that name defines and, as the last one, its own.
    pub(crate) fn trees(&self, name: &str) -> Vec<Tree> {
        let source = Arc::new(Source {
            name: name.into(),
            text: Arc::clone(&self.text),
        });
        let tree = |name: &Arc<str>, nodes: &Arc<Vec<Node>>| Tree {
            name: Arc::clone(name),
            source: Arc::clone(&source),
            nodes: Arc::clone(nodes),
        };
        let root = tree(&source.name, &self.nodes);
        let mut trees = Vec::with_capacity(self.defined.len() + 1);
        trees.extend(self.defined.iter().map(|(name, nodes)| tree(name, nodes)));
        match trees.iter().position(|tree| tree.name == root.name) {
            Some(at) if trees[at].is_empty() => {
                trees.remove(at);
            }
            Some(at) if root.is_empty() => {
                let named = trees.remove(at);
                trees.push(named);
                return trees;
            }
            _ => {}
        }
        trees.push(root);
        trees
    }
}

/// Reads the text of a file; errors name the file.
pub(crate) fn parse(name: &str, text: &str, lookup: Lookup) -> Result<Parsed, Fault> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        buffer: [END; 3],
        peeked: 0,
        name,
        lookup,
        variables: vec!["$".into()],
        ranges: 0,
        action_line: 0,
        depth: 0,
        defined: Vec::new(),
    };
    let nodes = parser.root()?;
    Ok(Parsed {
        text: text.into(),
        defined: parser.defined,
        nodes: Arc::new(nodes),
    })
}

const END: Item<'static> = Item {
    token: Token::Eof,
    text: "",
    offset: 0,
    line: 0,
};

/// How a list of nodes ended.
enum End {
    End,
    Else,
}

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    /// Go's look-ahead; the first slot is the token that errors are placed at.
    buffer: [Item<'t>; 3],
    peeked: usize,
    /// That of the file.
    name: &'t str,
    pub(super) lookup: Lookup,
    pub(super) variables: Vec<Arc<str>>,
    ranges: usize,
    action_line: usize,
    depth: usize,
    defined: Vec<(Arc<str>, Arc<Vec<Node>>)>,
}

pub(super) type Parse<T> = Result<T, Fault>;

impl<'t> Parser<'t> {
    pub(super) fn next(&mut self) -> Item<'t> {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.buffer[0] = self.lexer.take();
        }
        self.buffer[self.peeked]
    }

    pub(super) fn backup(&mut self) {
        self.peeked += 1;
    }

    pub(super) fn backup2(&mut self, item: Item<'t>) {
        self.buffer[1] = item;
        self.peeked = 2;
    }

    pub(super) fn backup3(&mut self, second: Item<'t>, first: Item<'t>) {
        self.buffer[1] = first;
        self.buffer[2] = second;
        self.peeked = 3;
    }

    pub(super) fn peek(&mut self) -> Item<'t> {
        if self.peeked == 0 {
            self.peeked = 1;
            self.buffer[0] = self.lexer.take();
        }
        self.buffer[self.peeked - 1]
    }

    pub(super) fn next_non_space(&mut self) -> Item<'t> {
        loop {
            let item = self.next();
            if item.token != Token::Space {
                return item;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> Item<'t> {
        let item = self.next_non_space();
        self.backup();
        item
    }

    pub(super) fn fail<T>(&self, text: impl AsRef<str>) -> Parse<T> {
        let line = self.buffer[0].line;
        let name = self.name;
        let location = Location {
            file: name.into(),
            line,
            column: 0,
        };
        Err(Fault::new(format!("template: {name}:{line}: {}", text.as_ref())).at(location))
    }

    pub(super) fn unexpected<T>(&self, item: &Item<'_>, context: &str) -> Parse<T> {
        if item.token == Token::Error {
            let problem = self.lexer.problem();
            let mut extra = String::new();
            if self.action_line != 0 && self.action_line != item.line {
                let place = format!("{}:{}", self.name, self.action_line);
                extra = if problem.ends_with(" action") {
                    format!(" started at {place}")
                } else {
                    format!(" in action started at {place}")
                };
            }
            return self.fail(format!("{problem}{extra}"));
        }
        self.fail(format!("unexpected {} in {context}", item.shown()))
    }

    fn expect(&mut self, token: Token, context: &str) -> Parse<Item<'t>> {
        let item = self.next_non_space();
        if item.token == token {
            Ok(item)
        } else {
            self.unexpected(&item, context)
        }
    }

    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            return self.fail("max expression depth exceeded");
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn root(&mut self) -> Parse<Vec<Node>> {
        let mut nodes = Vec::new();
        self.peek();
        while self.peek().token != Token::Eof {
            if self.peek().token == Token::LeftDelim {
                let delim = self.next();
                if self.next_non_space().token == Token::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action(&mut nodes)? {
                None => {}
                Some(End::End) => return self.fail("unexpected {{end}}"),
                Some(End::Else) => return self.fail("unexpected {{else}}"),
            }
        }
        Ok(nodes)
    }

    /// Keeps what belongs to the template around a definition apart.
    fn apart<T>(&mut self, work: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let ranges = std::mem::take(&mut self.ranges);
        let result = work(self);
        self.variables = variables;
        self.ranges = ranges;
        result
    }

    fn definition(&mut self) -> Parse<()> {
        const CONTEXT: &str = "define clause";
        self.apart(|parser| {
            let item = parser.next_non_space();
            let name = parser.template_name(&item, CONTEXT)?;
            parser.expect(Token::RightDelim, CONTEXT)?;
            let (nodes, end) = parser.list()?;
            if let End::Else = end {
                return parser.fail(format!("unexpected {{{{else}}}} in {CONTEXT}"));
            }
            parser.add(name, nodes)
        })
    }

    fn add(&mut self, name: Arc<str>, nodes: Vec<Node>) -> Parse<()> {
        match self.defined.iter().position(|(known, _)| *known == name) {
            Some(at) if is_empty(&self.defined[at].1) => self.defined[at] = (name, Arc::new(nodes)),
            Some(_) if is_empty(&nodes) => {}
            Some(_) => {
                return self.fail(format!(
                    "template: multiple definition of template {}",
                    quote(&name)
                ));
            }
            None => self.defined.push((name, Arc::new(nodes))),
        }
        Ok(())
    }

    fn list(&mut self) -> Parse<(Vec<Node>, End)> {
        self.deeper(|parser| {
            let mut nodes = Vec::new();
            while parser.peek_non_space().token != Token::Eof {
                if let Some(end) = parser.text_or_action(&mut nodes)? {
                    nodes.shrink_to_fit();
                    return Ok((nodes, end));
                }
            }
            parser.fail("unexpected EOF")
        })
    }

    fn text_or_action(&mut self, nodes: &mut Vec<Node>) -> Parse<Option<End>> {
        let item = self.next_non_space();
        match item.token {
            Token::Text => {
                nodes.push(Node::Text(item.text.into()));
                Ok(None)
            }
            Token::LeftDelim => {
                self.action_line = item.line;
                let result = self.action(nodes);
                self.action_line = 0;
                result
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    fn action(&mut self, nodes: &mut Vec<Node>) -> Parse<Option<End>> {
        let item = self.next_non_space();
        match item.token {
            Token::Block => nodes.push(self.block()?),
            Token::Break | Token::Continue => {
                let word = if item.token == Token::Break {
                    "{{break}}"
                } else {
                    "{{continue}}"
                };
                let next = self.next_non_space();
                if next.token != Token::RightDelim {
                    return self.unexpected(&next, word);
                }
                if self.ranges == 0 {
                    return self.fail(format!("{word} outside {{{{range}}}}"));
                }
                nodes.push(if item.token == Token::Break {
                    Node::Break
                } else {
                    Node::Continue
                });
            }
            Token::Else => {
                let next = self.peek_non_space();
                if matches!(next.token, Token::If | Token::With) {
                    return Ok(Some(End::Else));
                }
                self.expect(Token::RightDelim, "else")?;
                return Ok(Some(End::Else));
            }
            Token::End => {
                self.expect(Token::RightDelim, "end")?;
                return Ok(Some(End::End));
            }
            Token::If => {
                let branch = self.control("if")?;
                nodes.push(Node::If(branch));
            }
            Token::Range => {
                let branch = self.control("range")?;
                nodes.push(Node::Range(branch));
            }
            Token::With => {
                let branch = self.control("with")?;
                nodes.push(Node::With(branch));
            }
            Token::Template => nodes.push(self.template()?),
            _ => {
                self.backup();
                self.peek();
                nodes.push(Node::Action(self.pipeline("command", Token::RightDelim)?));
            }
        }
        Ok(None)
    }

    fn control(&mut self, context: &str) -> Parse<Box<Branch>> {
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Token::RightDelim)?;
        let range = usize::from(context == "range");
        self.ranges += range;
        let (body, end) = self.list()?;
        self.ranges -= range;
        let otherwise = match end {
            End::End => None,
            End::Else => {
                let next = self.peek().token;
                if context == "if" && next == Token::If {
                    self.next();
                    Some(vec![Node::If(self.deeper(|parser| parser.control("if"))?)])
                } else if context == "with" && next == Token::With {
                    self.next();
                    Some(vec![Node::With(self.deeper(|parser| parser.control("with"))?)])
                } else {
                    let (nodes, end) = self.list()?;
                    if let End::Else = end {
                        return self.fail("expected end; found {{else}}");
                    }
                    Some(nodes)
                }
            }
        };
        self.variables.truncate(scope);
        Ok(Box::new(Branch {
            pipe,
            body,
            otherwise,
        }))
    }

    fn block(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "block clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Token::RightDelim)?;
        let body_name = Arc::clone(&name);
        self.apart(|parser| {
            let (nodes, end) = parser.list()?;
            if let End::Else = end {
                return parser.fail(format!("unexpected {{{{else}}}} in {CONTEXT}"));
            }
            parser.add(body_name, nodes)
        })?;
        Ok(Node::Template {
            offset: item.offset,
            name,
            pipe: Some(Box::new(pipe)),
        })
    }

    fn template(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "template clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().token != Token::RightDelim {
            self.backup();
            pipe = Some(Box::new(self.pipeline(CONTEXT, Token::RightDelim)?));
        }
        Ok(Node::Template {
            offset: item.offset,
            name,
            pipe,
        })
    }

    fn template_name(&mut self, item: &Item<'_>, context: &str) -> Parse<Arc<str>> {
        match item.token {
            Token::String | Token::RawString => match self.text(item.text)? {
                Text::Utf8(name) => Ok(name),
                Text::Raw(bytes) => Ok(super::format::text_of(&bytes).into()),
            },
            _ => self.unexpected(item, context),
        }
    }
}
