//! `cargo xtask mutants`: changes the code that plans, names and removes in small ways, one at a time, and counts how many of these mutants
//! the tests catch. `cargo-mutants` makes them; which ones is drawn by a seed, over all three parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use openg2p_lab::Store;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::printer::Printer;
use crate::product::{self, cargo};
use crate::runner::Runner;

const VERSION: &str = "27.1.0";
/// Longest time for the tests of one mutant, in seconds: one that never ends is caught by that.
const LIMIT: u32 = 240;
/// How many of a hundred must be caught.
const WANTED: usize = 90;

/// Code with the tests that are to catch its mutants.
struct Part {
    name: &'static str,
    files: &'static [&'static str],
    /// The package whose tests are run.
    tests: &'static str,
    /// Words of the tests' names; all of them where there is none.
    named: &'static [&'static str],
}

const PARTS: [Part; 3] = [
    Part {
        name: "naming",
        files: &["crates/names/src/**/*.rs"],
        tests: "openg2p-names",
        named: &[],
    },
    Part {
        name: "planning",
        files: &["crates/plan/src/**/*.rs"],
        tests: "openg2p-plan",
        named: &[],
    },
    Part {
        name: "teardown",
        files: &["crates/run/src/removal.rs", "crates/run/src/teardown/**/*.rs"],
        tests: "openg2p-sim",
        named: &["teardown", "removals"],
    },
];

/// `cargo xtask mutants`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many mutants are drawn
    #[arg(long, default_value_t = 100)]
    sample: usize,
    /// Draws others
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One part alone: naming, planning, teardown
    #[arg(long)]
    only: Option<String>,
}

/// How the mutants of a part ended.
#[derive(Default)]
struct Count {
    caught: usize,
    missed: Vec<String>,
    /// Those that do not compile are none.
    unviable: usize,
}

/// Draws, runs, and prints a table. Fails when fewer than 90 of 100 were caught.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let logs = store.cache().join("logs").join("mutants");
    let runner = Runner::new(printer, store.cache(), logs.clone())?;
    let program = install(&runner, &checkout, store.cache())?;
    let parts: Vec<&Part> = PARTS
        .iter()
        .filter(|part| arguments.only.as_deref().is_none_or(|only| only == part.name))
        .collect();
    ensure!(!parts.is_empty(), "the parts are naming, planning and teardown");
    let mut all = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let names = list(&runner, &checkout, &program, part)?;
        all.extend(names.into_iter().map(|name| (place, name)));
    }
    let there = all.len();
    let drawn = draw(all, arguments.seed, arguments.sample);
    printer.say(&format!(
        "    {} of {there} mutants, drawn with seed {}",
        drawn.len(),
        arguments.seed
    ));
    let mut lines = Vec::new();
    let (mut caught, mut viable) = (0, 0);
    for (place, part) in parts.iter().enumerate() {
        let names: Vec<&str> = drawn
            .iter()
            .filter(|(of, _)| *of == place)
            .map(|(_, name)| name.as_str())
            .collect();
        if names.is_empty() {
            continue;
        }
        let count = try_all(&runner, &checkout, &program, part, &names, &logs)?;
        let of = count.caught + count.missed.len();
        lines.push(format!(
            "{:<9} {:>3} of {of:>3} caught, {} do not compile",
            part.name, count.caught, count.unviable
        ));
        lines.extend(count.missed.iter().map(|name| format!("  missed  {name}")));
        caught += count.caught;
        viable += of;
    }
    lines.push(format!("in all    {caught:>3} of {viable:>3} caught"));
    printer.data(&(lines.join("\n") + "\n"));
    Ok(if caught * 100 >= viable * WANTED {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The program, built once per machine from its crate.
fn install(runner: &Runner<'_>, checkout: &Path, cache: &Path) -> anyhow::Result<PathBuf> {
    let root = cache.join("test-tools").join(format!("cargo-mutants-{VERSION}"));
    let program = root.join("bin/cargo-mutants");
    if !program.exists() {
        let mut command = cargo(
            checkout,
            &["install", "--locked", "cargo-mutants", "--version", VERSION],
        );
        command.arg("--root").arg(&root);
        runner.step("build cargo-mutants", Duration::from_mins(4), || {
            runner.run("build-mutants", command)?.expect(0)?;
            Ok(())
        })?;
    }
    Ok(program)
}

fn mutants(checkout: &Path, program: &Path, part: &Part) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.arg("mutants").current_dir(checkout);
    for file in part.files {
        command.args(["--file", file]);
    }
    command
}

/// The names of all mutants of a part.
fn list(runner: &Runner<'_>, checkout: &Path, program: &Path, part: &Part) -> anyhow::Result<Vec<String>> {
    let mut command = mutants(checkout, program, part);
    command.args(["--list", "--colors=never"]);
    let ran = runner.run(&format!("list-{}", part.name), command)?;
    ran.expect(0)?;
    let names: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
    ensure!(!names.is_empty(), "there is no mutant of {}", part.name);
    Ok(names)
}

/// `sample` of them, the same ones for the same seed wherever they stand.
fn draw(all: Vec<(usize, String)>, seed: u64, sample: usize) -> Vec<(usize, String)> {
    let mut keyed: Vec<(Vec<u8>, (usize, String))> = all
        .into_iter()
        .map(|(place, name)| (Sha256::digest(format!("{seed} {name}")).to_vec(), (place, name)))
        .collect();
    keyed.sort();
    keyed.into_iter().take(sample).map(|(_, mutant)| mutant).collect()
}

/// A pattern that matches this text alone.
fn exactly(text: &str) -> String {
    let quoted: String = text
        .chars()
        .map(|letter| {
            // no others: `\<` means something else
            let special = r"\.+*?()|[]{}^$".contains(letter);
            format!("{}{letter}", if special { "\\" } else { "" })
        })
        .collect();
    format!("^{quoted}$")
}

fn try_all(
    runner: &Runner<'_>,
    checkout: &Path,
    program: &Path,
    part: &Part,
    names: &[&str],
    logs: &Path,
) -> anyhow::Result<Count> {
    let output = logs.join(part.name);
    // what an earlier turn left would be moved aside and stay
    match fs::remove_dir_all(&output) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&output)?,
    }
    let mut command = mutants(checkout, program, part);
    for name in names {
        command.args(["--re", &exactly(name)]);
    }
    command
        .args(["--colors=never", "--no-times", "--timeout", &LIMIT.to_string()])
        .args(["--test-package", part.tests, "--output"])
        .arg(&output);
    if !part.named.is_empty() {
        command.args(["--", "--test", "it", "--"]).args(part.named);
    }
    let guess = Duration::from_secs(60 + 25 * names.len() as u64);
    let ran = runner.step(
        &format!("{} mutants of {}", names.len(), part.name),
        guess,
        || runner.run(&format!("mutants-{}", part.name), command),
    )?;
    // 2: some were missed; 3: some took too long
    ensure!(
        matches!(ran.code, Some(0 | 2 | 3)),
        "cargo-mutants could not try them:\n{}",
        ran.tail()
    );
    let path = output.join("mutants.out/outcomes.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    count(&text)
}

