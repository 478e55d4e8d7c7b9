//! Hostile words in every place of the shipped charts' values that takes text: refused, or carried unchanged to where a harmless
//! word would stand.
//!
//! A rendering with a marker at each place shows where its text goes. With a hostile word instead, the chart's schema names the
//! place, or the rendered objects are the same but for that word, read through the quoting of whatever it stands in.

mod beside_helm;
mod lawful;
mod places;
mod reading;
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openg2p_chart::{Chart, ChartError, Release, Values, effective_values, render};
use openg2p_test_needs::hostile;
use serde_json::{Value, json};

use crate::shipped::collect;
use places::{Place, Schemas, declared, markers, places_of, refused};
use scene::{Marked, Scene, compare, objects, options, readings};

/// A chart of this repository.
struct Shipped {
    name: String,
    files: BTreeMap<String, Vec<u8>>,
    chart: Chart,
    schemas: Schemas,
    /// Its values when the user gives none.
    defaults: Value,
}

/// What became of a word.
#[derive(Default)]
struct Count {
    refused: usize,
    carried: usize,
    faults: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.refused += other.refused;
        self.carried += other.carried;
        self.faults.extend(other.faults);
    }
}

impl Shipped {
    fn new(name: &str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let chart = Chart::load(files.clone()).unwrap();
        let schema = |path: &str| {
            let text = files.get(path)?;
            Some(serde_json::from_slice::<Value>(text).unwrap())
        };
        let dependencies = files.keys().filter_map(|file| {
            let name = file
                .strip_prefix("charts/")?
                .strip_suffix("/values.schema.json")?;
            Some((name.to_owned(), schema(file)?))
        });
        let schemas = Schemas {
            own: schema("values.schema.json").unwrap_or(json!({})),
            dependencies: dependencies.collect(),
        };
        let defaults = effective_values(&chart, &options(&Release::new(name, "zone"), &json!({}))).unwrap();
        Self {
            name: name.to_owned(),
            files,
            chart,
            schemas,
            defaults,
        }
    }

    fn effective(&self, values: &Value) -> Result<Value, ChartError> {
        effective_values(&self.chart, &options(&Release::new(&self.name, "zone"), values))
    }

    /// The chart under its own values and under those of `ci/`; each as they stand, and again with all that may be left out
    /// given.
    fn scenes(&self) -> Vec<Scene> {
        let mut given = vec![("no values".to_owned(), json!({}))];
        for (file, text) in &self.files {
            if file.starts_with("ci/") {
                given.push((file.clone(), Values::read(text).unwrap().to_json()));
            }
        }
        let mut scenes = Vec::new();
        for (label, values) in &given {
            let values = self.effective(values).unwrap();
            for filled in [false, true] {
                let label = format!(
                    "{} with {label}{}",
                    self.name,
                    if filled { ", filled" } else { "" }
                );
                scenes.push(self.scene(label, &values, filled));
            }
        }
        scenes
    }

    fn scene(&self, label: String, base: &Value, filled: bool) -> Scene {
        let mut marked: Vec<Marked> = places_of(base, &self.schemas)
            .into_iter()
            .filter(|place| filled || place.is_name || base.pointer(&place.pointer) != Some(&"".into()))
            .map(|place| Marked {
                optional: !place.is_name && self.defaults.pointer(&place.pointer) == Some(&"".into()),
                place,
                marker: None,
            })
            .collect();
        // Each place gets the first of its markers that the schema takes.
        for kind in 0..markers(0).len() {
            let tried = |number: usize, one: &Marked| {
                let known = one.marker.clone();
                known.unwrap_or_else(|| markers(number)[kind].clone())
            };
            let mut values = base.clone();
            for (number, one) in marked.iter().enumerate() {
                one.place.put(&tried(number, one), None, &mut values);
            }
            let wrong = match self.effective(&values) {
                Ok(_) => BTreeSet::new(),
                Err(ChartError::Schema { reason }) => refused(&reason, &self.name),
                Err(error) => panic!("{label}: {error}"),
            };
            for (number, one) in marked.iter_mut().enumerate() {
                let text = tried(number, one);
                if !one.place.is_among(&wrong, &text) {
                    one.marker = Some(text);
                }
            }
        }
        let mut values = base.clone();
        for one in &marked {
            if let Some(marker) = &one.marker {
                one.place.put(marker, None, &mut values);
            }
        }
        Scene::new(
            label,
            Release::new(&self.name, "zone"),
            &self.chart,
            values,
            marked,
        )
    }

    /// Puts a word at all places of a scene at once, and at each alone if something is wrong then.
    fn put(&self, scene: &Scene, word: &str) -> Count {
        let under: Vec<&Marked> = scene
            .marked
            .iter()
            .filter(|one| !(one.optional && word.is_empty()))
            .collect();
        let together = self.put_at(scene, under.clone(), word);
        if together.faults.is_empty() || under.len() == 1 {
            return together;
        }
        let mut apart = Count::default();
        for one in under {
            apart.add(self.put_at(scene, vec![one], word));
        }
        if apart.faults.is_empty() {
            apart.add(together);
        }
        apart
    }

