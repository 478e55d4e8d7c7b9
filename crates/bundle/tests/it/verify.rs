//! Checking bundles: whatever is spoiled is named, all at once.

use std::{fs, process::Command};

use openg2p_bundle::{
    cache::Cache,
    check::{self, Problem},
    index::{Blob, Index, Kind, Member, blob_path},
    layout,
    moves::Moves,
    progress::Silent,
};

use crate::support::{Repository, flip};

fn bundle_of(names: &[&str]) -> (Repository, Index) {
    let repository = Repository::new();
    for name in names {
        repository.chart(name);
    }
    let index = repository.create(Moves::all()).unwrap().index;
    (repository, index)
}

fn problems(repository: &Repository) -> Vec<Problem> {
    check::verify(&repository.bundle(), &Silent).unwrap().problems
}

#[test]
fn every_flipped_and_every_missing_member_is_named() {
    let names = ["a", "b", "c", "d", "e"];
    let (repository, index) = bundle_of(&names);
    for member in &index.members[..4] {
        flip(&blob_path(&repository.bundle(), &member.sha256));
    }
    fs::remove_file(blob_path(&repository.bundle(), &index.members[4].sha256)).unwrap();
    let found = problems(&repository);
    assert_eq!(found.len(), 5);
    for member in &index.members {
        let problem = found
            .iter()
            .find(|problem| problem.to_string().contains(&member.id()))
            .unwrap();
        let code = if member.name == "e" {
            "bundle::member-missing"
        } else {
            "bundle::digest-mismatch"
        };
        assert_eq!(problem.code(), code, "{problem}");
    }
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let (repository, index) = bundle_of(&["a"]);
    let path = blob_path(&repository.bundle(), &index.members[0].sha256);
    let whole = fs::read(&path).unwrap();
    for at in [0, whole.len() / 3, whole.len() - 1] {
        for bit in [0, 7] {
            let mut spoiled = whole.clone();
            spoiled[at] ^= 1 << bit;
            fs::write(&path, spoiled).unwrap();
            assert_eq!(problems(&repository).len(), 1, "bit {bit} of byte {at}");
        }
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(
        problems(&repository)[0].to_string().contains("bytes instead of"),
        "a cut file"
    );
    fs::write(&path, &whole).unwrap();
    assert!(problems(&repository).is_empty());
}

/// A bundle with a member of every kind, written as `create` writes it, from bytes made up here.
fn bundle_of_every_kind(repository: &Repository) -> Index {
    let cache = Cache::open(repository.cache()).unwrap();
    let put = |text: &str| cache.put_bytes(text.as_bytes()).unwrap();
    let config = put("the configuration of the image");
    let layer = put("a layer of the image");
    let manifest = put(&format!(
        r#"{{"config": {{"digest": "sha256:{}"}}, "layers": [{{"digest": "sha256:{}"}}]}}"#,
        config.sha256, layer.sha256
    ));
    let member = |kind, name: &str, blobs: Vec<Blob>| Member {
        kind,
        name: name.to_owned(),
        version: "1".to_owned(),
        reference: (kind == Kind::Image).then(|| "example.org/app:1".to_owned()),
        architecture: (kind == Kind::DebianPackage).then(|| "amd64".to_owned()),
        control: (kind == Kind::DebianPackage).then(|| "Package: nginx\n".to_owned()),
        sha256: blobs[0].sha256.clone(),
        size: blobs.iter().map(|blob| blob.size).sum(),
        licence: "X".to_owned(),
        origin: "somewhere".to_owned(),
        blobs,
    };
    let members = vec![
        member(Kind::Binary, "kubeadm", vec![put("a program")]),
        member(Kind::Chart, "spar", vec![put("a chart")]),
        member(Kind::DebianPackage, "nginx", vec![put("a package")]),
        member(Kind::Image, "app", vec![manifest, config, layer]),
    ];
    let index = Index::new("trixie", members).unwrap();
    layout::write(&repository.bundle(), &index, &cache, 2, &Silent).unwrap();
    index
}

#[test]
fn every_flipped_byte_of_every_kind_of_member_is_found_and_named() {
    let repository = Repository::new();
    let index = bundle_of_every_kind(&repository);
    assert_eq!(index.members.len(), Kind::ALL.len());
    assert_eq!(problems(&repository), []);
    for member in &index.members {
        for blob in &member.blobs {
            let path = blob_path(&repository.bundle(), &blob.sha256);
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut spoiled = whole.clone();
                spoiled[at] ^= 1;
                fs::write(&path, spoiled).unwrap();
                let found = problems(&repository);
                assert!(
                    found.len() == 1 && found[0].to_string().contains(&member.id()),
                    "byte {at} of {}: {found:?}",
                    member.id()
                );
            }
            fs::write(&path, whole).unwrap();
        }
    }
    assert_eq!(problems(&repository), []);
}

