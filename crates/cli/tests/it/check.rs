//! `openg2p check`.

use crate::{Place, assert_golden};

#[test]
fn a_good_file_names_the_next_command() {
    let run = Place::with_site().run(&["check"]).succeeds();
    assert_eq!(run.out, "");
    assert_golden("golden/check-good.txt", &run.err);
}

#[test]
fn all_errors_come_at_once() {
    let place = Place::with_site();
    place.edit("domain: g2p.test", "domian: g2p.test");
    place.edit("address: 192.0.2.10", "address: box1");
    place.edit("[lead, server", "[lead, sevrer");
    place.edit("spar: {}", "spra: {}");
    place.edit("profile: small", "profile: smal");
    let run = place.run(&["check"]).ends_with(1);
    assert_eq!(run.out, "");
    assert_golden("golden/check-bad.txt", &run.err);
}

#[test]
fn errors_are_data_with_json() {
    let place = Place::with_site();
    place.edit("name: box", "name: Box");
    let run = place.run(&["check", "-o", "json"]).ends_with(1);
    assert_eq!(run.err, "");
    let json = run.json();
    assert_eq!(json["valid"], false);
    let first = &json["diagnostics"][0];
    assert_eq!(
        (first["code"].as_str(), first["span"]["line"].as_u64()),
        (Some("site::invalid-name"), Some(5))
    );
    assert_eq!(first["severity"], "error");
}

#[test]
fn a_good_file_is_data_with_json() {
    let run = Place::with_site().run(&["-o", "json", "check"]).succeeds();
    assert_eq!(
        run.json(),
        serde_json::json!({"valid": true, "file": "site.yaml", "diagnostics": []})
    );
    assert_eq!(run.err, "");
}

#[test]
fn warnings_are_shown_and_stop_nothing() {
    let place = Place::with_site();
    place.edit("spar: {}", "");
    let run = place.run(&["check"]).succeeds();
    assert!(
        run.err.contains("warning[site::need-added]") && run.err.contains("1 warning"),
        "{}",
        run.err
    );
    let json = place.run(&["check", "-o", "json"]).succeeds().json();
    assert_eq!(json["diagnostics"][0]["severity"], "warning");
}

#[test]
fn quiet_says_nothing_of_a_good_file() {
    let place = Place::with_site();
    let run = place.run(&["check", "--quiet"]).succeeds();
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
    place.edit("name: box", "name: Box");
    let run = place.run(&["check", "--quiet"]).ends_with(1);
    assert!(
        run.err.contains("site::invalid-name") && !run.err.contains("next:"),
        "{}",
        run.err
    );
}

#[test]
fn the_file_is_named_by_argument_or_option() {
    let place = Place::with_site();
    std::fs::rename(place.path("site.yaml"), place.path("other site.yaml")).unwrap();
    place.run(&["check"]).ends_with(1);
    place.run(&["check", "other site.yaml"]).succeeds();
    let run = place.run(&["-f", "other site.yaml", "check"]).succeeds();
    assert!(run.err.contains("--file 'other site.yaml'"), "{}", run.err);
}

#[test]
fn unreadable_files_are_one_clear_error() {
    let place = Place::new();
    let run = place.run(&["check"]).ends_with(1);
    assert_golden("golden/check-no-file.txt", &run.err);
    place.write("site.yaml", b"apiVersion: openg2p.org/v1\nsite: {name: \xff}\n");
    let run = place.run(&["check"]).ends_with(1);
    assert!(
        run.err.contains("site::not-utf8") && run.err.contains("site.yaml:2"),
        "{}",
        run.err
    );
    std::fs::create_dir(place.path("folder")).unwrap();
    let run = place.run(&["check", "folder"]).ends_with(1);
    assert!(run.err.contains("error[site::unreadable]"), "{}", run.err);
    place.write("huge.yaml", "#".repeat(3 << 20));
    let run = place.run(&["check", "huge.yaml"]).ends_with(1);
    assert!(
        run.err.contains("yaml::too-large") && run.err.len() < 2000,
        "{}",
        run.err.len()
    );
    let run = place.run(&["check", "/dev/zero"]).ends_with(1);
    assert!(run.err.contains("error[yaml::too-large]"), "{}", run.err);
}

#[test]
fn colour_only_when_asked_for() {
    let place = Place::with_site();
    place.edit("name: box", "name: Box");
    assert!(!place.run(&["check"]).ends_with(1).err.contains('\u{1b}'));
    assert!(
        place
            .run(&["check", "--color", "always"])
            .ends_with(1)
            .err
            .contains('\u{1b}')
    );
    assert!(
        !place
            .run(&["check", "--color", "never"])
            .ends_with(1)
            .err
            .contains('\u{1b}')
    );
    let run = place
        .run_with(&["check"], &[("NO_COLOR", "1"), ("TERM", "xterm-256color")])
        .ends_with(1);
    assert!(!run.err.contains('\u{1b}'));
}

#[test]
fn secrets_are_not_shown() {
    let place = Place::with_site();
    place.edit("postgresql: {}", "postgresql: {password: hunter2, mode: x}");
    for arguments in [
        &["check"][..],
        &["check", "-o", "json"],
        &["check", "--color", "always"],
    ] {
        let run = place.run(arguments).ends_with(1);
        assert!(
            !run.err.contains("hunter2") && !run.out.contains("hunter2"),
            "{}{}",
            run.out,
            run.err
        );
    }
}

#[test]
fn a_secret_in_the_file_is_refused() {
    let place = Place::with_site();
    place.edit("postgresql: {}", "postgresql: {auth: {password: hunter2}}");
    let run = place.run(&["check"]).ends_with(1);
    assert!(run.err.contains("error[site::secret-in-file]"), "{}", run.err);
    assert!(run.err.contains("secrets are made on the box"), "{}", run.err);
}
