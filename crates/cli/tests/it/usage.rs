//! Wrong usage, and what holds for every command.

use crate::Place;

#[test]
fn wrong_usage_ends_with_1_and_a_suggestion() {
    let place = Place::new();
    let run = place.run(&["chekc"]).ends_with(1);
    assert!(run.err.contains("'check'") && run.out.is_empty(), "{}", run.err);
    let run = place.run(&["check", "--flie", "x"]).ends_with(1);
    assert!(run.err.contains("--file"), "{}", run.err);
    place.run(&["check", "-q", "-v"]).ends_with(1);
    place.run(&["show", "--keys", "--schema"]).ends_with(1);
}

#[test]
fn wrong_usage_is_json_when_json_is_asked_for() {
    let place = Place::new();
    for arguments in [
        &["chekc", "-o", "json"][..],
        &["-ojson", "chekc"],
        &["--output=json", "chekc"],
    ] {
        let run = place.run(arguments).ends_with(1);
        assert_eq!(run.json()["error"]["code"], "cli::usage");
        assert_eq!(run.err, "");
    }
}

#[test]
fn a_file_is_refused_where_none_is_written() {
    let run = Place::new().run(&["check", "-o", "jsn"]).ends_with(1);
    assert!(
        run.err.contains("error[cli::no-file]") && run.err.contains("`-o jsn`"),
        "{}",
        run.err
    );
}

#[test]
fn without_arguments_there_is_help() {
    let run = Place::new().run(&[]).ends_with(1);
    assert!(run.err.contains("Usage: openg2p"), "{}", run.err);
}

#[test]
fn version_goes_to_standard_output() {
    let run = Place::new().run(&["--version"]).succeeds();
    assert_eq!(run.out, format!("openg2p {}\n", env!("CARGO_PKG_VERSION")));
}
