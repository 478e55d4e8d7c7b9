//! Rendered objects as those understand them who get them: each text through the quoting of the language that it is written
//! in.

use std::collections::BTreeMap;

use base64::Engine as _;
use openg2p_chart::Values;
use serde_json::Value;

/// A rendered object, with what stands inside of its texts taken out of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Text(String),
    /// A number, a truth value or nothing, as JSON writes it.
    Plain(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// A text that a chart drew at random.
const DRAWN: &str = "(drawn)";
/// A part of a name, or a note, that follows from other values.
const HASH: &str = "(hash)";

/// An object as the API server, the kubelet and the programs in its pods understand it.
///
/// # Errors
/// Where one of them would stop at it.
pub(super) fn read(object: &Value) -> Result<Node, String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    node(object, kind, &mut Vec::new())
}

fn node<'o>(value: &'o Value, kind: &str, path: &mut Vec<&'o str>) -> Result<Node, String> {
    Ok(match value {
        Value::String(text) => {
            read_text(text, kind, path).map_err(|why| format!("{}: {why}", path.join("/")))?
        }
        Value::Array(items) => Node::List(
            items
                .iter()
                .map(|item| node(item, kind, path))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(entries) => {
            let name = entries.get("name").and_then(Value::as_str);
            let variable = name.filter(|_| path.last() == Some(&"env"));
            let mut table = BTreeMap::new();
            for (key, value) in entries {
                path.push(variable.filter(|_| key == "value").unwrap_or(key));
                table.insert(key.clone(), node(value, kind, path)?);
                path.pop();
            }
            Node::Table(table)
        }
        other => Node::Plain(other.to_string()),
    })
}

/// A text by what its place says about its language. A variable's place ends in its name.
fn read_text(text: &str, kind: &str, path: &[&str]) -> Result<Node, String> {
    match (kind, path) {
        ("Secret", ["data", _]) => secret(text),
        ("ConfigMap", ["data", file]) => read_file(file, text),
        (_, [.., "env", variable]) => {
            let text = handed_over(text)?;
            let json = ["_ISSUERS", "_AUDIENCES", "_JWKS_URLS"];
            if json.iter().any(|end| variable.ends_with(end)) {
                from_json(&text)
            } else {
                Ok(Node::Text(text))
            }
        }
        (_, [.., "containers" | "initContainers", "command" | "args"]) => {
            let text = handed_over(text)?;
            Ok(match text.strip_prefix("--extensions=") {
                Some(names) => Node::List(names.split(',').map(|name| Node::Text(name.to_owned())).collect()),
                None => Node::Text(text),
            })
        }
        (_, [.., "name"]) => Ok(Node::Text(without_hash(text))),
        (_, [.., "annotations", "openg2p.org/settings"]) if is_hash(text, 16) => {
            Ok(Node::Text(HASH.to_owned()))
        }
        _ => Ok(Node::Text(text.to_owned())),
    }
}

fn secret(text: &str) -> Result<Node, String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|error| format!("{text:?} is no base64: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let drawn = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Ok(Node::Text(if drawn { DRAWN.to_owned() } else { text }))
}

/// A file of a ConfigMap, by its name.
fn read_file(name: &str, text: &str) -> Result<Node, String> {
    if name == "site.conf" {
        return settings(text);
    }
    match name.rsplit_once('.') {
        Some((_, "json")) => from_json(text),
        Some((_, "yaml")) => {
            let values = Values::read(text.as_bytes()).map_err(|error| error.to_string())?;
            Ok(plain(&values.to_json()))
        }
        _ => Ok(Node::Text(text.to_owned())),
    }
}

fn from_json(text: &str) -> Result<Node, String> {
    let value = serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))?;
    Ok(plain(&value))
}

/// A value that holds no other language.
pub(super) fn plain(value: &Value) -> Node {
    match value {
        Value::String(text) => Node::Text(text.clone()),
        Value::Array(items) => Node::List(items.iter().map(plain).collect()),
        Value::Object(entries) => Node::Table(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect(),
        ),
        other => Node::Plain(other.to_string()),
    }
}

