//! Images in containerd, through its own `ctr`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use openg2p_ports::{Command, PortError};
use serde_json::json;

use crate::bundle::BundleDirectory;

const SOCKET: &str = "/run/containerd/containerd.sock";

fn ctr(arguments: &[&str]) -> Command {
    Command::new(
        "ctr",
        ["--address", SOCKET, "--namespace", "k8s.io"]
            .iter()
            .chain(arguments)
            .copied(),
    )
}

/// Reference to manifest digest; none when containerd does not run.
pub(crate) async fn images(place: &str) -> Result<Option<BTreeMap<String, String>>, PortError> {
    if !Path::new(SOCKET).exists() {
        return Ok(None);
    }
    let output = crate::process::run(ctr(&["images", "list"]), place).await?;
    if output.status == Some(0) {
        return Ok(Some(parse(&output.stdout)));
    }
    if output.stderr.contains("connection refused") {
        return Ok(None);
    }
    Err(PortError::new(
        "host::images",
        "list container images",
        place,
        output.reason(),
    ))
}

/// Columns: reference, type, digest, size, …
fn parse(table: &str) -> BTreeMap<String, String> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (reference, _, digest) = (fields.next()?, fields.next()?, fields.next()?);
            Some((reference.to_owned(), digest.to_owned()))
        })
        .collect()
}

/// Streams the image out of the bundle into containerd as an OCI archive, and pins it, so that the kubelet's clearing of
/// disks never removes what no registry could bring back.
pub(crate) async fn import(bundle: &BundleDirectory, reference: &str, place: &str) -> Result<(), PortError> {
    let failed = |why: String| {
        PortError::new(
            "host::image-import",
            format!("import image {reference}"),
            place,
            why,
        )
    };
    let member = bundle.index().image(reference).ok_or_else(|| {
        failed("it is not in the bundle".into()).hint("make a bundle that has it: `openg2p bundle create`")
    })?;
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    let manifest = bundle.read(member.sha256.as_str())?;
    let media_type = serde_json::from_slice::<serde_json::Value>(&manifest)
        .ok()
        .and_then(|manifest| Some(manifest.get("mediaType")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".into());
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": media_type,
            "digest": format!("sha256:{}", member.sha256.as_str()),
            "size": manifest.len(),
            "annotations": {
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference,
            },
        }],
    })
    .to_string();
    let blobs: Vec<_> = member
        .blobs
        .iter()
        .map(|blob| blob.sha256.as_str().to_owned())
        .collect();
    let paths: Vec<_> = blobs
        .iter()
        .map(|sha256| (sha256.clone(), bundle.path(sha256)))
        .collect();
    let arguments: Vec<String> = ctr(&["images", "import", "--digests=false", "-"]).arguments;
    let work = tokio::task::spawn_blocking(move || -> Result<(bool, String), std::io::Error> {
        let mut child = std::process::Command::new("ctr")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let Some(stdin) = child.stdin.take() else {
            return Ok((false, "no standard input".into()));
        };
        let written = write_archive(stdin, &layout, &index, &paths);
        let output = child.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match written {
            Err(error) if output.status.success() => Err(error),
            _ => Ok((output.status.success(), stderr)),
        }
    });
    let (success, stderr) = work
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    if !success {
        return Err(failed(stderr.trim().to_owned()));
    }
    let pin = ctr(&["images", "label", reference, "io.cri-containerd.pinned=pinned"]);
    let output = crate::process::run(pin, place).await?;
    if output.status == Some(0) {
        Ok(())
    } else {
        Err(failed(output.reason()))
    }
}

fn write_archive(
    sink: impl Write,
    layout: &str,
    index: &str,
    blobs: &[(String, std::path::PathBuf)],
) -> Result<(), std::io::Error> {
    let mut archive = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, sink));
    let mut small = |name: &str, text: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())
    };
    small("oci-layout", layout)?;
    small("index.json", index)?;
    for (sha256, path) in blobs {
        let file = std::fs::File::open(path)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("blobs/sha256/{sha256}"), file)?;
    }
    archive.into_inner()?.flush()
}

pub(crate) async fn remove(reference: &str, place: &str) -> Result<(), PortError> {
    let output = crate::process::run(ctr(&["images", "remove", "--sync", reference]), place).await?;
    if output.status == Some(0) {
        return Ok(());
    }
    Err(PortError::new(
        "host::images",
        format!("remove image {reference}"),
        place,
        output.reason(),
    ))
}
