//! Divides a YAML text into tokens, by the algorithm of libyaml that go-yaml follows: the same texts are accepted, and
//! the errors read the same.

use std::collections::{HashMap, VecDeque};

/// How deep flow collections and indentation may go.
const MAX_DEPTH: usize = 10_000;

/// A place in the text; lines count from 0.
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

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    VersionDirective { major: u32, minor: u32 },
    TagDirective { handle: String, prefix: String },
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
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { value: String, plain: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: Mark,
}

#[derive(Clone, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token: usize,
    mark: Mark,
}

pub(super) struct Scanner {
    text: Vec<char>,
    pub(super) mark: Mark,
    tokens: VecDeque<Token>,
    parsed: usize,
    pub(super) indent: i64,
    indents: Vec<i64>,
    pub(super) simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    keys_by_token: HashMap<usize, usize>,
    pub(super) flow_level: usize,
}

pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

pub(super) fn is_break_or_end(character: char) -> bool {
    is_break(character) || character == '\0'
}

pub(super) fn is_blank_or_end(character: char) -> bool {
    is_blank(character) || is_break_or_end(character)
}

pub(super) fn is_alpha(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// What is wrong with bytes that begin with no character.
fn octet_problem(bytes: &[u8]) -> &'static str {
    let width = match bytes.first() {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF7) => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(trailing) = bytes.get(1..width) else {
        return "incomplete UTF-8 octet sequence";
    };
    if trailing.iter().any(|octet| octet & 0xC0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let overlong = match bytes {
        [0xC0 | 0xC1, ..] => true,
        [0xE0, second, ..] => *second < 0xA0,
        [0xF0, second, ..] => *second < 0x90,
        _ => false,
    };
    if overlong {
        "invalid length of a UTF-8 sequence"
    } else {
        "invalid Unicode character"
    }
}

impl Scanner {
    pub(super) fn new(bytes: &[u8]) -> Scan<Self> {
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
        let allowed = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{1_0000}'..);
        if !text.chars().all(allowed) {
            return Err(Problem::reader("control characters are not allowed"));
        }
        if let Some(problem) = broken {
            return Err(Problem::reader(problem));
        }
        Ok(Self {
            text: text.chars().collect(),
            mark: Mark::default(),
            tokens: VecDeque::new(),
            parsed: 0,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: vec![SimpleKey::default()],
            keys_by_token: HashMap::new(),
            flow_level: 0,
        })
    }

    /// The next token, without taking it.
    pub(super) fn peek(&mut self) -> Scan<&Token> {
        self.fetch_more()?;
        match self.tokens.front() {
            Some(token) => Ok(token),
            None => Err(Problem::reader("unexpected end of the stream")),
        }
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Scan<Token> {
        self.fetch_more()?;
        self.parsed += 1;
        self.tokens
            .pop_front()
            .ok_or_else(|| Problem::reader("unexpected end of the stream"))
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

    pub(super) fn at(&self, ahead: usize) -> char {
        self.text.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    pub(super) fn skip(&mut self) {
        self.mark.index += 1;
        self.mark.column += 1;
    }

    pub(super) fn skip_line(&mut self) {
        let pair = self.at(0) == '\r' && self.at(1) == '\n';
        self.mark.index += if pair { 2 } else { 1 };
        self.mark.column = 0;
        self.mark.line += 1;
    }

    pub(super) fn read(&mut self, into: &mut String) {
        into.push(self.at(0));
        self.skip();
    }

    /// Reads a line break; those of old systems become a line feed. At the end of the text there is none.
    pub(super) fn read_line(&mut self, into: &mut String) {
        match self.at(0) {
            '\0' => return,
            '\r' | '\n' | '\u{85}' => into.push('\n'),
            other => into.push(other),
        }
        self.skip_line();
    }

    /// The marks of the columns are small; the indent starts below them.
    pub(super) fn column(&self) -> i64 {
        i64::try_from(self.mark.column).unwrap_or(i64::MAX)
    }

    pub(super) fn at_document_indicator(&self) -> bool {
        let three = |wanted: char| (0..3).all(|ahead| self.at(ahead) == wanted);
        self.mark.column == 0 && (three('-') || three('.')) && is_blank_or_end(self.at(3))
    }

    pub(super) fn push(&mut self, kind: Kind, start: Mark) {
        self.tokens.push_back(Token { kind, start });
    }

    fn fetch_more(&mut self) -> Scan<()> {
        loop {
            if !self.tokens.is_empty() {
                let Some(&index) = self.keys_by_token.get(&self.parsed) else {
                    return Ok(());
                };
                if !self.key_is_valid(index)? {
                    return Ok(());
                }
            }
            self.fetch_next()?;
        }
    }

    fn key_is_valid(&mut self, index: usize) -> Scan<bool> {
        let Some(key) = self.simple_keys.get(index).cloned() else {
            return Ok(false);
        };
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + 1024 < self.mark.index {
            if key.required {
                return self.fail("could not find expected ':'", Some(key.mark));
            }
            self.simple_keys[index].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) fn save_simple_key(&mut self) -> Scan<()> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let required = self.flow_level == 0 && self.indent == self.column();
        let key = SimpleKey {
            possible: true,
            required,
            token: self.parsed + self.tokens.len(),
            mark: self.mark,
        };
        self.remove_simple_key()?;
        let last = self.simple_keys.len() - 1;
        self.keys_by_token.insert(key.token, last);
        self.simple_keys[last] = key;
        Ok(())
    }

    pub(super) fn remove_simple_key(&mut self) -> Scan<()> {
        let last = self.simple_keys.len() - 1;
        let key = self.simple_keys[last].clone();
        if key.possible {
            if key.required {
                return self.fail("could not find expected ':'", Some(key.mark));
            }
            self.simple_keys[last].possible = false;
            self.keys_by_token.remove(&key.token);
        }
        Ok(())
    }

    fn roll_indent(&mut self, column: i64, token: Option<usize>, kind: Kind, mark: Mark) -> Scan<()> {
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
            (0..3).for_each(|_| self.skip());
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
            while self.at(0) == ' '
                || ((self.flow_level > 0 || !self.simple_key_allowed) && self.at(0) == '\t')
            {
                self.skip();
            }
            if self.at(0) == '#' {
                while !is_break_or_end(self.at(0)) {
                    self.skip();
                }
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

    fn one_character(&mut self, kind: Kind) {
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

    fn fetch_flow_start(&mut self, kind: Kind) -> Scan<()> {
        self.save_simple_key()?;
        // By this number the end of an empty collection forgets that the collection could be a key, as in go-yaml.
        self.simple_keys.push(SimpleKey {
            token: self.parsed + self.tokens.len(),
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

    fn fetch_flow_end(&mut self, kind: Kind) -> Scan<()> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(key) = self.simple_keys.pop() {
                self.keys_by_token.remove(&key.token);
            }
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
        let last = self.simple_keys.len() - 1;
        if self.key_is_valid(last)? {
            let key = self.simple_keys[last].clone();
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
            self.simple_keys[last].possible = false;
            self.keys_by_token.remove(&key.token);
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
        while is_blank(self.at(0)) {
            self.skip();
        }
    }

    /// Only a comment may stand before the end of the line, which is taken.
    pub(super) fn rest_of_line(&mut self, start: Mark) -> Scan<()> {
        self.skip_blanks();
        if self.at(0) == '#' {
            while !is_break_or_end(self.at(0)) {
                self.skip();
            }
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
