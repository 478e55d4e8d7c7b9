//! Images from ordinary Containerfiles, by buildah.
//!
//! Each build has storage of its own in a scratch folder and a mount namespace of its own, so that nothing is left
//! when it is killed and nothing of the machine's other images is used or touched.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::json;

use crate::{
    cache::{Obtained, Scratch},
    command,
    error::BundleError,
    index::{Blob, Digest},
    recipe::{BaseBuild, ImageBuild},
    sources::{
        Inputs, Workshop,
        build::{base, context::Context, layer, member, program, program_inputs, program_origin},
        debian,
    },
};

/// What decides an image: its folder, the programs put into it, and the bases that it is built on.
pub(crate) fn inputs(build: &ImageBuild, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    let folder = workshop.root.join(&build.context);
    let mut inputs = Inputs::default();
    inputs.declare("format", "1");
    inputs.declare("context", Context::read(&folder)?.digest().as_str());
    for (name, file) in &build.files {
        inputs.include(&format!("file {name}"), &program_inputs(file, workshop)?);
    }
    for reference in bases(&folder)? {
        let base = base::inputs(&reference, workshop)?;
        inputs.include(&format!("base {reference}"), &base);
        inputs.part(base::name(&reference), &base);
    }
    Ok(inputs)
}

fn bases(folder: &Path) -> Result<Vec<String>, BundleError> {
    let path = folder.join("Containerfile");
    let text = fs::read_to_string(&path).map_err(BundleError::io("read", &path))?;
    bases_of(&text).map_err(|why| BundleError::Recipe { path, why })
}

/// The references that a Containerfile builds on, without its own stages.
fn bases_of(containerfile: &str) -> Result<Vec<String>, String> {
    let mut stages: Vec<String> = vec!["scratch".to_owned()];
    let mut found: Vec<String> = Vec::new();
    for line in containerfile.lines() {
        let mut words = line.split_whitespace().filter(|word| !word.starts_with("--"));
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("from")) {
            continue;
        }
        let reference = words.next().ok_or("has a FROM without an image")?;
        if reference.contains('$') {
            return Err(format!("FROM {reference} depends on an argument; name the image"));
        }
        if !stages.iter().any(|stage| stage == reference) && !found.iter().any(|base| base == reference) {
            found.push(reference.to_owned());
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as"))
            && let Some(stage) = words.next()
        {
            stages.push(stage.to_owned());
        }
    }
    Ok(found)
}

/// Where an image comes from: its programs and its Containerfile.
pub(crate) fn origin(build: &ImageBuild, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    let mut origin = format!("{}/Containerfile", build.context.display());
    for file in build.files.values() {
        let from = program_origin(file, workshop)?;
        if !origin.starts_with(&from) {
            origin = format!("{from}; {origin}");
        }
    }
    Ok(origin)
}

/// Builds the image and takes its blobs into the cache.
pub(crate) fn build(
    what: &str,
    build: &ImageBuild,
    workshop: &Workshop<'_>,
) -> Result<Obtained, BundleError> {
    let folder = workshop.root.join(&build.context);
    let mut programs = Vec::new();
    for (name, file) in &build.files {
        programs.push((name, program(file, workshop)?));
    }
    let mut known = Vec::new();
    let mut loaded = Vec::new();
    for reference in bases(&folder)? {
        let blobs = base::blobs(&reference, workshop)?;
        known.extend(blobs.iter().skip(2).cloned());
        loaded.push((reference, blobs));
    }

    let bench = Bench::new(what, workshop)?;
    for (number, (reference, blobs)) in loaded.iter().enumerate() {
        bench.load(number, reference, blobs, workshop)?;
    }
    let files = bench.scratch.path().join("context");
    fs::create_dir(&files).map_err(BundleError::io("make", &files))?;
    Context::read(&folder)?.copy_to(&files)?;
    for (name, blob) in programs {
        let to = files.join(name);
        fs::copy(workshop.cache.blob_path(&blob.sha256), &to).map_err(BundleError::io("write", &to))?;
        fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(BundleError::io("write", &to))?;
    }
    let mut suite = None;
    for reference in bases(&folder)? {
        suite = suite.or(suite_below(&reference, workshop)?);
    }
    let out = bench.build(&files, suite.as_deref(), workshop)?;
    Ok(member(
        origin(build, workshop)?,
        take(what, &out, &known, workshop)?,
    ))
}

