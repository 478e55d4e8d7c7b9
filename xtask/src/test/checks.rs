//! The checks that need no host: formatting, clippy, tests, documentation, charts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openg2p_lab::{ApiServerPrograms, ControllerManager, built_program};

use super::needs::{self, Provided};
use super::tally::Tally;
use crate::helm::{self, Helm};
use crate::product::cargo;
use crate::runner::{Ran, Runner};

/// What stands before the counts of a test binary.
const RESULT: &str = "test result: ";
/// What stands before a line in which a test says how much it compared.
const COUNTED: &str = "counted: ";

/// Formatting and clippy.
pub(crate) fn lint(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path) {
    format(runner, tally, checkout);
    clippy(runner, tally, checkout);
}

/// All Rust is formatted.
pub(crate) fn format(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path) {
    // Names of files only: the difference is a matter of `make fmt`.
    let command = cargo(checkout, &["fmt", "--all", "--check", "--", "-l"]);
    let ran = runner.run("format", command);
    tally.check(
        "formatting (`make fmt` does it)",
        ran.and_then(|ran| ran.expect(0).map(drop)),
    );
}

/// Clippy has nothing to say.
pub(crate) fn clippy(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path) {
    let command = cargo(
        checkout,
        &[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--keep-going",
            "--",
            "-D",
            "warnings",
        ],
    );
    let ran = runner.step("clippy", Duration::from_mins(6), || {
        let ran = runner.run("clippy", command)?;
        ran.expect(0)?;
        Ok(())
    });
    tally.check("clippy, warnings denied", ran);
}

/// Tests, documentation, charts. Many tests wait, for servers, for disks, for a second to pass: documentation and charts fit in between, and
/// so does the build of Helm, for Go waits for the network and its linker.
pub(crate) fn unit(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, cache: &Path) {
    let provided = needs::provide(runner, tally, checkout, cache);
    thread::scope(|scope| {
        scope.spawn(|| {
            charts(runner, tally, checkout, cache);
            documentation(runner, tally, checkout);
        });
        tests(runner, tally, checkout, &provided);
    });
}

/// Charts beside Helm, which is built for it.
pub(crate) fn charts(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, cache: &Path) {
    if let Some(helm) = tally.needed("Helm builds", helm::build(runner, checkout, cache)) {
        against_helm(runner, tally, checkout, &helm);
        installable(runner, tally, checkout, &helm);
    }
}

fn documentation(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path) {
    let mut command = cargo(
        checkout,
        &["doc", "--quiet", "--workspace", "--no-deps", "--keep-going"],
    );
    command.env("RUSTDOCFLAGS", "-D warnings");
    let ran = runner.step("documentation", Duration::from_mins(1), || {
        let ran = runner.run("doc", command)?;
        ran.expect(0)?;
        Ok(())
    });
    tally.check("documentation, warnings denied", ran);
}

/// The tests that ask Helm itself: ignored where nobody names one, run here.
fn against_helm(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, helm: &Helm) {
    if runner.interrupt.wished() {
        return;
    }
    // The whole workspace, as before: other features of its dependencies would build them all once more.
    let mut command = cargo(
        checkout,
        &[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--test",
            "it",
            "--",
            "--ignored",
            "--show-output",
            "helm",
        ],
    );
    helm.name(&mut command);
    let ran = runner.step("charts beside Helm", Duration::from_mins(4), || {
        runner.run("charts-beside-helm", command)
    });
    let Some(ran) = tally.needed("charts beside Helm ran", ran) else {
        return;
    };
    for line in ran.stdout.lines().filter_map(|line| line.strip_prefix(COUNTED)) {
        runner.printer.say(&format!("         {line}"));
    }
    let (passed, failed) = count(&ran.stdout);
    tally.add("charts beside Helm", passed, failed);
    if failed > 0 {
        runner.printer.say(&failures(&ran.stdout));
    } else if passed == 0 || ran.code != Some(0) {
        tally.fail(
            "the tests that ask Helm ran",
            &anyhow::anyhow!("none was found:\n{}", ran.tail()),
        );
    }
}

fn tests(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, provided: &Provided) {
    if runner.interrupt.wished() {
        return;
    }
    let mut command = cargo(checkout, &["test", "--workspace", "--no-fail-fast"]);
    provided.to(&mut command);
    let ran = runner.step("tests of the workspace", Duration::from_mins(10), || {
        runner.run("tests", command)
    });
    let Some(ran) = tally.needed("tests of the workspace ran", ran) else {
        return;
    };
    let (passed, failed) = count(&ran.stdout);
    tally.add("tests of the workspace", passed, failed);
    provided.tell(tally);
    if failed > 0 {
        runner.printer.say(&failures(&ran.stdout));
    } else if ran.code != Some(0) {
        // A crate that does not compile has no results.
        tally.check("tests of the workspace compile", ran.expect(0).map(drop));
    }
}

