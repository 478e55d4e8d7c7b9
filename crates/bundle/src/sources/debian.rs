//! The source `debian`: packages of a suite with everything that they depend on.
//!
//! apt does the work in folders of its own: an empty list of installed packages, so that the answer does not depend on
//! this machine; the archive's own keyring, so that every file is checked against a signed `Release`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cache::{Made, Obtained},
    command,
    error::BundleError,
    index::Digest,
    mirrors::Mirrors,
    recipe::Recipe,
    sources::{Inputs, Source, Workshop},
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages of a Debian suite.
#[derive(Debug, Clone, Copy)]
pub struct DebianSuite;

impl Source for DebianSuite {
    fn name(&self) -> &'static str {
        "debian"
    }

    fn declared(&self, recipe: &Recipe) -> bool {
        recipe.sources.debian.is_some()
    }

    fn together(&self) -> bool {
        true
    }

    fn inputs(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
        let mut inputs = Inputs::default();
        inputs.declare("release", &workshop.release);
        inputs.declare(
            "packages",
            names(recipes).into_iter().collect::<Vec<_>>().join(" "),
        );
        inputs.declare(
            "mirrors",
            format!("{} {}", workshop.mirrors.debian, workshop.mirrors.security),
        );
        Ok(inputs)
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let what = format!("debian packages for {}", workshop.release);
        let scratch = workshop.cache.scratch()?;
        let apt = Apt::new(&what, scratch.path(), workshop)?;
        let names = names(recipes);
        apt.run("apt-get", &["update", "-q"])?;
        let mut install = vec![
            "install",
            "-q",
            "-y",
            "--download-only",
            "--no-install-recommends",
        ];
        install.extend(names.iter().copied());
        apt.run("apt-get", &install)?;
        let files = apt.downloaded()?;
        let wanted: Vec<String> = files
            .iter()
            .map(|file| format!("{}={}", file.package, file.version))
            .collect();
        let text = apt.output(
            "apt-cache",
            &[&["show"], &*wanted.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        )?;
        let stanzas = stanzas(&text);
        let mut made = Made::default();
        for file in files {
            let key = (file.package.clone(), file.version.clone());
            let stanza = stanzas
                .get(&key)
                .ok_or_else(|| apt.unreachable(format!("no stanza for {}", file.package)))?;
            let promised: Digest = field(stanza, "SHA256").unwrap_or_default().parse()?;
            let blob = workshop.cache.put_file(&file.path)?;
            if blob.sha256 != promised {
                return Err(BundleError::DigestMismatch {
                    what: format!("debian-package/{}", file.package),
                    origin: workshop.mirrors.debian.clone(),
                    expected: promised,
                    found: blob.sha256,
                });
            }
            made.members.push(Obtained {
                name: Some(file.package),
                version: Some(file.version),
                architecture: field(stanza, "Architecture").map(ToOwned::to_owned),
                origin: format!("debian {}", workshop.release),
                control: Some(stanza.clone()),
                blobs: vec![blob],
            });
        }
        for name in names {
            if !made
                .members
                .iter()
                .any(|member| member.name.as_deref() == Some(name))
            {
                return Err(apt.unreachable(format!("`{name}` is a virtual package there; name a real one")));
            }
        }
        Ok(made)
    }
}

fn names<'a>(recipes: &[&'a Recipe]) -> std::collections::BTreeSet<&'a str> {
    recipes
        .iter()
        .filter_map(|recipe| {
            let debian = recipe.sources.debian.as_ref()?;
            Some(debian.package.as_deref().unwrap_or(&recipe.name))
        })
        .collect()
}

/// The lines of a suite at these mirrors: releases, updates and security fixes.
pub(crate) fn source_lines(suite: &str, mirrors: &Mirrors, keyring: bool) -> Vec<String> {
    let signed = if keyring {
        format!("[signed-by={KEYRING}] ")
    } else {
        String::new()
    };
    let (debian, security) = (&mirrors.debian, &mirrors.security);
    vec![
        format!("deb {signed}{debian} {suite} main"),
        format!("deb {signed}{debian} {suite}-updates main"),
        format!("deb {signed}{security} {suite}-security main"),
    ]
}

/// The setting that makes apt trust the site's own authorities besides the system's, which it takes as one file. The
/// file is written into `folder`.
pub(crate) fn authority_setting(
    workshop: &Workshop<'_>,
    folder: &Path,
) -> Result<Option<String>, BundleError> {
    Ok(workshop
        .authority_file(folder)?
        .map(|path| format!("Acquire::https::CaInfo \"{}\"", path.display())))
}

/// How this machine's apt reaches archives (proxies, certificates, clocks), as lines of configuration. The choice of
/// archives and keys is not taken over.
pub(crate) fn machine_settings() -> Result<Vec<String>, BundleError> {
    const TAKEN: &[&str] = &[
        "Acquire::http",
        "Acquire::https",
        "Acquire::Check-",
        "Acquire::Retries",
        "Acquire::ForceIPv",
        "Acquire::Proxy",
    ];
    let text = command::output(
        "debian packages",
        Command::new("apt-config").args(["dump", "Acquire"]),
    )?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_suffix(';'))
        .filter(|line| TAKEN.iter().any(|start| line.starts_with(start)) && !line.ends_with(" \"\""))
        .map(ToOwned::to_owned)
        .collect())
}

