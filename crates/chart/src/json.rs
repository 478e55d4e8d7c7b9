//! JSON as Go's `encoding/json` reads it into an untyped value, with its words for what is wrong.

use crate::template::value::{Entries, Value};

/// Go's limit of nesting is 10,000; deeper values than this are refused everywhere in this crate.
const MAX_DEPTH: usize = 1_000;

/// How the error begins of a number that no `float64` can hold.
pub(crate) const TOO_LARGE: &str = "json: cannot unmarshal number ";

/// Reads a text that holds one value and nothing else.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader::new(text);
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        // Go checks the whole syntax first; what does not fit into a type is told afterwards.
        Some(byte) => Err(invalid(byte, "after top-level value")),
        None => reader.out_of_range.map_or(Ok(value), Err),
    }
}

/// Reads the value at the beginning of a text, and tells where it ends.
pub(crate) fn read_first(text: &str) -> Result<(Value, usize), String> {
    let mut reader = Reader::new(text);
    let value = reader.value()?;
    let end = reader.at;
    reader.out_of_range.map_or(Ok((value, end)), Err)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    out_of_range: Option<String>,
}

fn invalid(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        byte => {
            let quoted = crate::template::format::quote(&char::from(byte).to_string());
            quoted[1..quoted.len() - 1].to_owned()
        }
    };
    format!("invalid character '{shown}' {context}")
}

fn ended<T>() -> Result<T, String> {
    Err("unexpected end of JSON input".to_owned())
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            out_of_range: None,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip_space();
        match self.peek() {
            None => ended(),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(self.string()?.into()),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(byte) => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, String>) -> Result<Value, String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, String> {
        let mut entries = Entries::new();
        let mut first = true;
        loop {
            self.skip_space();
            match self.peek() {
                None => return ended(),
                Some(b'"') => {}
                Some(b'}') if first => break,
                Some(byte) => return Err(invalid(byte, "looking for beginning of object key string")),
            }
            first = false;
            let key = self.string()?;
            self.skip_space();
            match self.peek() {
                None => return ended(),
                Some(b':') => self.at += 1,
                Some(byte) => return Err(invalid(byte, "after object key")),
            }
            let value = self.value()?;
            entries.insert(key.into(), value);
            self.skip_space();
            match self.peek() {
                None => return ended(),
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(byte) => return Err(invalid(byte, "after object key:value pair")),
            }
        }
        self.at += 1;
        Ok(Value::map(entries))
    }

    fn array(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            match self.peek() {
                None => return ended(),
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(byte) => return Err(invalid(byte, "after array element")),
            }
        }
        self.at += 1;
        Ok(Value::list(items))
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for expected in word.chars() {
            match self.peek() {
                Some(byte) if char::from(byte) == expected => self.at += 1,
                other => {
                    return Err(invalid(
                        other.unwrap_or(b' '),
                        &format!("in literal {word} (expecting '{expected}')"),
                    ));
                }
            }
        }
        Ok(value)
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            // Go takes the end for a space.
            other => return Err(invalid(other.unwrap_or(b' '), context)),
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = &self.text[start..self.at];
        let number: f64 = text.parse().unwrap_or(f64::INFINITY);
        if number.is_infinite() {
            self.out_of_range
                .get_or_insert_with(|| format!("{TOO_LARGE}{text} into Go value of type float64"));
        }
        Ok(Value::Float(number))
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)
                .unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => return ended(),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                Some(byte) => return Err(invalid(byte, "in string literal")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        let byte = self.peek().unwrap_or(b' ');
        let character = match byte {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'\\' | b'/' | b'"' => char::from(byte),
            b'u' => {
                self.at += 1;
                let first = self.hexadecimal()?;
                out.push(self.unicode(first)?);
                return Ok(());
            }
            byte => return Err(invalid(byte, "in string escape code")),
        };
        self.at += 1;
        out.push(character);
        Ok(())
    }

    /// A character from one escape, or from two that are halves of a pair; half a pair becomes U+FFFD.
    fn unicode(&mut self, first: u32) -> Result<char, String> {
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.peek().unwrap_or(b' ');
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(invalid(byte, "in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}
