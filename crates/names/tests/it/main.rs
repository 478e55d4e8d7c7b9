//! No two keys share a name, in any store, and none is longer than its store keeps.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(
    clippy::print_stderr,
    reason = "how many names were made belongs into a test's output"
)]

mod limits;
mod millions;

use openg2p_names::{
    EnvironmentId, Key, Label, NameError, Owner, host, kubernetes, network, objects, postgresql,
};

const DOMAIN: &str = "g2p.example.org";

type Named = fn(&Key) -> Result<String, NameError>;

/// Every store, what its name of a key is, and the most bytes that it keeps.
const STORES: &[(&str, usize, Named)] = &[
    ("database", 63, |key| {
        postgresql::DatabaseName::of(key).map(String::from)
    }),
    ("role", 63, |key| postgresql::RoleName::of(key).map(String::from)),
    ("object", 253, |key| {
        kubernetes::ObjectName::of(key).map(String::from)
    }),
    ("bucket", 63, |key| objects::BucketName::of(key).map(String::from)),
    ("topic", 249, |key| objects::TopicName::of(key).map(String::from)),
    ("nftables", 255, |key| {
        network::NftablesName::of(key).map(String::from)
    }),
];

fn environment(key: &Key) -> Option<&EnvironmentId> {
    match &key.owner {
        Owner::Environment(id) => Some(id),
        Owner::Site => None,
    }
}

/// The host name of a key without purpose.
fn host_of(key: &Key) -> Result<host::HostName, NameError> {
    match environment(key) {
        Some(id) => host::HostName::of(&key.component, id, DOMAIN),
        None => host::HostName::of_site(&key.component, DOMAIN),
    }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}
