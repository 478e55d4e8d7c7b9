//! Making bundles from charts, which need no tool: choosing, caching, locking, healing.

use std::{fs, path::Path};

use openg2p_bundle::{
    check,
    create::{Moves, create},
    error::BundleError,
    index::{Kind, blob_path},
    lock::Lock,
    progress::Silent,
};

use crate::support::{Repository, files, flip};

fn ids(error: &BundleError) -> Vec<String> {
    match error {
        BundleError::LockMoved { moved, .. } => moved.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

fn problems(dir: &Path) -> Vec<String> {
    check::verify(dir, &Silent)
        .unwrap()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_not_locked_is_refused_until_it_is_accepted() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    let error = repository.create(Moves::Refuse).unwrap_err();
    assert_eq!(error.code(), "bundle::lock-moved");
    assert_eq!(ids(&error), ["chart/one (build): new", "chart/two (build): new"]);
    assert!(error.to_string().contains("--accept-moved"), "{error}");
    assert!(!repository.bundle().exists(), "a refusal has no effect");

    let report = repository.create(Moves::Accept).unwrap();
    assert_eq!((report.made, report.moved.len()), (2, 2));
    let locked = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    let again = repository.create(Moves::Refuse).unwrap();
    assert_eq!(
        (again.made, again.moved.len(), &again.digest),
        (0, 0, &report.digest)
    );
    assert_eq!(
        fs::read_to_string(repository.root().join("bundle.lock")).unwrap(),
        locked
    );
    assert_eq!(problems(&repository.bundle()), [""; 0]);
}

#[test]
fn a_member_that_moved_is_named_and_nothing_changes() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    let before = repository.create(Moves::Accept).unwrap();
    repository.write("charts/two/values.yaml", "replicas: 2\n");
    let error = repository.create(Moves::Refuse).unwrap_err();
    assert_eq!(ids(&error), ["chart/two (build): its inputs changed"]);
    assert_eq!(check::open(&repository.bundle()).unwrap(), before.index);
    let after = repository.create(Moves::Accept).unwrap();
    assert_eq!((after.made, after.moved.len()), (1, 1));
    assert_ne!(after.digest, before.digest);
    assert_eq!(
        problems(&repository.bundle()),
        [""; 0],
        "blobs of the old chart are gone"
    );
}

#[test]
fn a_member_that_is_gone_leaves_the_lock_only_when_all_were_made() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    repository.create(Moves::Accept).unwrap();
    let mut options = repository.options(Moves::Refuse);
    options.only = vec!["one".to_owned()];
    let part = create(&repository.root(), &options, &Silent).unwrap();
    assert_eq!(part.index.members.len(), 1);
    assert!(part.moved.is_empty(), "a part says nothing about the rest");
    fs::remove_dir_all(repository.root().join("catalog/modules/two")).unwrap();
    let error = repository.create(Moves::Refuse).unwrap_err();
    assert_eq!(ids(&error), ["chart/two (build): gone, was version 0.1.0"]);
    repository.create(Moves::Accept).unwrap();
    assert_eq!(
        Lock::load(&repository.root().join("bundle.lock"))
            .unwrap()
            .entries()
            .count(),
        1
    );
}

