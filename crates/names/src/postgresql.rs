//! Databases and roles: `<owner>_<component>[_<purpose>]`.
//!
//! PostgreSQL keeps 63 bytes of an identifier (`NAMEDATALEN` - 1) and silently drops the rest. Roles that start with `pg_` are its
//! own.

use crate::{Key, NameError, fitting, name_type};

/// Most bytes of an identifier.
pub const LONGEST: usize = 63;

name_type!(
    /// The name of a database.
    DatabaseName
);
name_type!(
    /// The name of a role.
    RoleName
);

impl DatabaseName {
    /// The database of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        identifier("database", key).map(Self)
    }
}

impl RoleName {
    /// The role of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        identifier("role", key).map(Self)
    }
}

fn identifier(what: &'static str, key: &Key) -> Result<String, NameError> {
    let name = fitting(what, key.joined('_'), 1, LONGEST)?;
    if name.starts_with("pg_") {
        // a database of that name could be made, but its role could not, and both have one name
        return Err(NameError::Reserved {
            what,
            name,
            why: "PostgreSQL keeps names that start with `pg_` for itself",
        });
    }
    Ok(name)
}
