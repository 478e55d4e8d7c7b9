//! Where hosts get packages from: the machine's own mirror, with the machine's own way to reach it.

use std::env;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::command::Call;
use crate::error::Result;
use crate::state::Release;

const ARCHIVE: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";

/// Options of apt that are about reaching a mirror and hold for the machine's hosts too.
const COPIED: [&str; 6] = [
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::Retries",
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::ForceIPv4",
];

/// How apt works on this machine, for a release of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AptSettings {
    release: Release,
    archive: String,
    security: String,
    options: Vec<(String, String)>,
}

impl AptSettings {
    /// Reads the machine's sources, options and proxy variables.
    pub(crate) fn of_this_machine(release: Release) -> Result<Self> {
        let mut sources = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        for entry in fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
        {
            sources.push('\n');
            sources.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
        let options = if Path::new("/usr/bin/apt-config").exists() {
            Call::new("reading apt's settings", "apt-config")
                .args(["dump", "Acquire"])
                .output()?
        } else {
            String::new()
        };
        let (archive, security) = mirrors(&sources);
        let mut options = copied_options(&options);
        for (variable, option) in [
            ("http_proxy", "Acquire::http::Proxy"),
            ("https_proxy", "Acquire::https::Proxy"),
        ] {
            if let Ok(value) = env::var(variable).or_else(|_| env::var(variable.to_uppercase()))
                && !value.is_empty()
                && !options.iter().any(|(known, _)| known == option)
            {
                options.push((option.to_owned(), value));
            }
        }
        Ok(Self {
            release,
            archive,
            security,
            options,
        })
    }

    /// The content of a sources.list.
    pub(crate) fn sources(&self) -> String {
        let release = self.release.name();
        let keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
        format!(
            "deb {keyring} {0} {release} main\ndeb {keyring} {0} {release}-updates main\n\
             deb {keyring} {1} {release}-security main\n",
            self.archive, self.security
        )
    }

    /// `Name "value"` for each option.
    pub(crate) fn options(&self) -> Vec<String> {
        self.options
            .iter()
            .map(|(name, value)| format!("{name} \"{value}\""))
            .collect()
    }

    /// The content of a file for `apt.conf.d`.
    pub(crate) fn configuration(&self) -> String {
        self.options()
            .iter()
            .fold(String::new(), |text, option| text + option + ";\n")
    }

    /// The address to ask whether the mirror answers.
    pub(crate) fn probe(&self) -> String {
        format!("{}/dists/{}/InRelease", self.archive, self.release.name())
    }
}

/// Archive and security mirror in one-line and deb822 sources of a Debian machine, else Debian's own.
fn mirrors(sources: &str) -> (String, String) {
    let mut archive = None;
    let mut security = None;
    let words = sources
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace);
    for word in words.filter(|word| word.starts_with("http://") || word.starts_with("https://")) {
        let word = word.trim_end_matches('/');
        if word.ends_with("/debian") {
            archive.get_or_insert_with(|| word.to_owned());
        } else if word.ends_with("/debian-security") {
            security.get_or_insert_with(|| word.to_owned());
        }
    }
    (
        archive.unwrap_or_else(|| ARCHIVE.into()),
        security.unwrap_or_else(|| SECURITY.into()),
    )
}

/// The options that we copy, from the output of `apt-config dump`.
fn copied_options(dump: &str) -> Vec<(String, String)> {
    dump.lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.split_once(' '))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .filter(|(name, value)| COPIED.contains(name) && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_from_both_forms() {
        let deb822 = "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian/\nSuites: bookworm\n\n\
                      URIs: http://mirror.example/debian-security\n";
        let expected = (
            "http://mirror.example/debian".to_owned(),
            "http://mirror.example/debian-security".to_owned(),
        );
        assert_eq!(mirrors(deb822), expected);
        let line = "deb [arch=amd64] http://mirror.example/debian bookworm main\n\
                    deb http://mirror.example/debian-security bookworm-security main\n";
        assert_eq!(mirrors(line), expected);
    }

    #[test]
    fn other_machines_get_debians_own() {
        let (archive, security) = mirrors("deb http://archive.ubuntu.com/ubuntu noble main\n");
        assert_eq!((archive.as_str(), security.as_str()), (ARCHIVE, SECURITY));
    }

    #[test]
    fn only_options_about_reaching_a_mirror_are_copied() {
        let dump = "Acquire \"\";\nAcquire::Check-Date \"false\";\nAcquire::Languages:: \"none\";\n\
                    Acquire::http::Proxy \"http://proxy.example:3128\";\nAcquire::https::Proxy \"\";\n";
        let options = copied_options(dump);
        assert_eq!(options.len(), 2);
        let settings = AptSettings {
            options,
            ..AptSettings::default()
        };
        assert_eq!(
            settings.configuration(),
            "Acquire::Check-Date \"false\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n"
        );
    }
}
