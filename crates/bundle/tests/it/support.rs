//! Repositories, options and certificates that the tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use openg2p_bundle::{
    create::{Options, Report, create},
    error::BundleError,
    moves::Moves,
    progress::Silent,
};
use tempfile::TempDir;

/// A repository with a catalogue, a cache and a place for the bundle.
pub(crate) struct Repository {
    folder: TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Writes a file of the repository.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the `bundle.yaml` of a component.
    pub(crate) fn recipe(&self, component: &str, members: &str) {
        self.write(
            &format!("catalog/modules/{component}/bundle.yaml"),
            &format!("members:\n{members}"),
        );
    }

    /// A chart and the component that has it.
    pub(crate) fn chart(&self, name: &str) {
        self.write(
            &format!("charts/{name}/Chart.yaml"),
            &format!("name: {name}\nversion: 0.1.0\n"),
        );
        self.write(
            &format!("charts/{name}/templates/a.yaml"),
            &format!("name: {name}\n"),
        );
        self.recipe(
            name,
            &format!(
                "  - {{kind: chart, name: {name}, version: 0.1.0, licence: MPL-2.0, sources: {{build: {{chart: charts/{name}}}}}}}\n"
            ),
        );
    }

    pub(crate) fn options(&self, moves: Moves) -> Options {
        let mut options = Options::lab(self.bundle());
        options.cache = self.cache();
        options.moves = moves;
        // Servers here are near, and what they will not do they need not be asked for long.
        options.patience.attempts = 3;
        options.patience.pause = Duration::from_millis(100);
        options.prefer = ["build", "oci", "https"].map(ToOwned::to_owned).to_vec();
        options
    }

    pub(crate) fn create(&self, moves: Moves) -> Result<Report, BundleError> {
        create(&self.root(), &self.options(moves), &Silent)
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Flips one bit in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A certificate for the loopback address with its key, and the authority that a client must trust for it.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    pub(crate) authority_pem: String,
}

pub(crate) fn certificate() -> Certificate {
    issue(&["localhost", "127.0.0.1"])
}

/// A certificate for a name that is not the server's.
pub(crate) fn certificate_of_another() -> Certificate {
    issue(&["elsewhere.example.org"])
}

/// A private authority, as ministries have them, and what it issued.
fn issue(names: &[&str]) -> Certificate {
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Ministry of Tests");
    let key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = parameters.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(parameters, key);
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    Certificate {
        pem: own.pem(),
        key_pem: key.serialize_pem(),
        authority_pem,
    }
}

/// A `.tar.gz` of these files. Names may be such as an attacker would choose.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
