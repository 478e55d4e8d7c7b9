//! Debian packages from the bundle, through apt with sources, lists and cache of our own, so that the host's own sources
//! are neither read nor changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openg2p_bundle::index::Kind;
use openg2p_ports::{Command, PortError};

use crate::bundle::BundleDirectory;
use crate::state::{failed, write_whole};

/// apt over one local repository made of the bundle's packages.
pub(crate) struct Apt<'a> {
    pub(crate) directory: PathBuf,
    pub(crate) bundle: &'a BundleDirectory,
    pub(crate) place: &'a str,
}

impl Apt<'_> {
    fn command(&self, arguments: impl IntoIterator<Item = String>) -> Command {
        let directory = self.directory.display();
        let options = [
            format!("Dir::Etc::SourceList={directory}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            format!("Dir::State::Lists={directory}/lists"),
            format!("Dir::Cache={directory}/cache"),
            // somebody else's apt run is waited for, not fought
            "DPkg::Lock::Timeout=120".into(),
            "Dpkg::Use-Pty=0".into(),
            "Dpkg::Options::=--force-confold".into(),
            "APT::Sandbox::User=root".into(),
        ];
        let mut all: Vec<String> = options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option])
            .collect();
        all.extend(arguments);
        Command::new("apt-get", all).deadline(900)
    }

    /// Lays out the repository: a `Packages` file made of the stanzas that the bundle recorded, and links to its blobs.
    pub(crate) async fn prepare(&self) -> Result<(), PortError> {
        let made = |path: &Path| {
            std::fs::create_dir_all(path).map_err(|error| failed("make a directory", path, &error))
        };
        let pool = self.directory.join("pool");
        for folder in ["pool", "lists/partial", "cache/archives/partial"] {
            made(&self.directory.join(folder))?;
        }
        let mut packages = String::new();
        for member in self.bundle.index().of_kind(Kind::DebianPackage) {
            let sha256 = member.sha256.as_str();
            let file = format!("{sha256}.deb");
            let link = pool.join(&file);
            if !link.exists() {
                std::os::unix::fs::symlink(self.bundle.path(sha256), &link)
                    .map_err(|error| failed("link a package", &link, &error))?;
            }
            for line in member.control.as_deref().unwrap_or_default().lines() {
                if line.starts_with("Filename:") {
                    packages.push_str(&format!("Filename: pool/{file}\n"));
                } else if !line.trim().is_empty() {
                    packages.push_str(line);
                    packages.push('\n');
                }
            }
            packages.push('\n');
        }
        write_whole(&self.directory.join("Packages"), packages.as_bytes(), 0o644)?;
        // Every byte of the repository was checked against the bundle's digests; apt checks each package's SHA-256 again.
        let source = format!("deb [trusted=yes] file:{} ./\n", self.directory.display());
        write_whole(&self.directory.join("sources.list"), source.as_bytes(), 0o644)?;
        self.checked(self.command(["update".into(), "-q".into()]))
            .await
            .map(|_| ())
    }

    async fn checked(&self, command: Command) -> Result<String, PortError> {
        let output = crate::process::run(command, self.place).await?;
        if output.status == Some(0) {
            return Ok(output.stdout);
        }
        let text = format!("{}\n{}", output.stdout, output.stderr);
        let tail: Vec<&str> = text.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(PortError::new("host::packages", "apt-get with the bundle's packages", self.place, tail.join("\n"))
            .hint("what apt says stands above; a host with held or broken packages needs `apt-get --fix-broken install`"))
    }

    fn install(wanted: &[(String, String)], simulate: bool) -> Vec<String> {
        let mut arguments: Vec<String> = ["install", "--yes", "-q", "--no-install-recommends", "--no-remove"]
            .map(Into::into)
            .into();
        if simulate {
            arguments.push("--simulate".into());
        }
        arguments.extend(wanted.iter().map(|(name, version)| format!("{name}={version}")));
        arguments
    }

    /// Names that would be newly installed.
    pub(crate) async fn simulate(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let output = self.checked(self.command(Self::install(wanted, true))).await?;
        Ok(newly_installed(&output))
    }

    pub(crate) async fn install_now(&self, wanted: &[(String, String)]) -> Result<(), PortError> {
        if wanted.is_empty() {
            return Ok(());
        }
        self.checked(self.command(Self::install(wanted, false)))
            .await
            .map(|_| ())
    }

    pub(crate) async fn purge(&self, names: &[String]) -> Result<(), PortError> {
        let arguments = ["purge", "--yes", "-q"]
            .map(str::to_owned)
            .into_iter()
            .chain(names.iter().cloned());
        self.checked(self.command(arguments)).await.map(|_| ())
    }
}

/// `Inst NAME (VERSION …)` is new, `Inst NAME [OLD] (VERSION …)` an upgrade.
fn newly_installed(simulation: &str) -> Vec<String> {
    simulation
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .filter_map(|rest| rest.split_once(' '))
        .filter(|(_, version)| !version.starts_with('['))
        .map(|(name, _)| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
}

/// Installed versions, from dpkg itself.
pub(crate) async fn installed(names: &[String], place: &str) -> Result<BTreeMap<String, String>, PortError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let format = "--showformat=${binary:Package}\\t${db:Status-Abbrev}\\t${Version}\\n";
    let arguments = ["--show", format]
        .map(str::to_owned)
        .into_iter()
        .chain(names.iter().cloned());
    // status 1 says that some names are unknown, which is an answer
    let output = crate::process::run(Command::new("dpkg-query", arguments), place).await?;
    if output.status.is_none_or(|status| status > 1) {
        return Err(PortError::new(
            "host::packages",
            "ask dpkg for versions",
            place,
            output.stderr,
        ));
    }
    Ok(parse_installed(&output.stdout))
}

fn parse_installed(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let (name, status, version) = (fields.next()?, fields.next()?, fields.next()?);
            // `ii ` and held `hi ` are installed; `rc ` left configuration behind, `iU` is half way
            let name = name.split(':').next().unwrap_or(name);
            (status.get(1..2) == Some("i")).then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_not_taken_for_new_packages() {
        let text = "Reading...\nInst libc6 [2.41-1] (2.41-2 stable)\nInst nginx (1.26.3-3 stable [amd64])\nConf nginx (1)\n";
        assert_eq!(newly_installed(text), ["nginx"]);
    }

    #[test]
    fn half_installed_packages_do_not_count() {
        let text = "nginx\tii \t1.26\nrunc\trc \t1.1\nlibc6:amd64\tii \t2.41\nx\tiU \t1\n";
        let names: Vec<String> = parse_installed(text).into_keys().collect();
        assert_eq!(names, ["libc6", "nginx"]);
    }
}
