//! Names of everything that a lab makes on the machine. All of them follow from the names of lab and host alone, so
//! that leftovers are found without any record.

use sha2::{Digest as _, Sha256};

use crate::error::{LabError, Result};

/// Every cgroup of a lab starts so.
const CGROUP_PREFIX: &str = "openg2p-lab.";
/// Every bridge of a lab starts so.
const BRIDGE_PREFIX: &str = "g2pb";
/// Every nftables table of a lab starts so.
const TABLE_PREFIX: &str = "openg2p_lab_";

/// Refuses what does not fit every place that the name of a lab goes to.
pub(crate) fn check_lab(name: &str) -> Result<()> {
    check("lab", name, 32)
}

/// Refuses what is no host name.
pub(crate) fn check_host(name: &str) -> Result<()> {
    check("host", name, 63)
}

fn check(what: &'static str, name: &str, longest: usize) -> Result<()> {
    let refuse = |why| {
        Err(LabError::Name {
            what,
            name: name.to_owned(),
            why,
        })
    };
    if name.is_empty() || name.len() > longest {
        return refuse(if longest == 32 {
            "it must have 1 to 32 characters"
        } else {
            "it must have 1 to 63 characters"
        });
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return refuse("only a-z, 0-9 and - may stand in it");
    }
    if !name.as_bytes()[0].is_ascii_lowercase() || name.ends_with('-') {
        return refuse("it must start with a letter and end with a letter or digit");
    }
    Ok(())
}

/// The bridge of a lab. Interface names hold 15 bytes, so it is a hash; its alias tells the lab.
pub(crate) fn bridge(lab: &str) -> String {
    format!("{BRIDGE_PREFIX}{}", short_hash(&[lab], 10))
}

/// The alias of the bridge, from which the lab's name is read back.
pub(crate) fn bridge_alias(lab: &str) -> String {
    format!("openg2p lab {lab}")
}

/// The lab whose bridge bears this alias.
pub(crate) fn lab_of_alias(alias: &str) -> Option<&str> {
    alias.strip_prefix("openg2p lab ")
}

/// The machine name for systemd-nspawn. It names the outer interface `vb-<machine>`, which leaves 12 bytes.
pub(crate) fn machine(lab: &str, host: &str) -> String {
    format!("g2p{}", short_hash(&[lab, host], 9))
}

/// The cgroup of a host in each hierarchy.
pub(crate) fn cgroup(lab: &str, host: &str) -> String {
    format!("{CGROUP_PREFIX}{lab}.{host}")
}

/// Lab and host of a cgroup, when it is one of ours.
pub(crate) fn owner_of_cgroup(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(CGROUP_PREFIX)?.split_once('.')
}

/// The nftables table of a lab. Lab names hold no underscore, so two labs never share one.
pub(crate) fn table(lab: &str) -> String {
    format!("{TABLE_PREFIX}{}", lab.replace('-', "_"))
}

/// The lab of a table, when it is one of ours.
pub(crate) fn lab_of_table(table: &str) -> Option<String> {
    Some(table.strip_prefix(TABLE_PREFIX)?.replace('_', "-"))
}

/// The comment of firewall rules that cannot live in our own table.
pub(crate) fn rule_comment(lab: &str) -> String {
    format!("openg2p-lab-{lab}")
}

fn short_hash(parts: &[&str], digits: usize) -> String {
    hex(&Sha256::digest(parts.join("/")))
        .chars()
        .take(digits)
        .collect()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        for name in ["a", "dev1", "two-words", &"x".repeat(32)] {
            check_lab(name).unwrap();
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for name in [
            "",
            "1a",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "a/b",
            "..",
            "a b",
            "ä",
            &"x".repeat(33),
        ] {
            assert_eq!(check_lab(name).unwrap_err().code(), "lab::bad-name", "{name}");
        }
        check_host(&"x".repeat(63)).unwrap();
        assert!(check_host(&"x".repeat(64)).is_err());
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        let longest = "x".repeat(32);
        assert!(bridge(&longest).len() <= 15);
        assert_eq!(
            machine(&longest, &longest).len(),
            12,
            "vb-<machine> must have 15 bytes at most"
        );
    }

    #[test]
    fn names_of_two_labs_differ() {
        assert_ne!(bridge("a"), bridge("b"));
        assert_ne!(machine("a", "b"), machine("b", "a"));
        assert_ne!(machine("a-b", "c"), machine("a", "b-c"));
        assert_ne!(table("a-b"), table("ab"));
    }

    #[test]
    fn owners_are_read_back() {
        assert_eq!(
            owner_of_cgroup(&cgroup("dev-1", "box-1")),
            Some(("dev-1", "box-1"))
        );
        assert_eq!(owner_of_cgroup("system.slice"), None);
        assert_eq!(lab_of_alias(&bridge_alias("dev1")), Some("dev1"));
        assert_eq!(lab_of_table(&table("dev-1")), Some("dev-1".to_owned()));
        assert_eq!(lab_of_table("filter"), None);
    }
}
