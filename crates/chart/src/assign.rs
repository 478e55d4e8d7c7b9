//! The assignments of `--set` and its kin: `a.b=1,c[0]={x,y}`.
//!
//! Helm's reader has corners that scripts rely on without knowing: a table is made only if something came into it, an
//! index makes a list longer, a type that does not fit ends in Go's words for a failed conversion. They are kept.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::json;
use crate::values::{Node, from_value};

type Table = BTreeMap<String, Node>;

/// Helm's limit for an index.
const MAX_INDEX: usize = 65_536;
/// Helm's limit for names in one another.
const MAX_NAMES: usize = 30;
/// A limit for indices in one another, which Helm lacks.
const MAX_INDICES: usize = 500;

/// How values are read.
pub(crate) enum Mode<'r> {
    /// `--set`
    Typed,
    /// `--set-string`
    Strings,
    /// `--set-json`
    Json,
    /// `--set-file`, with what gives a file's content
    Files(&'r mut dyn FnMut(&str) -> Result<String, String>),
    /// `--set-literal`
    Literal,
}

/// Why reading stopped.
enum Stop {
    /// The line is at its end, which is no error by itself.
    End,
    Error(String),
}

fn error<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(text.into()))
}

/// Reads all assignments of a line into a table.
pub(crate) fn assign(line: &str, mode: &mut Mode<'_>, target: &mut Table) -> Result<(), String> {
    let mut reader = Reader {
        rest: line.chars().peekable(),
        mode,
    };
    loop {
        match reader.key(target, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(text)) => return Err(text),
        }
    }
}

struct Reader<'l, 'm, 'r> {
    rest: Peekable<Chars<'l>>,
    mode: &'m mut Mode<'r>,
}

fn put(table: &mut Table, key: &str, value: Node) {
    // Helm passes over an empty name.
    if !key.is_empty() {
        table.insert(key.to_owned(), value);
    }
}

/// Go's words where a value has another type than its use.
fn conversion<T>(found: &Node, wanted: &str) -> Result<T, Stop> {
    let found = match found {
        Node::Null => "nil",
        Node::Bool(_) => "bool",
        Node::Float(_) => "float64",
        Node::Int(_) => "int64",
        Node::Str(_) => "string",
        Node::List(_) => "[]interface {}",
        Node::Table(_) => "map[string]interface {}",
    };
    error(format!(
        "unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}"
    ))
}

