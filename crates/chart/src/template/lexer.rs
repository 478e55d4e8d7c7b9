//! Divides a template into tokens, state by state as Go's `text/template/parse` does, so that positions and errors agree.

use std::collections::VecDeque;

use super::format::{is_printable, quote};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Error,
    Bool,
    Char,
    CharConstant,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Dot,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// One token. Its text is a part of the template; an error has none, the lexer has its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'t> {
    pub(super) token: Token,
    pub(super) text: &'t str,
    pub(super) offset: usize,
    pub(super) line: usize,
}

impl Item<'_> {
    /// As Go's errors show it.
    pub(super) fn shown(&self) -> String {
        match self.token {
            Token::Eof => "EOF".to_owned(),
            Token::Block
            | Token::Break
            | Token::Continue
            | Token::Define
            | Token::Dot
            | Token::Else
            | Token::End
            | Token::If
            | Token::Nil
            | Token::Range
            | Token::Template
            | Token::With => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", quote(&head))
            }
            _ => quote(self.text),
        }
    }
}

/// Gives the tokens of a template one by one; an error or the end comes again and again.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    line: usize,
    /// Found, but not taken yet: a few at most.
    items: VecDeque<Item<'t>>,
    /// What is wrong, once an error was found; nothing comes behind it.
    problem: String,
    /// Between delimiters.
    inside: bool,
    depth: i64,
}

/// Nothing where lexing must stop.
type Step = Option<()>;

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(character: char) -> bool {
    character == '_' || character.is_alphabetic() || character.is_numeric()
}

