//! The source `https` against Nginx with TLS on the loopback address.

use std::{fs, path::PathBuf, thread, time::Duration};

use openg2p_bundle::{
    check,
    create::{Options, Report, create},
    error::BundleError,
    index::{Digest, Kind},
    moves::Moves,
    progress::Silent,
};

use crate::{
    nginx::Nginx,
    support::{Certificate, Repository, archive, certificate, certificate_of_another},
};

fn recipe(url: &str, more: &str) -> String {
    format!(
        "  - {{kind: binary, name: tool, version: '1', licence: X, sources: {{https: {{url: '{url}'{more}}}}}}}\n"
    )
}

fn with_sha256(url: &str, content: &[u8]) -> String {
    recipe(url, &format!(", sha256: {}", Digest::of(content)))
}

fn options(repository: &Repository, trusted: &Certificate, moves: Moves) -> Options {
    let mut options = repository.options(moves);
    let path = repository.root().join("authority.pem");
    fs::create_dir_all(repository.root()).unwrap();
    fs::write(&path, &trusted.authority_pem).unwrap();
    options.authorities.push(path);
    options
}

fn fetch(repository: &Repository, trusted: &Certificate) -> Result<Report, BundleError> {
    create(
        &repository.root(),
        &options(repository, trusted, Moves::all()),
        &Silent,
    )
}

fn unreachable(result: Result<Report, BundleError>, expected: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable", "{error}");
    let text = error.to_string().to_lowercase();
    assert!(text.contains(expected), "{expected}: {text}");
}

/// Waits until a part of an answer has arrived.
fn wait_for_some_bytes(repository: &Repository) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let arrived = || {
        let folder = fs::read_dir(repository.cache().join("blobs"));
        folder.into_iter().flatten().flatten().any(|entry| {
            entry.file_name().to_string_lossy().starts_with(".new-")
                && entry.metadata().is_ok_and(|data| data.len() > 100_000)
        })
    };
    while !arrived() {
        assert!(std::time::Instant::now() < deadline, "nothing arrives");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_is_fetched_checked_and_kept() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let repository = Repository::new();
    let content = vec![7; 3_000_000];
    nginx.put("tool", &content);
    repository.recipe("x", &with_sha256(&nginx.url("tool"), &content));
    let report = fetch(&repository, &certificate).unwrap();
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
    assert_eq!(fetch(&repository, &certificate).unwrap().made, 0);
    assert_eq!(nginx.log(), ["200 /tool -"], "the server is not asked again");
}

#[test]
fn other_bytes_than_promised_are_refused() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let repository = Repository::new();
    nginx.put("tool", b"something else");
    repository.recipe("x", &with_sha256(&nginx.url("tool"), b"the tool"));
    let error = fetch(&repository, &certificate).unwrap_err();
    assert_eq!(error.code(), "bundle::digest-mismatch");
    for expected in [
        "binary/tool",
        Digest::of(b"the tool").as_str(),
        Digest::of(b"something else").as_str(),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(!repository.bundle().join("bundle.json").exists());
    assert_eq!(nginx.log().len(), 1, "wrong bytes are not asked for again");
}

#[test]
fn answers_that_stand_are_not_asked_for_again_and_those_that_pass_are() {
    let certificate = certificate();
    let lines = "location /500 { return 500; } location /429 { return 429; } location /403 { return 403; }";
    let Some(nginx) = Nginx::start(&certificate, lines) else {
        return;
    };
    for (path, asked) in [("404", 1), ("403", 1), ("500", 3), ("429", 3)] {
        let repository = Repository::new();
        repository.recipe("x", &with_sha256(&nginx.url(path), b"the tool"));
        unreachable(fetch(&repository, &certificate), path);
        let lines = nginx.log();
        let count = lines
            .iter()
            .filter(|line| line.contains(&format!("/{path}")))
            .count();
        assert_eq!(count, asked, "{lines:?}");
    }
}

#[test]
fn a_server_that_is_ill_for_a_moment_is_asked_again() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "if (!-f $document_root/well) { return 503; }") else {
        return;
    };
    let repository = Repository::new();
    nginx.put("tool", b"the tool");
    repository.recipe("x", &with_sha256(&nginx.url("tool"), b"the tool"));
    thread::scope(|scope| {
        scope.spawn(|| {
            nginx.wait_for("503 /tool");
            nginx.put("well", b"");
        });
        let mut options = options(&repository, &certificate, Moves::all());
        // Enough for the healing above on a busy machine.
        options.patience.attempts = 12;
        create(&repository.root(), &options, &Silent).unwrap();
    });
    assert_eq!(nginx.log().last().unwrap(), "200 /tool -");
}