    /// What is done with the values that have a word at these places of a scene, without those at which a schema refuses it; those
    /// are taken out. Nothing if none is left.
    ///
    /// # Errors
    /// What is refused and names none of the places.
    fn settled<T>(
        &self,
        scene: &Scene,
        under: &mut Vec<&Marked>,
        word: &str,
        attempt: impl Fn(&Value) -> Result<T, ChartError>,
    ) -> Result<Option<T>, String> {
        while !under.is_empty() {
            let mut values = scene.values.clone();
            for one in under.iter() {
                one.place.put(word, one.marker.as_deref(), &mut values);
            }
            let reason = match attempt(&values) {
                Ok(done) => return Ok(Some(done)),
                Err(ChartError::Schema { reason }) => reason,
                Err(error) => return Err(error.to_string()),
            };
            let before = under.len();
            let wrong = refused(&reason, &self.name);
            under.retain(|one| !one.place.is_among(&wrong, word));
            if before == under.len() {
                return Err(reason);
            }
        }
        Ok(None)
    }

    fn put_at(&self, scene: &Scene, mut under: Vec<&Marked>, word: &str) -> Count {
        let tried = under.len();
        let rendered = self.settled(scene, &mut under, word, |values| {
            render(&self.chart, &options(&scene.release, values))
        });
        let mut count = Count {
            refused: tried - under.len(),
            ..Count::default()
        };
        let what = rendered.and_then(|rendered| {
            let Some(rendered) = rendered else { return Ok(()) };
            if under.iter().any(|one| one.marker.is_none()) {
                return Err("it is taken, and no marker is".to_owned());
            }
            compare(&scene.with(&under, word), &readings(&rendered)?).map_or(Ok(()), Err)
        });
        match what {
            Ok(()) => count.carried = under.len(),
            Err(what) => {
                let places: Vec<&str> = under.iter().map(|one| one.place.pointer.as_str()).collect();
                let [short, what]: [String; 2] =
                    [(word, 40), (&what, 1_000)].map(|(text, length)| text.chars().take(length).collect());
                count.faults.push(format!(
                    "{}: {short:?} at {}: {what}",
                    scene.label,
                    places.join(" ")
                ));
            }
        }
        count
    }
}

fn shipped() -> Vec<Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts");
    let mut charts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::read_to_string(path.join("Chart.yaml")).unwrap_or_default();
        if metadata.is_empty() || metadata.contains("type: library") {
            continue;
        }
        let mut files = BTreeMap::new();
        collect(&path, &path, &mut files);
        charts.push(Shipped::new(&path.file_name().unwrap().to_string_lossy(), files));
    }
    charts.sort_by(|left, right| left.name.cmp(&right.name));
    charts
}

/// Whether the long form is asked for.
fn is_soak() -> bool {
    std::env::var_os("OPENG2P_SOAK").is_some()
}

/// All scenes in a soak; otherwise a few in which together each text stands wherever it does in any, the most telling first.
fn telling(mut scenes: Vec<Scene>) -> Vec<Scene> {
    if is_soak() {
        return scenes;
    }
    let mut told = Vec::new();
    let mut known = BTreeSet::new();
    loop {
        let news = |scene: &Scene| scene.seen.difference(&known).count();
        let Some((at, most)) = scenes
            .iter()
            .map(news)
            .enumerate()
            .max_by_key(|(_, count)| *count)
        else {
            return told;
        };
        if most == 0 {
            return told;
        }
        let scene = scenes.swap_remove(at);
        known.extend(scene.seen.iter().cloned());
        told.push(scene);
    }
}

/// Hands out the work to all processors.
fn in_parallel<T: Sync>(work: &[T], each: impl Fn(&T) -> Count + Sync) -> Count {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Count::default();
    std::thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    let mut count = Count::default();
                    for one in work.iter().skip(first).step_by(threads) {
                        count.add(each(one));
                    }
                    count
                })
            })
            .collect();
        for thread in running {
            all.add(thread.join().unwrap());
        }
    });
    all
}

#[test]
fn every_place_that_takes_text_is_among_those_that_are_tried() {
    for chart in shipped() {
        let scenes = chart.scenes();
        let tried: BTreeSet<&String> = scenes
            .iter()
            .flat_map(|scene| scene.marked.iter().map(|one| &one.place.rule))
            .collect();
        let declared = declared(&chart.schemas.own);
        let missing: Vec<&String> = declared.iter().filter(|rule| !tried.contains(rule)).collect();
        assert!(
            missing.is_empty(),
            "{}: give a value in ci/ to {missing:?}",
            chart.name
        );
        let seen: BTreeSet<&String> = scenes
            .iter()
            .flat_map(|scene| scene.seen.iter().map(|(rule, _)| rule))
            .collect();
        let marked = scenes.iter().flat_map(|scene| &scene.marked);
        let unseen: BTreeSet<&String> = marked
            .filter(|one| one.marker.is_some() && !seen.contains(&one.place.rule))
            .map(|one| &one.place.rule)
            .collect();
        assert!(unseen.is_empty(), "{}: nothing shows {unseen:?}", chart.name);
    }
}