#[test]
fn every_flipped_byte_of_the_files_around_the_members_is_found() {
    let repository = Repository::new();
    bundle_of_every_kind(&repository);
    for name in ["bundle.json", "bundle.sha256", "index.json", "oci-layout"] {
        let path = repository.bundle().join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut spoiled = whole.clone();
            spoiled[at] ^= 1;
            fs::write(&path, spoiled).unwrap();
            let found = check::verify(&repository.bundle(), &Silent);
            assert!(
                found.is_err() || !found.unwrap().problems.is_empty(),
                "byte {at} of {name}: {}",
                String::from_utf8_lossy(&whole[at.saturating_sub(20)..=at])
            );
        }
        fs::remove_file(&path).unwrap();
        let found = check::verify(&repository.bundle(), &Silent);
        assert!(
            found.is_err() || !found.unwrap().problems.is_empty(),
            "without {name}"
        );
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(problems(&repository), []);
}

#[test]
fn the_digest_is_one_that_other_programs_check() {
    let (repository, _) = bundle_of(&["a"]);
    let status = Command::new("sha256sum")
        .args(["--check", "--status", "bundle.sha256"])
        .current_dir(repository.bundle())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn files_that_belong_to_nobody_and_a_foreign_index_are_named() {
    let (repository, _) = bundle_of(&["a"]);
    let bundle = repository.bundle();
    fs::write(bundle.join("blobs/sha256").join("0".repeat(64)), "smuggled").unwrap();
    fs::write(bundle.join("notes.txt"), "x").unwrap();
    fs::write(bundle.join("index.json"), "{}").unwrap();
    let codes: Vec<_> = problems(&repository).iter().map(Problem::code).collect();
    assert_eq!(
        codes,
        ["bundle::unlisted", "bundle::unlisted", "bundle::layout-mismatch"]
    );
}

#[test]
fn a_link_in_place_of_a_blob_is_not_followed() {
    let (repository, index) = bundle_of(&["a"]);
    let path = blob_path(&repository.bundle(), &index.members[0].sha256);
    let elsewhere = repository.root().join("copy");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!(problems(&repository)[0].code(), "bundle::digest-mismatch");
}

#[test]
fn an_altered_index_is_refused() {
    let (repository, index) = bundle_of(&["a"]);
    let path = repository.bundle().join("bundle.json");
    let Member { size, .. } = index.members[0];
    let text = fs::read_to_string(&path)
        .unwrap()
        .replacen(&format!("\"size\": {size}"), "\"size\": 1", 1);
    fs::write(&path, text).unwrap();
    assert_eq!(
        check::verify(&repository.bundle(), &Silent).unwrap_err().code(),
        "bundle::index-inconsistent"
    );
    fs::write(&path, "{").unwrap();
    assert_eq!(
        check::verify(&repository.bundle(), &Silent).unwrap_err().code(),
        "bundle::index-malformed"
    );
    let nowhere = repository.root().join("nowhere");
    assert_eq!(
        check::verify(&nowhere, &Silent).unwrap_err().code(),
        "bundle::incomplete"
    );
}
