//! `openg2p init`.

use openg2p_spec::Profiles;

use crate::{Place, assert_golden};

#[test]
fn writes_a_file_of_one_screen_that_is_good() {
    let place = Place::new();
    let run = place
        .run(&[
            "init",
            "--name",
            "ministry",
            "--domain",
            "g2p.example.org",
            "--address",
            "192.0.2.10",
        ])
        .succeeds();
    assert_eq!(run.out, "");
    assert_eq!(
        run.err,
        "wrote `site.yaml`\nnext: openg2p check  finds every mistake in it\n"
    );
    let text = place.read("site.yaml");
    assert!(text.lines().count() <= 40 && text.lines().all(|line| line.len() <= 120));
    assert_golden("golden/init-site.yaml", &text);
    let checked = place.run(&["check"]).succeeds();
    assert!(!checked.err.contains("warning"), "{}", checked.err);
}

#[test]
fn every_profile_may_be_chosen() {
    for profile in ["sandbox", "small", "production"] {
        let place = Place::new();
        place
            .run(&["init", "--address", "10.0.0.1", "--profile", profile])
            .succeeds();
        place.run(&["check"]).succeeds();
    }
}

#[test]
fn never_writes_over_a_file() {
    let place = Place::new();
    place.write("site.yaml", "mine\n");
    let run = place.run(&["init", "--address", "192.0.2.10"]).ends_with(2);
    assert_golden("golden/init-exists.txt", &run.err);
    assert_eq!(place.read("site.yaml"), "mine\n");
    std::os::unix::fs::symlink("nowhere", place.path("link.yaml")).unwrap();
    place
        .run(&["init", "--address", "192.0.2.10", "-o", "link.yaml"])
        .ends_with(2);
    assert!(!place.path("nowhere").exists());
}

#[test]
fn the_file_may_be_named() {
    let place = Place::new();
    place
        .run(&["init", "--address", "192.0.2.10", "--output", "a.yaml"])
        .succeeds();
    let run = place
        .run(&["init", "--address", "192.0.2.10", "--file", "b.yaml"])
        .succeeds();
    assert!(run.err.contains("openg2p check b.yaml"), "{}", run.err);
    assert!(place.path("a.yaml").exists() && place.path("b.yaml").exists());
    let run = place
        .run(&["init", "--address", "192.0.2.10", "-o", "c.yaml", "-o", "json"])
        .succeeds();
    assert_eq!(run.json(), serde_json::json!({"written": "c.yaml"}));
    let run = place
        .run(&["init", "--address", "192.0.2.10", "-o", "no/such/folder.yaml"])
        .ends_with(1);
    assert!(run.err.contains("error[init::unwritable]"), "{}", run.err);
}

#[test]
fn all_wrong_answers_are_told_together() {
    let place = Place::new();
    let run = place
        .run(&[
            "init",
            "--name",
            "My Site",
            "--domain",
            "https://example.org/",
            "--address",
            "box1",
            "--profile",
            "huge",
        ])
        .ends_with(1);
    assert_golden("golden/init-wrong.txt", &run.err);
    assert!(!place.path("site.yaml").exists());
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let place = Place::new();
    let run = place
        .run_with_input(&["init"], "box\ng2p.test\n192.0.2.10\nsmall\n")
        .ends_with(1);
    assert!(run.err.contains("--address"), "{}", run.err);
    assert!(!place.path("site.yaml").exists());
}

#[test]
fn hostile_answers_are_refused() {
    let place = Place::new();
    for flag in ["--name", "--domain", "--address", "--profile"] {
        for word in [
            "",
            "a b",
            "a\nb",
            "a: b",
            "{a}",
            "\"",
            "'",
            "$(id)",
            "../x",
            "-",
            "a\u{202e}",
            "*",
            "#",
        ] {
            let argument = format!("{flag}={word}");
            let mut arguments = vec!["init", argument.as_str()];
            if flag != "--address" {
                arguments.extend(["--address", "192.0.2.10"]);
            }
            place.run(&arguments).ends_with(1);
        }
    }
    assert!(!place.path("site.yaml").exists());
}

/// What the profiles give values to must be in the catalogue.
#[test]
fn profiles_know_only_components_of_the_catalogue() {
    let catalog = openg2p_catalog::Catalog::embedded().unwrap();
    for name in Profiles::embedded().unwrap().components() {
        assert!(
            catalog.get(name).is_some(),
            "profiles/ names {name}, which the catalogue does not have"
        );
    }
}
