//! The places of a chart's values that take text, and what is put there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Parts of the values that every chart takes and none of ours reads.
const UNREAD: [&str; 2] = ["global", "openg2p-lib"];

/// A place that takes text: a value, or a name in a table whose names are the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it is, as a JSON pointer; of a name, where a value of that table is.
    pub(super) pointer: String,
    /// The same for all members of a list or of such a table, with `*` for each.
    pub(super) rule: String,
    /// Whether it is a name.
    pub(super) is_name: bool,
}

/// The schemas of a chart: its own, and those of its dependencies by their names.
pub(super) struct Schemas {
    pub(super) own: Value,
    pub(super) dependencies: BTreeMap<String, Value>,
}

/// All places of some values, names among them: one name for each table, since they are all treated alike.
pub(super) fn places_of(values: &Value, schemas: &Schemas) -> Vec<Place> {
    let mut found = Vec::new();
    let mut walk = Walk {
        schemas,
        root: &schemas.own,
        found: &mut found,
    };
    walk.at(values, &schemas.own, "", "");
    found
}

struct Walk<'w> {
    schemas: &'w Schemas,
    /// The document that references of the schema mean.
    root: &'w Value,
    found: &'w mut Vec<Place>,
}

impl Walk<'_> {
    fn at(&mut self, value: &Value, schema: &Value, pointer: &str, rule: &str) {
        let schema = resolved(schema, self.root);
        match value {
            Value::String(_) => self.found.push(Place {
                pointer: pointer.to_owned(),
                rule: rule.to_owned(),
                is_name: false,
            }),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.at(
                        item,
                        &schema["items"],
                        &format!("{pointer}/{index}"),
                        &format!("{rule}/*"),
                    );
                }
            }
            Value::Object(entries) => {
                let mut named = false;
                for (key, value) in entries {
                    if UNREAD.contains(&key.as_str()) {
                        continue;
                    }
                    let below = format!("{pointer}/{}", escaped(key));
                    if let Some(inner) = schema["properties"].get(key) {
                        let rule = format!("{rule}/{key}");
                        match self.schemas.dependencies.get(key).filter(|_| pointer.is_empty()) {
                            Some(dependency) => Walk {
                                schemas: self.schemas,
                                root: dependency,
                                found: self.found,
                            }
                            .at(value, dependency, &below, &rule),
                            None => self.at(value, inner, &below, &rule),
                        }
                        continue;
                    }
                    let rule = format!("{rule}/*");
                    if !named {
                        self.found.push(Place {
                            pointer: below.clone(),
                            rule: format!("{rule} (name)"),
                            is_name: true,
                        });
                        named = true;
                    }
                    self.at(value, &schema["additionalProperties"], &below, &rule);
                }
            }
            _ => {}
        }
    }
}

fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    schema["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.trim_start_matches('#')))
        .unwrap_or(schema)
}

/// The rules of all places that a schema says to be text, or one of some words.
pub(super) fn declared(schema: &Value) -> BTreeSet<String> {
    fn walk(schema: &Value, root: &Value, rule: &str, found: &mut BTreeSet<String>) {
        let reference = schema["$ref"].as_str();
        let schema = resolved(schema, root);
        // What has itself for a part says nothing about its texts.
        if reference.is_some_and(|reference| schema.to_string().contains(&format!("{reference:?}"))) {
            return;
        }
        let types = &schema["type"];
        let is_text = types == "string"
            || types
                .as_array()
                .is_some_and(|types| types.contains(&"string".into()))
            || !schema["enum"].is_null();
        if is_text {
            found.insert(rule.to_owned());
        }
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            walk(inner, root, &format!("{rule}/{key}"), found);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], root, &format!("{rule}/*"), found);
        }
        if schema["additionalProperties"].is_object() {
            found.insert(format!("{rule}/* (name)"));
            walk(&schema["additionalProperties"], root, &format!("{rule}/*"), found);
        }
    }
    let mut found = BTreeSet::new();
    walk(schema, schema, "", &mut found);
    found
}

impl Place {
    /// Puts a text here. A name takes the place of the one that was put there before; the first is added, with the value that its
    /// neighbour has.
    pub(super) fn put(&self, text: &str, before: Option<&str>, values: &mut Value) {
        if !self.is_name {
            *values.pointer_mut(&self.pointer).unwrap() = text.into();
            return;
        }
        let neighbour = values.pointer(&self.pointer).unwrap().clone();
        let table = values.pointer_mut(self.table()).unwrap().as_object_mut().unwrap();
        let value = before
            .and_then(|before| table.remove(before))
            .unwrap_or(neighbour);
        table.insert(text.to_owned(), value);
    }

    fn table(&self) -> &str {
        self.pointer.rsplit_once('/').unwrap().0
    }

    /// Whether one of these pointers, at which a schema found something wrong, is this place's. What is wrong with a name is told
    /// of its table.
    pub(super) fn is_among(&self, pointers: &BTreeSet<String>, text: &str) -> bool {
        if self.is_name {
            let table = self.table();
            pointers.contains(table) || pointers.contains(&format!("{table}/{}", escaped(text)))
        } else {
            pointers.contains(&self.pointer)
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The places at which schemas found something wrong, out of the error's text. `name` is the chart's; what its dependencies say is
/// about their part of the values.
pub(super) fn refused(reason: &str, name: &str) -> BTreeSet<String> {
    let mut above = String::new();
    let mut found = BTreeSet::new();
    for line in reason.lines() {
        let pointer = line
            .strip_prefix("- at '")
            .and_then(|rest| rest.split_once("': "));
        match (pointer, line.strip_suffix(':')) {
            (Some((pointer, _)), _) => {
                found.insert(format!("{above}{pointer}"));
            }
            (None, Some(chart)) if chart == name => above.clear(),
            (None, Some(chart)) => above = format!("/{chart}"),
            (None, None) => {}
        }
    }
    found
}

/// Harmless texts, at least one of which fits each place that takes more than a few words; `number` makes them unlike all others.
pub(super) fn markers(number: usize) -> Vec<String> {
    let name = format!("zq{number:03}x");
    let letter = |value: usize| char::from(b'A' + u8::try_from(value % 26).unwrap());
    vec![
        name.clone(),
        format!("PARTNER_{}", name.to_uppercase()),
        format!("http://{name}"),
        format!("/{name}"),
        format!("{}k", 731_000 + number),
        format!("{}s", 731_000 + number),
        format!("{0}-{0}", 41_000 + number),
        format!("10.{}.{}.0/24", 100 + number / 256, number % 256),
        format!("sha256:{:064x}", 0x0731_0000_0000_usize + number),
        format!("Q{}{}", letter(number / 26), letter(number)),
    ]
}