/// The port of the Kubernetes API and the engine against a real API server, made of programs that the bundle was filled with, and Helm
/// beside it. The engine is killed there for about two minutes.
pub(crate) fn api_server(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, cache: &Path, work: &Path) {
    let Some(programs) = tally.needed(
        "etcd, kube-apiserver and kube-controller-manager were built",
        api_server_programs(cache, &work.join("programs")),
    ) else {
        return;
    };
    let Some(helm) = tally.needed("Helm builds", helm::build(runner, checkout, cache)) else {
        return;
    };
    let mut command = cargo(
        checkout,
        &[
            "test",
            "--workspace",
            "--test",
            "it",
            "--",
            "--ignored",
            "api_server",
        ],
    );
    helm.name(&mut command);
    command.envs(programs);
    let ran = runner.step("tests with a real API server", Duration::from_mins(3), || {
        runner.run("api-server", command)
    });
    let Some(ran) = tally.needed("tests with a real API server ran", ran) else {
        return;
    };
    let (passed, failed) = count(&ran.stdout);
    tally.add("tests with a real API server", passed, failed);
    if failed > 0 {
        runner.printer.say(&failures(&ran.stdout));
    } else {
        let ran_at_all = ran.expect(0).and_then(|_| {
            ensure!(passed > 0, "no test ran");
            Ok(())
        });
        tally.check("a real API server was asked", ran_at_all);
    }
}

/// What tests with a real API server are given: programs that a bundle was filled with on this machine, copied into `folder`.
pub(crate) fn api_server_programs(
    cache: &Path,
    folder: &Path,
) -> anyhow::Result<[(&'static str, PathBuf); 3]> {
    let missing = |name: &str| format!("the cache has no {name}; what fills a bundle builds it");
    let programs = ApiServerPrograms::from_cache(cache, folder)?;
    let programs = programs.with_context(|| missing("etcd and kube-apiserver"))?;
    let controllers = built_program(cache, folder, ControllerManager::PROGRAM)?;
    let controllers = controllers.with_context(|| missing(ControllerManager::PROGRAM))?;
    let [etcd, kube_apiserver] = ApiServerPrograms::VARIABLES;
    Ok([
        (etcd, programs.etcd),
        (kube_apiserver, programs.kube_apiserver),
        (ControllerManager::VARIABLE, controllers),
    ])
}

/// Passed and failed, over all test binaries.
fn count(output: &str) -> (usize, usize) {
    let results = output.lines().filter_map(|line| line.trim().strip_prefix(RESULT));
    results.fold((0, 0), |(passed, failed), line| {
        let number = |word: &str| {
            let part = line.split(['.', ';']).find(|part| part.trim().ends_with(word));
            part.and_then(|part| part.split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        (passed + number("passed"), failed + number("failed"))
    })
}

/// What the failing tests wrote.
fn failures(output: &str) -> String {
    let mut shown = String::new();
    let mut inside = false;
    for line in output.lines() {
        if line == "failures:" {
            inside = true;
        } else if line.starts_with(RESULT) {
            inside = false;
        }
        if inside {
            shown.push_str("      | ");
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown
}

/// Each chart of this repository installs with plain Helm too.
fn installable(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, helm: &Helm) {
    let folder = checkout.join("charts");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| folder.join(name).join("Chart.yaml").exists())
        .collect();
    names.sort();
    for name in names {
        tally.check(
            &format!("chart {name} with Helm"),
            chart(runner, helm, &folder, &name),
        );
    }
}

fn chart(runner: &Runner<'_>, helm: &Helm, folder: &Path, name: &str) -> anyhow::Result<()> {
    let helm = |arguments: &[&str]| -> anyhow::Result<Ran> {
        let mut command = Command::new(&helm.program);
        command.args(arguments).current_dir(folder);
        runner.run(&format!("helm-{}-{name}", arguments[0]), command)
    };
    helm(&["lint", "--quiet", name])?.expect(0)?;
    let metadata = fs::read_to_string(folder.join(name).join("Chart.yaml"))?;
    if metadata.lines().any(|line| line.trim() == "type: library") {
        return Ok(());
    }
    // by itself a chart that others depend on may have nothing to make; under one of its own value sets it has
    let mut values: Vec<_> = fs::read_dir(folder.join(name).join("ci"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| format!("{name}/ci/{}", entry.file_name().to_string_lossy()))
        .collect();
    values.sort();
    let mut objects = false;
    for file in &values {
        let ran = helm(&[
            "template",
            "release",
            name,
            "--namespace",
            "dev",
            "--values",
            file,
        ])?;
        ran.expect(0)?;
        objects |= ran.stdout.contains("apiVersion:");
    }
    ensure!(
        objects,
        "`helm template` of {name} gives no object under any of its {} value sets",
        values.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 2 tests\n\
        test a ... ok\n\
        test b ... FAILED\n\
        \n\
        failures:\n\
        \n\
        ---- b stdout ----\n\
        it broke\n\
        \n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
        running 3 tests\n\
        test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn results_are_added_up() {
        assert_eq!(count(OUTPUT), (4, 1));
        assert_eq!(count(""), (0, 0));
    }

    #[test]
    fn only_failures_are_shown() {
        let shown = failures(OUTPUT);
        assert!(shown.contains("it broke"));
        assert!(!shown.contains("test a"));
        assert!(!shown.contains("running 3"));
    }
}
