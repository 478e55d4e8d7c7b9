//! Names in shared stores come from one total function of owner and component. It never truncates and cannot collide: its
//! parts are DNS labels, which hold no `_`, so the separator shows where one ends.

use thiserror::Error;

/// PostgreSQL keeps 63 bytes of an identifier (`NAMEDATALEN` - 1) and silently drops the rest.
const POSTGRESQL: usize = 63;

/// A name that does not fit where it is needed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "name::too-long: {what} `{name}` has {length} bytes, and {limit} is the most; use a shorter environment name"
)]
pub struct NameError {
    /// What it names.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// Its length in bytes.
    pub length: usize,
    /// The most that fits.
    pub limit: usize,
}

/// The database and role of `component` in `environment`.
pub fn database_name(environment: &str, component: &str) -> Result<String, NameError> {
    let name = format!("{environment}_{component}");
    if name.len() <= POSTGRESQL {
        return Ok(name);
    }
    Err(NameError {
        what: "database",
        length: name.len(),
        name,
        limit: POSTGRESQL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABEL: &str = "[a-z]([a-z0-9-]{0,30}[a-z0-9])?";

    proptest! {
        #[test]
        fn different_owners_never_share_a_name(a in LABEL, b in LABEL, c in LABEL, d in LABEL) {
            let (first, second) = (database_name(&a, &b), database_name(&c, &d));
            if (&a, &b) != (&c, &d) && let (Ok(first), Ok(second)) = (first, second) {
                prop_assert!(first != second);
            }
        }

        #[test]
        fn what_does_not_fit_is_refused_and_never_cut(a in "[a-z]{1,63}", b in "[a-z]{1,63}") {
            match database_name(&a, &b) {
                Ok(name) => prop_assert_eq!(name, [a.as_str(), b.as_str()].join("_")),
                Err(error) => prop_assert!(error.length > 63),
            }
        }
    }
}
