//! How bytes come from registries and web servers: trusted authorities, mirrors, deadlines, and another try where the
//! server or the line failed, from the byte on where it broke off.
//!
//! Nothing here decides whether bytes are the right ones: whoever asks checks them against a digest.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode,
    blocking::{Client, RequestBuilder, Response},
    header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};

use crate::{
    cache::BlobWriter,
    error::BundleError,
    progress::{Event, Progress},
};

/// How long and how often a server is asked for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often in all.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles before each further one.
    pub pause: Duration,
    /// How long a server may say nothing at all.
    pub stall: Duration,
    /// How long one thing may take in all.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            pause: Duration::from_secs(1),
            stall: Duration::from_mins(1),
            whole: Duration::from_hours(1),
        }
    }
}

/// Where bytes go.
pub(crate) trait Sink {
    /// Takes bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), BundleError>;
    /// How many it has.
    fn len(&self) -> u64;
    /// Gives up what it has.
    fn restart(&mut self) -> Result<(), BundleError>;
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn restart(&mut self) -> Result<(), BundleError> {
        self.clear();
        Ok(())
    }
}

impl Sink for BlobWriter<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        std::io::Write::write_all(self, bytes).map_err(BundleError::io("write", "the cache"))
    }

    fn len(&self) -> u64 {
        self.size()
    }

    fn restart(&mut self) -> Result<(), BundleError> {
        self.clear().map_err(BundleError::io("write", "the cache"))
    }
}

/// What is fetched, for messages and limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The member.
    pub(crate) what: &'a str,
    /// Where it is asked for, as a person would write it.
    pub(crate) address: &'a str,
    /// Bytes that are too many: reading ends there, so that no server can fill the disk.
    pub(crate) limit: u64,
}

impl Wanted<'_> {
    pub(crate) fn unreachable(&self, why: String) -> BundleError {
        BundleError::Unreachable {
            what: self.what.to_owned(),
            address: self.address.to_owned(),
            why,
        }
    }
}

/// Clients, made when they are first needed.
pub(crate) struct Web<'a> {
    authorities: Vec<PathBuf>,
    patience: Patience,
    progress: &'a dyn Progress,
    secure: Mutex<Option<Client>>,
    plain: Mutex<Option<Client>>,
}

/// Why an attempt failed, and whether another one may help.
enum Failure {
    Final(BundleError),
    Refused(String),
    Passing(String),
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self::Final(error)
    }
}

impl<'a> Web<'a> {
    pub(crate) fn new(authorities: Vec<PathBuf>, patience: Patience, progress: &'a dyn Progress) -> Self {
        Self {
            authorities,
            patience,
            progress,
            secure: Mutex::default(),
            plain: Mutex::default(),
        }
    }

    /// The client for `https://`, which follows no redirection to anything else.
    pub(crate) fn secure(&self) -> Result<Client, BundleError> {
        self.client(&self.secure, true)
    }

    /// The client for plain HTTP on the loopback address.
    pub(crate) fn plain(&self) -> Result<Client, BundleError> {
        self.client(&self.plain, false)
    }

    fn client(&self, slot: &Mutex<Option<Client>>, https_only: bool) -> Result<Client, BundleError> {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let made = client(&self.authorities, self.patience.stall, https_only)?;
        *slot = Some(made.clone());
        Ok(made)
    }

    /// Asks until there is an answer that another attempt would not change, which may be a refusal.
    pub(crate) fn ask(
        &self,
        wanted: Wanted<'_>,
        request: &dyn Fn() -> RequestBuilder,
    ) -> Result<Response, BundleError> {
        self.often(wanted, || answer(request()))
    }

