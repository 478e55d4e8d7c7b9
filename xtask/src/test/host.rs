//! What a host has, so that "nothing was changed" and "nothing is left" can be shown.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::product::Site;

const SCRIPT: &str = include_str!("host.sh");

/// Lines that come and go on a host that nobody touches, or that Debian's own tools keep; each with its reason.
const IGNORED: [(&str, &str); 24] = [
    ("/run/user/", "the login that looks"),
    ("process sshd", "the login that looks"),
    ("process sftp-server", "the login that looks"),
    ("process sh", "the login that looks"),
    ("process bash", "the login that looks"),
    ("process cat", "the login that looks"),
    ("process find", "the login that looks"),
    ("process sed", "the login that looks"),
    ("process awk", "the login that looks"),
    ("process mawk", "the login that looks"),
    ("process systemd", "systemd's own parts come and go"),
    ("process (sd", "systemd's own parts come and go"),
    ("active-unit user@", "the login that looks"),
    ("active-unit user-runtime-dir@", "the login that looks"),
    ("active-unit systemd-", "systemd's own parts come and go"),
    (" /root/.bash_history", "the login that looks"),
    (" /var/lib/systemd/", "time stamps and random seed of systemd"),
    (
        " /var/lib/dpkg/",
        "dpkg's own database; packages are compared one by one",
    ),
    (" /var/lib/apt/", "apt's own lists, which its timer renews"),
    (" /etc/ld.so.cache", "dpkg's triggers write it anew"),
    (" /etc/.pwd.lock", "made by the first tool that looks up users"),
    ("-unit apt-daily", "Debian's own timer"),
    ("-unit dpkg-db-backup", "Debian's own timer"),
    (" /var/backups/", "Debian's own timer"),
];

/// All lines.
pub(crate) struct HostSnapshot(BTreeSet<String>);

impl HostSnapshot {
    /// Looks at the lead node of a site.
    pub(crate) fn take(site: &Site) -> anyhow::Result<Self> {
        let mut child = site
            .lab
            .ssh_command(site.host()?)
            .arg("sh -s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("ssh could not be started")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(SCRIPT.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "looking at the host: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            text.lines().count() > 1000,
            "looking at the host gave little: {text}"
        );
        Ok(Self(
            text.lines()
                .map(str::trim_end)
                .filter(|line| !is_ignored(line))
                .map(ToOwned::to_owned)
                .collect(),
        ))
    }

    /// An error with each difference to an earlier look.
    pub(crate) fn same_as(&self, earlier: &Self) -> anyhow::Result<()> {
        let more: Vec<String> = self
            .0
            .difference(&earlier.0)
            .map(|line| format!("+ {line}"))
            .collect();
        let less: Vec<String> = earlier
            .0
            .difference(&self.0)
            .map(|line| format!("- {line}"))
            .collect();
        let count = more.len() + less.len();
        let shown: Vec<String> = more.into_iter().chain(less).take(60).collect();
        ensure!(
            count == 0,
            "the host differs in {count} lines:\n      {}",
            shown.join("\n      ")
        );
        Ok(())
    }
}

fn is_ignored(line: &str) -> bool {
    IGNORED.iter().any(|(part, _)| line.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(lines: &[&str]) -> HostSnapshot {
        HostSnapshot(lines.iter().map(|&line| line.to_owned()).collect())
    }

    #[test]
    fn every_difference_is_told() {
        let before = snapshot(&["package nginx 1 installed", "route default via 10.0.0.1"]);
        let after = snapshot(&["package nginx 1 installed", "interface openg2p0"]);
        let error = after.same_as(&before).unwrap_err().to_string();
        assert!(error.contains("+ interface openg2p0"), "{error}");
        assert!(error.contains("- route default"), "{error}");
        before.same_as(&before).unwrap();
    }

    #[test]
    fn our_own_things_are_never_ignored() {
        for line in [
            "path d 755 0:0 /var/lib/openg2p ",
            "path f 644 0:0 /etc/systemd/system/openg2p-nginx.service ",
            "unit-file openg2p-firewall.service enabled",
            "process kubelet",
            "process containerd-shim",
            "nft table inet openg2p {",
            "mount /var/lib/kubelet/pods/x tmpfs",
        ] {
            assert!(!is_ignored(line), "{line}");
        }
    }
}
