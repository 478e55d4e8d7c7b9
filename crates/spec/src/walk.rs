//! Checks a tree against the declaration. It goes on after every fault, so that all come together.

use crate::declaration::{Category, Key, Presence, Reserved, Shape, places_of};
use crate::diagnostic::{Diagnostic, Span};
use crate::known::KnownComponents;
use crate::node::{Content, Entry, Node};
use crate::quote::quote;
use crate::secret::looks_secret;
use crate::suggest::closest;

/// All faults of `node`. Without a catalogue any name of a component is taken.
pub(crate) fn walk(node: &Node, shape: &'static Shape, known: Option<&KnownComponents>) -> Vec<Diagnostic> {
    let mut walker = Walker {
        known,
        problems: Vec::new(),
    };
    walker.value(node, shape, &node.span, "");
    walker.problems
}

struct Walker<'a> {
    known: Option<&'a KnownComponents>,
    problems: Vec<Diagnostic>,
}

impl Walker<'_> {
    /// `owner` is where a missing key is shown: the key or dash that the mapping belongs to.
    fn value(&mut self, node: &Node, shape: &'static Shape, owner: &Span, path: &str) {
        match shape {
            Shape::Mapping(keys) => self.mapping(node, keys, owner, path),
            Shape::Named { rule, value, .. } => {
                if !self.is_mapping(node, path) {
                    return;
                }
                for entry in node.entries() {
                    if let Err(fault) = rule.check(&entry.key) {
                        self.report(fault.code, fault.message, &entry.key_span, fault.help);
                    }
                    let below = dotted(path, &entry.key);
                    self.value(&entry.value, value, &entry.key_span, &below);
                }
            }
            Shape::Components(category) => self.components(node, *category, path),
            Shape::List { item, unique, least } => {
                self.list(node, item, *unique, path);
                if node.items().len() < *least && matches!(node.content, Content::List(_)) {
                    let message = format!("{} is empty", quote(path));
                    self.report(
                        "site::empty-list",
                        message,
                        owner,
                        Some("at least one is needed".into()),
                    );
                }
            }
            Shape::Text(rule) => {
                if let Some(text) = node.text() {
                    if let Err(fault) = rule.check(text) {
                        self.report(fault.code, fault.message, &node.span, fault.help);
                    }
                } else {
                    self.wrong_type(node, path, "text");
                }
            }
            Shape::Port => match (&node.content, node.integer()) {
                (Content::Number(_), Some(1..=65535)) => {}
                (Content::Number(number), _) => {
                    let message = format!("`{number}` is no port");
                    self.report(
                        "site::invalid-port",
                        message,
                        &node.span,
                        Some("ports go from 1 to 65535".into()),
                    );
                }
                _ => self.wrong_type(node, path, "a port number"),
            },
            Shape::Boolean => {
                if node.boolean().is_none() {
                    self.wrong_type(node, path, "`true` or `false`");
                }
            }
            Shape::Word { words, later } => self.word(node, words, later, path),
            Shape::Free { reserved } => {
                if self.is_mapping(node, path) {
                    self.free(node, reserved, path);
                }
            }
        }
    }

    fn mapping(&mut self, node: &Node, keys: &'static [Key], owner: &Span, path: &str) {
        if !self.is_mapping(node, path) {
            return;
        }
        // A key that is only misspelt is not reported as missing too.
        let mut meant = Vec::new();
        for entry in node.entries() {
            match keys.iter().find(|key| key.name == entry.key) {
                Some(key) if key.presence == Presence::Later => {
                    let message = format!("{} is not in this version", quote(&dotted(path, key.name)));
                    self.report(
                        "site::not-in-this-version",
                        message,
                        &entry.key_span,
                        Some(remove_help(key.about)),
                    );
                }
                Some(key) => self.value(&entry.value, &key.shape, &entry.key_span, &dotted(path, key.name)),
                None => meant.extend(self.unknown_key(&entry.key, &entry.key_span, keys, path)),
            }
        }
        for key in keys.iter().filter(|key| key.presence == Presence::Required) {
            if node.entry(key.name).is_none() && !meant.contains(&key.name) {
                let message = format!("{} is missing", quote(&dotted(path, key.name)));
                self.report("site::missing-key", message, owner, Some(key.about.to_owned()));
            }
        }
    }

    /// Reports the key and returns the one that was probably meant.
    fn unknown_key(
        &mut self,
        name: &str,
        span: &Span,
        keys: &'static [Key],
        path: &str,
    ) -> Option<&'static str> {
        let now = keys.iter().filter(|key| key.presence != Presence::Later);
        let allowed = now.map(|key| quote(key.name)).collect::<Vec<_>>().join(", ");
        let allowed = if allowed.is_empty() {
            "no key stands here".into()
        } else {
            format!("possible here: {allowed}")
        };
        let meant = closest(name, keys.iter().map(|key| key.name));
        let help = if let Some(meant) = meant {
            format!("did you mean {}? {allowed}", quote(meant))
        } else {
            let places = places_of(name)
                .iter()
                .map(|place| quote(place))
                .collect::<Vec<_>>()
                .join(" or ");
            if places.is_empty() {
                allowed
            } else {
                format!("it is {places}; {allowed}")
            }
        };
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" in {}", quote(path))
        };
        let message = format!("there is no key {}{place}", quote(name));
        self.report("site::unknown-key", message, span, Some(help));
        meant
    }

    fn components(&mut self, node: &Node, category: Category, path: &str) {
        if !self.is_mapping(node, path) {
            return;
        }
        if let Some(known) = self.known {
            node.entries()
                .iter()
                .for_each(|entry| self.component_name(entry, category, known));
        }
        for entry in node.entries() {
            let below = dotted(path, &entry.key);
            self.value(
                &entry.value,
                &crate::declaration::COMPONENT_VALUES,
                &entry.key_span,
                &below,
            );
        }
    }

    fn component_name(&mut self, entry: &Entry, category: Category, known: &KnownComponents) {
        let (here, there, word, other) = match category {
            Category::Commons => (&known.commons, &known.modules, "commons service", "modules"),
            Category::Modules => (&known.modules, &known.commons, "module", "commons"),
        };
        if here.contains_key(&entry.key) {
            return;
        }
        let all = here.keys().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        let help = if there.contains_key(&entry.key) {
            format!("it belongs under `{other}`")
        } else {
            match closest(&entry.key, here.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean {}? the catalogue has {all}", quote(meant)),
                None => format!("the catalogue has {all}"),
            }
        };
        let message = format!("there is no {word} {}", quote(&entry.key));
        self.report("site::unknown-component", message, &entry.key_span, Some(help));
    }

    fn list(&mut self, node: &Node, item: &'static Shape, unique: bool, path: &str) {
        let Content::List(items) = &node.content else {
            return self.wrong_type(node, path, "a list");
        };
        let mut seen: Vec<(&str, &Span)> = Vec::new();
        for (index, value) in items.iter().enumerate() {
            self.value(value, item, &value.span, &format!("{path}[{index}]"));
            let Some(text) = value.text().filter(|_| unique) else {
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == text) {
                let message = format!("{} stands here twice", quote(text));
                let problem = Diagnostic::error("site::duplicate-item", message, value.span.clone());
                self.problems
                    .push(problem.related((*first).clone(), "first here").help("remove one"));
            }
            seen.push((text, &value.span));
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], later: &[&str], path: &str) {
        let Some(text) = node.text() else {
            let expected = format!(
                "one of {}",
                words.iter().copied().map(quote).collect::<Vec<_>>().join(", ")
            );
            return self.wrong_type(node, path, &expected);
        };
        if words.contains(&text) {
            return;
        }
        let possible = words.iter().copied().map(quote).collect::<Vec<_>>().join(", ");
        if later.contains(&text) {
            let message = format!("{} for {} is not in this version", quote(text), quote(path));
            return self.report(
                "site::not-in-this-version",
                message,
                &node.span,
                Some(format!("possible here: {possible}")),
            );
        }
        let message = format!("{} is no value of {}", quote(text), quote(path));
        let help = match closest(text, words.iter().copied()) {
            Some(meant) => format!("did you mean {}? possible here: {possible}", quote(meant)),
            None => format!("possible here: {possible}"),
        };
        self.report("site::unknown-word", message, &node.span, Some(help));
    }

    /// What others read is carried through, but only if all who read it read the same.
    fn free(&mut self, node: &Node, reserved: &[(&str, Reserved)], path: &str) {
        for entry in node.entries() {
            let below = dotted(path, &entry.key);
            match reserved.iter().find(|(name, _)| *name == entry.key) {
                Some((_, Reserved::Later)) => {
                    let message = format!("{} is not in this version", quote(&below));
                    self.report(
                        "site::not-in-this-version",
                        message,
                        &entry.key_span,
                        Some("remove it for now".into()),
                    );
                }
                Some((_, Reserved::Ours)) => {
                    let message = format!("{} is not yours to set", quote(&below));
                    self.report(
                        "site::reserved-key",
                        message,
                        &entry.key_span,
                        Some("remove it".into()),
                    );
                }
                None if entry.key == "<<" => {
                    let help = "write the keys out, so that each place says what holds there";
                    let message = "merge keys (`<<`) are not read in this file";
                    self.report(
                        "yaml::merge-key",
                        message.into(),
                        &entry.key_span,
                        Some(help.into()),
                    );
                }
                None => self.free_value(&entry.value, &below, &entry.key),
            }
        }
    }

    fn free_value(&mut self, node: &Node, path: &str, key: &str) {
        match &node.content {
            Content::Mapping(_) => self.free(node, &[], path),
            Content::List(items) => items.iter().for_each(|item| self.free_value(item, path, key)),
            Content::Ambiguous(..) => self.wrong_type(node, path, "a value that all programs read alike"),
            Content::Text(_) | Content::Number(_)
                if node.content != Content::Text(String::new()) && looks_secret(key) =>
            {
                let message = format!(
                    "{} looks like a secret, and this file is no place for one",
                    quote(path)
                );
                let help = "remove it: secrets are made on the box, once, and never stand in files. If it was a real one, it has \
                            been seen: change it where it is used";
                self.report("site::secret-in-file", message, &node.span, Some(help.into()));
            }
            _ => {}
        }
    }

    /// `key:` with nothing behind it counts as an empty mapping.
    fn is_mapping(&mut self, node: &Node, path: &str) -> bool {
        match &node.content {
            Content::Mapping(_) | Content::Null => true,
            _ => {
                self.wrong_type(node, path, "a mapping (`key: value`)");
                false
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, path: &str, expected: &str) {
        let place = if path.is_empty() {
            "the file".to_owned()
        } else {
            quote(path)
        };
        let help = match &node.content {
            Content::Broken => return,
            Content::Ambiguous(text, why) => {
                let message = format!("{} for {place}: {why}", quote(text));
                let truth = match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" => "`true`, or ",
                    "no" | "off" => "`false`, or ",
                    _ => "",
                };
                let help = format!("write {truth}`\"{text}\"` for the text");
                return self.report("yaml::ambiguous-value", message, &node.span, Some(help));
            }
            Content::Null => Some("write a value behind the `:`, or remove the key".to_owned()),
            Content::Number(_) | Content::Boolean(_) if expected == "text" => {
                Some("put it in quotes".to_owned())
            }
            Content::Text(_) if expected != "text" && !expected.starts_with('a') => {
                Some("write it without quotes".to_owned())
            }
            Content::Text(_) if expected == "a list" => {
                Some("write `[...]` around it, or `- ` before each".to_owned())
            }
            _ => None,
        };
        let message = format!("{place} must be {expected}, but it is {}", node.kind());
        self.report("site::wrong-type", message, &node.span, help);
    }

    fn report(&mut self, code: &str, message: String, span: &Span, help: Option<String>) {
        let mut problem = Diagnostic::error(code, message, span.clone());
        problem.help = help;
        self.problems.push(problem);
    }
}

fn remove_help(about: &str) -> String {
    format!("remove it for now ({})", about.trim_end_matches('.'))
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
