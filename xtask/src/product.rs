//! The product as people have it: its binary, a bundle and a site file, called from outside.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openg2p_lab::{CgroupLayout, Facts, HostState, LabSpec, LabState, Release, Store};
use serde_json::json;

use crate::runner::{Ran, Runner};

/// Names of steps whose durations are remembered.
pub(crate) const BUNDLE_STEP: &str = "fill the bundle";
/// The step before it.
pub(crate) const BUILD_STEP: &str = "build openg2p";
/// The only host of the labs here.
pub(crate) const HOST: &str = "box1";
/// The domain of the sites here; `.test` is reserved and never resolved.
pub(crate) const DOMAIN: &str = "g2p.test";

/// Guesses for a machine that never did it, with two cores.
const BUILD_GUESS: Duration = Duration::from_mins(5);
const BUNDLE_GUESS: Duration = Duration::from_mins(25);

/// The checkout that this program belongs to.
pub(crate) fn checkout() -> anyhow::Result<PathBuf> {
    // Cargo tells where it runs us from; several checkouts share one target folder.
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own.parent().context("xtask has no parent folder")?;
    ensure!(
        root.join("Cargo.lock").exists(),
        "{} is no checkout any more; run this from one",
        root.display()
    );
    Ok(root.to_owned())
}

/// `cargo`, in the checkout. What Cargo told us of ourselves when it ran us is kept from it: the build script of `ring` says that it rests
/// on those variables, and with others than in a call by hand it is built anew each time, with all that uses it.
pub(crate) fn cargo(checkout: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(checkout);
    let own = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_the_caller));
    for (name, _) in own {
        command.env_remove(name);
    }
    command
}

/// Whether Cargo sets a variable for the program that it runs, to tell it of its package.
fn is_of_the_caller(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name,
            "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE"
        )
}

/// Makes `openg2p` and puts it into `directory`, where no later build changes it.
pub(crate) fn build(runner: &Runner<'_>, checkout: &Path, directory: &Path) -> anyhow::Result<PathBuf> {
    build_as(runner, checkout, directory, "dev", (BUILD_STEP, BUILD_GUESS))
}

/// The same as it is given to people: what is measured against another program is built like that one.
pub(crate) fn build_release(
    runner: &Runner<'_>,
    checkout: &Path,
    directory: &Path,
) -> anyhow::Result<PathBuf> {
    build_as(
        runner,
        checkout,
        directory,
        "release",
        ("build openg2p for release", Duration::from_mins(10)),
    )
}

fn build_as(
    runner: &Runner<'_>,
    checkout: &Path,
    directory: &Path,
    profile: &str,
    (step, guess): (&str, Duration),
) -> anyhow::Result<PathBuf> {
    let command = cargo(
        checkout,
        &[
            "build",
            // the whole workspace's features, as everywhere here: with others the dependencies are built once more
            "--workspace",
            "--bin",
            "openg2p",
            "--profile",
            profile,
            "--message-format",
            "json-render-diagnostics",
        ],
    );
    let ran = runner.step(step, guess, || {
        let ran = runner.run("build", command)?;
        ran.expect(0)?;
        Ok(ran)
    })?;
    let built =
        executable(&ran.stdout, checkout, "openg2p").context("cargo did not say where it put openg2p")?;
    fs::create_dir_all(directory)?;
    let own = directory.join("openg2p");
    let fresh = directory.join("openg2p.new");
    fs::copy(&built, &fresh).with_context(|| format!("copying {}", built.display()))?;
    fs::rename(&fresh, &own)?;
    Ok(own)
}

/// The program of a target among cargo's messages; `of` is a folder that the target's source is below.
pub(crate) fn executable(messages: &str, of: &Path, target: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == target)
        .filter(|message| {
            let source = message["target"]["src_path"].as_str();
            source.is_some_and(|source| Path::new(source).starts_with(of))
        })
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

