//! SSH keys, made by ssh-keygen: one that opens every host of a lab, and one host key per host, known before it boots.

use std::fs;
use std::path::Path;

use crate::command::Call;
use crate::error::{LabError, Result};

/// Makes an Ed25519 key pair at `path` and `path`.pub, and returns the public half without its comment.
pub(crate) fn generate(path: &Path, comment: &str) -> Result<String> {
    Call::new("making an SSH key", "ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .args([path])
        .run()?;
    let public = path.with_extension("pub");
    let line = fs::read_to_string(&public).map_err(LabError::file("reading an SSH key", &public))?;
    Ok(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let line = generate(&directory.path().join("key"), "a test").unwrap();
        assert!(
            line.starts_with("ssh-ed25519 AAAA") && !line.contains("test"),
            "{line}"
        );
        assert!(directory.path().join("key").exists());
    }
}