#[test]
fn certificates_of_strangers_and_for_other_names_are_refused_at_once() {
    let (known, stranger) = (certificate(), certificate());
    let Some(nginx) = Nginx::start(&stranger, "") else {
        return;
    };
    let repository = Repository::new();
    nginx.put("tool", b"the tool");
    repository.recipe("x", &with_sha256(&nginx.url("tool"), b"the tool"));
    unreachable(fetch(&repository, &known), "certificate");
    // A host of the same authority, under another name.
    let other = certificate_of_another();
    let nginx = Nginx::start(&other, "").unwrap();
    repository.recipe("x", &with_sha256(&nginx.url("tool"), b"the tool"));
    unreachable(fetch(&repository, &other), "not valid for");
}

#[test]
fn an_answer_that_breaks_off_is_continued_where_it_ended() {
    let certificate = certificate();
    let slow = "limit_rate 300k; limit_rate_after 300k; sendfile_max_chunk 64k;";
    let Some(nginx) = Nginx::start(&certificate, slow) else {
        return;
    };
    let repository = Repository::new();
    let content: Vec<u8> = (0..1_500_000_u32)
        .map(|number| number.to_le_bytes()[number as usize % 3])
        .collect();
    nginx.put("tool", &content);
    repository.recipe("x", &with_sha256(&nginx.url("tool"), &content));
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_some_bytes(&repository);
            nginx.reconfigure("");
        });
        let report = fetch(&repository, &certificate).unwrap();
        assert_eq!(report.index.members[0].sha256, Digest::of(&content));
    });
    let log = nginx.log();
    let rest = log.last().unwrap();
    assert!(
        rest.starts_with("206 /tool bytes=") && !rest.contains("bytes=0-"),
        "{log:?}"
    );
}

#[test]
fn a_file_that_changed_while_it_broke_off_comes_whole() {
    let certificate = certificate();
    let slow = "limit_rate 300k; limit_rate_after 300k; sendfile_max_chunk 64k;";
    let Some(nginx) = Nginx::start(&certificate, slow) else {
        return;
    };
    let repository = Repository::new();
    let (old, new) = (vec![1; 1_500_000], vec![2; 1_400_000]);
    nginx.put("tool", &old);
    repository.recipe("x", &with_sha256(&nginx.url("tool"), &new));
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_some_bytes(&repository);
            // A new file under the name: the answer in the making keeps the old one.
            fs::remove_file(nginx.path("tool")).unwrap();
            nginx.put("tool", &new);
            nginx.reconfigure("");
        });
        let report = fetch(&repository, &certificate).unwrap();
        assert_eq!(report.index.members[0].sha256, Digest::of(&new));
    });
    let log = nginx.log();
    assert!(log.last().unwrap().starts_with("200 /tool bytes="), "{log:?}");
}

#[test]
fn an_answer_that_stays_too_short_is_told() {
    let certificate = certificate();
    let slow = "limit_rate 300k; limit_rate_after 300k; sendfile_max_chunk 64k;";
    let Some(nginx) = Nginx::start(&certificate, slow) else {
        return;
    };
    let repository = Repository::new();
    let content = vec![7; 1_500_000];
    nginx.put("tool", &content);
    repository.recipe("x", &with_sha256(&nginx.url("tool"), &content));
    let mut options = options(&repository, &certificate, Moves::all());
    options.patience.attempts = 1;
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_some_bytes(&repository);
            // The head of the answer has promised more.
            let file = fs::File::options().write(true).open(nginx.path("tool")).unwrap();
            file.set_len(400_000).unwrap();
        });
        unreachable(create(&repository.root(), &options, &Silent), "broke off");
    });
    assert!(!repository.bundle().join("bundle.json").exists());
}

#[test]
fn redirections_are_followed_to_https_only() {
    let certificate = certificate();
    let Some(target) = Nginx::start(&certificate, "") else {
        return;
    };
    let lines = format!(
        "location /away {{ return 302 https://{}/tool; }} location /down {{ return 302 http://{}/tool; }} \
         location /round {{ return 302 /round; }}",
        target.address, target.plain
    );
    let nginx = Nginx::start(&certificate, &lines).unwrap();
    target.put("tool", b"the tool");
    let repository = Repository::new();
    repository.recipe("x", &with_sha256(&nginx.url("away"), b"the tool"));
    let report = fetch(&repository, &certificate).unwrap();
    assert_eq!(
        report.index.members[0].origin,
        nginx.url("away"),
        "the makers' address, not where it led"
    );
    for path in ["down", "round"] {
        let repository = Repository::new();
        repository.recipe("x", &with_sha256(&nginx.url(path), b"the tool"));
        unreachable(fetch(&repository, &certificate), path);
    }
    assert_eq!(target.log(), ["200 /tool -"], "nothing was asked for without TLS");
}

