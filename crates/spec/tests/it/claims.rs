//! Names that two claim, and names that no store can hold: refused with both lines, before anything is looked at.

use openg2p_spec::{KnownComponent, KnownComponents, Profiles};

use crate::{good, known};

fn file(environments: &str) -> String {
    let text = good("smallest");
    let (head, _) = text.split_once("environments:").unwrap_or((&text, ""));
    format!("{head}environments:\n{environments}")
}

/// A catalogue in which two modules bring what only one can have.
fn clashing(change: impl Fn(&mut KnownComponent)) -> KnownComponents {
    let mut known = known();
    let mut other = known.modules["spar"].clone();
    other.needs.clear();
    other.hosts.clear();
    other.secrets.clear();
    other.own_release = None;
    other.database = false;
    change(&mut other);
    known.modules.insert("mapper".into(), other);
    known
}

#[test]
fn two_modules_that_bring_one_thing_are_refused_with_both_lines() {
    let text = file("  dev:\n    modules:\n      mapper: {}\n      spar: {}\n");
    let line = |name: &str| text.lines().position(|line| line.contains(name)).unwrap() + 1;
    for (what, known) in [
        (
            "host name",
            clashing(|other| {
                other.hosts.insert("spar".into());
            }),
        ),
        (
            "release",
            clashing(|other| other.own_release = Some("spar".into())),
        ),
        (
            "Secret",
            clashing(|other| {
                other.secrets.insert("spar-database".into());
            }),
        ),
    ] {
        let profiles = Profiles::embedded().unwrap();
        let problems = openg2p_spec::load("site.yaml", &text, &known, &profiles).unwrap_err();
        let [only] = problems.items() else {
            panic!("{what}: {problems}")
        };
        assert_eq!(only.code, "site::name-claimed-twice");
        assert!(
            only.message.contains(&format!("both claim the {what}")),
            "{}",
            only.message
        );
        assert!(only.message.contains("`mapper`") && only.message.contains("`spar`"));
        let (first, _) = only.related.as_ref().unwrap();
        assert_eq!(
            (first.line, only.span.line),
            (line("mapper"), line("spar: {}")),
            "{what}"
        );
    }
}

#[test]
fn equal_modules_of_two_environments_do_not_clash() {
    let text = file("  dev:\n    modules: {spar: {}}\n  dev-2:\n    modules: {spar: {}}\n");
    assert!(crate::load("site.yaml", &text).is_ok());
}

#[test]
fn a_renamed_environment_keeps_its_id_and_changes_its_host_names_alone() {
    let before = crate::load("site.yaml", &file("  qa:\n    modules: {spar: {}}\n"))
        .unwrap()
        .site;
    let after = crate::load(
        "site.yaml",
        &file("  staging:\n    id: qa\n    modules: {spar: {}}\n"),
    )
    .unwrap()
    .site;
    assert_eq!(before.environments["qa"], after.environments["staging"]);
    assert_eq!(after.environments["staging"].id, "qa");
}

#[test]
fn a_database_name_that_postgresql_would_cut_is_refused() {
    let mut known = known();
    let module = known.modules["spar"].clone();
    known.modules.insert(
        "a-module-of-a-long-name".into(),
        KnownComponent {
            own_release: None,
            ..module
        },
    );
    let environment = "e".repeat(45);
    let text = file(&format!(
        "  {environment}:\n    modules: {{a-module-of-a-long-name: {{}}}}\n"
    ));
    let profiles = Profiles::embedded().unwrap();
    let problems = openg2p_spec::load("site.yaml", &text, &known, &profiles).unwrap_err();
    let [only] = problems.items() else {
        panic!("{problems}")
    };
    assert_eq!(only.code, "site::name-too-long");
    assert!(
        only.message.contains("would have 69 bytes; 63 is the most"),
        "{}",
        only.message
    );
    assert_eq!(only.help.as_deref(), Some("shorten the environment's name by 6"));
}
