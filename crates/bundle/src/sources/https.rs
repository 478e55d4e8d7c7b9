//! The source `https`: one file of a web server, whose SHA-256 the recipe names.

use std::{fs, path::Path, time::Duration};

use reqwest::blocking::{Client, Response};

use crate::{
    cache::{Made, Obtained},
    error::BundleError,
    recipe::Recipe,
    sources::{Inputs, Source, Workshop},
};

/// Files of web servers.
#[derive(Debug, Clone, Copy)]
pub struct Https;

impl Source for Https {
    fn name(&self) -> &'static str {
        "https"
    }

    fn declared(&self, recipe: &Recipe) -> bool {
        recipe.sources.https.is_some()
    }

    fn inputs(&self, recipes: &[&Recipe], _workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
        let mut inputs = Inputs::default();
        for file in recipes.iter().filter_map(|recipe| recipe.sources.https.as_ref()) {
            inputs.declare("url", &file.url);
            inputs.declare("sha256", file.sha256.as_str());
        }
        Ok(inputs)
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let mut made = Made::default();
        for recipe in recipes {
            let Some(file) = &recipe.sources.https else {
                continue;
            };
            let what = recipe.id();
            if !file.url.starts_with("https://") {
                return Err(BundleError::Recipe {
                    path: recipe.file.clone(),
                    why: format!("{what}: {} is not an https:// address", file.url),
                });
            }
            let client = client(&workshop.authorities)?;
            let mut response = send(&what, &file.url, client.get(&file.url))?;
            let mut writer = workshop.cache.writer()?;
            copy(&what, &file.url, &mut response, &mut writer)?;
            let blob = writer.keep_if(&file.sha256, &what, &file.url)?;
            made.members.push(Obtained {
                name: None,
                version: None,
                architecture: None,
                control: None,
                origin: file.url.clone(),
                blobs: vec![blob],
            });
        }
        Ok(made)
    }
}

/// A client that trusts the system's authorities and these.
pub(crate) fn client(authorities: &[impl AsRef<Path>]) -> Result<Client, BundleError> {
    // Whoever installed a provider first decides; ours is the same one.
    let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
    let mut builder = Client::builder()
        .user_agent(concat!("openg2p/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        // Of the whole answer; a stalled download must end, a slow one of a large layer may take its time.
        .timeout(Duration::from_mins(30));
    for path in authorities {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(BundleError::io("read", path))?;
        let wrong = |error: reqwest::Error| BundleError::Recipe {
            path: path.to_owned(),
            why: format!("is no PEM file with certificates: {error}"),
        };
        for certificate in reqwest::Certificate::from_pem_bundle(&bytes).map_err(wrong)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder
        .build()
        .map_err(|error| unreachable("a web client", "this machine", &error))
}

pub(crate) fn send(
    what: &str,
    address: &str,
    request: reqwest::blocking::RequestBuilder,
) -> Result<Response, BundleError> {
    let response = request
        .send()
        .map_err(|error| unreachable(what, address, &error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    Err(BundleError::Unreachable {
        what: what.to_owned(),
        address: address.to_owned(),
        why: format!("it answered {}", response.status()),
    })
}

/// Copies an answer; a connection that breaks off is the server's failure, not the disk's.
pub(crate) fn copy(
    what: &str,
    address: &str,
    from: &mut dyn std::io::Read,
    to: &mut dyn std::io::Write,
) -> Result<(), BundleError> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = from.read(&mut buffer).map_err(|error| BundleError::Unreachable {
            what: what.to_owned(),
            address: address.to_owned(),
            why: format!("the answer broke off: {error}"),
        })?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])
            .map_err(BundleError::io("write", "the cache"))?;
    }
}

/// reqwest's own message is only the outermost layer; the reason (refused, unknown name, certificate) lies below.
pub(crate) fn unreachable(what: &str, address: &str, error: &reqwest::Error) -> BundleError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why.push_str(": ");
        why.push_str(&cause.to_string());
        source = cause.source();
    }
    BundleError::Unreachable {
        what: what.to_owned(),
        address: address.to_owned(),
        why,
    }
}
