//! Secrets come from files only: neither an argument nor an environment can be kept from other eyes.

use std::path::{Path, PathBuf};

use crate::error::InitError;

/// A password. It can be compared with nothing, printed nowhere, and is revealed in one place.
pub(crate) struct Secret(String);

impl Secret {
    /// The clear text; only for the login and for the verifier made from it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// A user name and its password.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// Reads a file of one value; one line break at its end does not belong to the value.
pub(crate) fn read_value(what: &'static str, path: &Path) -> Result<String, InitError> {
    let unreadable = |why: String| InitError::File {
        what,
        path: PathBuf::from(path),
        why,
    };
    let bytes = std::fs::read(path).map_err(|why| unreadable(why.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".into()))?;
    let value = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if value.is_empty() {
        return Err(unreadable("it is empty".into()));
    }
    if value.contains(['\0', '\n']) {
        return Err(unreadable(
            "it has more than one line or a byte 0; it must hold exactly one value".into(),
        ));
    }
    Ok(value.to_owned())
}

/// Reads a password.
pub(crate) fn read_secret(what: &'static str, path: &Path) -> Result<Secret, InitError> {
    read_value(what, path).map(Secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, InitError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, bytes).unwrap();
        read_value("password", &path)
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_value() {
        assert_eq!(read(b"secret\n").unwrap(), "secret");
        assert_eq!(read(b"secret\r\n").unwrap(), "secret");
        assert_eq!(read(b" sp ace ").unwrap(), " sp ace ");
    }

    #[test]
    fn wrong_files_are_refused_without_showing_what_is_in_them() {
        for bytes in [
            &b""[..],
            b"\n",
            b"top-secret\nsecond",
            b"top-secret\xff",
            b"top-secret\0",
        ] {
            let message = read(bytes).unwrap_err().to_string();
            assert!(!message.contains("top-secret"), "{message}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret("x".into())), "Secret(..)");
    }
}
