//! Making bundles from charts, which need no tool: choosing, caching, locking, healing.

use std::{fs, path::Path};

use openg2p_bundle::{
    check,
    create::{create, lock},
    error::BundleError,
    index::{Kind, blob_path},
    lock::Lock,
    moves::Moves,
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
    let error = repository.create(Moves::refuse()).unwrap_err();
    assert_eq!(error.code(), "bundle::lock-moved");
    assert_eq!(
        ids(&error),
        [
            "chart/one (build): new, version 0.1.0",
            "chart/two (build): new, version 0.1.0"
        ]
    );
    assert!(error.to_string().contains("--accept-moved=build"), "{error}");
    assert!(!repository.bundle().exists(), "a refusal has no effect");

    let report = repository.create(Moves::all()).unwrap();
    assert_eq!((report.made, report.moved.len()), (2, 2));
    let locked = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    let again = repository.create(Moves::refuse()).unwrap();
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
    let before = repository.create(Moves::all()).unwrap();
    repository.write("charts/two/values.yaml", "replicas: 2\n");
    let error = repository.create(Moves::refuse()).unwrap_err();
    assert!(
        ids(&error)[0].starts_with("chart/two (build): inputs ") && ids(&error).len() == 1,
        "{error}"
    );
    assert_eq!(check::open(&repository.bundle()).unwrap(), before.index);
    let after = repository.create(Moves::all()).unwrap();
    assert_eq!((after.made, after.moved.len()), (1, 1));
    assert_ne!(after.digest, before.digest);
    assert_eq!(
        problems(&repository.bundle()),
        [""; 0],
        "blobs of the old chart are gone"
    );
}

#[test]
fn acceptance_reaches_no_further_than_its_scope() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    repository.create(Moves::all()).unwrap();
    repository.write("charts/one/values.yaml", "a: 1\n");
    repository.write("charts/two/values.yaml", "a: 1\n");
    let locked = fs::read(repository.root().join("bundle.lock")).unwrap();
    for (scope, left) in [("debian", 2), ("chart/one", 1), ("two", 1)] {
        let error = repository.create(Moves::only([scope])).unwrap_err();
        assert_eq!(ids(&error).len(), left, "{scope}: {error}");
        assert_eq!(fs::read(repository.root().join("bundle.lock")).unwrap(), locked);
    }
    let error = repository.create(Moves::only(["thre"])).unwrap_err();
    assert_eq!(error.code(), "bundle::unknown-scope", "{error}");
    assert_eq!(
        repository
            .create(Moves::only(["one", "two"]))
            .unwrap()
            .moved
            .len(),
        2
    );
    assert!(repository.create(Moves::refuse()).is_ok());
}

#[test]
fn another_lock_file_takes_what_moved_and_the_repositorys_own_stays() {
    let repository = Repository::new();
    repository.chart("one");
    repository.create(Moves::all()).unwrap();
    let own = repository.root().join("bundle.lock");
    let before = fs::read(&own).unwrap();
    let copy = repository.cache().join("copy.lock");
    fs::copy(&own, &copy).unwrap();
    repository.write("charts/one/values.yaml", "a: 1\n");
    let mut options = repository.options(Moves::only(["build"]));
    options.lock = Some(copy.clone());
    assert_eq!(
        create(&repository.root(), &options, &Silent).unwrap().moved.len(),
        1
    );
    assert_eq!(fs::read(&own).unwrap(), before);
    assert_ne!(fs::read(&copy).unwrap(), before);
    assert_eq!(
        repository.create(Moves::refuse()).unwrap_err().code(),
        "bundle::lock-moved"
    );
}

/// Built members are locked by what decides them, which is known without building.
#[test]
fn the_lock_file_is_brought_up_to_date_without_building() {
    let repository = Repository::new();
    repository.chart("one");
    let error = lock(&repository.root(), &repository.options(Moves::refuse()), &Silent).unwrap_err();
    assert_eq!(error.code(), "bundle::lock-moved");
    let moved = lock(
        &repository.root(),
        &repository.options(Moves::only(["build"])),
        &Silent,
    )
    .unwrap();
    assert_eq!(moved.len(), 1);
    assert!(!repository.bundle().exists());
    assert_eq!(
        files(&repository.cache().join("blobs")),
        [""; 0].map(std::path::PathBuf::from)
    );
    let report = repository.create(Moves::refuse()).unwrap();
    assert_eq!((report.made, report.moved.len()), (1, 0));
    assert!(
        lock(&repository.root(), &repository.options(Moves::refuse()), &Silent)
            .unwrap()
            .is_empty()
    );
}