struct Apt<'a> {
    what: &'a str,
    root: PathBuf,
    mirror: String,
}

impl<'a> Apt<'a> {
    fn new(what: &'a str, root: &Path, workshop: &Workshop<'_>) -> Result<Self, BundleError> {
        let write = |name: &str, text: String| {
            let path = root.join(name);
            fs::write(&path, text).map_err(BundleError::io("write", path))
        };
        for folder in ["parts", "state/lists/partial", "cache/archives/partial", "log"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(BundleError::io("make", folder))?;
        }
        write("status", String::new())?;
        write(
            "sources.list",
            source_lines(&workshop.release, &workshop.mirrors, true).join("\n") + "\n",
        )?;
        let at = |name: &str| root.join(name).display().to_string();
        let mut settings: Vec<String> = [
            ("Dir::State", at("state")),
            ("Dir::State::status", at("status")),
            ("Dir::Cache", at("cache")),
            ("Dir::Log", at("log")),
            ("Dir::Etc::sourcelist", at("sources.list")),
            ("Dir::Etc::sourceparts", at("parts")),
            ("Dir::Etc::parts", at("parts")),
            ("Dir::Etc::main", at("none")),
            ("Dir::Etc::preferences", at("none")),
            ("Dir::Etc::preferencesparts", at("parts")),
            ("Dir::Etc::trusted", at("none")),
            ("Dir::Etc::trustedparts", at("parts")),
            ("APT::Architecture", "amd64".to_owned()),
            ("APT::Architectures", "amd64".to_owned()),
            ("APT::Install-Recommends", "false".to_owned()),
            ("APT::Get::AllowUnauthenticated", "false".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::AllowInsecureRepositories", "false".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| format!("{name} \"{value}\";\n"))
        .collect();
        settings.extend(machine_settings()?.into_iter().map(|line| line + ";\n"));
        settings.extend(authority_setting(workshop, root)?.map(|line| line + ";\n"));
        write("apt.conf", settings.concat())?;
        Ok(Self {
            what,
            root: root.to_owned(),
            mirror: workshop.mirrors.debian.clone(),
        })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = command::mortal(program);
        command
            .args(arguments)
            .env("APT_CONFIG", self.root.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), BundleError> {
        command::run(
            self.what,
            &mut self.command(program, arguments),
            &self.root.join("output"),
        )
        .map_err(|error| {
            // apt says with E: what it did not like, and that is mostly the archive.
            match error {
                BundleError::BuildFailed { tail, .. } => self.unreachable(format!("apt said\n{tail}\n")),
                other => other,
            }
        })
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<String, BundleError> {
        command::output(self.what, &mut self.command(program, arguments))
    }

    fn unreachable(&self, why: String) -> BundleError {
        BundleError::Unreachable {
            what: self.what.to_owned(),
            address: self.mirror.clone(),
            why,
        }
    }

    fn downloaded(&self) -> Result<Vec<Downloaded>, BundleError> {
        let folder = self.root.join("cache/archives");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(BundleError::io("read", &folder))? {
            let path = entry.map_err(BundleError::io("read", &folder))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if let Some((package, version)) = package_of(&name) {
                files.push(Downloaded {
                    path,
                    package,
                    version,
                });
            }
        }
        files.sort_by(|a, b| a.package.cmp(&b.package));
        Ok(files)
    }
}

struct Downloaded {
    path: PathBuf,
    package: String,
    version: String,
}

/// Package and version of a file in apt's archive folder, `name_version_architecture.deb` with `%3a` for a colon.
fn package_of(file: &str) -> Option<(String, String)> {
    let mut fields = file.strip_suffix(".deb")?.split('_');
    let (package, version) = (fields.next()?, fields.next()?);
    fields.next()?;
    Some((package.to_owned(), version.replace("%3a", ":")))
}

fn stanzas(text: &str) -> BTreeMap<(String, String), String> {
    text.split("\n\n")
        .map(str::trim)
        .filter_map(|stanza| {
            let key = (
                field(stanza, "Package")?.to_owned(),
                field(stanza, "Version")?.to_owned(),
            );
            Some((key, format!("{stanza}\n")))
        })
        .collect()
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_apt_are_understood() {
        assert_eq!(
            package_of("bind9-host_1%3a9.20.11-4_amd64.deb"),
            Some(("bind9-host".to_owned(), "1:9.20.11-4".to_owned()))
        );
        assert_eq!(package_of("lock"), None);
    }

    #[test]
    fn stanzas_are_split_and_read() {
        let text =
            "Package: a\nVersion: 1\nDescription: x\n Version: 9\n\nPackage: b\nVersion: 2\nSHA256: ff\n\n";
        let all = stanzas(text);
        assert_eq!(all.len(), 2);
        assert_eq!(
            field(&all[&("b".to_owned(), "2".to_owned())], "SHA256"),
            Some("ff")
        );
    }
}
