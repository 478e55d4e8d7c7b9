//! `values.schema.json`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::{Draft, Keyword, ValidationError, Validator};
use serde_json::{Value as Json, json};

use crate::error::ChartError;
use crate::functions::serialize;
use crate::instance::Instance;
use crate::template::value::{Map, Value};

/// Checks the values of a chart and its subcharts.
pub(crate) fn validate(chart: &Instance<'_>, values: &Map) -> Result<(), ChartError> {
    let mut reason = String::new();
    collect(chart, values, &mut reason);
    if reason.is_empty() {
        Ok(())
    } else {
        Err(ChartError::Schema { reason })
    }
}

fn collect(chart: &Instance<'_>, values: &Map, reason: &mut String) {
    if let Some(schema) = chart.schema
        && let Err(errors) = check(schema, values)
    {
        reason.push_str(&format!("{}:\n{errors}\n", chart.name()));
    }
    for dependency in &chart.dependencies {
        match values.get(dependency.name()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(inner)) => collect(dependency, &inner, reason),
            Some(other) => reason.push_str(&format!(
                "{}:\ninvalid type for values: expected object (map), got {}\n",
                dependency.name(),
                other.type_name()
            )),
        }
    }
}

/// Checks one table of values against one schema.
pub(crate) fn check(schema: &[u8], values: &Map) -> Result<(), String> {
    let validator = compiled(schema)?;
    let values = serialize::to_json_value(&Value::Map(values.clone()))?;
    let errors: Vec<String> = validator
        .iter_errors(&values)
        .map(|error| format!("- at '{}': {error}", error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

/// Schemas that this process compiled, by their text: a site renders one chart for each of its environments, and to compile the schema
/// again would be a fifth of a rendering.
static COMPILED: LazyLock<Mutex<HashMap<Vec<u8>, Arc<Validator>>>> = LazyLock::new(Mutex::default);
/// How many are kept; a process that meets more begins anew.
const KEPT: usize = 64;

fn compiled(schema: &[u8]) -> Result<Arc<Validator>, String> {
    let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = known().get(schema) {
        return Ok(validator.clone());
    }
    let parsed: Json = serde_json::from_slice(schema).map_err(|error| error.to_string())?;
    let draft = Draft::default().detect(&parsed);
    let validator = jsonschema::options()
        .with_keyword("pattern", move |_, value, _| pattern(draft, value))
        .build(&parsed)
        .map_err(|error| error.to_string())?;
    let validator = Arc::new(validator);
    let mut known = known();
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(schema.to_vec(), validator.clone());
    Ok(validator)
}

/// The keyword `pattern` for expressions that `regex-lite` reads as ECMA-262 does. To compile the expressions of a schema for the large
/// engine, which pays off for texts of megabytes, was a third of a rendering. Every copy of an expression would have working memory of
/// its own, so all share one; nobody asks what its groups found, which would be most of that memory.
#[derive(Clone)]
struct Pattern(Arc<Expression>);

struct Expression {
    text: String,
    compiled: regex_lite::Regex,
}

/// The keyword `pattern` as the library has it.
struct Other(Validator);

/// Expressions that this process compiled, by their text: charts and their dependencies say the same of names, images and labels.
static PATTERNS: LazyLock<Mutex<HashMap<String, Pattern>>> = LazyLock::new(Mutex::default);
/// How many are kept; a process that meets more begins anew.
const PATTERNS_KEPT: usize = 256;

fn pattern(draft: Draft, value: &Json) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'_>> {
    if let Some(text) = value.as_str() {
        let mut known = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.get(text) {
            return Ok(Box::new(pattern.clone()));
        }
        // what it refuses is the library's to judge
        if let Some(plain) = without_captures(text)
            && let Ok(compiled) = regex_lite::Regex::new(&plain)
        {
            let text = text.to_owned();
            let pattern = Pattern(Arc::new(Expression { text, compiled }));
            if known.len() >= PATTERNS_KEPT {
                known.clear();
            }
            known.insert(pattern.0.text.clone(), pattern.clone());
            return Ok(Box::new(pattern));
        }
    }
    let options = jsonschema::options().with_draft(draft);
    let validator = options.build(&json!({ "pattern": value }))?;
    Ok(Box::new(Other(validator)))
}

/// An expression with groups that keep nothing, if it is made of what means the same to everybody: ASCII letters, digits and signs by
/// themselves or escaped, classes of them, groups, repetitions, `|`, `^`, `$`. No `.`, no `\w`, no flags, nothing that looks around.
fn without_captures(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len() + 16);
    let mut letters = text.chars().peekable();
    let mut class = false;
    while let Some(letter) = letters.next() {
        plain.push(letter);
        let next = letters.peek().copied();
        match (letter, class) {
            ('\\', _) => {
                let escaped = letters.next()?;
                plain.push(escaped);
                match escaped {
                    'x' => {
                        for digit in [letters.next()?, letters.next()?] {
                            plain.push(Some(digit).filter(char::is_ascii_hexdigit)?);
                        }
                    }
                    sign if sign.is_ascii_punctuation() && !matches!(sign, '<' | '>') => {}
                    _ => return None,
                }
            }
            ('[', true) | (']' | '.', false) => return None,
            ('[', false) => {
                class = true;
                if next == Some('^') {
                    plain.extend(letters.next());
                }
                // `[]` and `[^]` are read differently, as are `&&`, `--` and `~~` in a class
                if letters.peek() == Some(&']') {
                    return None;
                }
            }
            (']', true) => class = false,
            ('&' | '-' | '~', true) if next == Some(letter) => return None,
            ('(', false) if next == Some('?') => return None,
            ('(', false) => plain.push_str("?:"),
            // a brace that begins no repetition
            ('{', false) if !next.is_some_and(|next| next.is_ascii_digit()) => return None,
            ('\n' | '\t' | ' '..='~', _) => {}
            _ => return None,
        }
    }
    Some(plain)
}

impl<'i> Keyword<'i> for Pattern {
    fn validate(&self, instance: &'i Json) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        let pattern = &self.0.text;
        Err(ValidationError::custom(format!(
            "{instance} does not match \"{pattern}\""
        )))
    }

    fn is_valid(&self, instance: &'i Json) -> bool {
        instance
            .as_str()
            .is_none_or(|text| self.0.compiled.is_match(text))
    }
}

impl<'i> Keyword<'i> for Other {
    fn validate(&self, instance: &'i Json) -> Result<(), ValidationError<'i>> {
        let checked = self.0.validate(instance);
        checked.map_err(|error| ValidationError::custom(error.to_string()))
    }

    fn is_valid(&self, instance: &'i Json) -> bool {
        self.0.is_valid(instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::value::Entries;

    fn checked(schema: &Json, values: &[(&str, &str)]) -> Result<(), String> {
        let map = Map::new(Entries::default());
        for (key, value) in values {
            map.insert(*key, Value::Str((*value).into()));
        }
        check(schema.to_string().as_bytes(), &map)
    }

    const DRAFTS: [&str; 2] = [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ];

    /// Expressions with texts to put to them; whether the small engine takes them.
    const EXPRESSIONS: &[(&str, bool)] = &[
        ("^([(](a|\\()[)(]|(x(y)?)*)$", true),
        ("^\\\\?(\\x28|\\x2g)$", false),
        ("^(a|)(|b)()*$", true),
        ("^[a-z]+$", true),
        (
            "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$",
            true,
        ),
        ("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", true),
        ("^[^\\x00]+$", true),
        ("^[!-~]*$", true),
        (
            "^\\+?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
            true,
        ),
        ("^https?://[a-z.~!$&'()*+,;=:@%\\[\\]-]+(/[a-z]*)?$", true),
        ("a$", true),
        ("^(sha256:[0-9a-f]{64})?$", true),
        ("", true),
        ("^(?!x)", false),
        ("^\\w+$", false),
        ("^\\d\\s$", false),
        ("^.$", false),
        ("^[ä-ü]$", false),
        ("^\\u0041$", false),
        ("(?i)a", false),
        ("^[a&&b]$", false),
        ("^[[a]]$", false),
        ("a{,2}", false),
        ("^\\bx", false),
    ];

    const TEXTS: &[&str] = &[
        "(()",
        "(a(",
        "xyx",
        "b",
        "",
        "a",
        "A",
        "xy",
        "a\n",
        "\n",
        "a b",
        "a-b",
        "a.b",
        "-a",
        "10",
        "1.5Gi",
        "+.5m",
        "ä",
        "\u{0}",
        "&",
        "[",
        "1 ",
        "\u{2028}",
        "https://a.b/c",
        "https://[::1]",
        "sha256:",
        "a{,2}",
        "aa",
        "A1_b",
        "_",
    ];

    #[test]
    fn every_expression_judges_and_tells_as_the_library_does() {
        let mut judged = 0;
        for draft in DRAFTS {
            for (expression, plain) in EXPRESSIONS {
                assert_eq!(without_captures(expression).is_some(), *plain, "{expression}");
                let schema = json!({"$schema": draft, "properties": {
                    "a": {"pattern": expression}, "b": {"type": "string", "pattern": expression}}});
                let Ok(library) = jsonschema::validator_for(&schema) else {
                    assert!(checked(&schema, &[]).is_err(), "{schema}");
                    continue;
                };
                for text in TEXTS {
                    let values = json!({"a": text, "b": text});
                    let expected: Vec<String> = library
                        .iter_errors(&values)
                        .map(|error| format!("- at '{}': {error}", error.instance_path()))
                        .collect();
                    let told = checked(&schema, &[("a", text), ("b", text)]);
                    assert_eq!(
                        told.err().unwrap_or_default(),
                        expected.join("\n"),
                        "{schema} {text:?}"
                    );
                    judged += 1;
                }
            }
        }
        assert!(judged > 800, "{judged}");
    }

    #[test]
    fn a_schema_that_was_met_before_judges_other_values_anew() {
        let schema = |most: usize| json!({"properties": {"a": {"maxLength": most}}});
        for _ in 0..2 {
            // more of them than are kept
            for most in 1..=KEPT + 6 {
                assert_eq!(checked(&schema(most), &[("a", &"x".repeat(most))]), Ok(()));
                assert!(
                    checked(&schema(most), &[("a", &"x".repeat(most + 1))]).is_err(),
                    "{most}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_whatever_the_values_are() {
        for draft in DRAFTS {
            for wrong in [
                json!("["),
                json!("(?<"),
                json!("a{2,1}"),
                json!("a)"),
                json!("*"),
                json!(1),
            ] {
                let schema = json!({"$schema": draft, "properties": {"a": {"pattern": wrong}}});
                let library = jsonschema::validator_for(&schema).unwrap_err().to_string();
                assert_eq!(checked(&schema, &[]).unwrap_err(), library, "{schema}");
            }
        }
    }
}
