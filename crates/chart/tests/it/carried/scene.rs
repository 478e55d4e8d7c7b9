//! Values with a marker at each place, and what is rendered from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openg2p_chart::{Chart, Release, RenderOptions, Rendered, Seeded, Values, render};
use serde_json::Value;

use super::places::Place;
use super::reading::{Node, difference, handed_over, read};

/// A place with what is put there.
pub(super) struct Marked {
    pub(super) place: Place,
    /// None where only some words are taken.
    pub(super) marker: Option<String>,
    /// Whether nothing there means that nothing is given.
    pub(super) optional: bool,
}

/// One set of values with a marker at each place.
pub(super) struct Scene {
    pub(super) label: String,
    pub(super) release: Release,
    pub(super) values: Value,
    pub(super) marked: Vec<Marked>,
    /// What comes of it.
    objects: Vec<Node>,
    /// For each text in the objects in which markers stand, which.
    pub(super) holes: BTreeMap<String, Vec<usize>>,
    /// Where each marker stands: the place's rule, then the kind and the path in it.
    pub(super) seen: BTreeSet<(String, String)>,
}

pub(super) fn options(release: &Release, values: &Value) -> RenderOptions {
    RenderOptions::new(release.clone())
        .with_values(Values::try_from(values.clone()).unwrap())
        .with_random(Arc::new(Seeded::new(b"test", 1_700_000_000)))
}

pub(super) fn objects(chart: &Chart, release: &Release, values: &Value) -> Result<Vec<Node>, String> {
    let rendered = render(chart, &options(release, values)).map_err(|error| error.to_string())?;
    readings(&rendered)
}

/// The objects in an order of their own: Helm's goes by names, which are among what is changed.
pub(super) fn readings(rendered: &Rendered) -> Result<Vec<Node>, String> {
    let mut objects: Vec<Node> = rendered
        .objects
        .iter()
        .map(|object| read(object.value()))
        .collect::<Result<_, _>>()?;
    objects.sort();
    Ok(objects)
}

pub(super) fn compare(expected: &[Node], found: &[Node]) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("{} objects became {}", expected.len(), found.len()));
    }
    // Those that both have are out of the way first: a changed text may change the order.
    let left: Vec<&Node> = expected
        .iter()
        .filter(|node| found.binary_search(node).is_err())
        .collect();
    let right: Vec<&Node> = found
        .iter()
        .filter(|node| expected.binary_search(node).is_err())
        .collect();
    if left.is_empty() && right.is_empty() {
        return (expected != found).then(|| "an object stands there twice".to_owned());
    }
    match (left.first(), right.first()) {
        (Some(left), Some(right)) => difference(left, right),
        _ => Some(format!("there are no more {left:?}, and new {right:?}")),
    }
}

impl Scene {
    pub(super) fn new(
        label: String,
        release: Release,
        chart: &Chart,
        values: Value,
        marked: Vec<Marked>,
    ) -> Self {
        let objects = objects(chart, &release, &values).unwrap_or_else(|error| panic!("{label}: {error}"));
        let mut scene = Self {
            label,
            release,
            values,
            marked,
            objects: Vec::new(),
            holes: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        for object in &objects {
            let kind = match object {
                Node::Table(entries) => format!("{:?}", entries.get("kind")),
                other => format!("{other:?}"),
            };
            scene.find(object, &kind);
        }
        scene.objects = objects;
        scene
    }

    fn find(&mut self, node: &Node, path: &str) {
        match node {
            Node::Text(text) => self.find_in(text, path),
            Node::Plain(_) => {}
            Node::List(items) => items
                .iter()
                .for_each(|item| self.find(item, &format!("{path}/*"))),
            Node::Table(entries) => {
                for (key, value) in entries {
                    self.find_in(key, path);
                    self.find(value, &format!("{path}/{key}"));
                }
            }
        }
    }

    fn find_in(&mut self, text: &str, path: &str) {
        let markers = self.marked.iter().enumerate();
        let here: Vec<usize> = markers
            .filter(|(_, one)| one.marker.as_ref().is_some_and(|marker| text.contains(marker)))
            .map(|(number, _)| number)
            .collect();
        for number in &here {
            let rule = self.marked[*number].place.rule.clone();
            self.seen.insert((rule, path.to_owned()));
        }
        if !here.is_empty() {
            self.holes.insert(text.to_owned(), here);
        }
    }

    /// The objects with a word in the place of the markers of these places.
    pub(super) fn with(&self, under: &[&Marked], word: &str) -> Vec<Node> {
        let texts: Vec<Option<String>> = self
            .marked
            .iter()
            .map(|one| {
                let is_under = under.iter().any(|other| std::ptr::eq(*other, one));
                // Whoever writes raw arguments may mean the kubelet.
                let raw = one.place.rule.ends_with("/extraArgs/*");
                let text = || {
                    if raw {
                        handed_over(word)
                    } else {
                        Ok(word.to_owned())
                    }
                };
                is_under.then(|| text().unwrap_or_default())
            })
            .collect();
        let mut objects: Vec<Node> = self
            .objects
            .iter()
            .map(|node| self.filled(node, &texts))
            .collect();
        objects.sort();
        objects
    }

    fn filled(&self, node: &Node, texts: &[Option<String>]) -> Node {
        match node {
            Node::Text(text) => Node::Text(self.filled_text(text, texts)),
            Node::Plain(text) => Node::Plain(text.clone()),
            Node::List(items) => Node::List(items.iter().map(|item| self.filled(item, texts)).collect()),
            Node::Table(entries) => Node::Table(
                entries
                    .iter()
                    .map(|(key, value)| (self.filled_text(key, texts), self.filled(value, texts)))
                    .collect(),
            ),
        }
    }

    fn filled_text(&self, text: &str, texts: &[Option<String>]) -> String {
        let mut filled = text.to_owned();
        for number in self.holes.get(text).into_iter().flatten() {
            if let (Some(marker), Some(word)) = (&self.marked[*number].marker, &texts[*number]) {
                filled = filled.replace(marker, word);
            }
        }
        filled
    }
}