/// Fills the bundle of this name, made from this checkout. What Debian serves moves with every security update, so a
/// fresh machine takes what is there today. Anything else that is not as `bundle.lock` says ends it.
pub(crate) fn fill_bundle(
    runner: &Runner<'_>,
    checkout: &Path,
    binary: &Path,
    bundle: &Path,
    shown: bool,
) -> anyhow::Result<Ran> {
    // Debian's moves go into a copy: a chore does not change the checkout.
    let lock = bundle.with_extension("lock");
    if let Some(folder) = lock.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::copy(checkout.join("bundle.lock"), &lock)
        .with_context(|| format!("copying bundle.lock to {}", lock.display()))?;
    let mut command = Command::new(binary);
    command
        .args(["bundle", "create", "--accept-moved=debian", "--lock"])
        .arg(&lock)
        .arg("--bundle")
        .arg(bundle)
        .current_dir(checkout);
    runner.step(BUNDLE_STEP, BUNDLE_GUESS, || {
        let ran = if shown {
            runner.show("bundle-create", command)?
        } else {
            runner.run("bundle-create", command)?
        };
        ran.expect(0)?;
        Ok(ran)
    })
}

/// Where the bundle for the labs of this name is.
pub(crate) fn bundle_directory(cache: &Path, lab: &str) -> PathBuf {
    cache.join("bundles").join(lab)
}

/// A lab with one bare host.
pub(crate) fn lab_up(runner: &Runner<'_>, store: &Store, name: &str) -> anyhow::Result<LabState> {
    let spec = LabSpec {
        name: name.into(),
        release: Release::default(),
        hosts: vec![HOST.into()],
    };
    let lab = openg2p_lab::up(store, &spec, runner.printer)?;
    let host = lab.host(None)?;
    runner.printer.say(&format!(
        "         {} is a bare Debian host at {}",
        host.name, host.address
    ));
    Ok(lab)
}

/// The site file for a lab on this machine.
pub(crate) fn site_file(lab: &LabState) -> anyhow::Result<String> {
    let facts = Facts::detect(CgroupLayout::detect()?.version);
    let mut overrides = openg2p_lab::host_overrides(facts);
    // A host sees the machine's disk as its own. The kubelet's thresholds are shares of it: on a large disk with tens of gigabytes
    // free it would refuse pods, and remove images that nothing can fetch again.
    if overrides["kubelet"].is_null() {
        overrides["kubelet"] = json!({});
    }
    overrides["kubelet"]["evictionHard"] =
        json!({"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"});
    overrides["kubelet"]["imageGCHighThresholdPercent"] = json!(100);
    Ok(openg2p_lab::site_file(lab, DOMAIN, &overrides))
}

/// One site and how it is reached.
pub(crate) struct Site {
    /// The program.
    pub(crate) binary: PathBuf,
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// Folder of the site file.
    pub(crate) directory: PathBuf,
    /// The lab below it.
    pub(crate) lab: LabState,
}

