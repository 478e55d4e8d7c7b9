//! Whom to ask instead of the makers: a site's own registry, web server and Debian archive.
//!
//! A mirror changes where bytes come from and nothing else: the lock file, the index and the names of images keep the
//! makers' addresses, and every digest is checked as before.

use crate::error::BundleError;

/// Where Debian serves its archive.
pub const DEBIAN: &str = "http://deb.debian.org/debian";
/// Where Debian serves security fixes.
pub const DEBIAN_SECURITY: &str = "http://deb.debian.org/debian-security";

/// The mirrors of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// Root of the Debian archive.
    pub debian: String,
    /// Root of the archive of security fixes.
    pub security: String,
    /// Registries by the host that references name: the host, with a path if it has one, that is asked instead.
    registries: Vec<(String, String)>,
    /// Beginnings of `https://` addresses, with what stands there instead.
    https: Vec<(String, String)>,
    /// Registries (`host:port`) that are asked over plain HTTP; loopback addresses only.
    plain: Vec<String>,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            debian: DEBIAN.to_owned(),
            security: DEBIAN_SECURITY.to_owned(),
            registries: Vec::new(),
            https: Vec::new(),
            plain: Vec::new(),
        }
    }
}

impl Mirrors {
    /// Takes `HOST=MIRROR`, such as `registry.k8s.io=registry.example.org/kubernetes`.
    pub fn add_registry(&mut self, text: &str) -> Result<(), BundleError> {
        let wrong = |why: &'static str| BundleError::Mirror {
            text: text.to_owned(),
            why,
            like: "registry.k8s.io=registry.example.org/kubernetes",
        };
        let (host, mirror) = text.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        let mirror = mirror.trim_end_matches('/');
        if host.is_empty() || host.contains('/') {
            return Err(wrong("must have the host of a registry alone before the `=`"));
        }
        if mirror.contains("://") {
            return Err(wrong(
                "must have a host, not an address with `://`, behind the `=`",
            ));
        }
        let good = |one: char| one.is_ascii_alphanumeric() || ".:-_/".contains(one);
        if mirror.is_empty()
            || !mirror.chars().all(good)
            || mirror.split('/').any(|part| part.is_empty() || part == "..")
        {
            return Err(wrong("has no good host and path behind the `=`"));
        }
        self.registries.push((host.to_owned(), mirror.to_owned()));
        Ok(())
    }

    /// Takes `PREFIX=URL`, such as `https://dl.k8s.io/=https://mirror.example.org/dl.k8s.io/`.
    pub fn add_https(&mut self, text: &str) -> Result<(), BundleError> {
        let wrong = |why: &'static str| BundleError::Mirror {
            text: text.to_owned(),
            why,
            like: "https://dl.k8s.io/=https://mirror.example.org/dl.k8s.io/",
        };
        let (prefix, mirror) = text.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        for part in [prefix, mirror] {
            if part.strip_prefix("https://").is_none_or(str::is_empty) {
                return Err(wrong(
                    "must have an address with `https://` on both sides of the `=`",
                ));
            }
        }
        if prefix.ends_with('/') != mirror.ends_with('/') {
            return Err(wrong("must have a `/` at the end of both sides or of neither"));
        }
        self.https.push((prefix.to_owned(), mirror.to_owned()));
        Ok(())
    }

    /// Takes the root of a Debian archive.
    pub fn set_debian(&mut self, url: &str) -> Result<(), BundleError> {
        self.debian = archive(url)?;
        Ok(())
    }

    /// Takes the root of an archive of Debian's security fixes.
    pub fn set_security(&mut self, url: &str) -> Result<(), BundleError> {
        self.security = archive(url)?;
        Ok(())
    }

    /// Takes a registry that is asked over plain HTTP, as `host:port` of a loopback address.
    pub fn add_plain(&mut self, host: &str) -> Result<(), BundleError> {
        if !is_loopback(host) {
            return Err(BundleError::Mirror {
                text: host.to_owned(),
                why: "is not a loopback address; give the registry a certificate",
                like: "localhost:5000",
            });
        }
        self.plain.push(host.to_owned());
        Ok(())
    }

    /// Host and path at which to ask for a repository of the registry `host`.
    pub(crate) fn registry(&self, host: &str, repository: &str) -> (String, String) {
        let Some((_, mirror)) = self.registries.iter().rev().find(|(from, _)| from == host) else {
            // The registry of docker.io has another name than its references.
            let host = if host == "docker.io" {
                "registry-1.docker.io"
            } else {
                host
            };
            return (host.to_owned(), repository.to_owned());
        };
        match mirror.split_once('/') {
            Some((host, path)) => (host.to_owned(), format!("{path}/{repository}")),
            None => (mirror.clone(), repository.to_owned()),
        }
    }

    /// Whether this host is asked over plain HTTP.
    pub(crate) fn is_plain(&self, host: &str) -> bool {
        self.plain.iter().any(|plain| plain == host)
    }

    /// Where to ask for an address: the longest beginning that a mirror has counts.
    pub(crate) fn https(&self, url: &str) -> String {
        self.https
            .iter()
            .filter_map(|(prefix, mirror)| Some((prefix.len(), url.strip_prefix(prefix.as_str())?, mirror)))
            .max_by_key(|(length, ..)| *length)
            .map_or_else(|| url.to_owned(), |(_, rest, mirror)| format!("{mirror}{rest}"))
    }

    /// Whether Debian's own archives are asked.
    pub(crate) fn is_debian_itself(&self) -> bool {
        self.debian == DEBIAN && self.security == DEBIAN_SECURITY
    }
}