    /// Fetches a body into a sink. What broke off is continued where it ended, if the server can do that.
    pub(crate) fn fetch(
        &self,
        wanted: Wanted<'_>,
        request: &dyn Fn() -> RequestBuilder,
        sink: &mut dyn Sink,
    ) -> Result<(), BundleError> {
        let start = Instant::now();
        let mut version = None;
        self.often(wanted, || {
            let mut request = request();
            let had = sink.len();
            if had > 0 {
                request = request.header(RANGE, format!("bytes={had}-"));
                if let Some(version) = &version {
                    // What changed meanwhile comes whole.
                    request = request.header(IF_RANGE, version);
                }
            }
            let mut answer = answer(request)?;
            if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE && had > 0 {
                sink.restart()?;
                return Err(Failure::Passing(
                    "it has fewer bytes than it sent before".to_owned(),
                ));
            }
            if !answer.status().is_success() {
                return Err(Failure::Refused(format!("it answered {}", answer.status())));
            }
            if had > 0 && !continues(&answer, had) {
                sink.restart()?;
            }
            version = answer.headers().get(ETAG).cloned();
            let mut buffer = vec![0; 1 << 18];
            loop {
                let count = answer
                    .read(&mut buffer)
                    .map_err(|error| Failure::Passing(format!("the answer broke off: {error}")))?;
                if count == 0 {
                    return Ok(());
                }
                sink.take(&buffer[..count])?;
                if sink.len() > wanted.limit {
                    return Ok(());
                }
                if start.elapsed() > self.patience.whole {
                    let why = format!(
                        "it is too slow: {} bytes came within {} s",
                        sink.len(),
                        self.patience.whole.as_secs()
                    );
                    return Err(Failure::Refused(why));
                }
            }
        })
    }

    fn often<T>(
        &self,
        wanted: Wanted<'_>,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, BundleError> {
        let start = Instant::now();
        let mut pause = self.patience.pause;
        let mut number = 1;
        loop {
            let why = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Refused(why)) => return Err(wanted.unreachable(why)),
                Err(Failure::Passing(why)) => why,
            };
            if number >= self.patience.attempts || start.elapsed() + pause > self.patience.whole {
                let times = if number == 1 {
                    "once".to_owned()
                } else {
                    format!("{number} times")
                };
                return Err(wanted.unreachable(format!("{why} (asked {times})")));
            }
            self.progress.event(Event::Again {
                what: wanted.what,
                why: &why,
                pause,
            });
            std::thread::sleep(pause);
            pause *= 2;
            number += 1;
        }
    }
}

/// An answer that stands: errors of the server itself and of the line may pass.
fn answer(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().map_err(|error| {
        let why = reasons(&error);
        // A certificate does not become a good one, and neither does an address that redirects in a circle.
        if is_about_certificates(&error) || error.is_redirect() || error.is_builder() {
            Failure::Refused(why)
        } else {
            Failure::Passing(why)
        }
    })?;
    let status = response.status();
    if status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
    {
        return Err(Failure::Passing(format!("it answered {status}")));
    }
    Ok(response)
}

/// Whether this is the rest of what ended at byte `had`.
fn continues(answer: &Response, had: u64) -> bool {
    answer.status() == StatusCode::PARTIAL_CONTENT
        && answer
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {had}-")))
}

/// A client that trusts the system's authorities and these.
fn client(
    authorities: &[impl AsRef<Path>],
    stall: Duration,
    https_only: bool,
) -> Result<Client, BundleError> {
    // Whoever installed a provider first decides; ours is the same one.
    let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
    let mut builder = Client::builder()
        .user_agent(concat!("openg2p/", env!("CARGO_PKG_VERSION")))
        .https_only(https_only)
        .connect_timeout(stall.min(Duration::from_secs(15)))
        // Of each single wait for bytes: a large layer over a slow line may take its time.
        .timeout(stall);
    for path in authorities {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(BundleError::io("read", path))?;
        let wrong = |why: String| BundleError::Recipe {
            path: path.to_owned(),
            why: format!("is no PEM file with certificates: {why}"),
        };
        let certificates =
            reqwest::Certificate::from_pem_bundle(&bytes).map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("there is none in it".to_owned()));
        }
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| BundleError::Unreachable {
        what: "a web client".to_owned(),
        address: "this machine".to_owned(),
        why: reasons(&error),
    })
}

/// reqwest's own message is only the outermost layer; the reason (refused, unknown name, certificate) lies below.
fn reasons(error: &reqwest::Error) -> String {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why.push_str(": ");
        why.push_str(&cause.to_string());
        source = cause.source();
    }
    why
}

fn is_about_certificates(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if inner.or(cause.downcast_ref()).is_some_and(|it| {
            matches!(
                it,
                rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
            )
        }) {
            return true;
        }
        source = cause.source();
    }
    false
}
