//! What tests need of this machine, provided before they run: a test that is skipped for want of something proves nothing.
//! What Debian has was installed by [`crate::machine`].

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::tally::Tally;
use crate::runner::Runner;

/// What is there after [`provide`], or the tests that want it fail. Tests name these words to `openg2p_test_needs`.
const REQUIRED: [&str; 4] = ["nginx", "python", "registry", "skopeo"];

/// The packages that the published Python services run with, by hash; what asks partner-keys in its tests is among them.
const REQUIREMENTS: &str = "images/openg2p-python/requirements.txt";

/// What `cargo test` is given.
pub(crate) struct Provided {
    variables: Vec<(&'static str, OsString)>,
    skips: PathBuf,
}

/// Provides everything. What cannot be provided is a failed check, and so are the tests that want it.
pub(crate) fn provide(runner: &Runner<'_>, tally: &Tally<'_>, checkout: &Path, cache: &Path) -> Provided {
    let tools = cache.join("test-tools");
    let skips = runner.logs().join("skips");
    let mut variables = vec![
        ("OPENG2P_TEST_REQUIRED", REQUIRED.join(",").into()),
        ("OPENG2P_TEST_SKIPS", skips.clone().into()),
    ];
    let provided = [
        (
            "OPENG2P_TEST_REGISTRY",
            "a registry for tests",
            registry(runner, checkout, &tools),
        ),
        (
            "OPENG2P_TEST_PYTHON",
            "published Python packages for tests",
            python(runner, checkout, &tools),
        ),
    ];
    for (variable, what, path) in provided {
        // Whoever names one wants that one.
        if let Some(own) = env::var_os(variable).filter(|own| !own.is_empty()) {
            variables.push((variable, own));
        } else if let Some(path) = tally.needed(what, path) {
            variables.push((variable, path.into()));
        }
    }
    Provided { variables, skips }
}

impl Provided {
    /// Hands everything to a command.
    pub(crate) fn to(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Counts the tests that were skipped all the same, by what they wanted.
    pub(crate) fn tell(&self, tally: &Tally<'_>) {
        let text = fs::read_to_string(&self.skips).unwrap_or_default();
        for (need, (count, reason)) in by_need(&text) {
            tally.skip(need, count, reason);
        }
    }
}

/// Lines of `need<TAB>reason`, counted, each need with its last reason.
fn by_need(text: &str) -> BTreeMap<&str, (usize, &str)> {
    let mut needs = BTreeMap::new();
    for (need, reason) in text.lines().filter_map(|line| line.split_once('\t')) {
        let entry = needs.entry(need).or_insert((0, reason));
        *entry = (entry.0 + 1, reason);
    }
    needs
}

/// The distribution registry, built from the module that the checkout pins. Go's cache makes the second time short.
fn registry(runner: &Runner<'_>, checkout: &Path, tools: &Path) -> anyhow::Result<PathBuf> {
    let program = tools.join("registry");
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&program)
        .arg("github.com/distribution/distribution/v3/cmd/registry")
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .current_dir(checkout.join("lab/go/registry"));
    runner.step("a registry for tests", Duration::from_mins(2), || {
        runner.run("registry", go)?.expect(0)?;
        Ok(())
    })?;
    Ok(program)
}

/// A Python with exactly the packages of the images, by their hashes.
fn python(runner: &Runner<'_>, checkout: &Path, tools: &Path) -> anyhow::Result<PathBuf> {
    let requirements = checkout.join(REQUIREMENTS);
    let text = fs::read(&requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let folder = tools.join("python");
    let program = folder.join("bin/python3");
    let installed = folder.join("requirements.txt");
    // The requirements are put there last: with them the folder is whole. A Python that went away with an upgrade leaves a dead link.
    if program.exists() && fs::read(&installed).is_ok_and(|found| found == text) {
        return Ok(program);
    }
    runner.step(
        "published Python packages for tests",
        Duration::from_mins(1),
        || {
            // A virtual environment knows its own path, so it cannot be made beside its place.
            let folder = fresh_folder(tools, "python")?;
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(&folder);
            runner.run("python-venv", venv)?.expect(0)?;
            let mut pip = Command::new(&program);
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
            .arg(&requirements);
            runner.run("python-packages", pip)?.expect(0)?;
            fs::write(&installed, &text).with_context(|| format!("writing {}", installed.display()))
        },
    )?;
    Ok(program)
}

/// An empty folder below `tools`.
fn fresh_folder(tools: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = tools.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_counted_by_what_was_wanted() {
        let counted = by_need("helm\tnot here\nnginx\tnone\nhelm\tnor here\nrubbish\n");
        assert_eq!(
            counted.into_iter().collect::<Vec<_>>(),
            [("helm", (2, "nor here")), ("nginx", (1, "none"))]
        );
    }
}
