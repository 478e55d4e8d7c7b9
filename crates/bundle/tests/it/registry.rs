//! The source `oci` against a real distribution registry on the loopback address, filled by skopeo.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use openg2p_bundle::{
    check,
    create::{Options, Report, create, lock},
    error::BundleError,
    index::{Digest, Kind},
    moves::Moves,
    progress::Silent,
};
use openg2p_test_needs::{program, skip};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Repository, certificate, files, flip};

/// The registry program: the one that `OPENG2P_TEST_REGISTRY` names, or one that is built once from its Go module; and
/// skopeo, which fills it.
fn programs() -> Option<&'static (PathBuf, PathBuf)> {
    /// Registry and skopeo, or what is missing and why that matters.
    type Found = Result<(PathBuf, PathBuf), (&'static str, &'static str)>;
    static PROGRAMS: OnceLock<Found> = OnceLock::new();
    let found = PROGRAMS.get_or_init(|| {
        let skopeo = program("skopeo").ok_or(("skopeo", "nothing fills the registry"))?;
        if let Some(registry) = program("registry") {
            return Ok((registry, skopeo));
        }
        let go = program("go").ok_or((
            "registry",
            "OPENG2P_TEST_REGISTRY names none, and there is no Go to build it",
        ))?;
        let registry = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registry");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/go/registry");
        let status = Command::new(go)
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(&registry)
            .arg("github.com/distribution/distribution/v3/cmd/registry")
            .env("CGO_ENABLED", "0")
            .current_dir(folder)
            .status()
            .unwrap();
        assert!(status.success(), "the registry does not build");
        Ok((registry, skopeo))
    });
    match found {
        Ok(programs) => Some(programs),
        Err((need, reason)) => {
            skip(need, reason);
            None
        }
    }
}

fn skopeo() -> Command {
    Command::new(&programs().unwrap().1)
}

/// A running registry with its storage; killed with its value.
struct Registry {
    child: Child,
    folder: TempDir,
    address: String,
}

impl Registry {
    fn start(tls: Option<(&str, &str)>) -> Option<Self> {
        let (program, _) = programs()?;
        let folder = tempfile::tempdir().unwrap();
        // Free now, and nobody else on this machine asks the kernel for exactly this port in the next moment.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let mut http = json!({"addr": address});
        if let Some((certificate, key)) = tls {
            let (certificate_path, key_path) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
            fs::write(&certificate_path, certificate).unwrap();
            fs::write(&key_path, key).unwrap();
            http["tls"] = json!({"certificate": certificate_path, "key": key_path});
        }
        let config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("storage")}},
            "http": http,
        });
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string()).unwrap();
        let child = Command::new(program)
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let registry = Self {
            child,
            folder,
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(&registry.address).is_err() {
            let log = fs::read_to_string(registry.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the registry does not answer: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// Puts an image for two platforms under a tag; gives the digest of its manifest for linux/amd64.
    fn push(&self, tag: &str, content: &[u8]) -> Digest {
        let layout = self
            .folder
            .path()
            .join(format!("layout-{tag}-{}", Digest::of(content)));
        let ours = write_layout(&layout, content);
        let mut source = std::ffi::OsString::from("oci:");
        source.push(&layout);
        let status = skopeo()
            .args([
                "copy",
                "--quiet",
                "--all",
                "--insecure-policy",
                "--dest-tls-verify=false",
            ])
            .arg(source)
            .arg(format!("docker://{}/team/app:{tag}", self.address))
            .status()
            .unwrap();
        assert!(status.success());
        ours
    }

    fn repository(&self) -> Repository {
        let repository = Repository::new();
        repository.recipe(
            "app",
            &format!(
                "  - {{kind: image, name: app, version: '1', reference: 'example.org/team/app:1', licence: X, sources: {{oci: {{reference: '{}/team/app:1'}}}}}}\n",
                self.address
            ),
        );
        repository
    }

    fn options(&self, repository: &Repository, moves: Moves) -> Options {
        let mut options = repository.options(moves);
        options.mirrors.add_plain(&self.address).unwrap();
        options
    }

    fn create(&self, repository: &Repository, moves: Moves) -> Result<Report, BundleError> {
        create(&repository.root(), &self.options(repository, moves), &Silent)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OCI layout with an index for two platforms; gives the digest of the amd64 manifest.
fn write_layout(folder: &Path, content: &[u8]) -> Digest {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.as_str()), bytes).unwrap();
        json!({"digest": digest.oci(), "size": bytes.len()})
    };
    let describe = |mut descriptor: Value, kind: &str| {
        descriptor["mediaType"] = json!(format!("application/vnd.oci.image.{kind}"));
        descriptor
    };
    let mut manifests = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        layer
            .append_data(&mut header, format!("app-{architecture}"), content)
            .unwrap();
        let plain = layer.into_inner().unwrap();
        // skopeo compresses layers that are not, which would give the image another digest.
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &plain).unwrap();
        let layer = gzip.finish().unwrap();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&plain).oci()]},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": describe(put(config.to_string().as_bytes()), "config.v1+json"),
            "layers": [describe(put(&layer), "layer.v1.tar+gzip")],
        });
        let mut descriptor = describe(put(manifest.to_string().as_bytes()), "manifest.v1+json");
        descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
        manifests.push(descriptor);
    }
    let ours = manifests[1]["digest"].as_str().unwrap().parse().unwrap();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
    });
    let top = describe(put(index.to_string().as_bytes()), "index.v1+json");
    fs::write(
        folder.join("index.json"),
        json!({"schemaVersion": 2, "manifests": [top]}).to_string(),
    )
    .unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    ours
}

