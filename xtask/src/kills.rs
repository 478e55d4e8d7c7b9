//! `cargo xtask kills`: the engine killed on a real host with systemd, apt and Nginx. The test is one of `crates/world`; this brings its
//! program and the bundle's Debian packages onto a throw-away host and runs it there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use openg2p_lab::{LabError, LabState, Store};
use serde_json::Value;

use crate::machine::{self, Purpose};
use crate::printer::Printer;
use crate::product;
use crate::runner::Runner;

const LAB: &str = "kills";
/// The tests, as their program knows them.
const TESTS: &str = "systemd_kills::";
/// Where everything of the test is on the host.
const FOLDER: &str = "root/kills";
/// How long it takes where it was never done.
const GUESS: Duration = Duration::from_mins(4);

/// `cargo xtask kills`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How often the engine is killed; a hundred times if absent
    #[arg(long)]
    kills: Option<usize>,
    /// Which kills: the same number, the same kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Kills the engine on a host that is made for it and removed behind it.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let logs = store.cache().join("logs").join(LAB);
    let runner = Runner::new(printer, store.cache(), logs.clone())?;
    machine::look(&runner, store.cache(), Purpose::Box)?;
    machine::install(&runner, Purpose::Box)?;
    down(store, printer)?;
    let binary = product::build(&runner, &checkout, &logs.join("work"))?;
    let bundle = product::bundle_directory(store.cache(), LAB);
    product::fill_bundle(&runner, &checkout, &binary, &bundle, false)?;
    let lab = product::lab_up(&runner, store, LAB)?;
    let told = on_host(&runner, &checkout, &lab, &bundle, arguments);
    down(store, printer)?;
    printer.data(&format!("{}\n", told?));
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// As many as there is time for behind an installation.
    pub(crate) fn of_the_slice() -> Self {
        Self {
            kills: Some(20),
            seed: 1,
        }
    }
}

fn down(store: &Store, printer: &Printer) -> anyhow::Result<()> {
    match openg2p_lab::down(store, LAB, printer) {
        Ok(()) | Err(LabError::Unknown { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Kills the engine on the host of a lab, which is bare before and behind it. Gives what the test says it did.
pub(crate) fn on_host(
    runner: &Runner<'_>,
    checkout: &Path,
    lab: &LabState,
    bundle: &Path,
    arguments: &Arguments,
) -> anyhow::Result<String> {
    let program = program(runner, checkout)?;
    let host = lab.host(None)?;
    let folder = host.root.join(FOLDER);
    let ran = runner.step("kills on a real systemd", GUESS, || {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        packages(bundle, &folder.join("bundle"))?;
        let own = folder.join("it");
        fs::copy(&program, &own).with_context(|| format!("copying {}", program.display()))?;
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755))?;
        let mut command = lab.ssh_command(host);
        let kills = arguments
            .kills
            .map_or_else(String::new, |kills| format!("OPENG2P_KILLS={kills} "));
        command.arg(format!(
            "cd /{FOLDER} && OPENG2P_KILLS_FOLDER=/{FOLDER} {kills}OPENG2P_SEED={} ./it --ignored --nocapture --test-threads=1 {TESTS}",
            arguments.seed
        ));
        runner.run("kills-systemd", command)
    })?;
    // what failed is looked at on the host that is left as it is
    ran.expect(0)?;
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    let told = ran.stderr.lines().find(|line| line.contains(": killed "));
    let told = told.context("the test did not say what it did")?;
    ensure!(
        ran.stdout.contains("2 passed"),
        "the tests did not run:\n{}",
        ran.tail()
    );
    Ok(told.trim().to_owned())
}

/// The program with the tests of `crates/world`.
fn program(runner: &Runner<'_>, checkout: &Path) -> anyhow::Result<PathBuf> {
    let arguments = [
        "test",
        "--no-run",
        "--workspace",
        "--test",
        "it",
        "--message-format",
        "json-render-diagnostics",
    ];
    let ran = runner.step("build the tests of openg2p-world", Duration::from_mins(1), || {
        let ran = runner.run("build-kills", product::cargo(checkout, &arguments))?;
        ran.expect(0)?;
        Ok(ran)
    })?;
    product::executable(&ran.stdout, &checkout.join("crates/world"), "it")
        .context("cargo did not say where it put the tests")
}

/// Copies what a host needs to install the bundle's Debian packages: the index, and their bytes.
fn packages(bundle: &Path, to: &Path) -> anyhow::Result<()> {
    let index = bundle.join("bundle.json");
    let text = fs::read(&index).with_context(|| format!("reading {}", index.display()))?;
    let blobs = to.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
    for sha256 in debian(&serde_json::from_slice(&text)?) {
        let blob = bundle.join("blobs/sha256").join(&sha256);
        fs::copy(&blob, blobs.join(&sha256)).with_context(|| format!("copying {}", blob.display()))?;
    }
    fs::write(to.join("bundle.json"), text)?;
    Ok(())
}

/// Digests of the Debian packages of an index.
fn debian(index: &Value) -> Vec<String> {
    let members = index["members"].as_array().into_iter().flatten();
    let packages = members.filter(|member| member["kind"] == "debian-package");
    packages
        .filter_map(|member| member["sha256"].as_str().map(ToOwned::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_debian_packages_and_nothing_else() {
        let index = serde_json::json!({"members": [
            {"kind": "debian-package", "name": "nginx", "sha256": "aa"},
            {"kind": "image", "name": "spar", "sha256": "bb"},
        ]});
        assert_eq!(debian(&index), ["aa"]);
    }
}
