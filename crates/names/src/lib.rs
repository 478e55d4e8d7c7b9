//! Names in shared stores come from one total function of owner, component and purpose ([`Key`]).
//!
//! A key is a list of words, and every word is a [`Label`]. Each store joins the words with a letter that no label can hold
//! (`.` or `_`), so the joined name shows where each word ends: two keys never share a name, and no prefix of one owner
//! (`dev.`) is the beginning of another owner's name (`dev-2.x`). Nothing is ever cut or hashed: a name that does not fit, or that
//! the store keeps for itself, is refused with a [`NameError`] that says which limit it breaks.
//!
//! What a store can hold is in its own module: [`postgresql`], [`kubernetes`], [`objects`] (buckets and topics), [`host`]
//! (DNS, files) and [`network`] (nftables, WireGuard).

mod key;
mod label;

pub mod host;
pub mod kubernetes;
pub mod network;
pub mod objects;
pub mod postgresql;

pub use key::{Key, Owner};
pub use label::{EnvironmentId, Label, RESERVED};

use thiserror::Error;

/// A name that a store cannot hold.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// It has too many bytes.
    #[error("name::too-long: {what} `{name}` has {length} bytes, and {limit} is the most; use shorter names")]
    TooLong {
        /// What it names, e.g. `database`.
        what: &'static str,
        /// The name.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The most that fits.
        limit: usize,
    },
    /// It has too few bytes.
    #[error(
        "name::too-short: {what} `{name}` has {length} bytes, and {limit} is the least; use longer names"
    )]
    TooShort {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The least that is taken.
        limit: usize,
    },
    /// The store keeps it for itself.
    #[error("name::reserved: {what} `{name}` cannot be made: {why}")]
    Reserved {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
        /// Whose it is.
        why: &'static str,
    },
    /// A word is no DNS label.
    #[error(
        "name::label: `{0}` is no DNS label (small letters, digits and `-`, at most 63, not `-` at an end)"
    )]
    Label(String),
}

/// The name when its length fits.
fn fitting(what: &'static str, name: String, least: usize, limit: usize) -> Result<String, NameError> {
    let length = name.len();
    if length > limit {
        return Err(NameError::TooLong {
            what,
            name,
            length,
            limit,
        });
    }
    if length < least {
        return Err(NameError::TooShort {
            what,
            name,
            length,
            limit: least,
        });
    }
    Ok(name)
}

/// Declares a name type: a text that only its store's rule makes.
macro_rules! name_type {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
use name_type;
