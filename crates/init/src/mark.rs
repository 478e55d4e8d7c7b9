//! The mark that says whose a database or a role is: its comment in the catalogue.

use crate::catalogue::{Database, Role};
use crate::error::InitError;
use crate::name::{Name, Owner};

const KEY: &str = "openg2p.org/owner=";

/// What a comment says about ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No comment, or one that is not a mark of ours.
    None,
    /// Marked by the owner who asks.
    Ours,
    /// Marked by somebody else.
    Other(String),
}

/// The comment that marks something as `owner`'s.
pub(crate) fn comment(owner: &Owner) -> String {
    format!("{KEY}{}", owner.as_str())
}

/// Reads a comment. Only the exact comment counts: a text that merely contains it was written by somebody else.
pub(crate) fn read(found: Option<&str>, owner: &Owner) -> Mark {
    match found.and_then(|text| text.strip_prefix(KEY)) {
        None => Mark::None,
        Some(other) if other == owner.as_str() => Mark::Ours,
        Some(other) => Mark::Other(other.to_owned()),
    }
}

/// Whether a role is not this owner's.
pub(crate) fn judge_role(name: &Name, role: &Role, owner: &Owner) -> Option<InitError> {
    let role_name = name.as_str().to_owned();
    match read(role.comment.as_deref(), owner) {
        Mark::Ours => None,
        Mark::None => Some(InitError::ForeignRole { role: role_name }),
        Mark::Other(other) => Some(InitError::RoleOfAnother {
            role: role_name,
            other,
            owner: owner.as_str().to_owned(),
        }),
    }
}

/// Whether a database is not this owner's.
pub(crate) fn judge_database(name: &Name, database: &Database, owner: &Owner) -> Option<InitError> {
    let database_name = name.as_str().to_owned();
    match read(database.comment.as_deref(), owner) {
        Mark::Ours => None,
        Mark::None => Some(InitError::ForeignDatabase {
            database: database_name,
        }),
        Mark::Other(other) => Some(InitError::DatabaseOfAnother {
            database: database_name,
            other,
            owner: owner.as_str().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_mark_counts() {
        let owner: Owner = "dev/spar".parse().unwrap();
        assert_eq!(read(Some(&comment(&owner)), &owner), Mark::Ours);
        assert_eq!(read(None, &owner), Mark::None);
        assert_eq!(read(Some("see openg2p.org/owner=dev/spar"), &owner), Mark::None);
        assert_eq!(
            read(Some("openg2p.org/owner=dev/spar "), &owner),
            Mark::Other("dev/spar ".into())
        );
        assert_eq!(
            read(Some("openg2p.org/owner=dev/spa"), &owner),
            Mark::Other("dev/spa".into())
        );
    }
}
