//! Writes YAML as go-yaml v2 does, byte for byte: styles, quoting, folding at 80 columns, key order.

use super::resolve::{Resolved, resolve};
use super::{Yaml, pretty};
use crate::template::float::format_float;

/// go-yaml breaks plain and quoted text after this column.
const WIDTH: usize = 80;

/// Writes a document with go-yaml v2's style.
pub(crate) fn emit(value: &Yaml) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        pretty: false,
    };
    emitter.node(value, None, Context::Root);
    emitter.end()
}

/// Writes a document with go-yaml v3's style and an indent of two, as `toYamlPretty` does.
pub(crate) fn emit_pretty(value: &Yaml) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        pretty: true,
    };
    emitter.node(value, None, Context::Root);
    emitter.end()
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    Root,
    Sequence,
    Mapping,
    Key,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

struct Emitter {
    out: String,
    column: usize,
    whitespace: bool,
    indention: bool,
    pretty: bool,
}

/// What may be done with a text, by libyaml's `analyze_scalar`.
#[expect(clippy::struct_excessive_bools, reason = "each allows or forbids a style")]
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Emitter {
    fn end(mut self) -> String {
        if self.column > 0 || !self.indention {
            self.line_break();
        }
        self.out
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn indicator(&mut self, text: &str, need_space: bool, is_space: bool, is_indention: bool) {
        if need_space && !self.whitespace {
            self.put(' ');
        }
        for character in text.chars() {
            self.put(character);
        }
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
    }

    fn indent(&mut self, indent: Option<usize>) {
        let indent = indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn node(&mut self, value: &Yaml, indent: Option<usize>, context: Context) {
        match value {
            Yaml::Seq(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Yaml::Map(entries) if entries.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Yaml::Seq(items) => {
                let indentless = context == Context::Mapping && !self.indention && !self.pretty;
                let inner = match indent {
                    None => 0,
                    Some(indent) if indentless => indent,
                    Some(indent) => indent + 2,
                };
                for item in items {
                    self.indent(Some(inner));
                    self.indicator("-", true, false, true);
                    self.node(item, Some(inner), Context::Sequence);
                }
            }
            Yaml::Map(entries) => {
                let inner = indent.map_or(0, |indent| indent + 2);
                for (key, item) in super::keys::sorted(entries.iter().collect()) {
                    self.indent(Some(inner));
                    self.entry(key, item, inner);
                }
            }
            Yaml::Str(text) => self.text(text, indent, context),
            Yaml::Null => self.plain("null", indent, context),
            Yaml::Bool(value) => self.plain(if *value { "true" } else { "false" }, indent, context),
            Yaml::Int(number) => self.plain(&number.to_string(), indent, context),
            Yaml::Uint(number) => self.plain(&number.to_string(), indent, context),
            Yaml::Float(number) => self.plain(&float(*number), indent, context),
        }
    }

    fn entry(&mut self, key: &str, item: &Yaml, inner: usize) {
        let analysis = analyze(key, self.pretty);
        if !analysis.multiline && key.len() <= 128 {
            self.text(key, Some(inner), Context::Key);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.text(key, Some(inner), Context::Mapping);
            self.indent(Some(inner));
            self.indicator(":", true, false, true);
        }
        self.node(item, Some(inner), Context::Mapping);
    }

    fn text(&mut self, text: &str, indent: Option<usize>, context: Context) {
        let analysis = analyze(text, self.pretty);
        let keeps_type = if self.pretty {
            pretty::is_plain_string(text)
        } else {
            resolve(text) == Resolved::Str && !is_base60(text)
        };
        let mut style = if text.contains('\n') {
            Style::Literal
        } else if keeps_type {
            Style::Plain
        } else {
            Style::Double
        };
        let key = context == Context::Key;
        if key && analysis.multiline {
            style = Style::Double;
        }
        if style == Style::Plain && (!analysis.plain || (text.is_empty() && key)) {
            style = Style::Single;
        }
        if style == Style::Single && !analysis.single {
            style = Style::Double;
        }
        if style == Style::Literal && (!analysis.block || key) {
            style = Style::Double;
        }
        match style {
            Style::Plain => self.plain(text, indent, context),
            Style::Single => self.single(text, indent, context),
            Style::Double => self.double(text, indent, context),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Whether a space may become a line break here.
    fn folds(&self, context: Context) -> bool {
        context != Context::Key && !self.pretty && self.column > WIDTH
    }

    fn plain(&mut self, text: &str, indent: Option<usize>, context: Context) {
        let indent = Some(indent.map_or(2, |indent| indent + 2));
        if !self.whitespace {
            self.put(' ');
        }
        let mut spaces = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == ' ' {
                if self.folds(context) && !spaces && characters.peek() != Some(&' ') {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, indent: Option<usize>, context: Context) {
        let indent = Some(indent.map_or(2, |indent| indent + 2));
        self.indicator("'", true, false, false);
        let mut spaces = false;
        let mut breaks = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((index, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if character == ' ' {
                if self.folds(context) && !spaces && index > 0 && next.is_some_and(|next| next != ' ') {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(character) {
                if !breaks && character == '\n' {
                    self.line_break();
                }
                self.write_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str, indent: Option<usize>, context: Context) {
        let indent = Some(indent.map_or(2, |indent| indent + 2));
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((index, character)) = characters.next() {
            if !is_printable(character) || is_break(character) || character == '"' || character == '\\' {
                self.escape(character);
                spaces = false;
            } else if character == ' ' {
                let next = characters.peek().map(|(_, next)| *next);
                if self.folds(context) && !spaces && index > 0 && next.is_some() {
                    self.indent(indent);
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, character: char) {
        let code = u32::from(character);
        let text = match character {
            '\0' => "\\0".to_owned(),
            '\u{7}' => "\\a".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{b}' => "\\v".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\u{1b}' => "\\e".to_owned(),
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{85}' => "\\N".to_owned(),
            '\u{a0}' => "\\_".to_owned(),
            '\u{2028}' => "\\L".to_owned(),
            '\u{2029}' => "\\P".to_owned(),
            _ if code <= 0xFF => format!("\\x{code:02X}"),
            _ if code <= 0xFFFF => format!("\\u{code:04X}"),
            _ => format!("\\U{code:08X}"),
        };
        for character in text.chars() {
            self.put(character);
        }
    }

    fn literal(&mut self, text: &str, indent: Option<usize>) {
        let indent = Some(indent.map_or(2, |indent| indent + 2));
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.indicator("2", false, false, false);
        }
        let mut reversed = text.chars().rev();
        let last_breaks = reversed.next().is_some_and(is_break);
        if !last_breaks {
            self.indicator("-", false, false, false);
        } else if reversed.next().is_none_or(is_break) {
            self.indicator("+", false, false, false);
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.write_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }

    fn write_break(&mut self, character: char) {
        if character == '\n' {
            self.line_break();
        } else {
            self.out.push(character);
            self.column = 0;
        }
    }
}

fn float(number: f64) -> String {
    let text = format_float(number, 'g', None);
    match text.as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        _ => text,
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// libyaml's notion: nothing outside the basic plane.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn analyze(text: &str, pretty: bool) -> Analysis {
    if text.is_empty() {
        return Analysis {
            multiline: false,
            plain: true,
            single: true,
            block: false,
        };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut breaks, mut special, mut tab) = (false, false, false);
    let (mut leading, mut trailing_space, mut trailing_break) = (false, false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let mut preceded = true;
    let mut characters = text.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        let followed = next.is_none_or(|next| next == ' ' || next == '\t');
        match character {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if first =>
            {
                indicators = true;
            }
            '?' | '-' if first && followed => indicators = true,
            ':' if followed => indicators = true,
            '#' if preceded => indicators = true,
            _ => {}
        }
        if character == '\t' && pretty {
            // go-yaml v3 writes tabs in blocks, v2 does not.
            tab = true;
        } else if !is_printable(character) {
            special = true;
        }
        if character == ' ' {
            leading |= first;
            trailing_space |= next.is_none();
            break_space |= previous_break;
            previous_space = true;
            previous_break = false;
        } else if is_break(character) {
            breaks = true;
            leading |= first;
            trailing_break |= next.is_none();
            space_break |= previous_space;
            previous_space = false;
            previous_break = true;
        } else {
            previous_space = false;
            previous_break = false;
        }
        preceded = matches!(character, ' ' | '\t' | '\0') || is_break(character);
        first = false;
    }
    let hard = space_break || special;
    Analysis {
        multiline: breaks,
        plain: !(leading
            || trailing_space
            || trailing_break
            || break_space
            || hard
            || tab
            || breaks
            || indicators),
        single: !(break_space || hard || tab),
        block: !(trailing_space || hard),
    }
}

/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`
pub(super) fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let head = parts.next().unwrap_or_default();
    let tail: Vec<&str> = parts.collect();
    let sixty = |part: &&str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    head.starts_with(|character: char| character.is_ascii_digit())
        && head.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && !tail.is_empty()
        && tail.iter().all(sixty)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}