impl Site {
    /// `openg2p` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("OPENG2P_IDENTITY", &self.lab.ssh_key)
            .env("OPENG2P_BUNDLE", &self.bundle);
        command
    }

    /// The lead node.
    pub(crate) fn host(&self) -> anyhow::Result<&HostState> {
        Ok(self.lab.host(None)?)
    }

    /// Runs a shell script on the host and gives what it prints.
    pub(crate) fn on_host(&self, script: &str) -> anyhow::Result<String> {
        let output = self
            .lab
            .ssh_command(self.host()?)
            .arg(script)
            .stdin(Stdio::null())
            .output()
            .context("ssh could not be started")?;
        ensure!(
            output.status.success(),
            "on the host, `{script}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl` on the host.
    pub(crate) fn kubectl(&self, arguments: &str) -> anyhow::Result<String> {
        self.on_host(&format!(
            // its cache would otherwise stay in root's home, and look like something that the product left
            "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache {arguments}"
        ))
    }

    /// The pod of an environment's PostgreSQL, as `pod/NAME`.
    pub(crate) fn postgresql(&self, environment: &str) -> anyhow::Result<String> {
        let pod = self.kubectl(&format!(
            "get pod --namespace {environment} --selector app.kubernetes.io/component=postgresql -o name"
        ))?;
        Ok(pod.trim().to_owned())
    }

    /// The role with which a module reaches its database.
    pub(crate) fn database_role(&self, environment: &str, module: &str) -> anyhow::Result<String> {
        self.kubectl(&format!(
            "get secret --namespace {environment} {module}-database -o 'jsonpath={{.data.username}}' | base64 -d"
        ))
    }

    /// Host names that the edge serves.
    pub(crate) fn host_names(&self) -> anyhow::Result<Vec<String>> {
        let files = self.on_host("ls /etc/openg2p/nginx/sites")?;
        let names = files.lines().filter_map(|line| line.trim().strip_suffix(".conf"));
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// The ledger's generation and the number of entries per owner.
    pub(crate) fn ledger(&self) -> anyhow::Result<(u64, BTreeMap<String, usize>)> {
        // the newest whole ledger and the changes behind it
        let text = self.on_host(
            "cd /var/lib/openg2p/state/ledger && whole=$(ls | grep -v '[.]log$' | tail -n 1) && cat \"$whole\" && \
             if [ -e \"$whole.log\" ]; then cat \"$whole.log\"; fi",
        )?;
        replayed(&text)
    }
}

/// Generation and number of entries per owner of a whole ledger, which ends with its digest, and the changes behind it.
fn replayed(text: &str) -> anyhow::Result<(u64, BTreeMap<String, usize>)> {
    let (whole, rest) = text.split_once("\nsha256 ").context("the ledger has no seal")?;
    let whole: serde_json::Value = serde_json::from_str(whole)?;
    let mut generation = whole["generation"]
        .as_u64()
        .context("the ledger has no generation")?;
    let owner = |entry: &serde_json::Value| entry["owner"].to_string();
    let entries = whole["owned"].as_object().into_iter().flatten();
    let mut owners: BTreeMap<String, String> =
        entries.map(|(id, entry)| (id.clone(), owner(entry))).collect();
    for line in rest.lines().skip(1) {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let record = &line["record"];
        generation = record["generation"]
            .as_u64()
            .context("a change has no generation")?;
        let change = &record["change"];
        if let Some(id) = change["set"]["resource"].as_str() {
            owners.insert(id.to_owned(), owner(&change["set"]));
        } else if let Some(id) = change["remove"].as_str() {
            owners.remove(id);
        }
    }
    let mut counts = BTreeMap::new();
    for owner in owners.into_values() {
        *counts.entry(owner).or_default() += 1;
    }
    Ok((generation, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_its_whole_file_and_the_changes_behind_it() {
        let text = concat!(
            "{\n  \"site\": \"lab\",\n  \"generation\": 7,\n  \"owned\": {\"a/b\": {\"owner\": \"site\"}, \"c/d\": {\"owner\": {\"environment\": \"dev\"}}}\n}\n",
            "sha256 0123\n",
            r#"{"line":0,"record":{"change":{"remove":"c/d"},"generation":8},"chain":"x"}"#,
            "\n",
            r#"{"line":1,"record":{"change":{"set":{"resource":"e/f","owner":"site"}},"generation":9},"chain":"x"}"#,
            "\n",
        );
        let (generation, owners) = replayed(text).unwrap();
        assert_eq!(generation, 9);
        assert_eq!(owners, BTreeMap::from([("\"site\"".to_owned(), 2)]));
        assert!(replayed("{}").is_err());
    }

    #[test]
    fn cargo_is_not_told_who_calls_it() {
        for name in [
            "CARGO_PKG_NAME",
            "CARGO_PKG_VERSION_MAJOR",
            "CARGO_MANIFEST_DIR",
            "CARGO_MANIFEST_LINKS",
        ] {
            assert!(is_of_the_caller(name), "{name}");
        }
        assert!(!is_of_the_caller("CARGO_TARGET_DIR") && !is_of_the_caller("CARGO"));
        let command = cargo(Path::new("/"), &["build"]);
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        let here = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_the_caller));
        assert_eq!(removed.len(), here.count(), "{removed:?}");
    }

    #[test]
    fn the_program_is_found_among_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"it","src_path":"/c/crates/cli/tests/it/main.rs"},"executable":"/t/debug/it-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"it","src_path":"/c/crates/world/tests/it/main.rs"},"executable":"/t/debug/it-2"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"openg2p","src_path":"/c/crates/cli/src/lib.rs"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"openg2p","src_path":"/c/crates/cli/src/main.rs"},"executable":"/t/debug/openg2p"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = |of: &str, target: &str| executable(messages, Path::new(of), target);
        assert_eq!(found("/c", "openg2p"), Some("/t/debug/openg2p".into()));
        assert_eq!(found("/c/crates/cli", "it"), Some("/t/debug/it-1".into()));
        assert_eq!(found("/c/crates/world", "it"), Some("/t/debug/it-2".into()));
        assert_eq!(found("/c/crates/sim", "it"), None);
    }
}
