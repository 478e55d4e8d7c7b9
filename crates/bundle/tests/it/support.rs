//! Repositories, options and servers that the tests share.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use openg2p_bundle::{
    create::{Moves, Options, Report, create},
    error::BundleError,
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

    pub(crate) fn options(&self, moved: Moves) -> Options {
        let mut options = Options::lab(self.bundle());
        options.cache = self.cache();
        options.moved = moved;
        options.prefer = ["build", "oci", "https"].map(ToOwned::to_owned).to_vec();
        options
    }

    pub(crate) fn create(&self, moved: Moves) -> Result<Report, BundleError> {
        create(&self.root(), &self.options(moved), &Silent)
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

/// A certificate for the loopback address, and the authority that a client must trust for it.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    config: Arc<rustls::ServerConfig>,
}

pub(crate) fn certificate() -> Certificate {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    Certificate {
        pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
        config: Arc::new(config),
    }
}

/// What a file server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The whole file.
    File(Vec<u8>),
    /// A status and nothing else.
    Status(&'static str),
    /// The head promises more bytes than come.
    BreakOff(Vec<u8>),
}

/// Serves one answer over TLS on the loopback address until the test's process ends.
pub(crate) fn serve(certificate: &Certificate, answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::clone(&certificate.config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, answer) = (Arc::clone(&config), answer.clone());
            // A client that refuses the certificate ends the connection; that is no failure of the server.
            thread::spawn(move || answer_one(stream, config, &answer));
        }
    });
    address
}

fn answer_one(
    mut stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    answer: &Answer,
) -> std::io::Result<()> {
    let mut connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    match answer {
        Answer::File(body) => {
            write!(
                tls,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            )?;
            tls.write_all(body)?;
        }
        Answer::Status(status) => {
            write!(
                tls,
                "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
        }
        Answer::BreakOff(body) => {
            write!(
                tls,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len() * 2
            )?;
            tls.write_all(body)?;
        }
    }
    tls.flush()
}