#[test]
fn an_image_is_pulled_for_this_platform_and_locked_by_its_digest() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let ours = registry.push("1", b"first");
    let repository = registry.repository();
    let report = registry.create(&repository, Moves::all()).unwrap();
    let member = report.index.get(Kind::Image, "app").unwrap();
    assert_eq!(member.sha256, ours);
    assert_eq!(
        member.reference.as_deref(),
        Some("example.org/team/app:1"),
        "its name does not tell where it came from"
    );
    assert_eq!(member.blobs.len(), 3);
    assert!(
        check::verify(&repository.bundle(), &Silent)
            .unwrap()
            .problems
            .is_empty()
    );
    let lock = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    assert!(lock.contains(ours.as_str()), "{lock}");
    assert_eq!(registry.create(&repository, Moves::refuse()).unwrap().made, 0);

    // The layout is one that other programs read.
    let copy = repository.root().join("copy");
    let status = skopeo()
        .args(["copy", "--quiet", "--insecure-policy"])
        .arg(format!(
            "oci:{}:example.org/team/app:1",
            repository.bundle().display()
        ))
        .arg(format!("dir:{}", copy.display()))
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(Digest::of(&fs::read(copy.join("manifest.json")).unwrap()), ours);
}

#[test]
fn the_first_use_of_a_tag_is_shown_and_pulls_nothing_until_it_is_accepted() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let ours = registry.push("1", b"first");
    let repository = registry.repository();
    let error = registry.create(&repository, Moves::refuse()).unwrap_err();
    assert_eq!(error.code(), "bundle::lock-moved");
    for expected in ["image/app (oci): new", ours.as_str(), "--accept-moved=oci"] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let layers = files(&repository.cache().join("blobs"));
    assert!(layers.len() == 1, "the manifest alone: {layers:?}");
    let error = registry
        .create(&repository, Moves::only(["debian", "build"]))
        .unwrap_err();
    assert_eq!(
        error.code(),
        "bundle::lock-moved",
        "another scope does not cover it"
    );
    let report = registry.create(&repository, Moves::only(["oci"])).unwrap();
    assert_eq!(report.index.members[0].sha256, ours);
}

#[test]
fn what_is_locked_is_pulled_by_digest_although_its_tag_moved() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let first = registry.push("1", b"first");
    let repository = registry.repository();
    registry.create(&repository, Moves::all()).unwrap();
    let second = registry.push("1", b"second");
    // As on another machine: neither cache nor bundle.
    fs::remove_dir_all(repository.cache()).unwrap();
    fs::remove_dir_all(repository.bundle()).unwrap();
    let report = registry.create(&repository, Moves::refuse()).unwrap();
    assert_eq!((&report.index.members[0].sha256, report.moved.len()), (&first, 0));

    let mut options = registry.options(&repository, Moves::refuse());
    options.refresh = true;
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert_eq!(
        error.code(),
        "bundle::lock-moved",
        "who asks again is told what moved"
    );
    let text = error.to_string();
    for expected in [
        "image/app (oci)",
        &first.as_str()[..12],
        &second.as_str()[..12],
        "--accept-moved=oci",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let index = check::open(&repository.bundle()).unwrap();
    assert_eq!(index.members[0].sha256, first, "the bundle is the old one");
    let report = registry.create(&repository, Moves::only(["app"])).unwrap();
    assert_eq!(report.index.members[0].sha256, second);
    assert_eq!(report.moved.len(), 1);
}

#[test]
fn another_version_in_the_recipe_is_not_answered_from_the_lock() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    registry.push("1", b"first");
    let second = registry.push("2", b"second");
    let repository = registry.repository();
    registry.create(&repository, Moves::all()).unwrap();
    let recipe = "catalog/modules/app/bundle.yaml";
    let text = fs::read_to_string(repository.root().join(recipe)).unwrap();
    repository.write(
        recipe,
        &text
            .replace("team/app:1", "team/app:2")
            .replace("version: '1'", "version: '2'"),
    );
    let error = registry.create(&repository, Moves::refuse()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("version 1 -> 2") && text.contains(&second.as_str()[..12]),
        "{text}"
    );
}