impl Reader<'_, '_, '_> {
    fn is_literal(&self) -> bool {
        matches!(self.mode, Mode::Literal)
    }

    /// The text up to one of the characters, and which it was; none where the line ended.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(character) = self.rest.next() {
            if stops.contains(&character) {
                return (text, Some(character));
            }
            if character == '\\' && !self.is_literal() {
                match self.rest.next() {
                    Some(escaped) => text.push(escaped),
                    None => return (text, None),
                }
            } else {
                text.push(character);
            }
        }
        (text, None)
    }

    fn key(&mut self, table: &mut Table, level: usize) -> Result<(), Stop> {
        let stops: &[char] = if self.is_literal() {
            &['=', '[', '.']
        } else {
            &['=', '[', ',', '.']
        };
        let (key, stop) = self.until(stops);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => error(format!("key {} has no value", quoted(&key))),
            Some('[') => self.list(table, &key, level),
            Some('=') => self.value_of(table, &key),
            Some('.') => self.inner(table, &key, level),
            Some(_) => error(format!("key {} has no value (cannot end with ,)", quoted(&key))),
        }
    }

    fn inner(&mut self, table: &mut Table, key: &str, level: usize) -> Result<(), Stop> {
        if level + 1 > MAX_NAMES {
            return error(format!(
                "value name nested level is greater than maximum supported nested level of {MAX_NAMES}"
            ));
        }
        if let Some(existing) = table.get_mut(key) {
            let Node::Table(inner) = existing else {
                return conversion(existing, "map[string]interface {}");
            };
            let result = self.key(inner, level + 1);
            if result.is_ok() && inner.is_empty() {
                return error(format!("key map {} has no value", quoted(key)));
            }
            return result;
        }
        let mut inner = Table::new();
        let result = self.key(&mut inner, level + 1);
        if result.is_ok() && inner.is_empty() {
            return error(format!("key map {} has no value", quoted(key)));
        }
        if !inner.is_empty() {
            put(table, key, Node::Table(inner));
        }
        result
    }

    fn value_of(&mut self, table: &mut Table, key: &str) -> Result<(), Stop> {
        match self.mode {
            Mode::Literal => {
                let (text, _) = self.until(&[]);
                put(table, key, Node::Str(text));
                Ok(())
            }
            Mode::Json => {
                let value = self.json()?;
                put(table, key, value);
                Ok(())
            }
            _ => match self.braces()? {
                Braces::End => {
                    put(table, key, Node::Str(String::new()));
                    Err(Stop::End)
                }
                Braces::List(items) => {
                    put(table, key, Node::List(items));
                    Ok(())
                }
                Braces::None => {
                    let (text, _) = self.until(&[',']);
                    let value = self.read(&text)?;
                    put(table, key, value);
                    Ok(())
                }
            },
        }
    }

    fn list(&mut self, table: &mut Table, key: &str, level: usize) -> Result<(), Stop> {
        let index = self.index()?;
        let mut items = match table.get_mut(key) {
            None => Vec::new(),
            Some(Node::List(items)) => std::mem::take(items),
            Some(other) => return conversion(other, "[]interface {}"),
        };
        let result = self.item(&mut items, index, level, 0);
        put(table, key, Node::List(items));
        result
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return error("error parsing index: EOF");
        }
        match text.parse::<i64>() {
            Ok(number) => Ok(number),
            Err(failure) => {
                let reason = match failure.kind() {
                    std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                        "value out of range"
                    }
                    _ => "invalid syntax",
                };
                error(format!(
                    "error parsing index: strconv.Atoi: parsing {}: {reason}",
                    quoted(&text)
                ))
            }
        }
    }

    /// One element of a list, from behind its index.
    fn item(&mut self, items: &mut Vec<Node>, index: i64, level: usize, nesting: usize) -> Result<(), Stop> {
        let Ok(position) = usize::try_from(index) else {
            return error(format!("negative {index} index not allowed"));
        };
        if nesting > MAX_INDICES {
            return error(format!("more than {MAX_INDICES} indices follow one another"));
        }
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            // Go prints the characters one by one.
            let shown: Vec<String> = text.chars().map(quoted_character).collect();
            return error(format!(
                "unexpected data at end of array index: [{}]",
                shown.join(" ")
            ));
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let value = match self.mode {
                    Mode::Literal => Node::Str(self.until(&[]).0),
                    Mode::Json => self.json()?,
                    _ => match self.braces()? {
                        Braces::End => Node::Str(String::new()),
                        Braces::List(list) => Node::List(list),
                        Braces::None => {
                            let (text, _) = self.until(&[',']);
                            self.read(&text)?
                        }
                    },
                };
                put_at(items, position, value)
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match items.get_mut(position) {
                    None | Some(Node::Null) => Vec::new(),
                    Some(Node::List(inner)) => std::mem::take(inner),
                    Some(other) => return conversion(other, "[]interface {}"),
                };
                let result = self.item(&mut inner, next, level, nesting + 1);
                if result.is_err() {
                    if let Some(Node::List(place)) = items.get_mut(position) {
                        *place = inner;
                    }
                    return result;
                }
                put_at(items, position, Node::List(inner))
            }
            Some(_) => {
                if let Some(place) = items.get_mut(position) {
                    if !matches!(place, Node::Table(_)) {
                        *place = Node::Table(Table::new());
                    }
                    let Node::Table(inner) = place else {
                        return Ok(());
                    };
                    self.key(inner, level)?;
                    return check_index(position);
                }
                let mut inner = Table::new();
                self.key(&mut inner, level)?;
                put_at(items, position, Node::Table(inner))
            }
        }
    }

    /// Whether there is nothing before the next comma or the end, which are passed over.
    fn is_empty_value(&mut self) -> bool {
        while let Some(&character) = self.rest.peek() {
            if character == ',' {
                self.rest.next();
                return true;
            }
            if !character.is_whitespace() {
                return false;
            }
            self.rest.next();
        }
        true
    }

    fn json(&mut self) -> Result<Node, Stop> {
        if self.is_empty_value() {
            return Ok(Node::Null);
        }
        let rest: String = self.rest.clone().collect();
        let (value, end) = json::read_first(&rest).map_err(Stop::Error)?;
        for _ in rest[..end].chars() {
            self.rest.next();
        }
        self.is_empty_value();
        Ok(from_value(&value))
    }

    fn braces(&mut self) -> Result<Braces, Stop> {
        match self.rest.peek() {
            None => return Ok(Braces::End),
            Some('{') => self.rest.next(),
            Some(_) => return Ok(Braces::None),
        };
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return error("list must terminate with '}'"),
                Some(',') => items.push(self.read(&text)?),
                Some(_) => {
                    if self.rest.peek() == Some(&',') {
                        self.rest.next();
                    }
                    items.push(self.read(&text)?);
                    return Ok(Braces::List(items));
                }
            }
        }
    }

    fn read(&mut self, text: &str) -> Result<Node, Stop> {
        match self.mode {
            Mode::Files(read) => read(text).map(Node::Str).map_err(Stop::Error),
            Mode::Typed => Ok(typed(text)),
            _ => Ok(Node::Str(text.to_owned())),
        }
    }
}

/// What stands behind a `=`.
enum Braces {
    /// Nothing.
    End,
    /// `{a,b}`
    List(Vec<Node>),
    /// Something else, not read yet.
    None,
}

fn check_index(position: usize) -> Result<(), Stop> {
    if position > MAX_INDEX {
        return error(format!(
            "index of {position} is greater than maximum supported index of {MAX_INDEX}"
        ));
    }
    Ok(())
}

fn put_at(items: &mut Vec<Node>, position: usize, value: Node) -> Result<(), Stop> {
    check_index(position)?;
    if items.len() <= position {
        items.resize(position + 1, Node::Null);
    }
    items[position] = value;
    Ok(())
}

fn quoted(text: &str) -> String {
    crate::template::format::quote(text)
}

fn quoted_character(character: char) -> String {
    match character {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        character => {
            let quoted = quoted(&character.to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

fn typed(text: &str) -> Node {
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "true" => Node::Bool(true),
        "false" => Node::Bool(false),
        "null" => Node::Null,
        "0" => Node::Int(0),
        _ if text.starts_with('0') => Node::Str(text.to_owned()),
        _ => text
            .parse()
            .map_or_else(|_| Node::Str(text.to_owned()), Node::Int),
    }
}
