//! The catalogue of this repository and its lock file: what can be had from where.

use std::path::{Path, PathBuf};

use openg2p_bundle::{
    create::{Options, lock},
    index::Kind,
    lock::{EntryKey, LOCK_FILE, Lock},
    moves::Moves,
    progress::Silent,
    recipe::{Recipe, Recipes},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Nobody else publishes these.
fn is_ours(recipe: &Recipe) -> bool {
    recipe.kind == Kind::Chart
        || recipe
            .reference
            .as_deref()
            .is_some_and(|reference| reference.starts_with("ghcr.io/openg2p/"))
}

#[test]
fn what_others_publish_can_be_taken_from_them() {
    let recipes = Recipes::load(&root()).unwrap();
    assert!(recipes.members.len() > 40);
    for recipe in &recipes.members {
        let sources = recipe.sources.names();
        let expected: &[&str] = match recipe.kind {
            Kind::DebianPackage => &["debian"],
            _ if is_ours(recipe) => &["build"],
            Kind::Image => &["build", "oci"],
            _ => &["build", "https"],
        };
        assert_eq!(sources, expected, "{}", recipe.id());
    }
}

#[test]
fn addresses_name_the_version_that_the_recipe_does() {
    for recipe in Recipes::load(&root()).unwrap().members {
        let Some(version) = &recipe.version else { continue };
        if let Some(file) = &recipe.sources.https {
            assert!(
                file.url.contains(&format!("/{version}/")),
                "{}: {}",
                recipe.id(),
                file.url
            );
        }
        if recipe.sources.oci.is_some() {
            let reference = recipe.reference.as_deref().unwrap();
            assert!(
                reference.ends_with(&format!(":{version}")),
                "{}: {reference}",
                recipe.id()
            );
        }
    }
}

/// A fresh clone builds without accepting anything but what Debian changed since, for either release.
#[test]
fn the_lock_file_knows_every_build_and_the_packages_of_both_releases() {
    let lock = Lock::load(&root().join(LOCK_FILE)).unwrap();
    let mut missing = Vec::new();
    for recipe in Recipes::load(&root()).unwrap().members {
        let (source, releases): (_, &[Option<&str>]) = match recipe.kind {
            Kind::DebianPackage => ("debian", &[Some("bookworm"), Some("trixie")]),
            _ => ("build", &[None]),
        };
        for release in releases {
            let wanted = release.is_none_or(|release| {
                recipe.releases.is_empty() || recipe.releases.iter().any(|one| one == release)
            });
            let key = EntryKey {
                source: source.to_owned(),
                release: release.map(ToOwned::to_owned),
                kind: recipe.kind,
                name: recipe.name.clone(),
            };
            if wanted && lock.get(&key).is_none() {
                missing.push(format!("{} ({source} {release:?})", recipe.id()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join(", "));
}

/// What is built from this checkout is what the lock file says; nothing is built for it. After a change of charts, images or
/// what goes into our own programs, `make lock` brings the lock file up to date, as `OPENG2P_BLESS=1` does here.
#[test]
fn the_lock_file_fits_this_checkout() {
    if openg2p_test_needs::program("go").is_none() {
        openg2p_test_needs::skip("go", "its version is part of what decides a build");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::lab(folder.path().join("bundle"));
    options.cache = folder.path().join("cache");
    if std::env::var_os("OPENG2P_BLESS").is_some() {
        options.moves = Moves::only(["build"]);
    }
    if let Err(error) = lock(&root(), &options, &Silent) {
        panic!("{error}\n`make lock` accepts it");
    }
    let text = std::fs::read_to_string(root().join(LOCK_FILE)).unwrap();
    let written = Lock::parse(&text).unwrap().to_text();
    assert_eq!(
        text, written,
        "the lock file is not written as this program writes it"
    );
}
