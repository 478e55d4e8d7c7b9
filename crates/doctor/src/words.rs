//! What programs say when something fails them, and what that points to.

/// What a message points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// No room on a disk.
    Disk,
    /// Not enough memory.
    Memory,
    /// A name that cannot be resolved inside the cluster.
    Names,
    /// A certificate that is not valid, by itself or by the clock.
    Certificate,
    /// A database that does not answer or does not let in.
    Database,
    /// An image that is not there.
    Image,
    /// A Secret or ConfigMap that is not there.
    Object,
}

/// Parts of messages, in small letters, of the kubelet, containerd, the scheduler, glibc, libpq, Go's TLS and OpenSSL. The first
/// that is found decides, so the most certain come first.
const PHRASES: &[(&str, Hint)] = &[
    ("no space left on device", Hint::Disk),
    ("disk-pressure", Hint::Disk),
    ("diskpressure", Hint::Disk),
    ("low on resource: ephemeral-storage", Hint::Disk),
    ("disk quota exceeded", Hint::Disk),
    ("errimageneverpull", Hint::Image),
    ("imagepullbackoff", Hint::Image),
    ("errimagepull", Hint::Image),
    ("oomkilled", Hint::Memory),
    ("insufficient memory", Hint::Memory),
    ("memory-pressure", Hint::Memory),
    ("cannot allocate memory", Hint::Memory),
    ("couldn't find key", Hint::Object),
    ("secret \"", Hint::Object),
    ("configmap \"", Hint::Object),
    ("certificate has expired", Hint::Certificate),
    ("not yet valid", Hint::Certificate),
    ("certificate verify failed", Hint::Certificate),
    ("x509:", Hint::Certificate),
    ("could not translate host name", Hint::Names),
    ("temporary failure in name resolution", Hint::Names),
    ("name or service not known", Hint::Names),
    ("no such host", Hint::Names),
    ("eai_again", Hint::Names),
    ("password authentication failed", Hint::Database),
    ("the database system is", Hint::Database),
    ("too many clients", Hint::Database),
    ("port 5432", Hint::Database),
    (":5432", Hint::Database),
    ("postgres", Hint::Database),
    ("database", Hint::Database),
];

/// What `message` points to, if anything.
pub(crate) fn hint(message: &str) -> Option<Hint> {
    let message = message.to_lowercase();
    PHRASES
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map(|(_, hint)| *hint)
}

/// The first line, of at most 300 characters: the reference of an image that cannot be had stands in the middle.
pub(crate) fn first_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}
