//! The help of every verb. It must be enough to need no website.

use clap::CommandFactory;
use openg2p::args::Cli;

use crate::{Place, assert_golden};

fn verbs() -> Vec<String> {
    let command = Cli::command();
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

#[test]
fn help_is_as_reviewed() {
    let place = Place::new();
    let help = |arguments: &[&str]| place.run_with(arguments, &[("COLUMNS", "100")]).succeeds().out;
    assert_golden("help/openg2p.txt", &help(&["--help"]));
    for verb in verbs() {
        assert_golden(&format!("help/{verb}.txt"), &help(&[&verb, "--help"]));
    }
}

#[test]
fn no_help_is_left_of_a_verb_that_is_gone() {
    let verbs = verbs();
    for entry in
        std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help")).unwrap()
    {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            name == "openg2p" || verbs.contains(&name),
            "{} belongs to no verb",
            path.display()
        );
    }
}

/// First lines are imperative and end without a full stop.
#[test]
fn first_lines_have_one_style() {
    for verb in Cli::command().get_subcommands() {
        let about = verb.get_about().unwrap().to_string();
        assert!(
            about.starts_with(char::is_uppercase) && !about.ends_with('.'),
            "{}: {about}",
            verb.get_name()
        );
        for argument in verb.get_arguments() {
            let help = argument
                .get_help()
                .unwrap_or_else(|| panic!("{}: {argument} has no help", verb.get_name()))
                .to_string();
            assert!(!help.ends_with('.'), "{}: {argument}: {help}", verb.get_name());
        }
    }
}