#[test]
fn a_clone_elsewhere_uses_the_same_cache() {
    let repository = Repository::new();
    repository.chart("one");
    let first = repository.create(Moves::Accept).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let clone = elsewhere.path().join("some/other/place");
    for file in files(&repository.root()) {
        let to = clone.join(file.strip_prefix(repository.root()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // A fresh file with a time of its own.
        fs::write(&to, fs::read(&file).unwrap()).unwrap();
    }
    let mut options = repository.options(Moves::Refuse);
    options.dir = elsewhere.path().join("bundle");
    let second = create(&clone, &options, &Silent).unwrap();
    assert_eq!((second.made, second.digest), (0, first.digest));
    assert_eq!(problems(&options.dir), [""; 0]);
}

#[test]
fn a_killed_run_leaves_no_bundle_and_the_next_one_heals_it() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    let report = repository.create(Moves::Accept).unwrap();
    // What a kill leaves between removing the old index and writing the new one, in the worst order.
    fs::remove_file(repository.bundle().join("bundle.json")).unwrap();
    fs::write(repository.bundle().join("blobs/sha256/.new-x"), "half").unwrap();
    flip(&blob_path(&repository.bundle(), &report.index.members[0].sha256));
    fs::remove_file(blob_path(&repository.bundle(), &report.index.members[1].sha256)).unwrap();
    let error = check::open(&repository.bundle()).unwrap_err();
    assert_eq!(error.code(), "bundle::incomplete");
    assert_eq!(repository.create(Moves::Refuse).unwrap().made, 0);
    assert_eq!(problems(&repository.bundle()), [""; 0]);
}

#[test]
fn scratch_folders_of_killed_runs_are_cleared_and_those_of_living_ones_are_not() {
    let repository = Repository::new();
    repository.chart("one");
    repository.create(Moves::Accept).unwrap();
    let scratch = repository.cache().join("scratch");
    fs::create_dir(scratch.join("run-dead")).unwrap();
    let dead = fs::File::create(scratch.join("run-dead.lock")).unwrap();
    dead.set_modified(std::time::SystemTime::now() - std::time::Duration::from_mins(1))
        .unwrap();
    fs::create_dir(scratch.join("run-alive")).unwrap();
    let alive = fs::File::create(scratch.join("run-alive.lock")).unwrap();
    alive
        .set_modified(std::time::SystemTime::now() - std::time::Duration::from_mins(1))
        .unwrap();
    alive.lock().unwrap();
    repository.create(Moves::Refuse).unwrap();
    assert!(!scratch.join("run-dead").exists() && !scratch.join("run-dead.lock").exists());
    assert!(scratch.join("run-alive").exists());
}

#[test]
fn a_damaged_cache_is_told_and_made_good() {
    let repository = Repository::new();
    repository.chart("one");
    let report = repository.create(Moves::Accept).unwrap();
    fs::remove_dir_all(repository.bundle()).unwrap();
    flip(&blob_path(&repository.cache(), &report.index.members[0].sha256));
    let error = repository.create(Moves::Refuse).unwrap_err();
    assert_eq!(error.code(), "bundle::cache-damaged");
    assert!(error.to_string().contains("chart/one"), "{error}");
    assert_eq!(
        check::open(&repository.bundle()).unwrap_err().code(),
        "bundle::incomplete"
    );
    let again = repository.create(Moves::Refuse).unwrap();
    assert_eq!(
        (again.made, again.digest),
        (1, report.digest),
        "the same bytes again"
    );
}

#[test]
fn errors_of_all_members_come_together() {
    let repository = Repository::new();
    repository.recipe(
        "x",
        "  - {kind: chart, name: a, version: '1', licence: X, sources: {build: {chart: charts/a}}}\n  \
         - {kind: chart, name: b, version: '1', licence: X, sources: {build: {chart: charts/b}}}\n",
    );
    let error = repository.create(Moves::Accept).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "bundle::several");
    for expected in [
        "chart/a",
        "charts/a/Chart.yaml",
        "chart/b",
        "catalog/modules/x/bundle.yaml",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn wrong_recipes_are_refused_before_anything_is_made() {
    let member = |text: &str| format!("  - {{{text}}}\n");
    let cases = [
        (
            "unknown key",
            member("kind: chart, name: a, version: '1', licence: X, source: {}"),
        ),
        (
            "no source",
            member("kind: chart, name: a, version: '1', licence: X, sources: {}"),
        ),
        (
            "no version",
            member("kind: chart, name: a, licence: X, sources: {build: {chart: c}}"),
        ),
        (
            "an image without a reference",
            member("kind: image, name: a, version: '1', licence: X, sources: {oci: {}}"),
        ),
        (
            "a chart from Debian",
            member("kind: chart, name: a, version: '1', licence: X, sources: {debian: {}}"),
        ),
        (
            "no digest",
            member(
                "kind: binary, name: a, version: '1', licence: X, sources: {https: {url: 'https://x', sha256: abc}}",
            ),
        ),
    ];
    for (case, text) in cases {
        let repository = Repository::new();
        repository.recipe("x", &text);
        let error = repository.create(Moves::Accept).unwrap_err();
        assert_eq!(error.code(), "bundle::recipe-invalid", "{case}: {error}");
        assert!(
            error.to_string().contains("catalog/modules/x/bundle.yaml"),
            "{case}: {error}"
        );
    }
}

#[test]
fn a_member_that_the_wanted_sources_cannot_give_is_named() {
    let repository = Repository::new();
    repository.chart("one");
    let mut options = repository.options(Moves::Accept);
    options.prefer = vec!["oci".to_owned(), "https".to_owned()];
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert_eq!(error.code(), "bundle::no-source");
    assert!(
        error.to_string().contains("chart/one can be had from build"),
        "{error}"
    );
    options.prefer = vec!["ftp".to_owned()];
    assert!(
        create(&repository.root(), &options, &Silent)
            .unwrap_err()
            .to_string()
            .contains("no source `ftp`")
    );
    let mut options = repository.options(Moves::Accept);
    options.only = vec!["three".to_owned()];
    assert!(
        create(&repository.root(), &options, &Silent)
            .unwrap_err()
            .to_string()
            .contains("there are: one")
    );
}

#[test]
fn the_same_member_in_two_components_is_refused() {
    let repository = Repository::new();
    repository.chart("one");
    let text = fs::read_to_string(repository.root().join("catalog/modules/one/bundle.yaml")).unwrap();
    repository.write("catalog/commons/other/bundle.yaml", &text);
    let error = repository.create(Moves::Accept).unwrap_err();
    assert_eq!(error.code(), "bundle::described-twice");
}

#[test]
fn two_runs_at_once_end_with_one_whole_bundle() {
    let repository = Repository::new();
    for name in ["one", "two", "three", "four"] {
        repository.chart(name);
    }
    repository.create(Moves::Accept).unwrap();
    fs::remove_dir_all(repository.bundle()).unwrap();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| repository.create(Moves::Refuse).unwrap()))
            .collect();
        for run in runs {
            assert_eq!(run.join().unwrap().index.of_kind(Kind::Chart).count(), 4);
        }
    });
    assert_eq!(problems(&repository.bundle()), [""; 0]);
}
