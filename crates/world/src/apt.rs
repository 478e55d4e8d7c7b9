//! Debian packages from the bundle, through apt with sources, lists and cache of our own, so that the host's own sources
//! are neither read nor changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openg2p_bundle::index::{Index, Kind};
use openg2p_ports::{Command, PortError};

use crate::bundle::BundleDirectory;
use crate::state::{failed, write_whole};

/// What apt says when dpkg did not come to its end.
const CUT_OFF: &str = "dpkg was interrupted";

/// apt over one local repository made of the bundle's packages.
pub(crate) struct Apt<'a> {
    pub(crate) directory: PathBuf,
    pub(crate) index: &'a Index,
    /// Where the packages lie; none for a rehearsal, which reads their stanzas only.
    pub(crate) bundle: Option<&'a BundleDirectory>,
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
        for member in self.index.of_kind(Kind::DebianPackage) {
            let sha256 = member.sha256.as_str();
            let file = format!("{sha256}.deb");
            let link = pool.join(&file);
            if let Some(bundle) = self.bundle
                && !link.exists()
            {
                std::os::unix::fs::symlink(bundle.path(sha256), &link)
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

    /// The same for what changes packages, behind which dpkg may have been cut off before: with its engine, for one, whose pipe it wrote to. apt
    /// refuses to work then until dpkg has finished what it began. Nothing is touched by that which apt would not finish anyway, for at
    /// each of its changes it configures all that waits for it.
    async fn changed(&self, command: Command) -> Result<(), PortError> {
        let output = crate::process::run(command.clone(), self.place).await?;
        if output.status == Some(0) {
            return Ok(());
        }
        if output.stderr.contains(CUT_OFF) {
            // what it could not configure apt says in its own words
            crate::process::run(finish(), self.place).await?;
        }
        self.checked(command).await.map(drop)
    }

    async fn checked(&self, command: Command) -> Result<String, PortError> {
        let output = crate::process::run(command, self.place).await?;
        if output.status == Some(0) {
            return Ok(output.stdout);
        }
        let text = format!("{}\n{}", output.stdout, output.stderr);
        let tail: Vec<&str> = text.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(PortError::new("host::packages", "apt-get or dpkg with the bundle's packages", self.place, tail.join("\n"))
            .hint(
                "what apt says stands above. Broken or half installed packages: `dpkg --configure -a`, then `apt-get \
                 --fix-broken install`. Held ones: `apt-mark showhold`, `apt-mark unhold`. A package of another origin that \
                 stands in the way must be removed, or take another host",
            ))
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
        let output = self.checked(self.command(Self::install(wanted, true))).await?;
        Ok(newly_installed(&output))
    }

    pub(crate) async fn install_now(&self, wanted: &[(String, String)]) -> Result<(), PortError> {
        self.changed(self.command(Self::install(wanted, false))).await
    }

    /// Lets dpkg finish what it began. Where it was cut off behind the packages themselves, all of them are installed and only the work that
    /// they gave to others still waits: that of `libc-bin`, say, which makes new libraries known. Where nothing waits, nothing is done.
    pub(crate) async fn finish(&self) -> Result<(), PortError> {
        self.checked(finish()).await.map(drop)
    }

    pub(crate) async fn purge(&self, names: &[String]) -> Result<(), PortError> {
        let arguments = ["purge", "--yes", "-q"]
            .map(str::to_owned)
            .into_iter()
            .chain(names.iter().cloned());
        self.changed(self.command(arguments)).await
    }
}

fn finish() -> Command {
    Command::new("dpkg", ["--force-confold", "--configure", "--pending"]).deadline(900)
}

/// Tries out, in a folder that is gone afterwards, whether apt could install those of `wanted` (name and version) that are not
/// there, from the packages of `index`. The packages themselves need not be there yet; nothing of the host is changed.
///
/// Errors: `host::packages` with what apt says against it.
pub async fn rehearse(index: &Index, wanted: &[(String, String)], place: &str) -> Result<(), PortError> {
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let there = installed(&names, place).await?;
    let missing: Vec<(String, String)> = wanted
        .iter()
        .filter(|(name, _)| !there.contains_key(name))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let temporary = std::env::temp_dir();
    let folder =
        tempfile::tempdir().map_err(|error| failed("make a temporary folder", &temporary, &error))?;
    let apt = Apt {
        directory: folder.path().to_owned(),
        index,
        bundle: None,
        place,
    };
    apt.prepare().await?;
    apt.simulate(&missing).await.map(|_| ())
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
    Ok(parse_installed(&states(names, place).await?))
}

/// Those of which dpkg has anything: a removal that was cut off leaves a package half removed, or its configuration.
pub(crate) async fn with_traces(names: &[String], place: &str) -> Result<Vec<String>, PortError> {
    Ok(parse_traces(&states(names, place).await?))
}

/// A line of each package that dpkg knows.
async fn states(names: &[String], place: &str) -> Result<String, PortError> {
    if names.is_empty() {
        return Ok(String::new());
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
            output.reason(),
        ));
    }
    Ok(output.stdout)
}

fn parse_traces(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once('\t')?;
            let name = name.split(':').next().unwrap_or(name);
            // `un ` is known by name alone, as something that others ask for
            (rest.get(1..2) != Some("n")).then(|| name.to_owned())
        })
        .collect()
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

    #[test]
    fn a_package_that_is_half_removed_has_traces() {
        let text = "nginx\tii \t1.26\nrunc\trc \t1.1\nlibc6:amd64\tiHR\t2.41\nx\tun \t\n";
        assert_eq!(parse_traces(text), ["nginx", "runc", "libc6"]);
    }

    fn package(name: &str, depends: &str) -> openg2p_bundle::index::Member {
        use openg2p_bundle::index::{Blob, Digest, Member};
        let sha256 = Digest::of(name.as_bytes());
        let control = format!(
            "Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n{depends}\
             Filename: pool/x.deb\nSize: 1000\nSHA256: {sha256}\nDescription: for a test\n"
        );
        Member {
            kind: Kind::DebianPackage,
            name: name.into(),
            version: "1.0-1".into(),
            reference: None,
            architecture: Some("all".into()),
            control: Some(control),
            sha256: sha256.clone(),
            size: 1000,
            licence: "MPL-2.0".into(),
            origin: "test".into(),
            blobs: vec![Blob { sha256, size: 1000 }],
        }
    }

    /// With this machine's own apt: nothing is installed, whatever it says.
    #[tokio::test]
    async fn packages_are_tried_out_without_being_there() {
        let index = Index {
            api_version: openg2p_bundle::index::API_VERSION.into(),
            debian_release: "trixie".into(),
            members: vec![
                package("openg2p-test-good", ""),
                package("openg2p-test-bad", "Depends: openg2p-test-nowhere\n"),
            ],
        };
        let wanted = |name: &str| vec![(name.to_owned(), "1.0-1".to_owned())];
        rehearse(&index, &wanted("openg2p-test-good"), "this machine")
            .await
            .unwrap();
        let error = rehearse(&index, &wanted("openg2p-test-bad"), "this machine")
            .await
            .unwrap_err();
        assert_eq!(error.code, "host::packages");
        assert!(error.why.contains("openg2p-test-nowhere"), "{error}");
        let both = ["openg2p-test-good", "openg2p-test-bad"].map(str::to_owned);
        assert!(installed(&both, "this machine").await.unwrap().is_empty());
    }
}
