//! The source `oci`: images of a registry, by the distribution protocol.
//!
//! Whatever comes is checked against a digest before it is kept: the lock file gives the digest of a manifest, the
//! manifest those of its parts. A tag is only looked at when the lock file does not know the image, or when what moved
//! is accepted; what it stands for is then shown, and locked. Of an image for several platforms, linux/amd64 is taken. Layers stay as the registry has them,
//! so that the image keeps the digest by which it is known.

use std::{
    fmt,
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode,
    blocking::{Client, RequestBuilder},
    header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use crate::{
    cache::{Made, Obtained},
    error::BundleError,
    index::{Blob, Digest},
    lock::Held,
    recipe::Recipe,
    sources::{
        Inputs, Source, Workshop,
        transfer::{Sink, Wanted},
    },
};

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A manifest is a page of text; what is longer is an attack or a mistake.
const LONGEST_MANIFEST: u64 = 4 << 20;

/// A token is good for a minute at least, says the protocol; a large layer takes longer.
const TOKEN_AGE: Duration = Duration::from_secs(45);

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
            let manifest = resolve(recipe, &reference, workshop)?;
            inputs.declare(reference.to_string(), manifest.sha256.as_str());
            inputs.expected = Some(manifest.sha256);
        }
        Ok(inputs)
    }

    fn foresee(
        &self,
        recipe: &Recipe,
        inputs: &Inputs,
        _workshop: &Workshop<'_>,
    ) -> Result<Option<(String, Held)>, BundleError> {
        let origin = reference_of(recipe)?.to_string();
        Ok(inputs
            .expected
            .clone()
            .map(|expected| (origin, Held::Sha256(expected))))
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let mut made = Made::default();
        for recipe in recipes {
            let reference = reference_of(recipe)?;
            let blobs = pull(recipe, &reference, workshop)?;
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

    fn at(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
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

/// The manifest for this platform: the locked one, or the one that the tag stands for now. If the registry does not
/// answer, what a tag stood for last time counts: that it moved is noticed as soon as it answers again.
fn resolve(recipe: &Recipe, reference: &Reference, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    let locked = workshop.locked("oci", recipe, &reference.to_string());
    let is_locked = locked.is_some();
    let reference = match locked {
        Some(digest) => &reference.at(digest),
        None => reference,
    };
    let key = |reference: &Reference| Digest::of(format!("oci manifest\0{reference}").as_bytes());
    let known = || {
        let made = workshop.cache.load(&key(reference))?;
        made.members.into_iter().next()?.blobs.into_iter().next()
    };
    if reference.digest.is_some()
        && let Some(blob) = known()
    {
        return Ok(blob);
    }
    let what = recipe.id();
    let asked = Registry::new(&what, reference, workshop).and_then(|registry| registry.for_this_platform());
    let bytes = match asked {
        Ok(bytes) => bytes,
        Err(BundleError::Unreachable { what, address, why }) => match known() {
            Some(blob) if !workshop.refresh => return Ok(blob),
            _ => {
                let hint = if is_locked && why.contains("404") {
                    "; the lock file names this digest, and `--accept-moved=oci` looks at the tag again"
                } else {
                    ""
                };
                return Err(BundleError::Unreachable {
                    what,
                    address,
                    why: why + hint,
                });
            }
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
    let made = Made {
        members: vec![member],
        ..Made::default()
    };
    // Under its digest too, which is how the next run asks for it, from the lock file.
    for reference in [reference, &reference.at(blob.sha256.clone())] {
        workshop.cache.store(&key(reference), &made)?;
    }
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

fn pull(recipe: &Recipe, reference: &Reference, workshop: &Workshop<'_>) -> Result<Vec<Blob>, BundleError> {
    let what = recipe.id();
    let blob = resolve(recipe, reference, workshop)?;
    let reference = reference.at(blob.sha256.clone());
    let mut registry = Registry::new(&what, &reference, workshop)?;
    let path = workshop.cache.blob_path(&blob.sha256);
    let manifest = registry.parse(&std::fs::read(&path).map_err(BundleError::io("read", &path))?)?;
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
                registry.blob(&wanted)?
            });
        }
    }
    Ok(blobs)
}

/// One repository of a registry, at its mirror if it has one.
struct Registry<'a> {
    what: &'a str,
    workshop: &'a Workshop<'a>,
    client: Client,
    /// The reference's own version: a tag or a digest.
    version: String,
    root: String,
    repository: String,
    /// For messages: where is really asked.
    address: String,
    token: Option<String>,
    authorised: Instant,
}

impl<'a> Registry<'a> {
    fn new(what: &'a str, reference: &Reference, workshop: &'a Workshop<'a>) -> Result<Self, BundleError> {
        let (host, repository) = workshop
            .mirrors
            .registry(&reference.registry, &reference.repository);
        let (scheme, client) = if workshop.mirrors.is_plain(&host) {
            ("http", workshop.web.plain()?)
        } else {
            ("https", workshop.web.secure()?)
        };
        let asked = Reference {
            registry: host.clone(),
            repository: repository.clone(),
            ..reference.clone()
        };
        let mut registry = Self {
            what,
            workshop,
            client,
            version: reference.version(),
            root: format!("{scheme}://{host}/v2/{repository}"),
            repository,
            address: asked.to_string(),
            token: None,
            authorised: Instant::now(),
        };
        registry.authorise()?;
        Ok(registry)
    }

    fn wanted(&self, limit: u64) -> Wanted<'_> {
        Wanted {
            what: self.what,
            address: &self.address,
            limit,
        }
    }

    /// Public registries want a token even of those who have no account.
    fn authorise(&mut self) -> Result<(), BundleError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let address = format!("{}/manifests/{}", self.root, self.version);
        let answer = self.workshop.web.ask(self.wanted(0), &|| {
            self.client.head(&address).header(ACCEPT, MANIFESTS)
        })?;
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
            percent(&format!("repository:{}:pull", self.repository))
        ));
        let address = format!("{realm}?{}", query.join("&"));
        let client = self.workshop.web.secure()?;
        let wanted = Wanted {
            what: self.what,
            address: realm,
            limit: LONGEST_MANIFEST,
        };
        let mut bytes = Vec::new();
        self.workshop
            .web
            .fetch(wanted, &|| client.get(&address), &mut bytes)?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|error| wanted.unreachable(format!("its token cannot be read: {error}")))?;
        self.token = token.token.or(token.access_token);
        self.authorised = Instant::now();
        Ok(())
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let request = self
            .client
            .get(format!("{}/{path}", self.root))
            .header(ACCEPT, MANIFESTS);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    /// The bytes of the manifest for linux/amd64, also of an image for several platforms.
    fn for_this_platform(&self) -> Result<Vec<u8>, BundleError> {
        let bytes = self.manifest(&self.version)?;
        let manifest = self.parse(&bytes)?;
        if manifest.manifests.is_empty() {
            return Ok(bytes);
        }
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
            .ok_or_else(|| self.unreachable("it is not there for linux/amd64".to_owned()))?;
        self.manifest(&chosen.digest.oci())
    }

    fn parse(&self, bytes: &[u8]) -> Result<Manifest, BundleError> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.unreachable(format!("its manifest cannot be read: {error}")))
    }

    /// The bytes of a manifest by tag or digest. A digest must be theirs.
    fn manifest(&self, version: &str) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        self.workshop.web.fetch(
            self.wanted(LONGEST_MANIFEST),
            &|| self.get(&format!("manifests/{version}")),
            &mut bytes,
        )?;
        if Sink::len(&bytes) > LONGEST_MANIFEST {
            return Err(self.unreachable("its manifest is longer than 4 MiB".to_owned()));
        }
        let found = Digest::of(&bytes);
        match version.parse::<Digest>() {
            Ok(expected) if version.starts_with("sha256:") && expected != found => {
                Err(BundleError::DigestMismatch {
                    what: self.what.to_owned(),
                    origin: self.address.clone(),
                    expected,
                    found,
                })
            }
            _ => Ok(bytes),
        }
    }

    fn blob(&mut self, wanted: &Blob) -> Result<Blob, BundleError> {
        let path = format!("blobs/{}", wanted.sha256.oci());
        if self.token.is_some() && self.authorised.elapsed() > TOKEN_AGE {
            self.authorise()?;
        }
        // More than promised is not the promised blob: reading ends there, and no server fills the disk.
        let limit = wanted.size;
        let mut writer = self.workshop.cache.writer()?;
        self.workshop
            .web
            .fetch(self.wanted(limit), &|| self.get(&path), &mut writer)?;
        writer.keep_if(&wanted.sha256, self.what, &self.address)
    }

    fn unreachable(&self, why: String) -> BundleError {
        self.wanted(0).unreachable(why)
    }
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
