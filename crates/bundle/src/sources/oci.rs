//! The source `oci`: images of a registry, by the distribution protocol.
//!
//! Whatever comes is checked against a digest before it is kept: the tag gives the digest of a manifest, the manifest
//! those of its parts. Of an image for several platforms, linux/amd64 is taken. Layers stay as the registry has them,
//! so that the image keeps the digest by which it is known.

use std::{fmt, path::PathBuf};

use reqwest::{
    StatusCode,
    blocking::{Client, RequestBuilder, Response},
    header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use crate::{
    cache::{Made, Obtained},
    error::BundleError,
    index::{Blob, Digest},
    recipe::Recipe,
    sources::{
        Inputs, Source, Workshop,
        https::{client, copy, send, unreachable},
    },
};

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A manifest is a page of text; what is longer is an attack or a mistake.
const LONGEST_MANIFEST: u64 = 4 << 20;

/// Images of a registry.
#[derive(Debug, Clone, Copy)]
pub struct OciRegistry;

impl Source for OciRegistry {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn declared(&self, recipe: &Recipe) -> bool {
        recipe.sources.oci.is_some()
    }

    fn inputs(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
        let mut inputs = Inputs::default();
        for recipe in recipes {
            let reference = reference_of(recipe)?;
            let top = resolve(&recipe.id(), &reference, workshop)?;
            inputs.declare(reference.to_string(), top.sha256.as_str());
        }
        Ok(inputs)
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let mut made = Made::default();
        for recipe in recipes {
            let reference = reference_of(recipe)?;
            let blobs = pull(&recipe.id(), &reference, workshop)?;
            made.members.push(Obtained {
                name: None,
                version: None,
                architecture: None,
                control: None,
                origin: reference.to_string(),
                blobs,
            });
        }
        Ok(made)
    }
}

fn reference_of(recipe: &Recipe) -> Result<Reference, BundleError> {
    let text = recipe
        .sources
        .oci
        .as_ref()
        .and_then(|oci| oci.reference.as_deref())
        .or(recipe.reference.as_deref());
    let text = text.unwrap_or_default();
    Reference::parse(text).map_err(|why| BundleError::Recipe {
        path: recipe.file.clone(),
        why: format!("{}: `{text}` is no image reference: {why}", recipe.id()),
    })
}

/// A full image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads `registry/repository:tag`, `registry/repository@sha256:…` or both. The registry must be named.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(digest.parse().map_err(|_| "its digest is no SHA-256")?),
            ),
            None => (text, None),
        };
        let (registry, path) = rest.split_once('/').ok_or("it names no registry")?;
        if !(registry.contains(['.', ':']) || registry == "localhost") {
            return Err("its first part is no registry");
        }
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        let good = |text: &str, more: &[char]| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || more.contains(&one))
                && !text
                    .split('/')
                    .any(|part| part.is_empty() || part.starts_with('.'))
        };
        if !good(registry, &['.', ':', '-']) || !good(repository, &['.', '_', '-', '/']) {
            return Err("it has characters that a reference cannot have");
        }
        if tag.as_deref().is_some_and(|tag| !good(tag, &['.', '_', '-'])) {
            return Err("its tag has characters that a tag cannot have");
        }
        if tag.is_none() && digest.is_none() {
            return Err("it has neither tag nor digest");
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }

    /// What to ask for: the digest if there is one, because it cannot change.
    fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.oci(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => String::new(),
        }
    }

    fn host(&self) -> &str {
        // The registry of docker.io has another name than its references.
        if self.registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            &self.registry
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{}", digest.oci())?;
        }
        Ok(())
    }
}