/// The Debian suite that a base goes back to.
fn suite_below(reference: &str, workshop: &Workshop<'_>) -> Result<Option<String>, BundleError> {
    match workshop.recipes.base(reference) {
        Some(BaseBuild::Debian(suite)) => Ok(Some(suite)),
        Some(BaseBuild::Image(build)) => {
            for below in bases(&workshop.root.join(&build.context))? {
                if let Some(suite) = suite_below(&below, workshop)? {
                    return Ok(Some(suite));
                }
            }
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Where one image is built.
struct Bench {
    what: String,
    scratch: Scratch,
    driver: String,
}

impl Bench {
    fn new(what: &str, workshop: &Workshop<'_>) -> Result<Self, BundleError> {
        let mut bench = Self {
            what: what.to_owned(),
            scratch: workshop.cache.scratch()?,
            driver: "overlay".to_owned(),
        };
        // Overlay needs a file system below that can carry it; vfs works everywhere and is slower.
        bench.driver = workshop.version("storage driver", || {
            let probe = command::output(
                what,
                bench
                    .buildah()
                    .args(["info", "--format", "{{.store.GraphDriverName}}"]),
            );
            match probe {
                Err(error @ BundleError::ToolMissing { .. }) => Err(error),
                Ok(name) if name.trim() == "overlay" => Ok("overlay".to_owned()),
                _ => Ok("vfs".to_owned()),
            }
        })?;
        Ok(bench)
    }

    fn buildah(&self) -> Command {
        let mut command = command::contained("buildah");
        command.arg("--root").arg(self.scratch.path().join("storage"));
        command.arg("--runroot").arg(self.scratch.path().join("run"));
        command.args(["--storage-driver", &self.driver]);
        command
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// Puts a base into the storage under its public name.
    fn load(
        &self,
        number: usize,
        reference: &str,
        blobs: &[Blob],
        workshop: &Workshop<'_>,
    ) -> Result<(), BundleError> {
        let layout = self.scratch.path().join(format!("base-{number}"));
        let folder = layout.join("blobs/sha256");
        fs::create_dir_all(&folder).map_err(BundleError::io("make", &folder))?;
        for blob in blobs {
            let to = folder.join(blob.sha256.as_str());
            fs::hard_link(workshop.cache.blob_path(&blob.sha256), &to)
                .map_err(BundleError::io("link", &to))?;
        }
        let manifest = blobs
            .first()
            .map(|blob| json!({"mediaType": base::MANIFEST, "digest": blob.sha256.oci(), "size": blob.size}));
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        let write = |name: &str, text: String| {
            fs::write(layout.join(name), text).map_err(BundleError::io("write", layout.join(name)))
        };
        write("index.json", index.to_string())?;
        write("oci-layout", crate::layout::OCI_LAYOUT.to_owned())?;
        // buildah names what it pulls by the path, and not every path is a valid name; a relative one of ours is.
        let mut pull = self.buildah();
        pull.args(["pull", "--quiet", &format!("oci:base-{number}")])
            .current_dir(self.scratch.path());
        let id = command::output(&self.what, &mut pull)?;
        command::run(
            &self.what,
            self.buildah().args(["tag", id.trim(), reference]),
            &self.log(),
        )
    }

    /// Runs the Containerfile and writes the image out, its layers uncompressed.
    fn build(
        &self,
        files: &Path,
        suite: Option<&str>,
        workshop: &Workshop<'_>,
    ) -> Result<PathBuf, BundleError> {
        let mut bud = self.buildah();
        bud.args([
            "bud",
            "--isolation",
            "chroot",
            "--pull-never",
            "--timestamp",
            "0",
            "--tag",
            "bundle",
        ]);
        for (from, to) in self.mounts(suite, workshop)? {
            bud.arg("--volume").arg(format!("{}:/{to}:ro", from.display()));
        }
        bud.arg("--file").arg(files.join("Containerfile")).arg(files);
        command::run(&self.what, &mut bud, &self.log())?;
        let out = self.scratch.path().join("out");
        let mut target = std::ffi::OsString::from("dir:");
        target.push(&out);
        command::run(
            &self.what,
            self.buildah()
                .args(["push", "--quiet", "-D", "bundle"])
                .arg(target),
            &self.log(),
        )?;
        Ok(out)
    }

    /// What RUN steps see of this machine: its authorities for pip, and how its apt reaches the archive.
    fn mounts(
        &self,
        suite: Option<&str>,
        workshop: &Workshop<'_>,
    ) -> Result<Vec<(PathBuf, String)>, BundleError> {
        let mut mounts = Vec::new();
        let mut mount = |name: &str, text: String, to: &str| -> Result<(), BundleError> {
            let path = self.scratch.path().join(name);
            fs::write(&path, text).map_err(BundleError::io("write", &path))?;
            mounts.push((path, to.to_owned()));
            Ok(())
        };
        let own = workshop.authority_file(self.scratch.path())?;
        let inside = format!("/{}/authorities.pem", layer::MOUNT_FOLDER);
        let mut settings = debian::machine_settings()?;
        if own.is_some() {
            settings.push(format!("Acquire::https::CaInfo \"{inside}\""));
        }
        let apt = settings.into_iter().map(|line| line + ";\n").collect();
        mount("apt.conf", apt, "etc/apt/apt.conf.d/00build-machine")?;
        if let Some(suite) = suite.filter(|_| !workshop.mirrors.is_debian_itself()) {
            let lines = debian::source_lines(suite, &workshop.mirrors, false).join("\n") + "\n";
            // The base has this file, so the mount leaves no trace, and the image keeps Debian's own address.
            mount("sources.list", lines, "etc/apt/sources.list")?;
        }
        let mut pip = "[global]\n".to_owned();
        for (variable, setting) in [
            ("PIP_INDEX_URL", "index-url"),
            ("PIP_EXTRA_INDEX_URL", "extra-index-url"),
            ("PIP_TRUSTED_HOST", "trusted-host"),
        ] {
            if let Ok(value) = env::var(variable) {
                pip.push_str(&format_setting(setting, &value));
            }
        }
        let authorities = own.or_else(system_authorities);
        if authorities.is_some() {
            pip.push_str(&format_setting("cert", &inside));
        }
        mount("pip.conf", pip, "etc/pip.conf")?;
        if let Some(path) = authorities {
            mounts.push((path, format!("{}/authorities.pem", layer::MOUNT_FOLDER)));
        }
        Ok(mounts)
    }
}

fn format_setting(name: &str, value: &str) -> String {
    format!("{name} = {value}\n")
}

/// The file with the authorities that this machine trusts.
pub(crate) fn system_authorities() -> Option<PathBuf> {
    ["PIP_CERT", "SSL_CERT_FILE"]
        .iter()
        .filter_map(|name| env::var_os(name).map(PathBuf::from))
        .chain([PathBuf::from("/etc/ssl/certs/ca-certificates.crt")])
        .find(|path| path.is_file())
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

/// Takes a written image into the cache, with the layers that are not a base's made the same on every machine.
fn take(what: &str, out: &Path, known: &[Blob], workshop: &Workshop<'_>) -> Result<Vec<Blob>, BundleError> {
    let manifest: Manifest = read_json(&out.join("manifest.json"))?;
    let mut layers = Vec::new();
    for descriptor in &manifest.layers {
        if let Some(blob) = known.iter().find(|blob| blob.sha256 == descriptor.digest) {
            layers.push(blob.clone());
            continue;
        }
        let path = out.join(descriptor.digest.as_str());
        let mut file = File::open(&path).map_err(BundleError::io("read", &path))?;
        let mut writer = workshop.cache.writer()?;
        layer::rewrite(what, &mut file, &mut writer)?;
        layers.push(writer.keep()?);
    }
    let mut config: serde_json::Value = read_json(&out.join(manifest.config.digest.as_str()))?;
    config["rootfs"]["diff_ids"] = layers.iter().map(|layer| layer.sha256.oci()).collect();
    if let Some(labels) = config
        .pointer_mut("/config/Labels")
        .and_then(serde_json::Value::as_object_mut)
    {
        labels.remove("io.buildah.version");
    }
    let config = workshop.cache.put_bytes(config.to_string().as_bytes())?;
    let manifest = base::manifest(&config, &layers);
    let mut blobs = vec![workshop.cache.put_bytes(manifest.to_string().as_bytes())?, config];
    blobs.extend(layers);
    Ok(blobs)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, BundleError> {
    let bytes = fs::read(path).map_err(BundleError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| BundleError::Recipe {
        path: path.to_owned(),
        why: format!("buildah wrote something unexpected: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_read_from_the_containerfile() {
        let text = "# FROM x\nFROM --platform=linux/amd64 a/b:1 AS build\nRUN x\nfrom build as next\nFROM scratch\nFROM c:2\nFROM a/b:1\n";
        assert_eq!(bases_of(text).unwrap(), ["a/b:1", "c:2"]);
        assert!(bases_of("FROM ${BASE}").is_err());
        assert!(bases_of("FROM").is_err());
    }
}