fn archive(url: &str) -> Result<String, BundleError> {
    let url = url.trim_end_matches('/');
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    // It becomes part of a line of apt's configuration.
    let good = rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|one| one.is_ascii_graphic() && !"\"[]#".contains(one))
    });
    if good {
        Ok(url.to_owned())
    } else {
        Err(BundleError::Mirror {
            text: url.to_owned(),
            why: "is not the address of a Debian archive",
            like: "https://mirror.example.org/debian",
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_asked_at_its_mirror() {
        let mut mirrors = Mirrors::default();
        assert_eq!(
            mirrors.registry("docker.io", "library/debian"),
            ("registry-1.docker.io".to_owned(), "library/debian".to_owned())
        );
        mirrors
            .add_registry("docker.io=registry.example.org:5000/hub/")
            .unwrap();
        mirrors.add_registry("quay.io=registry.example.org").unwrap();
        for (host, expected) in [
            ("docker.io", ("registry.example.org:5000", "hub/a/b")),
            ("quay.io", ("registry.example.org", "a/b")),
            ("ghcr.io", ("ghcr.io", "a/b")),
        ] {
            let (host, path) = mirrors.registry(host, "a/b");
            assert_eq!((host.as_str(), path.as_str()), expected);
        }
        for bad in [
            "docker.io",
            "=x",
            "a/b=c",
            "a=",
            "a=https://x",
            "a=x/../y",
            "a=x y",
        ] {
            let error = mirrors.add_registry(bad).unwrap_err();
            assert_eq!(error.code(), "bundle::mirror-invalid", "{bad}");
        }
    }

    #[test]
    fn the_longest_beginning_of_an_address_counts() {
        let mut mirrors = Mirrors::default();
        mirrors
            .add_https("https://dl.example.org/=https://m.example.org/all/")
            .unwrap();
        mirrors
            .add_https("https://dl.example.org/a/=https://m.example.org/some/")
            .unwrap();
        for (url, expected) in [
            ("https://dl.example.org/a/x", "https://m.example.org/some/x"),
            ("https://dl.example.org/b/x", "https://m.example.org/all/b/x"),
            ("https://dl.example.org.evil/x", "https://dl.example.org.evil/x"),
        ] {
            assert_eq!(mirrors.https(url), expected);
        }
        for bad in [
            "https://a/",
            "https://a/=http://b/",
            "http://a/=https://b/",
            "https://a/=https://b",
            "https://=https://b",
        ] {
            assert!(mirrors.add_https(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn archives_are_addresses_and_cannot_smuggle_options() {
        let mut mirrors = Mirrors::default();
        mirrors.set_debian("https://mirror.example.org/debian/").unwrap();
        assert_eq!(mirrors.debian, "https://mirror.example.org/debian");
        assert!(!mirrors.is_debian_itself());
        for bad in [
            "",
            "mirror",
            "http://",
            "ftp://x",
            "http://x [trusted=yes]",
            "http://x\"; a \"",
            "file:///x",
        ] {
            assert!(mirrors.set_debian(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        let mut mirrors = Mirrors::default();
        for (host, is) in [
            ("127.0.0.1:5000", true),
            ("localhost:1", true),
            ("192.0.2.1:5000", false),
            ("a.b", false),
        ] {
            assert_eq!(mirrors.add_plain(host).is_ok(), is, "{host}");
        }
    }
}
