//! The same by Helm: what our schemas refuse it refuses, at the same places, and it renders the rest to the same bytes.

use std::fmt::Write as _;

use openg2p_test_needs::hostile;
use serde_json::Value;

use super::places::refused;
use super::scene::Marked;
use super::{is_soak, shipped, telling};
use crate::case::Case;
use crate::oracle::Oracle;
use crate::shipped::without_drawn_secrets;

/// Every how manyeth word is tried at each chart; all in a soak (`OPENG2P_SOAK=1`).
const STEP: usize = 9;

/// JSON that is YAML too, also where YAML would not take a letter as it is.
fn yaml(values: &Value) -> String {
    let mut text = String::new();
    for letter in values.to_string().chars() {
        match u32::from(letter) {
            0x20..0x7f => text.push(letter),
            code @ 0..=0xffff => write!(text, "\\u{code:04x}").unwrap(),
            code => write!(text, "\\U{code:08x}").unwrap(),
        }
    }
    text
}

/// A violation by Helm's validator stands below those that it makes of the tables around it.
fn flat(error: &str) -> String {
    let lines = error.lines().map(str::trim_start).filter(|line| {
        !line.ends_with("': validation failed")
            && !line.contains("': invalid propertyName ")
            && !line.starts_with("- at '': ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn hostile_values_fare_as_they_do_with_helm() {
    let mut oracle = Oracle::start();
    // YAML ends a name behind 1,024 letters, so that a file of values could not hold the longest.
    let words: Vec<String> = hostile().into_iter().filter(|word| word.len() < 1_000).collect();
    let step = if is_soak() { 1 } else { STEP };
    let mut failures = Vec::new();
    let (mut refusals, mut renderings) = (0, 0);
    for (turn, chart) in shipped().into_iter().enumerate() {
        let scenes = telling(chart.scenes());
        for (number, word) in words.iter().enumerate().skip(turn % step).step_by(step) {
            let scene = &scenes[number / step % scenes.len()];
            let case = |values: &Value| Case {
                files: chart.files.clone(),
                values: yaml(values),
                name: scene.release.name.clone(),
                namespace: scene.release.namespace.clone(),
                ..Case::default()
            };
            let everywhere: Vec<&Marked> = scene.marked.iter().collect();
            let mut all = scene.values.clone();
            for one in &everywhere {
                one.place.put(word, one.marker.as_deref(), &mut all);
            }
            let case_of_all = case(&all);
            let (theirs, ours) = (oracle.ask(&case_of_all).error, case_of_all.ours_seeded().error);
            // Helm's validator writes one violation over another's path where names are wrong.
            let names: Vec<&&Marked> = everywhere.iter().filter(|one| one.place.is_name).collect();
            let at = |error: &str| -> Vec<&str> {
                let pointers = refused(&flat(error), &chart.name);
                let places = everywhere
                    .iter()
                    .filter(|one| !one.place.is_name && one.place.is_among(&pointers, word));
                places.map(|one| one.place.pointer.as_str()).collect()
            };
            let ours_of_names = refused(&ours, &chart.name);
            let names_differ = names.iter().any(|one| one.place.is_among(&ours_of_names, word))
                != theirs.contains("invalid propertyName");
            if at(&theirs) != at(&ours) || theirs.is_empty() != ours.is_empty() || names_differ {
                failures.push(format!("{}: {word:?}:\nHelm {theirs}\nours {ours}", scene.label));
            }
            refusals += 1;
            let mut taken = everywhere.clone();
            let accepted = |values: &Value| chart.effective(values).map(|_| values.clone());
            match chart.settled(scene, &mut taken, word, accepted) {
                Ok(Some(values)) => {
                    let case = case(&values);
                    let (theirs, ours) = (oracle.ask(&case), case.ours_seeded());
                    let same = without_drawn_secrets(&theirs.manifest)
                        == without_drawn_secrets(&ours.manifest)
                        && theirs.error == ours.error;
                    if !same {
                        failures.push(format!(
                            "{}: {word:?}:\nHelm {theirs:?}\nours {ours:?}",
                            scene.label
                        ));
                    }
                    renderings += 1;
                }
                Ok(None) => {}
                Err(error) => failures.push(format!("{}: {word:?}: {error}", scene.label)),
            }
        }
    }
    println!("counted: {refusals} refusals and {renderings} renderings of hostile values against Helm");
    let shown: Vec<String> = failures
        .iter()
        .take(10)
        .map(|text| text.chars().take(3_000).collect())
        .collect();
    assert!(
        shown.is_empty(),
        "{} differ\n{}",
        failures.len(),
        shown.join("\n")
    );
}
