//! Checking bundles: whatever is spoiled is named, all at once.

use std::fs;

use openg2p_bundle::{
    check::{self, Problem},
    create::Moves,
    index::{Index, Member, blob_path},
    progress::Silent,
};

use crate::support::{Repository, flip};

fn bundle_of(names: &[&str]) -> (Repository, Index) {
    let repository = Repository::new();
    for name in names {
        repository.chart(name);
    }
    let index = repository.create(Moves::Accept).unwrap().index;
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