fn count(text: &str) -> anyhow::Result<Count> {
    let outcomes: Value = serde_json::from_str(text)?;
    let mut count = Count::default();
    for outcome in outcomes["outcomes"].as_array().into_iter().flatten() {
        let Some(mutant) = outcome["scenario"].get("Mutant") else {
            continue;
        };
        match outcome["summary"].as_str() {
            Some("CaughtMutant" | "Timeout") => count.caught += 1,
            Some("Unviable") => count.unviable += 1,
            _ => count.missed.push(
                mutant["name"]
                    .as_str()
                    .unwrap_or("a mutant without a name")
                    .to_owned(),
            ),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_mutants_in_whatever_order_they_come() {
        let all: Vec<(usize, String)> = (0..500)
            .map(|number| (number % 3, format!("m{number}")))
            .collect();
        let mut other = all.clone();
        other.reverse();
        let drawn = draw(all.clone(), 1, 100);
        assert_eq!(drawn, draw(other, 1, 100));
        assert_ne!(drawn, draw(all, 2, 100));
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn mutants_that_do_not_compile_do_not_count() {
        let of = |summary: &str| serde_json::json!({"scenario": {"Mutant": {"name": summary}}, "summary": summary});
        let text = serde_json::json!({"outcomes": [
            {"scenario": "Baseline", "summary": "Success"},
            of("CaughtMutant"), of("MissedMutant"), of("Timeout"), of("Unviable"),
        ]});
        let count = count(&text.to_string()).unwrap();
        assert_eq!((count.caught, count.unviable), (2, 1));
        assert_eq!(count.missed, ["MissedMutant"]);
    }

    #[test]
    fn a_name_is_matched_as_it_is() {
        assert_eq!(
            exactly("a.rs:1: replace x -> (y)"),
            "^a\\.rs:1: replace x -> \\(y\\)$"
        );
    }
}
