//! Divides what templates wrote into objects and hooks, and puts them in Helm's order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::ChartError;
use crate::hooks::{Hook, Role, role_of};
use crate::kinds;
use crate::yaml::{self, Yaml};

/// One document of a manifest.
pub(crate) struct Document {
    pub(crate) source: String,
    pub(crate) text: String,
    /// Not a text of white space and comments.
    pub(crate) is_object: bool,
    pub(crate) kind: String,
    pub(crate) hook: Option<Hook>,
}

/// The documents of all files: first those that Helm applies, in its install order, then the hooks, in theirs.
pub(crate) struct Documents {
    pub(crate) objects: Vec<Document>,
    pub(crate) hooks: Vec<Document>,
}

/// Sorts the rendered files, by their paths, into documents.
pub(crate) fn sort(files: &BTreeMap<String, String>) -> Result<Documents, ChartError> {
    let mut documents = Documents {
        objects: Vec::new(),
        hooks: Vec::new(),
    };
    for (path, content) in files {
        if crate::functions::base_path(path).starts_with('_') || content.trim().is_empty() {
            continue;
        }
        for text in split(content) {
            let Some(document) = read(path, text)? else {
                continue;
            };
            if document.hook.is_some() {
                documents.hooks.push(document);
            } else {
                documents.objects.push(document);
            }
        }
    }
    documents
        .objects
        .sort_by(|left, right| kinds::compare(&left.kind, &right.kind));
    documents
        .hooks
        .sort_by(|left, right| kinds::compare(&left.kind, &right.kind));
    Ok(documents)
}

/// Helm's division of a text at lines that begin with `---`: at what `(?:^|\s*\n)---\s*` matches.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let text = text.trim_matches(go_space);
    let mut parts = Vec::new();
    let mut rest = text;
    let mut first = true;
    while let Some((part, after)) = divided(rest, first) {
        parts.push(part);
        rest = after;
        first = false;
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
        .into_iter()
        .map(|part| part.trim_matches(go_space))
        .collect()
}

/// What is before the next separator and what is behind it. Only at the very beginning does a separator need no line break
/// before it; one that belongs to the separator before does not count.
fn divided(text: &str, first: bool) -> Option<(&str, &str)> {
    const MARK: &str = "---";
    let space = |character: char| matches!(character, '\t' | '\n' | '\u{c}' | '\r' | ' ');
    if first && let Some(after) = text.strip_prefix(MARK) {
        return Some(("", after.trim_start_matches(space)));
    }
    text.match_indices('\n').find_map(|(at, _)| {
        let after = text[at + 1..].strip_prefix(MARK)?;
        Some((
            text[..at].trim_end_matches(space),
            after.trim_start_matches(space),
        ))
    })
}

fn go_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{85}'
}

/// A value that is only looked at.
type Seen<'d> = Yaml<Cow<'d, str>>;

/// A document with what Helm reads of its head; hooks of unknown kinds are dropped.
fn read(path: &str, text: &str) -> Result<Option<Document>, ChartError> {
    let fail = |reason: String| ChartError::Manifest {
        template: path.to_owned(),
        reason,
    };
    yaml::examine(text.as_bytes(), |value| described(path, text, value))
        .map_err(|error| fail(format!("error converting YAML to JSON: {error}")))?
        .map_err(fail)
}

fn mismatch(found: &Seen<'_>, wanted: &str) -> String {
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go {wanted}",
        found.json_type()
    )
}

/// A text in the head of a document.
fn head(key: &str, from: &Seen<'_>, field: &str) -> Result<String, String> {
    match member(from, key) {
        Some(found) => found
            .as_text()
            .ok_or_else(|| mismatch(found, &format!("struct field {field} of type string"))),
        None => Ok(String::new()),
    }
}

fn described(path: &str, text: &str, value: &Seen<'_>) -> Result<Option<Document>, String> {
    let mut document = Document {
        source: path.to_owned(),
        text: text.to_owned(),
        is_object: false,
        kind: String::new(),
        hook: None,
    };
    match value {
        Yaml::Null => return Ok(Some(document)),
        Yaml::Map(_) => {}
        other => return Err(mismatch(other, "value of type releaseutil.SimpleHead")),
    }
    head("apiVersion", value, "SimpleHead.apiVersion")?;
    document.kind = head("kind", value, "SimpleHead.kind")?;
    let mut annotations = BTreeMap::new();
    if let Some(metadata) = member(value, "metadata").filter(|metadata| !matches!(metadata, Yaml::Null)) {
        if !matches!(metadata, Yaml::Map(_)) {
            return Err(mismatch(
                metadata,
                r#"struct field SimpleHead.metadata of type struct { Name string "json:\"name\""; Annotations map[string]string "json:\"annotations\"" }"#,
            ));
        }
        head("name", metadata, ".metadata.name")?;
        match member(metadata, "annotations") {
            None | Some(Yaml::Null) => {}
            Some(Yaml::Map(entries)) => {
                for (key, value) in entries.iter() {
                    let text = value.as_text().ok_or_else(|| {
                        mismatch(value, "struct field .metadata.annotations of type string")
                    })?;
                    annotations.insert(key.to_string(), text);
                }
            }
            Some(other) => {
                return Err(mismatch(
                    other,
                    "struct field .metadata.annotations of type map[string]string",
                ));
            }
        }
    }
    document.is_object = true;
    match role_of(&annotations) {
        Role::Object => Ok(Some(document)),
        Role::Hook(hook) => Ok(Some(Document {
            hook: Some(hook),
            ..document
        })),
        Role::Dropped => Ok(None),
    }
}

/// A member by its name; Go's JSON also accepts other cases.
fn member<'y, 'd>(value: &'y Seen<'d>, key: &str) -> Option<&'y Seen<'d>> {
    let Yaml::Map(entries) = value else { return None };
    entries.get(key).or_else(|| {
        entries
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|[\t\n\x0C\r ]*\n)---[\t\n\x0C\r ]*").unwrap());

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn texts_are_divided_as_by_helms_pattern(text in "(---|[- \\n\\ta]|\u{a0}|\u{c}|\r\n){0,16}") {
            let wanted: Vec<&str> = PATTERN
                .split(text.trim_matches(go_space))
                .filter(|part| !part.is_empty())
                .map(|part| part.trim_matches(go_space))
                .collect();
            prop_assert_eq!(split(&text), wanted);
        }
    }
}