/// A lock file with a flipped digit is no lock for what is there.
#[test]
fn an_altered_lock_file_is_noticed() {
    let repository = Repository::new();
    repository.chart("one");
    repository.create(Moves::all()).unwrap();
    let path = repository.root().join("bundle.lock");
    let text = fs::read_to_string(&path).unwrap();
    let body = text.find("version: 1\nmembers").unwrap();
    let mut unnoticed = Vec::new();
    for at in (body..text.len()).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        if repository.create(Moves::refuse()).is_ok() {
            unnoticed.push(at);
        }
    }
    assert_eq!(unnoticed, [0; 0], "{text}");
}

#[test]
fn a_member_that_is_gone_leaves_the_lock_only_when_all_were_made() {
    let repository = Repository::new();
    repository.chart("one");
    repository.chart("two");
    repository.create(Moves::all()).unwrap();
    let mut options = repository.options(Moves::refuse());
    options.only = vec!["one".to_owned()];
    let part = create(&repository.root(), &options, &Silent).unwrap();
    assert_eq!(part.index.members.len(), 1);
    assert!(part.moved.is_empty(), "a part says nothing about the rest");
    fs::remove_dir_all(repository.root().join("catalog/modules/two")).unwrap();
    let error = repository.create(Moves::refuse()).unwrap_err();
    assert_eq!(ids(&error), ["chart/two (build): gone, was version 0.1.0"]);
    repository.create(Moves::all()).unwrap();
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
    let first = repository.create(Moves::all()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let clone = elsewhere.path().join("some/other/place");
    for file in files(&repository.root()) {
        let to = clone.join(file.strip_prefix(repository.root()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // A fresh file with a time of its own.
        fs::write(&to, fs::read(&file).unwrap()).unwrap();
    }
    let mut options = repository.options(Moves::refuse());
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
    let report = repository.create(Moves::all()).unwrap();
    // What a kill leaves between removing the old index and writing the new one, in the worst order.
    fs::remove_file(repository.bundle().join("bundle.json")).unwrap();
    fs::write(repository.bundle().join("blobs/sha256/.new-x"), "half").unwrap();
    flip(&blob_path(&repository.bundle(), &report.index.members[0].sha256));
    fs::remove_file(blob_path(&repository.bundle(), &report.index.members[1].sha256)).unwrap();
    let error = check::open(&repository.bundle()).unwrap_err();
    assert_eq!(error.code(), "bundle::incomplete");
    assert_eq!(repository.create(Moves::refuse()).unwrap().made, 0);
    assert_eq!(problems(&repository.bundle()), [""; 0]);
}

#[test]
fn scratch_folders_of_killed_runs_are_cleared_and_those_of_living_ones_are_not() {
    let repository = Repository::new();
    repository.chart("one");
    repository.create(Moves::all()).unwrap();
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
    repository.create(Moves::refuse()).unwrap();
    assert!(!scratch.join("run-dead").exists() && !scratch.join("run-dead.lock").exists());
    assert!(scratch.join("run-alive").exists());
}

#[test]
fn a_damaged_cache_is_told_and_made_good() {
    let repository = Repository::new();
    repository.chart("one");
    let report = repository.create(Moves::all()).unwrap();
    fs::remove_dir_all(repository.bundle()).unwrap();
    flip(&blob_path(&repository.cache(), &report.index.members[0].sha256));
    let error = repository.create(Moves::refuse()).unwrap_err();
    assert_eq!(error.code(), "bundle::cache-damaged");
    assert!(error.to_string().contains("chart/one"), "{error}");
    assert_eq!(
        check::open(&repository.bundle()).unwrap_err().code(),
        "bundle::incomplete"
    );
    let again = repository.create(Moves::refuse()).unwrap();
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
    let error = repository.create(Moves::all()).unwrap_err();
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
        let error = repository.create(Moves::all()).unwrap_err();
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
    let mut options = repository.options(Moves::all());
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
    let mut options = repository.options(Moves::all());
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
    let error = repository.create(Moves::all()).unwrap_err();
    assert_eq!(error.code(), "bundle::described-twice");
}

#[test]
fn two_runs_at_once_end_with_one_whole_bundle() {
    let repository = Repository::new();
    for name in ["one", "two", "three", "four"] {
        repository.chart(name);
    }
    repository.create(Moves::all()).unwrap();
    fs::remove_dir_all(repository.bundle()).unwrap();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| repository.create(Moves::refuse()).unwrap()))
            .collect();
        for run in runs {
            assert_eq!(run.join().unwrap().index.of_kind(Kind::Chart).count(), 4);
        }
    });
    assert_eq!(problems(&repository.bundle()), [""; 0]);
}