/// The manifest that a reference stands for now. If the registry does not answer, what it said last time counts: a tag
/// that moved meanwhile is noticed as soon as it answers again.
fn resolve(what: &str, reference: &Reference, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    let key = Digest::of(format!("oci reference\0{reference}").as_bytes());
    let known = || {
        let made = workshop.cache.load(&key)?;
        made.members.into_iter().next()?.blobs.into_iter().next()
    };
    if reference.digest.is_some()
        && let Some(blob) = known()
    {
        return Ok(blob);
    }
    let asked =
        Registry::new(what, reference, workshop).and_then(|registry| registry.manifest(&reference.version()));
    let bytes = match asked {
        Ok(bytes) => bytes,
        Err(error @ BundleError::Unreachable { .. }) => match known() {
            Some(blob) if !workshop.refresh => return Ok(blob),
            _ => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let blob = workshop.cache.put_bytes(&bytes)?;
    let member = Obtained {
        name: None,
        version: None,
        architecture: None,
        control: None,
        origin: reference.to_string(),
        blobs: vec![blob.clone()],
    };
    workshop.cache.store(
        &key,
        &Made {
            members: vec![member],
            ..Made::default()
        },
    )?;
    Ok(blob)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

fn pull(what: &str, reference: &Reference, workshop: &Workshop<'_>) -> Result<Vec<Blob>, BundleError> {
    let registry = Registry::new(what, reference, workshop)?;
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Manifest>(bytes)
            .map_err(|error| registry.unreachable(format!("its manifest cannot be read: {error}")))
    };
    let mut blob = resolve(what, reference, workshop)?;
    let path = workshop.cache.blob_path(&blob.sha256);
    let mut manifest = parse(&std::fs::read(&path).map_err(BundleError::io("read", &path))?)?;
    if !manifest.manifests.is_empty() {
        let ours = |descriptor: &&Descriptor| {
            descriptor
                .platform
                .as_ref()
                .is_some_and(|it| it.os == "linux" && it.architecture == "amd64")
        };
        let chosen = manifest
            .manifests
            .iter()
            .find(ours)
            .ok_or_else(|| registry.unreachable("it is not there for linux/amd64".to_owned()))?;
        let bytes = registry.manifest(&chosen.digest.oci())?;
        blob = workshop.cache.put_bytes(&bytes)?;
        manifest = parse(&bytes)?;
    }
    let Some(config) = &manifest.config else {
        return Err(registry.unreachable("its manifest has no configuration".to_owned()));
    };
    let mut blobs = vec![blob];
    for descriptor in std::iter::once(config).chain(&manifest.layers) {
        let wanted = Blob {
            sha256: descriptor.digest.clone(),
            size: descriptor.size,
        };
        if !blobs.contains(&wanted) {
            blobs.push(if workshop.cache.has(&wanted) {
                wanted
            } else {
                registry.blob(&wanted, workshop)?
            });
        }
    }
    Ok(blobs)
}

/// One repository of a registry.
struct Registry<'a> {
    what: &'a str,
    reference: &'a Reference,
    client: Client,
    root: String,
    token: Option<String>,
}

impl<'a> Registry<'a> {
    fn new(what: &'a str, reference: &'a Reference, workshop: &Workshop<'_>) -> Result<Self, BundleError> {
        let host = reference.host();
        let scheme = if workshop.plain_registries.iter().any(|plain| plain == host) {
            if !is_loopback(host) {
                return Err(BundleError::Recipe {
                    path: PathBuf::from("plain registries"),
                    why: format!("{host} is not a loopback address; give the registry a certificate"),
                });
            }
            "http"
        } else {
            "https"
        };
        let root = format!("{scheme}://{host}/v2/{}", reference.repository);
        let mut registry = Self {
            what,
            reference,
            client: client(&workshop.authorities)?,
            root,
            token: None,
        };
        registry.authorise()?;
        Ok(registry)
    }

    /// Public registries want a token even of those who have no account.
    fn authorise(&mut self) -> Result<(), BundleError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let address = format!("{}/manifests/{}", self.root, self.reference.version());
        let answer = self
            .client
            .head(&address)
            .header(ACCEPT, MANIFESTS)
            .send()
            .map_err(|error| unreachable(self.what, &self.reference.to_string(), &error))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        let challenge = answer
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let Some(realm) = challenge_field(challenge, "realm").filter(|realm| realm.starts_with("https://"))
        else {
            return Err(self.unreachable(format!("it wants credentials of an unknown kind (`{challenge}`)")));
        };
        let mut query = Vec::new();
        if let Some(service) = challenge_field(challenge, "service") {
            query.push(format!("service={}", percent(service)));
        }
        query.push(format!(
            "scope={}",
            percent(&format!("repository:{}:pull", self.reference.repository))
        ));
        let address = format!("{realm}?{}", query.join("&"));
        let answer = send(self.what, realm, self.client.get(&address))?;
        let token: Token = answer
            .json()
            .map_err(|error| unreachable(self.what, realm, &error))?;
        self.token = token.token.or(token.access_token);
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Response, BundleError> {
        let mut request: RequestBuilder = self
            .client
            .get(format!("{}/{path}", self.root))
            .header(ACCEPT, MANIFESTS);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        send(self.what, &self.reference.to_string(), request)
    }

    /// The bytes of a manifest by tag or digest. A digest must be theirs.
    fn manifest(&self, version: &str) -> Result<Vec<u8>, BundleError> {
        use std::io::Read;
        let mut answer = self.get(&format!("manifests/{version}"))?;
        let claimed = answer
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned);
        let mut bytes = Vec::new();
        copy(
            self.what,
            &self.reference.to_string(),
            &mut answer.by_ref().take(LONGEST_MANIFEST + 1),
            &mut bytes,
        )?;
        if bytes.len() as u64 > LONGEST_MANIFEST {
            return Err(self.unreachable("its manifest is longer than 4 MiB".to_owned()));
        }
        let found = Digest::of(&bytes);
        let promised = if version.starts_with("sha256:") {
            Some(version.to_owned())
        } else {
            claimed
        };
        if let Some(expected) = promised.and_then(|text| text.parse::<Digest>().ok())
            && expected != found
        {
            return Err(BundleError::DigestMismatch {
                what: self.what.to_owned(),
                origin: self.reference.to_string(),
                expected,
                found,
            });
        }
        Ok(bytes)
    }

    fn blob(&self, wanted: &Blob, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
        use std::io::Read;
        let origin = self.reference.to_string();
        let mut answer = self.get(&format!("blobs/{}", wanted.sha256.oci()))?;
        let mut writer = workshop.cache.writer()?;
        // One byte more than promised is enough to see that it is not the promised blob, and fills no disk.
        copy(
            self.what,
            &origin,
            &mut answer.by_ref().take(wanted.size.saturating_add(1)),
            &mut writer,
        )?;
        writer.keep_if(&wanted.sha256, self.what, &origin)
    }

    fn unreachable(&self, why: String) -> BundleError {
        BundleError::Unreachable {
            what: self.what.to_owned(),
            address: self.reference.to_string(),
            why,
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A field of a `WWW-Authenticate: Bearer` challenge.
fn challenge_field<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let rest = challenge.strip_prefix("Bearer ")?;
    let start = rest.find(&format!("{name}=\""))? + name.len() + 2;
    rest[start..].split('"').next()
}

fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            use fmt::Write as _;
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let digest = "a".repeat(64);
        for good in [
            "registry.k8s.io/coredns/coredns:v1.14.7".to_owned(),
            "localhost:5000/a:1".to_owned(),
            format!("ghcr.io/openg2p/spar@sha256:{digest}"),
            format!("ghcr.io/openg2p/spar:1.1.0@sha256:{digest}"),
        ] {
            assert_eq!(Reference::parse(&good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "nginx",
            "library/nginx:1",
            "a.b/c",
            "a.b/c:",
            "a.b/../c:1",
            "a.b/c:1@sha256:x",
            "a.b/c d:1",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Reference::parse("docker.io/library/debian:1").unwrap().host(),
            "registry-1.docker.io"
        );
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (host, is) in [
            ("127.0.0.1:5000", true),
            ("localhost:1", true),
            ("192.0.2.1:5000", false),
            ("a.b", false),
        ] {
            assert_eq!(is_loopback(host), is, "{host}");
        }
    }

    #[test]
    fn challenges_are_read() {
        let challenge = r#"Bearer realm="https://auth.example.org/token",service="registry.example.org""#;
        assert_eq!(
            challenge_field(challenge, "realm"),
            Some("https://auth.example.org/token")
        );
        assert_eq!(
            challenge_field(challenge, "service"),
            Some("registry.example.org")
        );
        assert_eq!(challenge_field(challenge, "scope"), None);
        assert_eq!(challenge_field("Basic realm=\"x\"", "realm"), None);
        assert_eq!(percent("a b/c:d"), "a%20b%2Fc%3Ad");
    }
}
