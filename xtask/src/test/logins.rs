//! An operator who logs in under an own name and becomes root by sudo.

use std::fs;

use anyhow::ensure;

use super::tally::Tally;
use crate::product::Site;
use crate::runner::Runner;

/// The login, which a host has before the product is put on it.
const OPERATOR: &str = "asha";
/// Where Debian's sudo reads rules of others.
const RULE: &str = "/etc/sudoers.d/asha";

/// Gives the host a login that has the key of root's, and may become nobody else.
pub(crate) fn make(site: &Site) -> anyhow::Result<()> {
    site.on_host(&format!(
        "useradd --create-home --shell /bin/bash {OPERATOR} && \
         install --directory --mode 700 --owner {OPERATOR} --group {OPERATOR} /home/{OPERATOR}/.ssh && \
         install --mode 600 --owner {OPERATOR} --group {OPERATOR} /root/.ssh/authorized_keys /home/{OPERATOR}/.ssh/authorized_keys"
    ))
    .map(drop)
}

/// Writes the site file with this login beside the good one, and gives its name.
pub(crate) fn site_file(site: &Site) -> anyhow::Result<&'static str> {
    let good = fs::read_to_string(site.directory.join("site.yaml"))?;
    let text = good.replace("user: root", &format!("user: {OPERATOR}"));
    ensure!(text != good, "the site file names no login");
    fs::write(site.directory.join("operator.yaml"), text)?;
    Ok("operator.yaml")
}

/// The operator with the rule that the error of a login without it names: sees the site, and changes nothing where there is nothing to
/// do.
pub(crate) fn run(site: &Site, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let path = site_file(site)?;
    site.on_host(&format!(
        "echo '{OPERATOR} ALL=(root) NOPASSWD: ALL' > {RULE} && chmod 440 {RULE} && visudo --check --quiet"
    ))?;
    for (what, arguments, says) in [
        (
            "apply by a login with sudo has nothing to do",
            ["apply", "--yes"].as_slice(),
            "Nothing to do",
        ),
        ("status by a login with sudo", ["status"].as_slice(), ""),
    ] {
        let mut command = site.command(&["-f", path]);
        command.args(arguments);
        let ran = runner.run("operator", command);
        tally.check(what, ran.and_then(|ran| ran.expect(0)?.says(says).map(drop)));
    }
    site.on_host(&format!("rm {RULE}")).map(drop)
}