fn is_space_byte(byte: u8) -> bool {
    is_space(char::from(byte))
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            start: 0,
            line: 1,
            items: VecDeque::with_capacity(4),
            problem: String::new(),
            inside: false,
            depth: 0,
        }
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Item<'t> {
        loop {
            match self.items.front() {
                Some(item) if matches!(item.token, Token::Error | Token::Eof) => return *item,
                Some(_) => {}
                None => {
                    // What cannot go on has left an error or the end behind.
                    let _ = if self.inside {
                        self.action()
                    } else {
                        self.text_until_action()
                    };
                }
            }
            if let Some(item) = self.items.pop_front() {
                return item;
            }
        }
    }

    /// What is wrong, behind a token that is an error.
    pub(super) fn problem(&self) -> &str {
        &self.problem
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The byte so far ahead; those of a template's marks are never a part of another character.
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// How many bytes come before the first that is not wanted.
    fn run(&self, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len())
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn emit(&mut self, token: Token) {
        let text = &self.text[self.start..self.at];
        self.items.push_back(Item {
            token,
            text,
            offset: self.start,
            line: self.line,
        });
        // No other token goes over a line.
        if matches!(token, Token::Text | Token::Space | Token::RawString) {
            self.line += lines(text);
        }
        self.start = self.at;
    }

    fn ignore(&mut self) {
        self.line += lines(&self.text[self.start..self.at]);
        self.start = self.at;
    }

    fn fail(&mut self, text: impl Into<String>) -> Step {
        self.problem = text.into();
        self.items.push_back(Item {
            token: Token::Error,
            text: "",
            offset: self.start,
            line: self.line,
        });
        None
    }

    /// Emits text up to the next action; nothing at the end of the template.
    fn text_until_action(&mut self) -> Step {
        loop {
            let Some(open) = self.opening() else {
                self.at = self.text.len();
                if self.at > self.start {
                    self.emit(Token::Text);
                }
                self.emit(Token::Eof);
                return None;
            };
            let after = open + 2;
            let trims = matches!(self.text.as_bytes()[after..], [b'-', space, ..] if is_space_byte(space));
            let before = &self.text[self.start..open];
            let kept = if trims {
                before.trim_end_matches(is_space).len()
            } else {
                before.len()
            };
            self.at = self.start + kept;
            if kept > 0 {
                self.emit(Token::Text);
            }
            self.at = open;
            self.ignore();
            let content = if trims { after + 2 } else { after };
            if !self.text[content..].starts_with("/*") {
                self.at = after;
                self.emit(Token::LeftDelim);
                self.at = content;
                self.ignore();
                self.depth = 0;
                self.inside = true;
                return Some(());
            }
            self.at = content;
            self.ignore();
            self.comment()?;
        }
    }

    /// Where the next action begins.
    fn opening(&self) -> Option<usize> {
        let mut from = self.at;
        loop {
            let open = from + self.text[from..].find('{')?;
            if self.text.as_bytes().get(open + 1) == Some(&b'{') {
                return Some(open);
            }
            from = open + 1;
        }
    }

    fn comment(&mut self) -> Step {
        let Some(end) = self.text[self.at + 2..].find("*/") else {
            return self.fail("unclosed comment");
        };
        self.at += 2 + end + 2;
        let (delim, trims) = self.at_right_delim();
        if !delim {
            return self.fail("comment ends before closing delimiter");
        }
        self.after_delim(trims);
        self.ignore();
        Some(())
    }

    fn at_right_delim(&self) -> (bool, bool) {
        match self.text.as_bytes()[self.at..] {
            [b'}', b'}', ..] => (true, false),
            [space, b'-', b'}', b'}', ..] if is_space_byte(space) => (true, true),
            _ => (false, false),
        }
    }

    fn after_delim(&mut self, trims: bool) {
        if trims {
            self.at += 2;
        }
        self.at += 2;
        if trims {
            self.at += self.run(is_space_byte);
        }
    }

    /// Emits one token of an action, or its closing delimiter; a space before that is none.
    fn action(&mut self) -> Step {
        let (delim, trims) = self.at_right_delim();
        if !delim {
            return self.part();
        }
        if self.depth != 0 {
            return self.fail("unclosed left paren");
        }
        if trims {
            self.at += 2;
            self.ignore();
        }
        self.at += 2;
        self.emit(Token::RightDelim);
        if trims {
            self.at += self.run(is_space_byte);
            self.ignore();
        }
        self.inside = false;
        Some(())
    }

    fn part(&mut self) -> Step {
        let Some(character) = self.peek() else {
            return self.fail("unclosed action");
        };
        if is_space(character) {
            self.space();
            return Some(());
        }
        if matches!(character, '+' | '-' | '0'..='9') {
            return self.number();
        }
        if is_alphanumeric(character) {
            return self.identifier();
        }
        self.next();
        match character {
            '=' => self.emit(Token::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return self.fail("expected :=");
                }
                self.emit(Token::Declare);
            }
            '|' => self.emit(Token::Pipe),
            '"' => return self.quoted(),
            '`' => {
                let Some(end) = self.rest().find('`') else {
                    return self.fail("unterminated raw quoted string");
                };
                self.at += end + 1;
                self.emit(Token::RawString);
            }
            '$' => return self.field_or_variable(Token::Variable),
            '\'' => return self.character(),
            '.' => {
                if self.rest().starts_with(|c: char| c.is_ascii_digit()) || self.rest().is_empty() {
                    self.at -= 1;
                    return self.number();
                }
                return self.field_or_variable(Token::Field);
            }
            '(' => {
                self.depth += 1;
                self.emit(Token::LeftParen);
            }
            ')' => {
                self.depth -= 1;
                if self.depth < 0 {
                    return self.fail("unexpected right paren");
                }
                self.emit(Token::RightParen);
            }
            '!'..='~' => self.emit(Token::Char),
            _ => {
                return self.fail(format!(
                    "unrecognized character in action: {}",
                    unicode(Some(character))
                ));
            }
        }
        Some(())
    }

    fn space(&mut self) {
        let length = self.run(is_space_byte);
        // The last space may belong to a trim marker.
        self.at += length - 1;
        if self.at_right_delim() != (true, true) {
            self.at += 1;
        } else if length == 1 {
            return;
        }
        self.emit(Token::Space);
    }

    fn at_terminator(&self) -> bool {
        match self.byte(0) {
            None | Some(b'.' | b',' | b'|' | b':' | b')' | b'(') => true,
            Some(b'}') => self.byte(1) == Some(b'}'),
            Some(byte) => is_space_byte(byte),
        }
    }

    /// Passes over letters and digits; nearly all are ASCII.
    fn word(&mut self) {
        self.at += self.run(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
    }

    fn identifier(&mut self) -> Step {
        self.word();
        if !self.at_terminator() {
            let found = self.peek();
            return self.fail(format!("bad character {}", unicode(found)));
        }
        let token = match &self.text[self.start..self.at] {
            "block" => Token::Block,
            "break" => Token::Break,
            "continue" => Token::Continue,
            "define" => Token::Define,
            "else" => Token::Else,
            "end" => Token::End,
            "if" => Token::If,
            "nil" => Token::Nil,
            "range" => Token::Range,
            "template" => Token::Template,
            "with" => Token::With,
            "true" | "false" => Token::Bool,
            _ => Token::Identifier,
        };
        self.emit(token);
        Some(())
    }

    fn field_or_variable(&mut self, token: Token) -> Step {
        if self.at_terminator() {
            self.emit(if token == Token::Field { Token::Dot } else { token });
            return Some(());
        }
        self.word();
        if !self.at_terminator() {
            let found = self.peek();
            return self.fail(format!("bad character {}", unicode(found)));
        }
        self.emit(token);
        Some(())
    }

    /// Skips to the closing mark of a constant on one line; false where there is none.
    fn closed(&mut self, mark: u8) -> bool {
        loop {
            self.at += self.run(|byte| !(matches!(byte, b'\\' | b'\n') || byte == mark));
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return false;
                    }
                }
                None | Some('\n') => return false,
                Some(_) => return true,
            }
        }
    }

    fn quoted(&mut self) -> Step {
        if !self.closed(b'"') {
            return self.fail("unterminated quoted string");
        }
        self.emit(Token::String);
        Some(())
    }

    fn character(&mut self) -> Step {
        if !self.closed(b'\'') {
            return self.fail("unterminated character constant");
        }
        self.emit(Token::CharConstant);
        Some(())
    }

    fn accept(&mut self, set: &str) -> bool {
        let accepted = self.peek().is_some_and(|character| set.contains(character));
        if accepted {
            self.next();
        }
        accepted
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn number(&mut self) -> Step {
        let mut good = self.scan_number();
        // A complex number would go on and end in `i`; there are none here, but it is read to where Go reads it.
        if good && matches!(self.peek(), Some('+' | '-')) {
            self.scan_number();
            good = false;
        }
        if !good {
            let text = quote(&self.text[self.start..self.at]);
            return self.fail(format!("bad number syntax: {text}"));
        }
        self.emit(Token::Number);
        Some(())
    }

    /// Passes over a number, and tells whether it is one.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if digits.len() == 11 && self.accept("eE") || digits.len() == 23 && self.accept("pP") {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        // There are no imaginary numbers here.
        let imaginary = self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        !imaginary
    }
}

/// A character as `%#U` prints it; the end of the text is Go's -1.
fn unicode(character: Option<char>) -> String {
    match character {
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
        Some(character) if is_printable(character) => format!("U+{:04X} '{character}'", u32::from(character)),
        Some(character) => format!("U+{:04X}", u32::from(character)),
    }
}