/// An argument or a variable's value as the kubelet hands it to a program: `$(NAME)` stands for a variable, `$$` for one `$`.
///
/// # Errors
/// The system ends such a text at a byte 0, so that no container with one starts.
pub(super) fn handed_over(text: &str) -> Result<String, String> {
    if text.contains('\0') {
        return Err(format!("{text:?} cannot be handed to a program"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let reference = behind.strip_prefix('(').and_then(|name| name.split_once(')'));
        if let Some(behind) = behind.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some((name, behind)) = reference {
            out.push_str(&format!("<the variable {name}>"));
            rest = behind;
        } else {
            out.push('$');
            rest = behind;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The part of `postgresql.conf` that charts write, as the server reads it: `name = 'value'`, one a line.
fn settings(text: &str) -> Result<Node, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest
            .split_once(" = '")
            .ok_or_else(|| format!("no setting: {rest:?}"))?;
        let plain_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
        if name.is_empty() || !name.chars().all(plain_name) {
            return Err(format!("{name:?} is no name of a setting"));
        }
        let (value, behind) = quoted(behind)?;
        rest = behind
            .strip_prefix('\n')
            .ok_or_else(|| format!("more stands behind {name}: {behind:?}"))?;
        if found.insert(name.to_owned(), Node::Text(value)).is_some() {
            return Err(format!("{name} stands there twice"));
        }
    }
    Ok(Node::Table(found))
}

/// A value behind its opening quote, and what follows its closing one.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' | '\0' => return Err(format!("{letter:?} stands in a value")),
            '\'' if letters.next_if(|(_, next)| *next == '\'').is_some() => value.push('\''),
            '\'' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'b')) => value.push('\u{8}'),
                Some((_, 'f')) => value.push('\u{c}'),
                Some((_, 'n')) => value.push('\n'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 't')) => value.push('\t'),
                Some((_, digit)) if digit.is_ascii_digit() => {
                    return Err(format!("charts write no number such as \\{digit}"));
                }
                Some((_, '\n')) | None => return Err("a backslash ends the line".to_owned()),
                Some((_, other)) => value.push(other),
            },
            other => value.push(other),
        }
    }
    Err(format!("{text:?} is never closed"))
}

/// Names of Jobs and ConfigMaps end in a hash of their content, which changes with every value.
fn without_hash(text: &str) -> String {
    match text.rsplit_once('-') {
        Some((front, end)) if is_hash(end, 8) => format!("{front}-{HASH}"),
        _ => text.to_owned(),
    }
}

fn is_hash(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where two readings first differ, in words.
pub(super) fn difference(expected: &Node, found: &Node) -> Option<String> {
    fn walk(expected: &Node, found: &Node, path: &mut String) -> Option<String> {
        let length = path.len();
        match (expected, found) {
            _ if expected == found => return None,
            (Node::List(left), Node::List(right)) if left.len() == right.len() => {
                for (at, (left, right)) in left.iter().zip(right).enumerate() {
                    path.push_str(&format!("/{at}"));
                    if let Some(found) = walk(left, right, path) {
                        return Some(found);
                    }
                    path.truncate(length);
                }
            }
            (Node::Table(left), Node::Table(right)) if left.keys().eq(right.keys()) => {
                for (key, left) in left {
                    path.push_str(&format!("/{key}"));
                    if let Some(found) = walk(left, &right[key], path) {
                        return Some(found);
                    }
                    path.truncate(length);
                }
            }
            (Node::Table(left), Node::Table(right)) => {
                return Some(format!(
                    "{path} should have the keys {:?} and has {:?}",
                    left.keys(),
                    right.keys()
                ));
            }
            _ => {}
        }
        Some(format!("{path} should be {expected:?} and is {found:?}"))
    }
    walk(expected, found, &mut String::new())
}

#[test]
fn a_text_that_another_language_would_change_is_not_read_as_itself() {
    for (text, read) in [
        ("a = 'it''s'\n", "it's"),
        ("a = 'C:\\\\new'\n", "C:\\new"),
        ("a = 'C:\\new'\n", "C:\new"),
    ] {
        let expected = BTreeMap::from([("a".to_owned(), Node::Text(read.to_owned()))]);
        assert_eq!(settings(text), Ok(Node::Table(expected)));
    }
    for text in [
        "a = 'x\ny'\n",
        "a = 'x' y\n",
        "a = 'x",
        "a = x\n",
        "a b = 'x'\n",
        "a = '1'\na = '2'\n",
    ] {
        assert!(settings(text).is_err(), "{text:?}");
    }
    for (text, handed) in [
        ("$HOME $", "$HOME $"),
        ("$$(HOME) $$$$", "$(HOME) $$"),
        ("$(HOME)", "<the variable HOME>"),
        ("$(HOME", "$(HOME"),
    ] {
        assert_eq!(handed_over(text), Ok(handed.to_owned()));
    }
    assert!(handed_over("a\0b").is_err());
    assert_eq!(without_hash("spar-migrate-0123abcd"), "spar-migrate-(hash)");
    assert_eq!(without_hash("spar-migrate-0123abcX"), "spar-migrate-0123abcX");
}
