//! Helm itself, built from its Go module: the program, and the oracle that the tests of the chart crate ask.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use crate::runner::Runner;

/// The name of the step whose duration is remembered.
const STEP: &str = "build Helm";
/// A guess for a machine that never did it, with two cores.
const GUESS: Duration = Duration::from_mins(4);
/// Where go.mod, go.sum and the oracle's source are.
const FOLDER: &str = "crates/chart/oracle";
/// The program, as a package of Helm's module.
const PROGRAM: &str = "helm.sh/helm/v3/cmd/helm";

static BUILDING: Mutex<()> = Mutex::new(());

/// What was built.
#[derive(Clone, Debug)]
pub(crate) struct Helm {
    /// `helm`.
    pub(crate) program: PathBuf,
    /// Answers the tests of the chart crate.
    pub(crate) oracle: PathBuf,
}

impl Helm {
    /// Tells the tests where both are.
    pub(crate) fn name(&self, command: &mut Command) {
        command
            .env("CHART_HELM", &self.program)
            .env("CHART_ORACLE", &self.oracle);
    }
}

/// Builds both, unless they were built from the same sources before. They lie in the cache, outside of any checkout, under a
/// name that is made from all that decides them.
pub(crate) fn build(runner: &Runner<'_>, checkout: &Path, cache: &Path) -> anyhow::Result<Helm> {
    let source = checkout.join(FOLDER);
    let flags = linker_flags(&fs::read_to_string(source.join("go.mod"))?)?;
    let built = cache.join("helm").join(key(&source, &flags)?);
    let helm = Helm {
        program: built.join("helm"),
        oracle: built.join("oracle"),
    };
    // checks that run side by side both want it: the second one finds what the first one made
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if helm.program.exists() && helm.oracle.exists() {
        return Ok(helm);
    }
    let fresh = cache.join("helm").join(format!(".new-{}", std::process::id()));
    fs::create_dir_all(&fresh).with_context(|| format!("making {}", fresh.display()))?;
    let mut command = Command::new("go");
    command
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(fresh.join("."))
        .args([".", PROGRAM])
        .current_dir(&source)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-buildvcs=false");
    let ran = runner.step(STEP, GUESS, || {
        let ran = runner.run("build-helm", command)?;
        ran.expect(0)?;
        Ok(())
    });
    if ran.is_ok() && !built.exists() {
        // Whole or not at all; another checkout may have been faster.
        let _ = fs::rename(&fresh, &built);
    }
    let _ = fs::remove_dir_all(&fresh);
    ran?;
    ensure!(
        helm.program.exists() && helm.oracle.exists(),
        "Go built no {} and no {}",
        helm.program.display(),
        helm.oracle.display()
    );
    Ok(helm)
}

/// What Helm's own release builds stamp into it: its version, and that of the Kubernetes that it assumes.
fn linker_flags(go_mod: &str) -> anyhow::Result<String> {
    let version = |module: &str| {
        go_mod.lines().find_map(|line| {
            let mut words = line.trim().trim_start_matches("require ").split_whitespace();
            (words.next() == Some(module)).then(|| words.next()).flatten()
        })
    };
    let helm = version("helm.sh/helm/v3").context("go.mod requires no Helm")?;
    let minor = version("k8s.io/client-go")
        .and_then(|version| version.strip_prefix("v0.")?.split('.').next())
        .context("go.mod requires no k8s.io/client-go of the form v0.N")?;
    let mut flags = format!("-s -w -X helm.sh/helm/v3/internal/version.version={helm}");
    for package in ["chartutil", "lint/rules"] {
        for (variable, value) in [("k8sVersionMajor", "1"), ("k8sVersionMinor", minor)] {
            flags.push_str(&format!(" -X helm.sh/helm/v3/pkg/{package}.{variable}={value}"));
        }
    }
    Ok(flags)
}

fn key(source: &Path, flags: &str) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    for name in ["go.mod", "go.sum", "main.go"] {
        let path = source.join(name);
        digest.update(fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        digest.update([0]);
    }
    digest.update(flags);
    let go = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(source)
        .output()
        .context("go could not be started")?;
    digest.update(go.stdout);
    Ok(digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_come_from_go_mod() {
        let text =
            "require helm.sh/helm/v3 v3.22.0\n\nrequire (\n\tk8s.io/client-go v0.37.1 // indirect\n)\n";
        let flags = linker_flags(text).unwrap();
        assert!(flags.contains("version.version=v3.22.0 "), "{flags}");
        assert!(flags.contains("pkg/chartutil.k8sVersionMinor=37 "), "{flags}");
        assert!(flags.ends_with("pkg/lint/rules.k8sVersionMinor=37"), "{flags}");
        assert!(linker_flags("module x\n").is_err());
    }
}
