//! Bases of images: a minimal Debian under the public name, and images that others are built on.

use std::fs::File;

use serde_json::json;

use crate::{
    cache::Made,
    command,
    error::BundleError,
    index::Blob,
    mirrors::Mirrors,
    recipe::BaseBuild,
    sources::{
        Inputs, Workshop,
        build::{image, layer, member},
        debian,
    },
};

/// Media type of an image's manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image's configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of an uncompressed layer.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What the public slim images leave out too.
const WITHOUT: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
];

fn of(reference: &str, workshop: &Workshop<'_>) -> Result<BaseBuild, BundleError> {
    workshop.recipes.base(reference).ok_or_else(|| BundleError::Recipe {
        path: workshop.root.join("lab/images/bundle.yaml"),
        why: format!("nothing says how to make `{reference}`, which a Containerfile builds on; add it under `bases:`"),
    })
}

/// What decides a base.
pub(crate) fn inputs(reference: &str, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    match of(reference, workshop)? {
        BaseBuild::Image(build) => image::inputs(&build, workshop),
        BaseBuild::Debian(suite) => {
            let mut inputs = Inputs::default();
            inputs.declare("suite", suite);
            inputs.declare("without", WITHOUT.join(" "));
            inputs.declare("format", "2");
            Ok(inputs)
        }
    }
}

/// The name of a base, as [`Workshop::part`] knows it.
pub(crate) fn name(reference: &str) -> String {
    format!("base/{}", short(reference))
}

/// The blobs of a base: manifest, configuration, layers.
pub(crate) fn blobs(reference: &str, workshop: &Workshop<'_>) -> Result<Vec<Blob>, BundleError> {
    let what = name(reference);
    let made = workshop.part(&what, &inputs(reference, workshop)?, || {
        let made = match of(reference, workshop)? {
            BaseBuild::Image(build) => image::build(&what, &build, workshop)?,
            BaseBuild::Debian(suite) => {
                member(format!("debian {suite}"), debian_system(&what, &suite, workshop)?)
            }
        };
        Ok(Made {
            members: vec![made],
            ..Made::default()
        })
    })?;
    Ok(made.members.into_iter().flat_map(|member| member.blobs).collect())
}

fn short(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// A minimal system by mmdebstrap, verified against the archive's signatures, as an image of one layer.
fn debian_system(what: &str, suite: &str, workshop: &Workshop<'_>) -> Result<Vec<Blob>, BundleError> {
    let scratch = workshop.cache.scratch()?;
    let tree = scratch.path().join("tree.tar");
    let mut mmdebstrap = command::contained("mmdebstrap");
    // It unpacks the tree there; in the scratch folder the next run clears it away if this one is killed.
    mmdebstrap.env("TMPDIR", scratch.path());
    mmdebstrap.args([
        "--variant=minbase",
        "--mode=root",
        "--format=tar",
        "--architectures=amd64",
    ]);
    for option in WITHOUT {
        mmdebstrap.arg(format!("--dpkgopt={option}"));
    }
    let mut settings = debian::machine_settings()?;
    settings.extend(debian::authority_setting(workshop, scratch.path())?);
    for option in settings {
        mmdebstrap.arg(format!("--aptopt={option}"));
    }
    if suite == "bookworm" {
        // Otherwise Debian 12 converts an unmerged tree with a package that brings all of Perl along.
        mmdebstrap.args([
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            "--include=usr-is-merged",
        ]);
    }
    // How this machine reaches the archive is nobody else's business.
    mmdebstrap.arg("--customize-hook=rm -f \"$1/etc/apt/apt.conf.d/99mmdebstrap\"");
    if !workshop.mirrors.is_debian_itself() {
        let own = scratch.path().join("sources.list");
        let lines = debian::source_lines(suite, &Mirrors::default(), false).join("\n\n") + "\n";
        std::fs::write(&own, lines).map_err(BundleError::io("write", &own))?;
        // Nor is the mirror: the same image comes out wherever the packages came from.
        mmdebstrap.arg(format!(
            "--customize-hook=upload {} /etc/apt/sources.list",
            own.display()
        ));
    }
    mmdebstrap
        .arg(suite)
        .arg(&tree)
        .args(debian::source_lines(suite, &workshop.mirrors, false))
        .env("SOURCE_DATE_EPOCH", "0");
    command::run(what, &mut mmdebstrap, &scratch.path().join("log"))?;

    let mut file = File::open(&tree).map_err(BundleError::io("read", &tree))?;
    let mut writer = workshop.cache.writer()?;
    layer::rewrite(what, &mut file, &mut writer)?;
    let layer = writer.keep()?;
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["bash"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.sha256.oci()]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": format!("mmdebstrap {suite}")}],
    });
    let config = workshop.cache.put_bytes(config.to_string().as_bytes())?;
    let manifest = manifest(&config, std::slice::from_ref(&layer));
    Ok(vec![
        workshop.cache.put_bytes(manifest.to_string().as_bytes())?,
        config,
        layer,
    ])
}

/// The manifest of an image with uncompressed layers.
pub(crate) fn manifest(config: &Blob, layers: &[Blob]) -> serde_json::Value {
    let descriptor =
        |kind: &str, blob: &Blob| json!({"mediaType": kind, "digest": blob.sha256.oci(), "size": blob.size});
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
    })
}
