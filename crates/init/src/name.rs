//! Names of databases, roles and owners as they come from outside: checked once, escaped wherever they meet SQL.

use std::fmt;
use std::str::FromStr;

use postgres_protocol::escape::{escape_identifier, escape_literal};

/// PostgreSQL cuts longer names silently (NAMEDATALEN - 1), and two cut names can be the same one.
const LONGEST_NAME: usize = 63;

/// A name of a database, role or extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// The name as it is stored in the catalogue.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an identifier in SQL.
    pub(crate) fn identifier(&self) -> String {
        escape_identifier(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("a name must not be empty".into());
        }
        if text.len() > LONGEST_NAME {
            return Err(format!(
                "{text:?} has {} bytes, but PostgreSQL keeps only {LONGEST_NAME} of a name; choose a shorter one",
                text.len()
            ));
        }
        if text.contains('\0') {
            return Err("a name must not contain the byte 0".into());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A database that may be made and removed: not one of those that every server has.
pub(crate) fn module_database(text: &str) -> Result<Name, String> {
    let name: Name = text.parse()?;
    if matches!(name.as_str(), "postgres" | "template0" | "template1") {
        return Err(format!(
            "{name} belongs to the server itself; a module has a database of its own"
        ));
    }
    Ok(name)
}

/// A role that may be made and removed: not one of those that PostgreSQL reserves.
pub(crate) fn module_role(text: &str) -> Result<Name, String> {
    let name: Name = text.parse()?;
    if name.as_str().starts_with("pg_") || matches!(name.as_str(), "postgres" | "public" | "none") {
        return Err(format!(
            "{name} is reserved by PostgreSQL; a module has a role of its own"
        ));
    }
    Ok(name)
}

/// Who a database belongs to. Goes into a comment in the catalogue, so it is kept printable and of one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner(String);

impl Owner {
    /// The owner as a word.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 200 {
            return Err("an owner has 1 to 200 characters".into());
        }
        if let Some(wrong) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!(
                "an owner is one word of printable ASCII; {wrong:?} cannot be in it"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A table that `wait` looks for, `schema.table` or `table` in the schema `public`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: Name,
    pub(crate) table: Name,
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema.as_str(), self.table.as_str())
    }
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (schema, table) = text.split_once('.').unwrap_or(("public", text));
        Ok(Self {
            schema: schema.parse()?,
            table: table.parse()?,
        })
    }
}

/// Any text as a literal in SQL (for statements that take no parameters, such as COMMENT).
pub(crate) fn literal(text: &str) -> String {
    escape_literal(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_postgresql_would_cut_is_refused() {
        assert!("a".repeat(63).parse::<Name>().is_ok());
        assert!("a".repeat(64).parse::<Name>().is_err());
        // 32 characters, 64 bytes: bytes count, not characters.
        assert!("é".repeat(32).parse::<Name>().is_err());
        assert!("".parse::<Name>().is_err());
    }

    #[test]
    fn quotes_cannot_leave_an_identifier_or_a_literal() {
        let name: Name = "x\"; drop database \"y".parse().unwrap();
        assert_eq!(name.identifier(), "\"x\"\"; drop database \"\"y\"");
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn names_of_the_server_itself_are_refused() {
        for database in ["postgres", "template0", "template1"] {
            assert!(module_database(database).is_err(), "{database}");
        }
        for role in ["postgres", "pg_monitor", "public", "none"] {
            assert!(module_role(role).is_err(), "{role}");
        }
        assert!(module_database("spardb").is_ok() && module_role("sparuser").is_ok());
    }

    #[test]
    fn an_owner_is_one_word() {
        assert!("site-7f3a/dev/spar".parse::<Owner>().is_ok());
        for bad in ["", "two words", "line\nbreak", "tab\t"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_table_without_schema_is_in_public() {
        assert_eq!(
            "id_fa_mappings".parse::<Table>().unwrap().to_string(),
            "public.id_fa_mappings"
        );
        assert_eq!("a.b".parse::<Table>().unwrap().to_string(), "a.b");
    }
}
