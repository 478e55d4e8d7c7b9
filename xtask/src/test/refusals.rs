//! Bad input and foreign hosts: each ends with one clear error and its code, before anything on the host is touched.

use std::cell::RefCell;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::host::HostSnapshot;
use super::logins;
use super::tally::Tally;
use crate::product::Site;
use crate::runner::Runner;

/// The last octet of an address of the lab's subnet where nobody is.
const NOBODY: u8 = 250;

/// The site, which is whole, and everything that spoils it.
pub(crate) struct Refusals<'a> {
    pub(crate) site: &'a Site,
    pub(crate) runner: &'a Runner<'a>,
    pub(crate) tally: &'a Tally<'a>,
    /// The host before the next case: a fault of one is not told again by those after it.
    pub(crate) before: RefCell<HostSnapshot>,
}

/// How a command must end.
struct End {
    code: i32,
    says: &'static str,
}

impl Refusals<'_> {
    /// All of them.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        self.wrong_site_file()?;
        self.altered_bundle()?;
        self.unreachable_host()?;
        self.wrong_host_key()?;
        self.taken_port();
        self.foreign_kubernetes();
        self.foreign_containerd();
        self.full_disk();
        self.full_home();
        self.login_without_sudo()
    }

    fn wrong_site_file(&self) -> anyhow::Result<()> {
        let text = self.text()?.replace("profile: small", "profil: small");
        let path = self.variant("wrong-key.yaml", &text)?;
        let end = End {
            code: 1,
            says: "site::unknown-key",
        };
        self.refused(
            "a wrong site file",
            &["-f", &path],
            &self.site.bundle,
            &end,
            || Ok(()),
        );
        Ok(())
    }

    fn altered_bundle(&self) -> anyhow::Result<()> {
        let member = |text: &str| -> anyhow::Result<Value> {
            let index: Value = serde_json::from_str(text)?;
            let members = index["members"].as_array().context("the bundle has no members")?;
            members
                .iter()
                .find(|member| member["kind"] == "image" && member["name"] == "redis")
                .cloned()
                .context("the bundle has no image of Redis")
        };
        let blob = |member: &Value| -> anyhow::Result<String> {
            let blobs = member["blobs"].as_array().context("the image has no blobs")?;
            let largest = blobs.iter().max_by_key(|blob| blob["size"].as_u64());
            let sha256 = largest.and_then(|blob| blob["sha256"].as_str());
            Ok(sha256.context("the image has no layer")?.to_owned())
        };
        let index = fs::read_to_string(self.site.bundle.join("bundle.json"))?;
        let member = member(&index)?;
        let layer = Path::new("blobs/sha256").join(blob(&member)?);

        let altered = self.copy_of_bundle("altered")?;
        let path = altered.join(&layer);
        let mut bytes = fs::read(&path)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        // The copy shares its files with the bundle: this one is taken out of it before it is written.
        fs::remove_file(&path)?;
        fs::write(&path, bytes)?;
        let end = End {
            code: 1,
            says: "bundle::",
        };
        self.refused("an altered bundle member", &[], &altered, &end, || Ok(()));
        let mut verify = Command::new(&self.site.binary);
        verify.args(["bundle", "verify", "--bundle"]).arg(&altered);
        let found = self.runner.run("bundle-verify-altered", verify).and_then(|ran| {
            ensure!(ran.code != Some(0), "it ended with 0");
            ran.says("redis").map(drop)
        });
        self.tally.check("bundle verify names the altered member", found);

        let lost = self.copy_of_bundle("lost")?;
        fs::remove_file(lost.join(&layer))?;
        let end = End {
            code: 1,
            says: "bundle::",
        };
        self.refused(
            "a bundle member whose bytes are gone",
            &[],
            &lost,
            &end,
            || Ok(()),
        );

        let without = self.copy_of_bundle("without")?;
        let mut parsed: Value = serde_json::from_str(&index)?;
        if let Some(members) = parsed["members"].as_array_mut() {
            members.retain(|other| *other != member);
        }
        let path = without.join("bundle.json");
        fs::remove_file(&path)?;
        fs::write(&path, serde_json::to_vec_pretty(&parsed)?)?;
        let end = End {
            code: 1,
            says: "redis",
        };
        self.refused("a missing bundle member", &[], &without, &end, || Ok(()));
        Ok(())
    }

    fn unreachable_host(&self) -> anyhow::Result<()> {
        let address = self.site.host()?.address;
        let [a, b, c, _] = address.octets();
        let nobody = Ipv4Addr::new(a, b, c, NOBODY);
        let text = self.text()?.replace(&address.to_string(), &nobody.to_string());
        let path = self.variant("unreachable.yaml", &text)?;
        let end = End {
            code: 2,
            says: "ssh::unreachable",
        };
        self.refused(
            "a host that nobody answers for",
            &["-f", &path],
            &self.site.bundle,
            &end,
            || Ok(()),
        );
        Ok(())
    }

    fn wrong_host_key(&self) -> anyhow::Result<()> {
        let path = self.site.directory.join("other_key");
        // A key left by an earlier run would make ssh-keygen ask.
        let _ = fs::remove_file(&path);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .status()
            .context("ssh-keygen could not be started")?;
        ensure!(made.success(), "ssh-keygen made no key");
        let other = fs::read_to_string(path.with_extension("pub"))?;
        let text = self.text()?.replace(&self.site.host()?.host_key, other.trim());
        let path = self.variant("wrong-host-key.yaml", &text)?;
        let end = End {
            code: 2,
            says: "ssh::host-key",
        };
        self.refused(
            "a wrong host key",
            &["-f", &path],
            &self.site.bundle,
            &end,
            || Ok(()),
        );
        Ok(())
    }

    fn taken_port(&self) {
        let unit = "port-443-is-mine";
        let end = End {
            code: 2,
            says: "host::port-taken",
        };
        let start = format!(
            "systemd-run --quiet --unit={unit} systemd-socket-activate --listen=443 /bin/cat && \
             for try in 1 2 3 4 5 6 7 8 9 10; do ss -ltn | grep -q ':443 ' && exit 0; sleep 0.2; done; exit 1"
        );
        let stop = format!("systemctl stop {unit}");
        self.on_changed_host("port 443 taken", &start, &stop, &end);
    }

    fn foreign_kubernetes(&self) {
        let end = End {
            code: 2,
            says: "host::foreign-kubernetes",
        };
        let start = "mkdir /etc/kubernetes && touch /etc/kubernetes/admin.conf";
        let stop = "rm /etc/kubernetes/admin.conf && rmdir /etc/kubernetes";
        self.on_changed_host("a foreign Kubernetes", start, stop, &end);
    }

    fn foreign_containerd(&self) {
        let end = End {
            code: 2,
            says: "host::foreign-containerd",
        };
        let unit = "/etc/systemd/system/containerd.service";
        let start = format!(
            "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > {unit} && systemctl daemon-reload"
        );
        let stop = format!("rm {unit} && systemctl daemon-reload");
        self.on_changed_host("a foreign container runtime", &start, &stop, &end);
    }

    /// The program itself finds no room where it is put first.
    fn full_home(&self) {
        let end = End {
            code: 2,
            says: "host::disk",
        };
        let start = "mkdir -m 700 /root/.openg2p && mount -t tmpfs -o size=1m,mode=700 tmpfs /root/.openg2p";
        let stop = "left=$(find /root/.openg2p -mindepth 1 | head -n 5); umount /root/.openg2p && rmdir /root/.openg2p; \
                    test -z \"$left\" || { echo \"left: $left\" >&2; exit 1; }";
        self.on_changed_host("a home without room", start, stop, &end);
    }

    fn login_without_sudo(&self) -> anyhow::Result<()> {
        let path = logins::site_file(self.site)?;
        let end = End {
            code: 2,
            says: "ssh::sudo",
        };
        self.refused(
            "a login that may not use sudo",
            &["-f", path],
            &self.site.bundle,
            &end,
            || Ok(()),
        );
        Ok(())
    }

    fn full_disk(&self) {
        let end = End {
            code: 2,
            says: "host::disk",
        };
        // Little room where images and data go, and the empty file system must be empty again.
        let start = "mount -t tmpfs -o size=300m,mode=755 tmpfs /var/lib";
        let stop = "left=$(find /var/lib -mindepth 1 | head -n 5); umount /var/lib; test -z \"$left\" || { echo \"left: $left\" >&2; exit 1; }";
        self.on_changed_host("a disk without room", start, stop, &end);
    }

    /// The host is changed by somebody else, apply refuses, and the change is taken back.
    fn on_changed_host(&self, what: &str, start: &str, stop: &str, end: &End) {
        if let Err(error) = self.site.on_host(start) {
            self.tally.fail(what, &error);
            return;
        }
        self.refused(what, &[], &self.site.bundle, end, || {
            self.site.on_host(stop).map(drop)
        });
    }

    /// `apply` must end so, and leave the host as it was.
    fn refused(
        &self,
        what: &str,
        arguments: &[&str],
        bundle: &Path,
        end: &End,
        then: impl FnOnce() -> anyhow::Result<()>,
    ) {
        if self.runner.interrupt.wished() {
            return;
        }
        let mut command = self.site.command(&["apply", "--yes"]);
        command.args(arguments).env("OPENG2P_BUNDLE", bundle);
        let name = what.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let ended = self.runner.run(&name, command).and_then(|ran| {
            ran.expect(end.code)?;
            ran.says(end.says).map(drop)
        });
        let then = then();
        self.tally.check(
            &format!("{what}: exit code {} and `{}`", end.code, end.says),
            ended,
        );
        let same = then.and_then(|()| {
            let now = HostSnapshot::take(self.site)?;
            let same = now.same_as(&self.before.borrow());
            self.before.replace(now);
            same
        });
        self.tally.check(&format!("{what}: no effect on the host"), same);
    }

    fn text(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.site.directory.join("site.yaml"))?)
    }

    /// A site file beside the good one.
    fn variant(&self, name: &str, text: &str) -> anyhow::Result<String> {
        ensure!(
            self.text()? != text,
            "{name} does not differ from the good site file"
        );
        fs::write(self.site.directory.join(name), text)?;
        Ok(name.to_owned())
    }

    /// A copy of the bundle that shares all files with it.
    fn copy_of_bundle(&self, name: &str) -> anyhow::Result<PathBuf> {
        let copy = self.site.bundle.with_extension(name);
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        for folder in ["", "blobs", "blobs/sha256"] {
            let (from, to) = (self.site.bundle.join(folder), copy.join(folder));
            fs::create_dir(&to).with_context(|| format!("making {}", to.display()))?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::hard_link(entry.path(), to.join(entry.file_name()))?;
                }
            }
        }
        Ok(copy)
    }
}

/// Removes the copies; they share their bytes with the bundle.
pub(crate) fn remove_copies(bundle: &Path) {
    for name in ["altered", "lost", "without"] {
        // Those of cases that were not reached are not there.
        let _ = fs::remove_dir_all(bundle.with_extension(name));
    }
}