/// A chart's most telling scene is shown every word; the others, which have a few texts elsewhere, every so manyeth, and all of them in a
/// soak (`OPENG2P_SOAK=1`).
const OTHERS: usize = 3;

#[test]
fn hostile_values_are_refused_or_carried_unchanged() {
    let charts = shipped();
    let scenes: Vec<(&Shipped, usize, Scene)> = charts
        .iter()
        .flat_map(|chart| {
            let scenes = telling(chart.scenes()).into_iter().enumerate();
            scenes.map(move |(turn, scene)| (chart, turn, scene))
        })
        .collect();
    let words = hostile();
    let soak = is_soak();
    let mut work: Vec<(&Shipped, &Scene, &String)> = Vec::new();
    for (chart, turn, scene) in &scenes {
        for (number, word) in words.iter().enumerate() {
            if soak || *turn == 0 || number % OTHERS == turn % OTHERS {
                work.push((chart, scene, word));
            }
        }
    }
    let count = in_parallel(&work, |(chart, scene, word)| chart.put(scene, word));
    println!(
        "{} words in {} scenes: {} times refused, {} times carried",
        words.len(),
        scenes.len(),
        count.refused,
        count.carried
    );
    let shown = count.faults.iter().take(40).cloned().collect::<Vec<_>>();
    assert!(
        shown.is_empty(),
        "{} faults\n{}",
        count.faults.len(),
        shown.join("\n")
    );
    // A schema that refuses all, or tells no place, would pass otherwise.
    assert!(
        count.refused > 80_000 && count.carried > 15_000,
        "{} refused, {} carried",
        count.refused,
        count.carried
    );
}

/// Kubernetes takes `true`, `null`, `1e3` and the like as names of namespaces, and Helm as names of releases.
#[test]
fn names_of_releases_and_namespaces_are_carried_unchanged() {
    let mut words: Vec<String> = hostile()
        .into_iter()
        .filter(|word| {
            let inner = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
            word.len() <= 53
                && word.chars().all(inner)
                && Release::new(word.as_str(), "zone").check_name().is_ok()
        })
        .collect();
    words.extend(["y", "on", "12", "017", "1-1", "2001-01-01"].map(str::to_owned));
    assert!(words.len() > 12, "{words:?}");
    let mut faults = Vec::new();
    for chart in shipped() {
        let marked = ["zqrelx", "zqspacex"].map(|marker| Marked {
            place: Place {
                pointer: marker.to_owned(),
                rule: marker.to_owned(),
                is_name: false,
            },
            marker: Some(marker.to_owned()),
            optional: false,
        });
        let given = Values::read(&chart.files["ci/default-values.yaml"]).unwrap();
        let values = chart.effective(&given.to_json()).unwrap();
        let release = Release::new("zqrelx", "zqspacex");
        let scene = Scene::new(chart.name.clone(), release, &chart.chart, values, marked.into());
        assert!(!scene.holes.is_empty(), "{}", chart.name);
        let both: Vec<&Marked> = scene.marked.iter().collect();
        for word in &words {
            let release = Release::new(word.as_str(), word.as_str());
            let what = match objects(&chart.chart, &release, &scene.values) {
                Ok(found) => compare(&scene.with(&both, word), &found),
                Err(error) => Some(error),
            };
            faults.extend(what.map(|what| format!("{}: {word:?}: {what}", chart.name)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_template_that_does_not_quote_is_found() {
    let chart = |value: &str| {
        let template =
            format!("kind: Pod\nmetadata: {{name: c}}\nspec:\n  containers:\n  - args:\n    - {value}\n");
        let files = [
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 0.1.0\n".to_owned(),
            ),
            ("values.yaml", "a: b\n".to_owned()),
            (
                "values.schema.json",
                r#"{"properties": {"a": {"type": "string"}}}"#.to_owned(),
            ),
            ("templates/x.yaml", template),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        Shipped::new("c", files.into())
    };
    let faults = |value: &str| -> BTreeSet<String> {
        let chart = chart(value);
        let scenes = chart.scenes();
        hostile()
            .into_iter()
            .filter(|word| !chart.put(&scenes[0], word).faults.is_empty())
            .collect()
    };
    let words =
        |words: &[&str]| -> BTreeSet<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let plain = faults("{{ .Values.a }}");
    let some = words(&[
        "&a",
        "0x10",
        "[a]",
        "a: b",
        "\n---\ndev",
        "dev\t",
        "null",
        "$$dev",
        "\0",
    ]);
    assert!(plain.is_superset(&some), "{:?}", some.difference(&plain));
    // In quotes it is YAML's text, which the kubelet reads once more.
    let quoted = faults("{{ .Values.a | quote }}");
    assert!(
        quoted.is_superset(&words(&["$(id)", "$$dev", "\0dev"])),
        "{quoted:?}"
    );
    assert!(
        !quoted.contains("[a]") && !quoted.contains("${x}dev"),
        "{quoted:?}"
    );
    let literal = faults("{{ .Values.a | replace \"$\" \"$$\" | quote }}");
    assert_eq!(literal, words(&["\0", "\0dev", "de\0v", "dev\0"]));
}
