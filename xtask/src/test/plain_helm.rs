//! The same charts by plain Helm, on the cluster of the box: installed, waited for, installed again, removed.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::tally::Tally;
use crate::product::Site;
use crate::runner::Runner;

/// A namespace that is no environment of the site.
const NAMESPACE: &str = "plain-helm";
/// Where Helm and the charts lie on the host meanwhile.
const FOLDER: &str = "/run/openg2p-plain-helm";
/// Guess for a machine that never did it.
const GUESS: Duration = Duration::from_mins(2);
/// In the order in which a person installs them: the commons bring the server that the others log in to.
const CHARTS: [&str; 4] = ["openg2p-commons", "spar", "example-bank", "g2p-bridge"];
/// Without a cache in root's home, which would look like something that the product left.
const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /run/kubectl-cache";

/// Installs and removes them. The namespace and Helm's files are gone afterwards, whatever happened.
pub(crate) fn run(
    site: &Site,
    runner: &Runner<'_>,
    tally: &Tally<'_>,
    checkout: &Path,
    helm: &Path,
    environment: &str,
) {
    let ended = runner.step("charts by plain Helm", GUESS, || {
        prepared(site, checkout, helm)?;
        installed(site)
    });
    tally.check(
        "the charts install with plain Helm, and again, and are removed",
        ended,
    );
    let listed = helm_on_host(site, environment, "list --short").and_then(|names| {
        for chart in CHARTS {
            ensure!(
                names.lines().any(|name| name == chart),
                "Helm lists no {chart} among {names:?}"
            );
        }
        Ok(())
    });
    tally.check("`helm list` shows the releases of the environment", listed);
    let gone = site
        .on_host(&format!(
            "{KUBECTL} delete namespace {NAMESPACE} --ignore-not-found --wait --timeout=180s && rm -rf {FOLDER}"
        ))
        .map(drop);
    tally.check("nothing of plain Helm stays", gone);
}

fn prepared(site: &Site, checkout: &Path, helm: &Path) -> anyhow::Result<()> {
    site.on_host(&format!("mkdir -m 700 {FOLDER}"))?;
    let program = File::open(helm).with_context(|| format!("opening {}", helm.display()))?;
    send(
        site,
        &format!("cat > {FOLDER}/helm && chmod 755 {FOLDER}/helm"),
        program.into(),
    )?;
    let mut archive = Command::new("tar");
    archive
        // a dependency is a link to its chart: on the host it is the chart itself
        .args(["--create", "--dereference", "--directory"])
        .arg(checkout)
        .arg("charts");
    send_output(site, archive, &format!("tar --extract --directory {FOLDER}"))?;
    site.on_host(&format!(
        "{KUBECTL} create namespace {NAMESPACE} && \
         {KUBECTL} label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=restricted"
    ))?;
    // What the Bridge signs with. A person who installs the chart makes it first, as its README says.
    let mut key = Command::new("openssl");
    key.args([
        "genpkey",
        "-quiet",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
    ]);
    let secret = format!(
        "{KUBECTL} create secret generic g2p-bridge-signing --namespace {NAMESPACE} --from-file=private-key.pem=/dev/stdin"
    );
    send_output(site, key, &secret)
}

fn installed(site: &Site) -> anyhow::Result<()> {
    for round in ["install", "install again"] {
        for chart in CHARTS {
            let arguments =
                format!("upgrade --install {chart} {FOLDER}/charts/{chart} --wait --timeout 300s");
            helm_on_host(site, NAMESPACE, &arguments).with_context(|| format!("{round} {chart}"))?;
        }
    }
    for chart in CHARTS.iter().rev() {
        helm_on_host(
            site,
            NAMESPACE,
            &format!("uninstall {chart} --wait --timeout 180s"),
        )
        .with_context(|| format!("uninstall {chart}"))?;
    }
    let left = helm_on_host(site, NAMESPACE, "list --all --short")?;
    ensure!(left.trim().is_empty(), "Helm left {left}");
    Ok(())
}

fn helm_on_host(site: &Site, namespace: &str, arguments: &str) -> anyhow::Result<String> {
    site.on_host(&format!(
        "export KUBECONFIG=/etc/kubernetes/admin.conf HOME={FOLDER}; {FOLDER}/helm --namespace {namespace} {arguments}"
    ))
}

/// Runs a script on the host with what a program here prints as its input.
fn send_output(site: &Site, mut program: Command, script: &str) -> anyhow::Result<()> {
    let name = program.get_program().to_string_lossy().into_owned();
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name} could not be started"))?;
    let output = child
        .stdout
        .take()
        .with_context(|| format!("{name} gives nothing"))?;
    send(site, script, output.into())?;
    ensure!(child.wait()?.success(), "{name} failed");
    Ok(())
}

/// Runs a script on the host with these bytes as its input.
fn send(site: &Site, script: &str, input: Stdio) -> anyhow::Result<()> {
    let status = site
        .lab
        .ssh_command(site.host()?)
        .arg(script)
        .stdin(input)
        .stdout(Stdio::null())
        .status()
        .context("ssh could not be started")?;
    ensure!(status.success(), "on the host, `{script}` ended with {status}");
    Ok(())
}
