//! Tests of the site file from outside. Bad files outnumber good ones; each is named by its fault, with the expected
//! message beside it. `OPENG2P_BLESS=1` writes the expectations anew; read the diff before you commit it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read fixtures; the crate itself takes text only"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bad;
mod claims;
mod documents;
mod good;
mod hostile;
mod misspelt;
mod mutated;
mod profiles;
mod schema;
mod speed;

use std::path::{Path, PathBuf};

use openg2p_spec::{Diagnostics, KnownComponent, KnownComponents, Loaded, Profiles};

/// The catalogue of these tests.
fn known() -> KnownComponents {
    let component = |name: &str, needs: &[&str], hosts: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let module = !hosts.is_empty();
        let secret = format!("{name}-database");
        (
            name.to_owned(),
            KnownComponent {
                needs: owned(needs),
                hosts: owned(hosts),
                own_release: module.then(|| name.to_owned()),
                secrets: module.then_some(secret).into_iter().collect(),
                database: module,
            },
        )
    };
    KnownComponents {
        commons: [
            component("postgresql", &[], &[]),
            component("redis", &[], &[]),
            component("partner-keys", &[], &[]),
        ]
        .into(),
        modules: [
            component("spar", &["postgresql"], &["spar", "spar-self-service"]),
            component("g2p-bridge", &["postgresql", "redis", "spar"], &["g2p-bridge"]),
        ]
        .into(),
        namespaces: [("istio-system".to_owned(), "istio".to_owned())].into(),
    }
}

fn load(name: &str, text: &str) -> Result<Loaded, Diagnostics> {
    openg2p_spec::load(name, text, &known(), &Profiles::embedded().unwrap())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Name and text of every YAML file of a folder, in order.
fn fixtures(name: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixtures in {name}");
    found
}

fn good(name: &str) -> String {
    std::fs::read_to_string(folder("good").join(format!("{name}.yaml"))).unwrap()
}

/// Compares with a file, or writes it with `OPENG2P_BLESS=1`. Returns what differs.
fn compare(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("OPENG2P_BLESS").is_some() {
        std::fs::write(path, actual).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    (expected != actual).then(|| {
        format!(
            "{}:\n--- expected\n{expected}\n--- actual\n{actual}\n",
            path.display()
        )
    })
}

#[test]
fn no_test_file_is_forgotten() {
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(folder("it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            name == "main" || source.contains(&format!("mod {name};")),
            "`mod {name};` is missing in main.rs"
        );
    }
}
