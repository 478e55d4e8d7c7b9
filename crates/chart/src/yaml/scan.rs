//! Divides a YAML text into tokens, by the algorithm of libyaml that go-yaml follows: the same texts are accepted, and
//! the errors read the same.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::characters::{
    is_allowed, is_blank, is_blank_or_end, is_break, is_break_or_end, is_plain, octet_problem,
};
use super::simple_keys::{SimpleKey, SimpleKeys};

/// How deep flow collections and indentation may go.
const MAX_DEPTH: usize = 10_000;

/// A place in the text, counted in characters; lines count from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What is wrong with a text.
#[derive(Debug)]
pub(super) struct Problem {
    text: String,
    line: usize,
    context_line: usize,
    scanner: bool,
}

impl Problem {
    pub(super) fn reader(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            line: 0,
            context_line: 0,
            scanner: false,
        }
    }

    pub(super) fn parser(text: &str, at: Mark, context: Option<Mark>) -> Self {
        let context_line = context.map_or(0, |mark| mark.line);
        Self {
            text: text.to_owned(),
            line: at.line,
            context_line,
            scanner: false,
        }
    }

    /// In go-yaml's words; only errors of the scanner count lines from one.
    pub(super) fn message(&self) -> String {
        let line = if self.line != 0 {
            self.line + usize::from(self.scanner)
        } else {
            self.context_line
        };
        if line == 0 {
            format!("yaml: {}", self.text)
        } else {
            format!("yaml: line {line}: {}", self.text)
        }
    }
}

pub(super) type Scan<T> = Result<T, Problem>;

/// What a token is. Its texts are parts of the source wherever nothing in them has to be changed.
#[derive(Debug)]
pub(super) enum Kind<'t> {
    VersionDirective {
        major: u32,
        minor: u32,
    },
    /// Its text is the prefix.
    TagDirective(Box<Tag>),
    DocumentStart,
    DocumentEnd,
    StreamEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'t str),
    Anchor(&'t str),
    /// Its text is the suffix.
    Tag(Box<Tag>),
    Scalar {
        value: Cow<'t, str>,
        plain: bool,
    },
}

/// The handle of a tag and what belongs to it.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) handle: String,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) start: Mark,
}

pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    /// The byte of the text at which `mark` is.
    pub(super) offset: usize,
    pub(super) mark: Mark,
    tokens: VecDeque<Token<'t>>,
    /// Whether the first token is there and stays the first: it is looked at many times.
    settled: bool,
    parsed: usize,
    pub(super) indent: i64,
    indents: Vec<i64>,
    pub(super) simple_key_allowed: bool,
    pub(super) simple_keys: SimpleKeys,
    pub(super) flow_level: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Scan<Self> {
        let (text, broken) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                (
                    std::str::from_utf8(valid).unwrap_or_default(),
                    Some(octet_problem(rest)),
                )
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if !is_plain(text) && !text.chars().all(is_allowed) {
            return Err(Problem::reader("control characters are not allowed"));
        }
        if let Some(problem) = broken {
            return Err(Problem::reader(problem));
        }
        Ok(Self {
            text,
            offset: 0,
            mark: Mark::default(),
            // those of a short collection, which may turn out to be a key
            tokens: VecDeque::with_capacity(64),
            settled: false,
            parsed: 0,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: SimpleKeys::new(),
            flow_level: 0,
        })
    }

    /// The next token, without taking it.
    pub(super) fn peek(&mut self) -> Scan<&Token<'t>> {
        if !self.settled {
            self.fetch_more()?;
            self.settled = true;
        }
        match self.tokens.front() {
            Some(token) => Ok(token),
            None => Err(Problem::reader("unexpected end of the stream")),
        }
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Scan<Token<'t>> {
        self.peek()?;
        self.settled = false;
        self.parsed += 1;
        self.tokens
            .pop_front()
            .ok_or_else(|| Problem::reader("unexpected end of the stream"))
    }

    /// The number that the next token to be found has.
    pub(super) fn next_number(&self) -> usize {
        self.parsed + self.tokens.len()
    }

    pub(super) fn fail<T>(&self, text: &str, context: Option<Mark>) -> Scan<T> {
        let context_line = context.map_or(0, |mark| mark.line);
        Err(Problem {
            text: text.to_owned(),
            line: self.mark.line,
            context_line,
            scanner: true,
        })
    }

    /// The character so many bytes ahead, which are those of ASCII characters; the end of the text is a zero.
    pub(super) fn at(&self, ahead: usize) -> char {
        let offset = self.offset + ahead;
        match self.text.as_bytes().get(offset) {
            None => '\0',
            Some(byte) if byte.is_ascii() => char::from(*byte),
            // Inside of a character there is nothing that anybody looks for.
            Some(_) => self
                .text
                .get(offset..)
                .and_then(|rest| rest.chars().next())
                .unwrap_or(char::REPLACEMENT_CHARACTER),
        }
    }

    /// How many ASCII characters come before one that ends the run.
    pub(super) fn run(&self, ends: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(self.offset..).unwrap_or_default();
        rest.iter()
            .position(|byte| !byte.is_ascii() || ends(*byte))
            .unwrap_or(rest.len())
    }

    pub(super) fn skip(&mut self) {
        self.offset += self.at(0).len_utf8();
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Skips so many ASCII characters, none of which is a line break.
    pub(super) fn skip_run(&mut self, length: usize) {
        self.offset += length;
        self.mark.index += length;
        self.mark.column += length;
    }

    /// Skips what is left of the line, without its break.
    pub(super) fn skip_to_break(&mut self) {
        loop {
            self.skip_run(self.run(|byte| matches!(byte, b'\n' | b'\r')));
            if is_break_or_end(self.at(0)) {
                return;
            }
            self.skip();
        }
    }

    pub(super) fn skip_line(&mut self) {
        let first = self.at(0);
        let pair = first == '\r' && self.at(1) == '\n';
        self.offset += if pair { 2 } else { first.len_utf8() };
        self.mark.index += if pair { 2 } else { 1 };
        self.mark.column = 0;
        self.mark.line += 1;
    }

    /// The text from an offset to here.
    pub(super) fn since(&self, offset: usize) -> &'t str {
        self.text.get(offset..self.offset).unwrap_or_default()
    }

    /// Takes a line break; those of old systems become a line feed. At the end of the text there is none.
    pub(super) fn line_break(&mut self) -> Option<char> {
        let character = match self.at(0) {
            '\0' => return None,
            '\r' | '\n' | '\u{85}' => '\n',
            other => other,
        };
        self.skip_line();
        Some(character)
    }

    /// The marks of the columns are small; the indent starts below them.
    pub(super) fn column(&self) -> i64 {
        i64::try_from(self.mark.column).unwrap_or(i64::MAX)
    }

    pub(super) fn at_document_indicator(&self) -> bool {
        let three = || {
            let rest = self.text.as_bytes().get(self.offset..).unwrap_or_default();
            rest.starts_with(b"---") || rest.starts_with(b"...")
        };
        self.mark.column == 0 && three() && is_blank_or_end(self.at(3))
    }

    pub(super) fn push(&mut self, kind: Kind<'t>, start: Mark) {
        self.tokens.push_back(Token { kind, start });
    }

    fn fetch_more(&mut self) -> Scan<()> {
        loop {
            if !self.tokens.is_empty() {
                let Some(level) = self.simple_keys.level_of_next(self.parsed) else {
                    return Ok(());
                };
                if !self.key_is_valid(level)? {
                    return Ok(());
                }
            }
            self.fetch_next()?;
        }
    }

    fn roll_indent(&mut self, column: i64, token: Option<usize>, kind: Kind<'t>, mark: Mark) -> Scan<()> {
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_DEPTH {
            return self.fail(&format!("exceeded max depth of {MAX_DEPTH}"), Some(mark));
        }
        let token_here = Token { kind, start: mark };
        match token {
            Some(number) => {
                let at = number.saturating_sub(self.parsed).min(self.tokens.len());
                self.tokens.insert(at, token_here);
            }
            None => self.tokens.push_back(token_here),
        }
        Ok(())
    }

    pub(super) fn unroll_indent(&mut self, column: i64) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Kind::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_next(&mut self) -> Scan<()> {
        self.skip_to_token();
        self.unroll_indent(self.column());
        let (first, second) = (self.at(0), self.at(1));
        if first == '\0' {
            return self.fetch_end();
        }
        if self.mark.column == 0 && first == '%' {
            return self.fetch_directive();
        }
        if self.at_document_indicator() {
            self.unroll_indent(-1);
            self.remove_simple_key()?;
            self.simple_key_allowed = false;
            let start = self.mark;
            self.skip_run(3);
            self.push(
                if first == '-' {
                    Kind::DocumentStart
                } else {
                    Kind::DocumentEnd
                },
                start,
            );
            return Ok(());
        }
        let flow = self.flow_level > 0;
        match first {
            '[' => self.fetch_flow_start(Kind::FlowSequenceStart),
            '{' => self.fetch_flow_start(Kind::FlowMappingStart),
            ']' => self.fetch_flow_end(Kind::FlowSequenceEnd),
            '}' => self.fetch_flow_end(Kind::FlowMappingEnd),
            ',' => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                self.one_character(Kind::FlowEntry);
                Ok(())
            }
            '-' if is_blank_or_end(second) => self.fetch_block_entry(),
            '?' if flow || is_blank_or_end(second) => self.fetch_key(),
            ':' if flow || is_blank_or_end(second) => self.fetch_value(),
            '*' | '&' => self.fetch_anchor(first == '*'),
            '!' => self.fetch_tag(),
            '|' | '>' if !flow => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                let token = self.block_scalar(first == '|')?;
                self.tokens.push_back(token);
                Ok(())
            }
            '\'' | '"' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                let token = self.quoted_scalar(first == '\'')?;
                self.tokens.push_back(token);
                Ok(())
            }
            _ => {
                let indicator = matches!(
                    first,
                    '-' | '?'
                        | ':'
                        | ','
                        | '['
                        | ']'
                        | '{'
                        | '}'
                        | '#'
                        | '&'
                        | '*'
                        | '!'
                        | '|'
                        | '>'
                        | '\''
                        | '"'
                        | '%'
                        | '@'
                        | '`'
                );
                let plain = !(is_blank_or_end(first) || indicator)
                    || (first == '-' && !is_blank(second))
                    || (!flow && matches!(first, '?' | ':') && !is_blank_or_end(second));
                if !plain {
                    return self.fail("found character that cannot start any token", Some(self.mark));
                }
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                let token = self.plain_scalar()?;
                self.tokens.push_back(token);
                Ok(())
            }
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.mark.column == 0 && self.at(0) == '\u{feff}' {
                self.skip();
            }
            let tabs = self.flow_level > 0 || !self.simple_key_allowed;
            self.skip_run(self.run(|byte| !(byte == b' ' || (tabs && byte == b'\t'))));
            if self.at(0) == '#' {
                self.skip_to_break();
            }
            if !is_break(self.at(0)) {
                return;
            }
            self.skip_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    fn one_character(&mut self, kind: Kind<'t>) {
        let start = self.mark;
        self.skip();
        self.push(kind, start);
    }

    fn fetch_end(&mut self) -> Scan<()> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push(Kind::StreamEnd, self.mark);
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: Kind<'t>) -> Scan<()> {
        self.save_simple_key()?;
        // By this number the end of an empty collection forgets that the collection could be a key, as in go-yaml.
        self.simple_keys.enter(SimpleKey {
            token: self.next_number(),
            mark: self.mark,
            ..SimpleKey::default()
        });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return self.fail(&format!("exceeded max depth of {MAX_DEPTH}"), Some(self.mark));
        }
        self.simple_key_allowed = true;
        self.one_character(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: Kind<'t>) -> Scan<()> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            self.simple_keys.leave();
        }
        self.simple_key_allowed = false;
        self.one_character(kind);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.fail(
                    "block sequence entries are not allowed in this context",
                    Some(self.mark),
                );
            }
            self.roll_indent(self.column(), None, Kind::BlockSequenceStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.one_character(Kind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.fail("mapping keys are not allowed in this context", Some(self.mark));
            }
            self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.one_character(Kind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Scan<()> {
        let innermost = self.simple_keys.innermost();
        let valid = self.key_is_valid(innermost)?;
        if let Some(key) = self.simple_keys.at(innermost).filter(|_| valid) {
            let at = key.token.saturating_sub(self.parsed).min(self.tokens.len());
            self.tokens.insert(
                at,
                Token {
                    kind: Kind::Key,
                    start: key.mark,
                },
            );
            let column = i64::try_from(key.mark.column).unwrap_or(i64::MAX);
            self.roll_indent(column, Some(key.token), Kind::BlockMappingStart, key.mark)?;
            self.simple_keys.rule_out(innermost);
            self.simple_keys.forget(key.token);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return self.fail("mapping values are not allowed in this context", Some(self.mark));
                }
                self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.one_character(Kind::Value);
        Ok(())
    }

    pub(super) fn skip_blanks(&mut self) {
        self.skip_run(self.run(|byte| !matches!(byte, b' ' | b'\t')));
    }

    /// Only a comment may stand before the end of the line, which is taken.
    pub(super) fn rest_of_line(&mut self, start: Mark) -> Scan<()> {
        self.skip_blanks();
        if self.at(0) == '#' {
            self.skip_to_break();
        }
        if !is_break_or_end(self.at(0)) {
            return self.fail("did not find expected comment or line break", Some(start));
        }
        if is_break(self.at(0)) {
            self.skip_line();
        }
        Ok(())
    }
}