#[test]
fn a_server_that_is_too_slow_or_says_nothing_is_given_up() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "limit_rate 20k; sendfile_max_chunk 4k;") else {
        return;
    };
    let repository = Repository::new();
    let content = vec![7; 1_000_000];
    nginx.put("tool", &content);
    repository.recipe("x", &with_sha256(&nginx.url("tool"), &content));
    let mut options = options(&repository, &certificate, Moves::all());
    options.patience.whole = Duration::from_secs(1);
    unreachable(create(&repository.root(), &options, &Silent), "too slow");
    // The kernel takes the connection, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    repository.recipe("x", &with_sha256(&format!("https://{address}/tool"), b"the tool"));
    options.patience.whole = Duration::from_secs(30);
    options.patience.stall = Duration::from_millis(300);
    options.patience.attempts = 2;
    unreachable(create(&repository.root(), &options, &Silent), "asked 2 times");
}

#[test]
fn a_published_checksum_counts_only_when_it_is_accepted_and_then_the_lock_does() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let publish = |content: &[u8]| {
        nginx.put("v1/tool", content);
        nginx.put("v1/tool.sha256", Digest::of(content).as_str().as_bytes());
    };
    let repository = Repository::new();
    repository.recipe("x", &recipe(&nginx.url("v1/tool"), ""));
    publish(b"first");
    let make = |moves| {
        create(
            &repository.root(),
            &options(&repository, &certificate, moves),
            &Silent,
        )
    };

    let error = make(Moves::refuse()).unwrap_err();
    assert_eq!(error.code(), "bundle::lock-moved");
    for expected in [
        Digest::of(b"first").as_str(),
        &nginx.url("v1/tool"),
        "--accept-moved=https",
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(
        nginx.log(),
        ["200 /v1/tool.sha256 -"],
        "the file itself is not fetched before it is accepted"
    );
    let before = make(Moves::only(["https"])).unwrap();
    assert_eq!((before.moved.len(), make(Moves::refuse()).unwrap().made), (1, 0));

    // Whoever can change the file can change its checksum too.
    publish(b"second");
    assert_eq!(make(Moves::refuse()).unwrap().digest, before.digest);
    fs::remove_dir_all(repository.cache()).unwrap();
    assert_eq!(
        make(Moves::refuse()).unwrap_err().code(),
        "bundle::digest-mismatch"
    );
    let after = make(Moves::only(["tool"])).unwrap();
    assert_eq!(after.index.members[0].sha256, Digest::of(b"second"));
    let text = after.moved[0].to_string();
    assert!(text.contains(&Digest::of(b"first").as_str()[..12]), "{text}");
}

#[test]
fn a_checksum_that_says_nothing_is_told() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let repository = Repository::new();
    nginx.put("tool", b"x");
    nginx.put("SUMS", b"<html>moved</html>");
    repository.recipe(
        "x",
        &recipe(
            &nginx.url("tool"),
            &format!(", checksum: '{}'", nginx.url("SUMS")),
        ),
    );
    unreachable(fetch(&repository, &certificate), "no sha-256 of tool");
    nginx.put("SUMS", format!("{}  tool\n", Digest::of(b"x")).as_bytes());
    assert!(fetch(&repository, &certificate).is_ok());
}

#[test]
fn one_file_is_taken_out_of_an_archive() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let good = archive(&[("README", b"read me"), ("bin/tool", b"the tool")]);
    let bad = archive(&[("../../bin/tool", b"the tool")]);
    nginx.put("good.tar.gz", &good);
    nginx.put("bad.tar.gz", &bad);
    let make = |name: &str, content: &[u8], file: &str| {
        let repository = Repository::new();
        let more = format!(", sha256: {}, extract: '{file}'", Digest::of(content));
        repository.recipe("x", &recipe(&nginx.url(name), &more));
        let result = fetch(&repository, &certificate);
        (repository, result)
    };
    let (repository, report) = make("good.tar.gz", &good, "bin/tool");
    assert_eq!(report.unwrap().index.members[0].sha256, Digest::of(b"the tool"));
    let lock = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    assert!(
        lock.contains(Digest::of(&good).as_str()),
        "what its makers publish is locked: {lock}"
    );
    let (_, error) = make("good.tar.gz", &good, "tool");
    let error = error.unwrap_err();
    assert!(error.to_string().contains("README, bin/tool"), "{error}");
    let (_, error) = make("bad.tar.gz", &bad, "bin/tool");
    assert_eq!(error.unwrap_err().code(), "bundle::unsafe-archive");
}

