//! Text to tree. The reader below is an event parser that stops at the first syntax error; all that is wrong with a file
//! that can be read is reported together.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as Place};

use crate::diagnostic::{Diagnostic, Span};
use crate::node::{Content, Entry, Node};
use crate::quote::quote;
use crate::scalar;

/// Bytes of a file that are read at most. Files of people are small; the bound keeps a wrong one (`--file /dev/zero`) from
/// eating the machine.
pub const LARGEST_FILE: usize = 1024 * 1024;
const DEEPEST: usize = 64;

/// The tree, if there is any, and what is wrong with the text.
pub(crate) fn read(name: &str, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut reader = Reader {
        name,
        text,
        problems: Vec::new(),
        stack: Vec::new(),
        root: None,
        documents: 0,
    };
    if text.len() > LARGEST_FILE {
        let message = format!(
            "the file has {} bytes; at most {LARGEST_FILE} are read",
            text.len()
        );
        reader
            .problems
            .push(Diagnostic::error("yaml::too-large", message, reader.point(0)));
        return (None, reader.problems);
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, place)) => reader.event(event, &place),
            Err(error) => {
                reader.syntax_error(&error);
                return (None, reader.problems);
            }
        }
    }
    (reader.root, reader.problems)
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    problems: Vec<Diagnostic>,
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A collection that has not ended yet.
enum Open {
    List {
        span: Span,
        items: Vec<Node>,
    },
    Mapping {
        span: Span,
        entries: Vec<Entry>,
        key: Option<Key>,
    },
}

enum Key {
    Good(String, Span),
    /// Reported; its value is dropped.
    Bad,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, place: &Place) {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    let span = self.span(place);
                    self.problems.push(
                        Diagnostic::error(
                            "yaml::many-documents",
                            "the file has more than one document",
                            span,
                        )
                        .help("one file describes one site; remove the `---` and what follows"),
                    );
                }
            }
            Event::Scalar(text, style, _, tag) => {
                let span = self.span(place);
                self.refuse_tag(tag.is_some(), &span);
                let content = match style {
                    ScalarStyle::Plain => scalar::plain(&text),
                    _ => Content::Text(text.to_string()),
                };
                self.scalar(&text, Node::new(span, content));
            }
            Event::Alias(_) => {
                let span = self.span(place);
                self.problems.push(
                    Diagnostic::error(
                        "yaml::alias",
                        "aliases (`*name`) are not read in this file",
                        span.clone(),
                    )
                    .help("write the value again, so that each place says what holds there"),
                );
                self.scalar("", Node::new(span, Content::Broken));
            }
            Event::SequenceStart(_, _, tag) => {
                let span = self.span(place);
                self.refuse_tag(tag.is_some(), &span);
                self.stack.push(Open::List {
                    span,
                    items: Vec::new(),
                });
            }
            Event::MappingStart(_, _, tag) => {
                let span = self.span(place);
                self.refuse_tag(tag.is_some(), &span);
                self.stack.push(Open::Mapping {
                    span,
                    entries: Vec::new(),
                    key: None,
                });
            }
            Event::SequenceEnd => {
                if let Some(Open::List { span, items }) = self.stack.pop() {
                    self.collection(Node::new(span, Content::List(items)));
                }
            }
            Event::MappingEnd => {
                if let Some(Open::Mapping { span, entries, .. }) = self.stack.pop() {
                    // A block mapping starts nowhere visible; its first key can be seen.
                    let span = if span.bytes.is_empty() {
                        entries.first().map_or(span, |first| first.key_span.clone())
                    } else {
                        span
                    };
                    self.collection(Node::new(span, Content::Mapping(entries)));
                }
            }
            _ => {}
        }
    }

    /// A scalar is a key or a value.
    fn scalar(&mut self, raw: &str, node: Node) {
        let Some(Open::Mapping {
            entries,
            key: key @ None,
            ..
        }) = self.stack.last_mut()
        else {
            return self.value(node);
        };
        if node.content == Content::Broken {
            *key = Some(Key::Bad);
        } else if raw.is_empty() || node.span.bytes.is_empty() {
            *key = Some(Key::Bad);
            self.problems.push(Diagnostic::error(
                "yaml::empty-key",
                "a key is missing before the `:`",
                node.span,
            ));
        } else if let Some(first) = entries.iter().find(|entry| entry.key == raw) {
            let message = format!("the key {} stands here twice", quote(raw));
            self.problems.push(
                Diagnostic::error("yaml::duplicate-key", message, node.span)
                    .related(first.key_span.clone(), "first here")
                    .help("join the two, or remove one"),
            );
            *key = Some(Key::Bad);
        } else {
            *key = Some(Key::Good(raw.to_owned(), node.span));
        }
    }

    /// A collection is a value, for keys are words.
    fn collection(&mut self, node: Node) {
        if let Some(Open::Mapping { key: key @ None, .. }) = self.stack.last_mut() {
            *key = Some(Key::Bad);
            let message = "a key must be a word, not a list or a mapping";
            self.problems.push(
                Diagnostic::error("yaml::key-type", message, node.span).help(
                    "text that starts with `{` or `[` needs quotes; templates are not read in this file",
                ),
            );
            return;
        }
        self.value(node);
    }

    fn value(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let Some(Key::Good(name, key_span)) = key.take() {
                    entries.push(Entry {
                        key: name,
                        key_span,
                        value: node,
                    });
                }
            }
            None if self.documents <= 1 => self.root = Some(node),
            None => {}
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Span) {
        if tagged {
            self.problems.push(
                Diagnostic::error(
                    "yaml::tag",
                    "tags (`!name`) are not read in this file",
                    span.clone(),
                )
                .help("remove the tag; quotes make text of anything"),
            );
        }
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let marker = error.marker();
        let offset = marker
            .byte_offset()
            .unwrap_or(self.text.len())
            .min(self.text.len());
        let mut span = self.point(offset);
        span.line = marker.line().max(1);
        span.column = marker.col() + 1;
        let message = format!("this is not YAML: {}", error.info());
        let mut problem = Diagnostic::error("yaml::syntax", message, span);
        let line = self
            .text
            .lines()
            .nth(marker.line().saturating_sub(1))
            .unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        if indent.contains('\t') {
            problem = problem.help("YAML is indented with spaces; replace the tab");
        } else {
            problem = problem
                .help("look at this line and the one before: indentation, quotes, `key: value` with a space");
        }
        self.problems.push(problem);
    }

    fn span(&self, place: &Place) -> Span {
        let bytes = place.byte_range().unwrap_or(0..0);
        let mut end = bytes.end.min(self.text.len());
        let start = bytes.start.min(end);
        // The end of a block scalar is the start of the next line.
        while end > start && self.text.as_bytes()[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        Span {
            file: self.name.to_owned(),
            line: place.start.line().max(1),
            column: place.start.col() + 1,
            bytes: start..end,
        }
    }

    fn point(&self, offset: usize) -> Span {
        Span {
            file: self.name.to_owned(),
            line: 1,
            column: 1,
            bytes: offset..offset,
        }
    }
}
