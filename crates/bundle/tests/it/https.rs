//! The source `https` against a TLS server on the loopback address.

use std::fs;

use openg2p_bundle::{
    check,
    create::{Moves, Report, create},
    error::BundleError,
    index::Digest,
    progress::Silent,
};

use crate::support::{Answer, Certificate, Repository, certificate, serve};

fn recipe(url: &str, content: &[u8]) -> String {
    let sha256 = Digest::of(content);
    format!(
        "  - {{kind: binary, name: tool, version: '1', licence: X, sources: {{https: {{url: '{url}', sha256: {sha256}}}}}}}\n"
    )
}

fn fetch(repository: &Repository, trusted: Option<&Certificate>) -> Result<Report, BundleError> {
    let mut options = repository.options(Moves::Accept);
    if let Some(certificate) = trusted {
        let path = repository.root().join("authority.pem");
        fs::write(&path, &certificate.pem).unwrap();
        options.authorities.push(path);
    }
    create(&repository.root(), &options, &Silent)
}

#[test]
fn a_file_is_fetched_checked_and_kept() {
    let (repository, certificate) = (Repository::new(), certificate());
    let content = vec![7; 3_000_000];
    let address = serve(&certificate, Answer::File(content.clone()));
    repository.recipe("x", &recipe(&format!("https://{address}/tool"), &content));
    let report = fetch(&repository, Some(&certificate)).unwrap();
    assert_eq!(report.index.members[0].sha256, Digest::of(&content));
    assert!(
        check::verify(&repository.bundle(), &Silent)
            .unwrap()
            .problems
            .is_empty()
    );
    let lock = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    assert!(
        lock.contains(Digest::of(&content).as_str()) && lock.contains("source: \"https\""),
        "{lock}"
    );
    assert_eq!(
        fetch(&repository, Some(&certificate)).unwrap().made,
        0,
        "the server is not asked again"
    );
}

#[test]
fn other_bytes_than_promised_are_refused() {
    let (repository, certificate) = (Repository::new(), certificate());
    let address = serve(&certificate, Answer::File(b"something else".to_vec()));
    repository.recipe("x", &recipe(&format!("https://{address}/tool"), b"the tool"));
    let error = fetch(&repository, Some(&certificate)).unwrap_err();
    assert_eq!(error.code(), "bundle::digest-mismatch");
    for expected in [
        "binary/tool",
        Digest::of(b"the tool").as_str(),
        Digest::of(b"something else").as_str(),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(!repository.bundle().join("bundle.json").exists());
}

#[test]
fn servers_that_do_not_deliver_are_named_with_the_reason() {
    let (known, stranger) = (certificate(), certificate());
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let cases = [
        (serve(&known, Answer::Status("404 Not Found")), "404"),
        (serve(&known, Answer::BreakOff(vec![1; 100_000])), "broke off"),
        (serve(&stranger, Answer::File(Vec::new())), "certificate"),
        (refused, "refused"),
    ];
    for (address, reason) in cases {
        let repository = Repository::new();
        repository.recipe("x", &recipe(&format!("https://{address}/tool"), b"the tool"));
        let error = fetch(&repository, Some(&known)).unwrap_err();
        assert_eq!(error.code(), "bundle::source-unreachable", "{error}");
        let text = error.to_string().to_lowercase();
        assert!(
            text.contains(reason) && text.contains(&address.to_string()),
            "{reason}: {text}"
        );
    }
}

#[test]
fn plain_http_is_refused() {
    let repository = Repository::new();
    repository.recipe("x", &recipe("http://127.0.0.1:1/tool", b"the tool"));
    let error = fetch(&repository, None).unwrap_err();
    assert_eq!(error.code(), "bundle::recipe-invalid");
}
