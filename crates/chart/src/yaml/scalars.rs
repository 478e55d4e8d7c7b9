//! Scans scalars: literal and folded blocks, quoted and plain texts.

use super::scan::{Kind, Mark, Scan, Scanner, Token, is_blank, is_blank_or_end, is_break, is_break_or_end};

/// What line breaks and blanks between two parts of a flow scalar turn into.
#[derive(Default)]
struct Fold {
    blanks: String,
    first_break: String,
    more_breaks: String,
    broken: bool,
}

impl Fold {
    fn take(&mut self, into: &mut String) {
        if self.broken {
            if self.first_break.starts_with('\n') {
                if self.more_breaks.is_empty() {
                    into.push(' ');
                } else {
                    into.push_str(&self.more_breaks);
                }
            } else {
                into.push_str(&self.first_break);
                into.push_str(&self.more_breaks);
            }
        } else {
            into.push_str(&self.blanks);
        }
        *self = Self::default();
    }
}

impl Scanner {
    pub(super) fn block_scalar(&mut self, literal: bool) -> Scan<Token> {
        let start = self.mark;
        self.skip();
        let (mut chomping, mut increment) = (None, 0);
        for _ in 0..2 {
            match self.at(0) {
                sign @ ('+' | '-') if chomping.is_none() => {
                    chomping = Some(sign);
                    self.skip();
                }
                '0' if increment == 0 => {
                    return self.fail("found an indentation indicator equal to 0", Some(start));
                }
                digit @ '1'..='9' if increment == 0 => {
                    increment = i64::from(digit.to_digit(10).unwrap_or(0));
                    self.skip();
                }
                _ => break,
            }
        }
        self.rest_of_line(start)?;
        let mut indent = if increment > 0 {
            self.indent.max(0) + increment
        } else {
            0
        };
        let (mut text, mut leading, mut trailing) = (String::new(), String::new(), String::new());
        self.block_breaks(&mut indent, &mut trailing, start)?;
        let mut leading_blank = false;
        while self.column() == indent && self.at(0) != '\0' {
            let blank = is_blank(self.at(0));
            if !literal && !leading_blank && !blank && leading.starts_with('\n') {
                if trailing.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&leading);
            }
            leading.clear();
            text.push_str(&trailing);
            trailing.clear();
            leading_blank = is_blank(self.at(0));
            while !is_break_or_end(self.at(0)) {
                self.read(&mut text);
            }
            self.read_line(&mut leading);
            self.block_breaks(&mut indent, &mut trailing, start)?;
        }
        if chomping != Some('-') {
            text.push_str(&leading);
        }
        if chomping == Some('+') {
            text.push_str(&trailing);
        }
        Ok(Token {
            kind: Kind::Scalar {
                value: text,
                plain: false,
            },
            start,
        })
    }

    fn block_breaks(&mut self, indent: &mut i64, breaks: &mut String, start: Mark) -> Scan<()> {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.at(0) == ' ' {
                self.skip();
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.at(0) == '\t' {
                return self.fail(
                    "found a tab character where an indentation space is expected",
                    Some(start),
                );
            }
            if !is_break(self.at(0)) {
                break;
            }
            self.read_line(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }

    pub(super) fn quoted_scalar(&mut self, single: bool) -> Scan<Token> {
        let start = self.mark;
        self.skip();
        let mut text = String::new();
        let mut fold = Fold::default();
        let mark = if single { '\'' } else { '"' };
        loop {
            if self.at_document_indicator() {
                return self.fail("found unexpected document indicator", Some(start));
            }
            if self.at(0) == '\0' {
                return self.fail("found unexpected end of stream", Some(start));
            }
            fold.broken = false;
            while !is_blank_or_end(self.at(0)) {
                let (first, second) = (self.at(0), self.at(1));
                if single && first == '\'' && second == '\'' {
                    text.push('\'');
                    self.skip();
                    self.skip();
                } else if first == mark {
                    break;
                } else if !single && first == '\\' && is_break(second) {
                    self.skip();
                    self.skip_line();
                    fold.broken = true;
                    break;
                } else if !single && first == '\\' {
                    self.escape(&mut text, start)?;
                } else {
                    self.read(&mut text);
                }
            }
            if self.at(0) == mark {
                break;
            }
            self.gap(&mut fold, None)?;
            // A break that was escaped joins the lines without a space.
            if fold.broken && fold.first_break.is_empty() {
                text.push_str(&fold.more_breaks);
                fold = Fold::default();
            } else {
                fold.take(&mut text);
            }
        }
        self.skip();
        Ok(Token {
            kind: Kind::Scalar {
                value: text,
                plain: false,
            },
            start,
        })
    }

    fn escape(&mut self, text: &mut String, start: Mark) -> Scan<()> {
        let digits = match self.at(1) {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let simple = match self.at(1) {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            same @ (' ' | '"' | '\'' | '\\') => same,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            _ if digits > 0 => '\0',
            _ => return self.fail("found unknown escape character", Some(start)),
        };
        self.skip();
        self.skip();
        if digits == 0 {
            text.push(simple);
            return Ok(());
        }
        let mut code = 0_u32;
        for ahead in 0..digits {
            let Some(digit) = self.at(ahead).to_digit(16) else {
                return self.fail("did not find expected hexdecimal number", Some(start));
            };
            code = code.wrapping_shl(4) | digit;
        }
        let Some(character) = char::from_u32(code) else {
            return self.fail("found invalid Unicode character escape code", Some(start));
        };
        text.push(character);
        (0..digits).for_each(|_| self.skip());
        Ok(())
    }

    /// Blanks and line breaks between two parts of a flow scalar.
    fn gap(&mut self, fold: &mut Fold, plain: Option<(i64, Mark)>) -> Scan<()> {
        loop {
            let character = self.at(0);
            if is_blank(character) {
                if let Some((indent, start)) = plain
                    && fold.broken
                    && self.column() < indent
                    && character == '\t'
                {
                    return self.fail("found a tab character that violates indentation", Some(start));
                }
                if fold.broken {
                    self.skip();
                } else {
                    self.read(&mut fold.blanks);
                }
            } else if is_break(character) {
                if fold.broken {
                    self.read_line(&mut fold.more_breaks);
                } else {
                    fold.blanks.clear();
                    self.read_line(&mut fold.first_break);
                    fold.broken = true;
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn plain_scalar(&mut self) -> Scan<Token> {
        let start = self.mark;
        let mut text = String::new();
        let mut fold = Fold::default();
        let indent = self.indent + 1;
        loop {
            if self.at_document_indicator() || self.at(0) == '#' {
                break;
            }
            while !is_blank_or_end(self.at(0)) {
                let character = self.at(0);
                if (character == ':' && is_blank_or_end(self.at(1)))
                    || (self.flow_level > 0 && matches!(character, ',' | '?' | '[' | ']' | '{' | '}'))
                {
                    break;
                }
                if fold.broken || !fold.blanks.is_empty() {
                    fold.take(&mut text);
                }
                self.read(&mut text);
            }
            if !(is_blank(self.at(0)) || is_break(self.at(0))) {
                break;
            }
            self.gap(&mut fold, Some((indent, start)))?;
            if self.flow_level == 0 && self.column() < indent {
                break;
            }
        }
        if fold.broken {
            self.simple_key_allowed = true;
        }
        Ok(Token {
            kind: Kind::Scalar {
                value: text,
                plain: true,
            },
            start,
        })
    }
}
