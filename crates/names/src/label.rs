//! One word of a name.

use std::fmt;

use crate::NameError;

/// Words that stand for the site itself and for no environment.
pub const RESERVED: &[&str] = &["openg2p", "site"];

/// A DNS label: 1 to 63 small letters, digits and `-`, not `-` at an end. It holds neither `.` nor `_`, which separate words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// Most bytes of a DNS label (RFC 1035).
    pub const LONGEST: usize = 63;

    /// Checks a word.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let allowed = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !allowed
            || text.is_empty()
            || text.len() > Self::LONGEST
            || text.starts_with('-')
            || text.ends_with('-')
        {
            return Err(NameError::Label(text.into()));
        }
        Ok(Self(text.into()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The id of an environment: a label that is none of [`RESERVED`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(Label);

impl EnvironmentId {
    /// Checks an id.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let label = Label::new(text)?;
        if RESERVED.contains(&text) {
            return Err(NameError::Reserved {
                what: "environment",
                name: text.into(),
                why: "it stands for the site itself",
            });
        }
        Ok(Self(label))
    }

    /// The id as a word.
    pub fn label(&self) -> &Label {
        &self.0
    }
}
