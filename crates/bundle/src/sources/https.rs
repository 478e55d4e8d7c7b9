//! The source `https`: one file of a web server, or one file of an archive there.
//!
//! Its SHA-256 is known before it is fetched: from the recipe, from the lock file, or from the checksum that its makers
//! publish. The published one proves only that nothing broke on the way, because whoever could change the file could
//! change it too. So a person accepts it once, and then the lock file has it.

use std::{fs::File, io::Read};

use flate2::read::GzDecoder;

use crate::{
    cache::{Made, Obtained},
    error::BundleError,
    index::{Blob, Digest},
    lock::Held,
    recipe::{HttpsFile, Recipe},
    sources::{Inputs, Source, Workshop, build::layer::unsafe_path, transfer::Wanted},
};

/// A program of a host is some hundred megabytes at most.
const LONGEST_FILE: u64 = 4 << 30;
/// A list of checksums is a page of text.
const LONGEST_CHECKSUM: u64 = 1 << 20;

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

    fn inputs(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
        let mut inputs = Inputs::default();
        for recipe in recipes {
            let Some(file) = &recipe.sources.https else {
                continue;
            };
            let expected = expected(recipe, file, workshop)?;
            inputs.declare("url", &file.url);
            inputs.declare("sha256", expected.as_str());
            if let Some(name) = &file.extract {
                inputs.declare("extract", name);
            }
            inputs.expected = Some(expected);
        }
        Ok(inputs)
    }

    fn foresee(
        &self,
        recipe: &Recipe,
        inputs: &Inputs,
        _workshop: &Workshop<'_>,
    ) -> Result<Option<(String, Held)>, BundleError> {
        Ok(recipe.sources.https.as_ref().and_then(|file| {
            let expected = inputs.expected.clone()?;
            Some((file.url.clone(), Held::Sha256(expected)))
        }))
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let mut made = Made::default();
        for recipe in recipes {
            let Some(file) = &recipe.sources.https else {
                continue;
            };
            let expected = expected(recipe, file, workshop)?;
            let what = recipe.id();
            let address = address(recipe, &file.url, workshop)?;
            let wanted = Wanted {
                what: &what,
                address: &address,
                limit: LONGEST_FILE,
            };
            let client = workshop.web.secure()?;
            let mut writer = workshop.cache.writer()?;
            workshop
                .web
                .fetch(wanted, &|| client.get(&address), &mut writer)?;
            let mut blob = writer.keep_if(&expected, &what, &address)?;
            if let Some(name) = &file.extract {
                blob = extract(&what, &file.url, name, &blob, workshop)?;
            }
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

/// Where to ask for an address of a recipe: there, or at the mirror of it.
fn address(recipe: &Recipe, url: &str, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    let address = workshop.mirrors.https(url);
    if address.starts_with("https://") {
        return Ok(address);
    }
    Err(BundleError::Recipe {
        path: recipe.file.clone(),
        why: format!("{}: {address} is not an https:// address", recipe.id()),
    })
}

/// What the file must be. The published checksum is asked for only when neither recipe nor lock file says it, or when
/// what moved here is accepted and so may be something new; it is asked for once.
fn expected(recipe: &Recipe, file: &HttpsFile, workshop: &Workshop<'_>) -> Result<Digest, BundleError> {
    if let Some(sha256) = &file.sha256 {
        return Ok(sha256.clone());
    }
    if let Some(sha256) = workshop.locked("https", recipe, &file.url) {
        return Ok(sha256);
    }
    let place = file
        .checksum
        .clone()
        .unwrap_or_else(|| format!("{}.sha256", file.url));
    let text = workshop.version(&format!("checksum {place}"), || {
        published(recipe, &place, workshop)
    })?;
    let name = file.url.rsplit('/').next().unwrap_or_default();
    checksum_of(&text, name).ok_or_else(|| {
        Wanted {
            what: &recipe.id(),
            address: &place,
            limit: 0,
        }
        .unreachable(format!("it says no SHA-256 of {name}"))
    })
}

fn published(recipe: &Recipe, place: &str, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    let (what, address) = (recipe.id(), address(recipe, place, workshop)?);
    let wanted = Wanted {
        what: &what,
        address: &address,
        limit: LONGEST_CHECKSUM,
    };
    let client = workshop.web.secure()?;
    let mut bytes = Vec::new();
    workshop.web.fetch(wanted, &|| client.get(&address), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The digest of a file in a published checksum: the digest alone, or a list as `sha256sum` writes it.
fn checksum_of(text: &str, name: &str) -> Option<Digest> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let digest = words.next()?.to_ascii_lowercase().parse().ok()?;
        let named = words.next().map(|word| {
            let word = word.trim_start_matches('*');
            word.rsplit('/').next().unwrap_or(word).to_owned()
        });
        named.is_none_or(|named| named == name).then_some(digest)
    })
}

/// One file of a `.tar.gz`.
fn extract(
    what: &str,
    origin: &str,
    name: &str,
    archive: &Blob,
    workshop: &Workshop<'_>,
) -> Result<Blob, BundleError> {
    let path = workshop.cache.blob_path(&archive.sha256);
    let file = File::open(&path).map_err(BundleError::io("read", &path))?;
    let damaged = |source| BundleError::Io {
        doing: "unpack what came from",
        path: origin.into(),
        source,
    };
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut names = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let found = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
        if let Some(why) = unsafe_path(&found) {
            return Err(BundleError::UnsafeArchive {
                what: format!("{what} from {origin}"),
                entry: found,
                why,
            });
        }
        if found.trim_start_matches("./") == name && entry.header().entry_type().is_file() {
            return workshop.cache.put(&mut entry.take(LONGEST_FILE));
        }
        names.push(found);
    }
    Err(BundleError::UnsafeArchive {
        what: format!("{what} from {origin}"),
        entry: names.join(", "),
        why: "but not the file that the recipe's `extract` names",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_as_their_makers_write_them() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        for text in [
            one.to_string(),
            format!("{one}\n"),
            one.as_str().to_uppercase(),
            format!("{one}  tool\n"),
            format!("{one} *./bin/tool\n"),
            format!("{two}  other\n{one}  tool\n"),
        ] {
            assert_eq!(checksum_of(&text, "tool"), Some(one.clone()), "{text}");
        }
        for text in ["", "<html>", "abc  tool", &format!("{two}  other\n")] {
            assert_eq!(checksum_of(text, "tool"), None, "{text}");
        }
    }
}
