//! Buckets of an object store, and topics of Kafka.

use crate::{Key, NameError, Owner, fitting, name_type};

name_type!(
    /// The name of a bucket: `<owner>.<component>[.<purpose>]`, 3 to 63 bytes.
    BucketName
);
name_type!(
    /// The name of a topic: `<owner>.<component>[.<purpose>]`, at most 249 bytes. It never holds `_`: Kafka's metrics write `.` as
    /// `_`, so names that differ in these alone would be one there.
    TopicName
);
name_type!(
    /// What all topics of a component, or of an owner, begin with, and nobody else's: for prefixed access rules. It ends with the
    /// separator, so the rule of `a` does not open what belongs to `ab`.
    TopicPrefix
);

/// Beginnings and ends that Amazon's and compatible object stores keep for themselves.
const BEGINNINGS: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
const ENDS: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl BucketName {
    /// The bucket of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        let name = fitting("bucket", key.joined('.'), 3, 63)?;
        let kept = BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            || ENDS.iter().any(|end| name.ends_with(end));
        if kept {
            return Err(NameError::Reserved {
                what: "bucket",
                name,
                why: "object stores keep such beginnings and ends for themselves",
            });
        }
        // four numbers would be taken for an address; a key has three words at most
        Ok(Self(name))
    }
}

impl TopicName {
    /// Most bytes of a topic's name (`org.apache.kafka.common.internals.Topic`).
    pub const LONGEST: usize = 249;

    /// The topic of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        fitting("topic", key.joined('.'), 1, Self::LONGEST).map(Self)
    }
}

impl TopicPrefix {
    /// The prefix of all topics of an owner.
    pub fn of_owner(owner: &Owner) -> Self {
        Self(format!("{}.", owner.word()))
    }

    /// The prefix of all topics with a purpose of a component.
    pub fn of_component(key: &Key) -> Result<Self, NameError> {
        let component = Key {
            purpose: None,
            ..key.clone()
        };
        let name = format!("{}.", component.joined('.'));
        fitting("topic prefix", name, 1, TopicName::LONGEST).map(Self)
    }
}
