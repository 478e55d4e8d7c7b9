//! Every bad file is refused with exactly its codes, its message and its place.

use crate::{compare, fixtures, folder, load};

#[test]
fn every_bad_file_has_its_message() {
    let files = fixtures("bad");
    assert!(files.len() >= 80, "{}", files.len());
    let mut wrong = Vec::new();
    for (name, text) in files {
        let Err(diagnostics) = load("site.yaml", &text) else {
            wrong.push(format!("{name} was taken for good"));
            continue;
        };
        let mut expected: Vec<&str> = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches('#')
            .split_whitespace()
            .collect();
        expected.sort_unstable();
        let mut codes: Vec<&str> = diagnostics
            .items()
            .iter()
            .map(|item| item.code.as_str())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        if codes != expected {
            wrong.push(format!("{name}: expected {expected:?}\n{diagnostics}"));
        }
        wrong.extend(compare(
            &folder("bad").join(format!("{name}.expected")),
            &(diagnostics.render(false, 100) + "\n"),
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn parse_alone_refuses_all_but_what_needs_profiles() {
    for (name, text) in fixtures("bad") {
        let needs_profiles =
            name.contains("unknown_profile") || name.contains("default_") || name.ends_with("_default");
        let parsed = openg2p_spec::parse("site.yaml", &text, &crate::known());
        assert_eq!(
            parsed.is_ok(),
            needs_profiles && !name.starts_with("environment_"),
            "{name}"
        );
    }
}

#[test]
fn every_expectation_has_its_file() {
    for entry in std::fs::read_dir(folder("bad")).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            path.with_extension("yaml").exists(),
            "{} belongs to nothing",
            path.display()
        );
    }
}

#[test]
fn no_secret_is_ever_shown() {
    for (name, text) in fixtures("bad") {
        if let Err(diagnostics) = load("site.yaml", &text) {
            let json = serde_json::to_string(diagnostics.items()).unwrap();
            for shown in [
                diagnostics.render(true, 80),
                diagnostics.to_string(),
                format!("{diagnostics:?}"),
                json,
            ] {
                assert!(!shown.contains("hunter2"), "{name} shows a secret:\n{shown}");
                assert!(
                    !shown.contains("b3BlbnNzaC1rZXktdjE"),
                    "{name} shows a private key:\n{shown}"
                );
            }
        }
    }
}
