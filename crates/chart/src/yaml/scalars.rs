//! Scans scalars: literal and folded blocks, quoted and plain texts.

use std::borrow::Cow;

use super::characters::{is_blank, is_blank_or_end, is_break};
use super::scan::{Kind, Mark, Scan, Scanner, Token};

/// The line breaks between two parts of a flow scalar, and what they turn into.
#[derive(Default)]
struct Fold {
    broken: bool,
    /// Nothing where the first break was escaped: it joins the lines without a space.
    first: Option<char>,
    more: String,
}

impl Fold {
    fn write(&self, into: &mut String) {
        match self.first {
            Some('\n') if self.more.is_empty() => into.push(' '),
            Some('\n') | None => {}
            Some(other) => into.push(other),
        }
        into.push_str(&self.more);
    }
}

/// The text of a flow scalar: a part of the source, until something in it has to be changed.
struct Pieces<'t> {
    source: &'t str,
    from: usize,
    changed: Option<String>,
}

impl<'t> Pieces<'t> {
    fn new(source: &'t str, from: usize) -> Self {
        Self {
            source,
            from,
            changed: None,
        }
    }

    /// Ends the present piece, so that something else may be written behind it.
    fn cut(&mut self, end: usize) -> &mut String {
        let piece = self.source.get(self.from..end).unwrap_or_default();
        let text = self.changed.get_or_insert_default();
        text.push_str(piece);
        text
    }

    /// Begins the next piece.
    fn resume(&mut self, from: usize) {
        self.from = from;
    }

    fn finish(mut self, end: usize) -> Cow<'t, str> {
        if self.changed.is_none() {
            return Cow::Borrowed(self.source.get(self.from..end).unwrap_or_default());
        }
        self.cut(end);
        Cow::Owned(self.changed.unwrap_or_default())
    }
}

impl<'t> Scanner<'t> {
    pub(super) fn block_scalar(&mut self, literal: bool) -> Scan<Token<'t>> {
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
        let (mut text, mut leading, mut trailing) = (String::new(), None, String::new());
        self.block_breaks(&mut indent, &mut trailing, start)?;
        let mut leading_blank = false;
        while self.column() == indent && self.at(0) != '\0' {
            let blank = is_blank(self.at(0));
            if !literal && !leading_blank && !blank && leading == Some('\n') {
                if trailing.is_empty() {
                    text.push(' ');
                }
            } else {
                text.extend(leading);
            }
            text.push_str(&trailing);
            trailing.clear();
            leading_blank = blank;
            let from = self.offset;
            self.skip_to_break();
            text.push_str(self.since(from));
            leading = self.line_break();
            self.block_breaks(&mut indent, &mut trailing, start)?;
        }
        if chomping != Some('-') {
            text.extend(leading);
        }
        if chomping == Some('+') {
            text.push_str(&trailing);
        }
        Ok(Token {
            kind: Kind::Scalar {
                value: text.into(),
                plain: false,
            },
            start,
        })
    }

    fn block_breaks(&mut self, indent: &mut i64, breaks: &mut String, start: Mark) -> Scan<()> {
        let mut deepest = 0;
        loop {
            let spaces = self.run(|byte| byte != b' ');
            let most = if *indent == 0 {
                spaces
            } else {
                usize::try_from(*indent - self.column()).unwrap_or(0)
            };
            self.skip_run(spaces.min(most));
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
            breaks.extend(self.line_break());
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }

    pub(super) fn quoted_scalar(&mut self, single: bool) -> Scan<Token<'t>> {
        let start = self.mark;
        self.skip();
        let mut pieces = Pieces::new(self.text, self.offset);
        let mark = if single { '\'' } else { '"' };
        let value = loop {
            if self.at_document_indicator() {
                return self.fail("found unexpected document indicator", Some(start));
            }
            if self.at(0) == '\0' {
                return self.fail("found unexpected end of stream", Some(start));
            }
            let mut fold = Fold::default();
            loop {
                self.skip_run(self.run(|byte| {
                    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\\') || char::from(byte) == mark
                }));
                let (first, second) = (self.at(0), self.at(1));
                if is_blank_or_end(first) {
                    break;
                }
                if single && first == '\'' && second == '\'' {
                    pieces.cut(self.offset).push('\'');
                    self.skip_run(2);
                    pieces.resume(self.offset);
                } else if first == mark {
                    break;
                } else if !single && first == '\\' && is_break(second) {
                    pieces.cut(self.offset);
                    self.skip();
                    self.skip_line();
                    pieces.resume(self.offset);
                    fold.broken = true;
                    break;
                } else if !single && first == '\\' {
                    pieces.cut(self.offset);
                    let character = self.escape(start)?;
                    pieces.resume(self.offset);
                    pieces.cut(self.offset).push(character);
                } else {
                    self.skip();
                }
            }
            let end = self.offset;
            if self.at(0) == mark {
                break pieces.finish(end);
            }
            self.gap(&mut fold, None)?;
            // Blanks that no line break follows are a part of the text.
            if fold.broken {
                fold.write(pieces.cut(end));
                pieces.resume(self.offset);
            }
        };
        self.skip();
        Ok(Token {
            kind: Kind::Scalar { value, plain: false },
            start,
        })
    }

    fn escape(&mut self, start: Mark) -> Scan<char> {
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
        self.skip_run(2);
        if digits == 0 {
            return Ok(simple);
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
        self.skip_run(digits);
        Ok(character)
    }

    /// Passes over blanks and line breaks between two parts of a flow scalar.
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
                self.skip_run(1);
            } else if is_break(character) {
                let found = self.line_break();
                if fold.broken {
                    fold.more.extend(found);
                } else {
                    fold.first = found;
                    fold.broken = true;
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn plain_scalar(&mut self) -> Scan<Token<'t>> {
        let start = self.mark;
        let indent = self.indent + 1;
        let flow = self.flow_level > 0;
        let mut pieces = Pieces::new(self.text, self.offset);
        let mut end = self.offset;
        let mut fold = Fold::default();
        loop {
            if self.at_document_indicator() || self.at(0) == '#' {
                break;
            }
            loop {
                let run = self.run(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\r' | b':' => true,
                    b',' | b'?' | b'[' | b']' | b'{' | b'}' => flow,
                    _ => false,
                });
                if run == 0 && self.ends_plain(flow) {
                    break;
                }
                if fold.broken {
                    fold.write(pieces.cut(end));
                    pieces.resume(self.offset);
                    fold = Fold::default();
                }
                if run > 0 {
                    self.skip_run(run);
                } else {
                    self.skip();
                }
                end = self.offset;
            }
            if !(is_blank(self.at(0)) || is_break(self.at(0))) {
                break;
            }
            self.gap(&mut fold, Some((indent, start)))?;
            if !flow && self.column() < indent {
                break;
            }
        }
        if fold.broken {
            self.simple_key_allowed = true;
        }
        Ok(Token {
            kind: Kind::Scalar {
                value: pieces.finish(end),
                plain: true,
            },
            start,
        })
    }

    /// Whether a part of a plain scalar ends before the character here.
    fn ends_plain(&self, flow: bool) -> bool {
        match self.at(0) {
            ':' => is_blank_or_end(self.at(1)),
            ',' | '?' | '[' | ']' | '{' | '}' => flow,
            other => is_blank_or_end(other),
        }
    }
}