#[test]
fn a_mirror_of_the_registry_is_asked_and_leaves_no_trace() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let ours = registry.push("1", b"first");
    let repository = Repository::new();
    repository.recipe(
        "app",
        "  - {kind: image, name: app, version: '1', reference: 'registry.example.invalid/app:1', licence: X, sources: {oci: {}}}\n",
    );
    let mut options = registry.options(&repository, Moves::all());
    options
        .mirrors
        .add_registry(&format!("registry.example.invalid={}/team", registry.address))
        .unwrap();
    let report = create(&repository.root(), &options, &Silent).unwrap();
    let member = &report.index.members[0];
    assert_eq!(
        (&member.sha256, member.origin.as_str()),
        (&ours, "registry.example.invalid/app:1")
    );
    let lock = fs::read_to_string(repository.root().join("bundle.lock")).unwrap();
    assert!(!lock.contains(&registry.address), "{lock}");
}

/// Without making or fetching anything the lock file learns what tags stand for.
#[test]
fn the_lock_file_is_brought_up_to_date_without_pulling() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let ours = registry.push("1", b"first");
    let repository = registry.repository();
    let options = registry.options(&repository, Moves::only(["oci"]));
    let moved = lock(&repository.root(), &options, &Silent).unwrap();
    assert!(
        moved.len() == 1 && moved[0].to_string().contains(ours.as_str()),
        "{moved:?}"
    );
    assert!(!repository.bundle().exists());
    let report = registry.create(&repository, Moves::refuse()).unwrap();
    assert_eq!(report.index.members[0].sha256, ours);
}

#[test]
fn a_registry_that_is_down_matters_only_when_something_is_needed_from_it() {
    let Some(mut registry) = Registry::start(None) else {
        return;
    };
    registry.push("1", b"first");
    let repository = registry.repository();
    let before = registry.create(&repository, Moves::all()).unwrap();
    registry.child.kill().unwrap();
    registry.child.wait().unwrap();
    let again = registry.create(&repository, Moves::refuse()).unwrap();
    assert_eq!((again.made, again.digest), (0, before.digest));
    fs::remove_dir_all(repository.cache()).unwrap();
    let error = registry.create(&repository, Moves::refuse()).unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable");
    assert!(
        error.to_string().contains("image/app") && error.to_string().contains(&registry.address),
        "{error}"
    );
}

#[test]
fn blobs_that_the_registry_lost_or_altered_are_refused() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    registry.push("1", b"some content of the layer");
    let is_layer = |path: &Path| path.ends_with("data") && !fs::read(path).unwrap().starts_with(b"{");
    let layers: Vec<_> = files(&registry.folder.path().join("storage"))
        .into_iter()
        .filter(|path| is_layer(path))
        .collect();
    assert_eq!(layers.len(), 2);
    for path in &layers {
        flip(path);
    }
    let repository = registry.repository();
    let error = registry.create(&repository, Moves::all()).unwrap_err();
    assert_eq!(error.code(), "bundle::digest-mismatch", "{error}");
    assert!(error.to_string().contains("image/app"), "{error}");
    for path in &layers {
        fs::remove_file(path).unwrap();
    }
    let error = registry.create(&repository, Moves::all()).unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable", "{error}");
    assert!(!repository.bundle().join("bundle.json").exists());
}

#[test]
fn a_tag_that_is_not_there_is_refused() {
    let Some(registry) = Registry::start(None) else {
        return;
    };
    let repository = registry.repository();
    let error = registry.create(&repository, Moves::all()).unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable");
    assert!(error.to_string().contains("404"), "{error}");
}

#[test]
fn a_registry_with_a_certificate_of_a_private_authority_is_trusted_only_when_told() {
    let certificate = certificate();
    let Some(registry) = Registry::start(Some((&certificate.pem, &certificate.key_pem))) else {
        return;
    };
    let ours = registry.push("1", b"first");
    let repository = registry.repository();
    let mut options = repository.options(Moves::all());
    let error = create(&repository.root(), &options, &Silent).unwrap_err();
    assert_eq!(error.code(), "bundle::source-unreachable");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );
    let path = repository.root().join("authority.pem");
    fs::write(&path, &certificate.authority_pem).unwrap();
    options.authorities.push(path);
    assert_eq!(
        create(&repository.root(), &options, &Silent)
            .unwrap()
            .index
            .members[0]
            .sha256,
        ours
    );
}
