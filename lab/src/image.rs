//! The root file system that hosts are copied from: a bare Debian server, built once per recipe by mmdebstrap.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::apt::AptSettings;
use crate::command::Call;
use crate::error::{LabError, Result};
use crate::lock::Lock;
use crate::names;
use crate::progress::{self, Event, Progress};
use crate::state::{Release, Store};

/// What a Debian server has beyond the packages of priority `important`: init, remote access, and the tools of its
/// `standard` task that an operator expects. Nothing that the product installs may stand here.
const PACKAGES: [&str; 10] = [
    "ca-certificates",
    "curl",
    "dbus",
    "libpam-systemd",
    "nftables",
    "openssh-server",
    "sudo",
    "systemd-sysv",
    "systemd-timesyncd",
    "wget",
];

/// Extra certificate authorities of the machine, which its hosts must trust to reach the same registries.
const LOCAL_AUTHORITIES: &str = "/usr/local/share/ca-certificates";

/// Everything that decides the content of an image.
#[derive(Debug, Serialize)]
struct Recipe {
    /// Raised when `prepare` below changes.
    revision: u32,
    release: Release,
    packages: Vec<&'static str>,
    apt: AptSettings,
    authorities: BTreeMap<String, String>,
}

impl Recipe {
    fn new(release: Release) -> Result<Self> {
        Ok(Self {
            revision: 1,
            release,
            packages: PACKAGES.to_vec(),
            apt: AptSettings::of_this_machine(release)?,
            authorities: local_authorities()?,
        })
    }

    fn digest(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|source| LabError::State {
            path: "recipe".into(),
            source,
        })?;
        Ok(names::hex(&Sha256::digest(text)))
    }
}

fn local_authorities() -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(LOCAL_AUTHORITIES).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "crt") {
            let text = fs::read_to_string(&path).map_err(LabError::file("reading a certificate", &path))?;
            found.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
    }
    Ok(found)
}

/// The root file system for a release, built if it is not there.
pub(crate) fn ensure(store: &Store, release: Release, progress: &dyn Progress) -> Result<PathBuf> {
    let recipe = Recipe::new(release)?;
    let name = format!("{}-{}", release.name(), &recipe.digest()?[..16]);
    let path = store.images().join(&name);
    if path.is_dir() {
        return Ok(path);
    }
    let what = format!("image {name}");
    let _lock = if let Some(lock) = Lock::try_acquire(&what)? {
        lock
    } else {
        progress.event(Event::Note(
            "another command builds the root file system; waiting for it",
        ));
        Lock::acquire(&what, Duration::from_mins(15))?
    };
    if path.is_dir() {
        return Ok(path);
    }
    let partial = store.images().join(format!("{name}.partial"));
    remove(&partial)?;
    let scratch = partial.join("scratch");
    fs::create_dir_all(&scratch).map_err(LabError::file("making a directory", &scratch))?;
    let root = partial.join("root");
    let text = format!("build the root file system of Debian {}", release.name());
    progress::step(progress, &text, Duration::from_secs(75), || {
        build(&recipe, &root, &scratch)
    })?;
    fs::rename(&root, &path).map_err(LabError::file("finishing an image", &path))?;
    remove(&partial)?;
    Ok(path)
}

/// Removes images whose build was cut off, when nobody builds them now.
pub(crate) fn sweep(store: &Store) -> Result<()> {
    for entry in fs::read_dir(store.images()).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".partial"))
        else {
            continue;
        };
        if let Some(_lock) = Lock::try_acquire(&format!("image {name}"))? {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::file("removing an unfinished image", path)(error))
        }
        _ => Ok(()),
    }
}

fn build(recipe: &Recipe, root: &Path, scratch: &Path) -> Result<()> {
    // Own namespaces: whatever mmdebstrap mounts or starts is gone with it, however it ends.
    Call::new("building the root file system", "unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
            "mmdebstrap",
            "--quiet",
        ])
        .args([
            "--mode=root",
            "--variant=important",
            "--format=directory",
            "--skip=output/dev",
        ])
        .args(
            recipe
                .apt
                .options()
                .iter()
                .map(|option| format!("--aptopt={option}")),
        )
        .env("TMPDIR", scratch)
        .args([format!("--include={}", recipe.packages.join(","))])
        .args([recipe.release.name()])
        .args([root])
        .args(["-"])
        .input(recipe.apt.sources())
        .dies_with_us()
        .run()?;
    prepare(recipe, root)
}

/// Turns the fresh system into one that boots as a host of a lab.
fn prepare(recipe: &Recipe, root: &Path) -> Result<()> {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(LabError::file("making a directory", parent))?;
        }
        fs::write(&path, text).map_err(LabError::file("writing a file of the image", &path))
    };
    write("etc/apt/apt.conf.d/90lab", &recipe.apt.configuration())?;
    write(
        "etc/ssh/sshd_config.d/10-lab.conf",
        "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nUseDNS no\n",
    )?;
    for (name, text) in &recipe.authorities {
        write(&format!("usr/local/share/ca-certificates/{name}"), text)?;
    }
    if !recipe.authorities.is_empty() {
        Call::new("trusting the machine's certificate authorities", "chroot")
            .args([root])
            .args(["update-ca-certificates"])
            .dies_with_us()
            .run()?;
    }
    // Host keys are made per host. Timers that fetch packages would meddle with tests. udev would act on the
    // machine's devices, which the hosts see.
    for key in ["ecdsa", "ed25519", "rsa"] {
        for end in ["", ".pub"] {
            // Not every release makes every kind.
            let _ = fs::remove_file(root.join(format!("etc/ssh/ssh_host_{key}_key{end}")));
        }
    }
    for unit in [
        "systemd-udevd.service",
        "systemd-udevd-control.socket",
        "systemd-udevd-kernel.socket",
        "systemd-udev-trigger.service",
        "systemd-udev-settle.service",
        "systemd-networkd-wait-online.service",
        "sshd-keygen.service",
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "e2scrub_reap.service",
    ] {
        mask(root, unit)?;
    }
    Ok(())
}

fn mask(root: &Path, unit: &str) -> Result<()> {
    let path = root.join("etc/systemd/system").join(unit);
    // Debian's own link, if there is one, makes way.
    let _ = fs::remove_file(&path);
    std::os::unix::fs::symlink("/dev/null", &path).map_err(LabError::file("masking a unit", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_decides_the_name() {
        let recipe = |release| Recipe {
            revision: 1,
            release,
            packages: vec!["a"],
            apt: AptSettings::default(),
            authorities: BTreeMap::new(),
        };
        let trixie = recipe(Release::Trixie).digest().unwrap();
        assert_eq!(trixie, recipe(Release::Trixie).digest().unwrap());
        assert_ne!(trixie, recipe(Release::Bookworm).digest().unwrap());
        let more = Recipe {
            packages: vec!["a", "b"],
            ..recipe(Release::Trixie)
        };
        assert_ne!(trixie, more.digest().unwrap());
    }
}
