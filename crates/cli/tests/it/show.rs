//! `openg2p show`.

use std::io::Read;
use std::process::Stdio;

use crate::{Place, assert_golden};

#[test]
fn the_overview_fits_a_screen() {
    let run = Place::with_site().run(&["show"]).succeeds();
    assert_golden("golden/show.txt", &run.out);
    assert!(run.err.starts_with("next: "), "{}", run.err);
}

#[test]
fn effective_tells_where_each_value_comes_from() {
    let place = Place::with_site();
    place.edit("postgresql: {}", "postgresql: {persistence: {size: 7Gi}}");
    let run = place.run(&["show", "--effective"]).succeeds();
    for wanted in [
        "size: 7Gi",
        "# site.yaml:33",
        "# profiles/small/10-site.yaml:",
        "# profiles/sandbox/components/postgresql.yaml:",
    ] {
        assert!(run.out.contains(wanted), "{wanted} is not in\n{}", run.out);
    }
    let json = place
        .run(&["show", "--effective", "-o", "json"])
        .succeeds()
        .json();
    assert_eq!(
        json["site"]["environments"]["dev"]["commons"]["postgresql"]["persistence"]["size"],
        "7Gi"
    );
    let values = json["values"].as_array().unwrap();
    let size = values
        .iter()
        .find(|value| value["path"] == "environments.dev.commons.postgresql.persistence.size")
        .unwrap();
    assert_eq!(size["from"], "site.yaml:33");
}

#[test]
fn the_effective_file_may_be_used_as_site_file() {
    let place = Place::with_site();
    let whole = place.run(&["show", "--effective"]).succeeds().out;
    place.write("whole.yaml", &whole);
    place.run(&["check", "whole.yaml"]).succeeds();
    let site = place.run(&["show", "-o", "json"]).succeeds().json();
    assert_eq!(
        place
            .run(&["show", "-o", "json", "-f", "whole.yaml"])
            .succeeds()
            .json(),
        site
    );
}

#[test]
fn keys_and_schema_need_no_file() {
    let place = Place::new();
    let keys = place.run(&["show", "--keys"]).succeeds().out;
    assert!(keys.contains("nodes[].ssh.hostKey\n"), "{keys}");
    assert!(
        place
            .run(&["show", "--keys", "-o", "json"])
            .succeeds()
            .json()
            .as_array()
            .unwrap()
            .len()
            > 30
    );
    let schema = place.run(&["show", "--schema"]).succeeds().json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_bad_file_is_an_error_with_code_1() {
    let place = Place::with_site();
    place.edit("name: box", "name: Box");
    let run = place.run(&["show"]).ends_with(1);
    assert!(
        run.err.contains("error[site::invalid-name]") && run.out.is_empty(),
        "{}",
        run.err
    );
    let json = place.run(&["show", "-o", "json"]).ends_with(1).json();
    assert_eq!(json["error"]["kind"], "bad-input");
    assert_eq!(json["error"]["diagnostics"][0]["code"], "site::invalid-name");
}

#[test]
fn secrets_in_values_are_hidden() {
    let place = Place::with_site();
    place.edit("postgresql: {}", "postgresql: {auth: {secret: {name: hunter2}}}");
    for arguments in [&["show"][..], &["show", "--effective"]] {
        let run = place.run(arguments).succeeds();
        assert!(
            !run.err.contains("hunter2") && !run.out.contains("hunter2"),
            "{}{}",
            run.out,
            run.err
        );
    }
}

/// `openg2p show --keys | head -1` ends without a complaint.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["show", "--schema"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