#[test]
fn a_mirror_is_asked_instead_and_leaves_no_trace() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let repository = Repository::new();
    nginx.put("mirror/v1/tool", b"the tool");
    nginx.put(
        "mirror/v1/tool.sha256",
        Digest::of(b"the tool").as_str().as_bytes(),
    );
    repository.recipe("x", &recipe("https://dl.example.invalid/release/v1/tool", ""));
    let mut options = options(&repository, &certificate, Moves::only(["https"]));
    let mirror = format!("https://dl.example.invalid/release/={}", nginx.url("mirror/"));
    options.mirrors.add_https(&mirror).unwrap();
    let report = create(&repository.root(), &options, &Silent).unwrap();
    assert_eq!(
        report.index.members[0].origin,
        "https://dl.example.invalid/release/v1/tool"
    );
    let lock = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    assert!(!lock.contains(&nginx.address), "{lock}");
}

/// The address of Debian's archive is the mirror's, and apt trusts the authority that it is told of, and no other.
#[test]
fn apt_asks_the_mirror_and_trusts_the_given_authority() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    if openg2p_test_needs::program("apt-get").is_none() {
        openg2p_test_needs::skip("apt", "packages can only be fetched on a Debian machine");
        return;
    }
    let repository = Repository::new();
    repository.recipe(
        "x",
        "  - {kind: debian-package, name: hello, licence: X, sources: {debian: {}}}\n",
    );
    let mut options = options(&repository, &certificate, Moves::all());
    options.prefer = vec!["debian".to_owned()];
    options.mirrors.set_debian(&nginx.url("debian")).unwrap();
    options.mirrors.set_security(&nginx.url("security")).unwrap();
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable", "{error}");
    assert!(error.to_string().contains("404"), "{error}");
    let asked = nginx.log();
    for path in ["/debian/dists/trixie/", "/security/dists/trixie-security/"] {
        assert!(asked.iter().any(|line| line.contains(path)), "{path}: {asked:?}");
    }
    options.authorities.clear();
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );
    assert_eq!(nginx.log(), asked, "nothing was asked for without trust");
}

/// A component installs the same from whichever source: the index differs in nothing but the origin for people.
#[test]
fn the_same_member_comes_out_of_another_source() {
    let certificate = certificate();
    let Some(nginx) = Nginx::start(&certificate, "") else {
        return;
    };
    let repository = Repository::new();
    repository.chart("one");
    let built = repository.create(Moves::all()).unwrap();
    let built = built.index.get(Kind::Chart, "one").unwrap();
    let blob = openg2p_bundle::index::blob_path(&repository.bundle(), &built.sha256);
    nginx.put("one.tgz", &fs::read(blob).unwrap());
    let more = format!(
        "https: {{url: '{}', sha256: {}}}",
        nginx.url("one.tgz"),
        built.sha256
    );
    repository.recipe(
        "one",
        &format!(
            "  - {{kind: chart, name: one, version: 0.1.0, licence: MPL-2.0, sources: {{build: {{chart: charts/one}}, {more}}}}}\n"
        ),
    );
    let mut options = options(&repository, &certificate, Moves::only(["https"]));
    options.prefer = vec!["https".to_owned(), "build".to_owned()];
    let fetched = create(&repository.root(), &options, &Silent).unwrap();
    let mut fetched = fetched.index.get(Kind::Chart, "one").unwrap().clone();
    assert_eq!(fetched.origin, nginx.url("one.tgz"));
    fetched.origin.clone_from(&built.origin);
    assert_eq!(&fetched, built);
    // And both stand in the lock file, so that either can be made again without accepting anything.
    options.moves = Moves::refuse();
    assert_eq!(create(&repository.root(), &options, &Silent).unwrap().made, 0);
    assert!(repository.create(Moves::refuse()).is_ok());
}

#[test]
fn plain_http_and_files_that_are_no_certificates_are_refused() {
    let certificate = certificate();
    let repository = Repository::new();
    repository.recipe("x", &with_sha256("http://127.0.0.1:1/tool", b"the tool"));
    assert_eq!(
        fetch(&repository, &certificate).unwrap_err().code(),
        "bundle::recipe-invalid"
    );
    repository.recipe("x", &with_sha256("https://127.0.0.1:1/tool", b"the tool"));
    let mut options = options(&repository, &certificate, Moves::all());
    let path: PathBuf = repository.root().join("no.pem");
    fs::write(&path, "nothing in it").unwrap();
    options.authorities = vec![path];
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("no.pem"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let certificate = certificate();
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let repository = Repository::new();
    repository.recipe("x", &with_sha256(&format!("https://{refused}/tool"), b"the tool"));
    unreachable(fetch(&repository, &certificate), "refused");
}
