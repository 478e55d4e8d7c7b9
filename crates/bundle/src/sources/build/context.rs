//! A folder of the repository as input: its files, who may execute them, and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{cache::hash_file, error::BundleError, index::Digest};

/// Leftovers of editors and interpreters that must not change what is built.
const IGNORED: &[&str] = &["__pycache__", ".git", ".DS_Store", "target"];

/// The files of a folder, by path relative to it.
#[derive(Debug, Clone, Default)]
pub struct Context {
    files: BTreeMap<String, ContextFile>,
}

#[derive(Debug, Clone)]
struct ContextFile {
    path: PathBuf,
    sha256: Digest,
    executable: bool,
}

impl Context {
    /// Reads a folder. Links are refused: they could lead out of the folder.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        Self::read_without(folder, &[])
    }

    /// Reads a folder, but not these paths inside it.
    pub fn read_without(folder: &Path, without: &[String]) -> Result<Self, BundleError> {
        let mut context = Self::default();
        context.walk(folder, "", without)?;
        Ok(context)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, without: &[String]) -> Result<(), BundleError> {
        for entry in fs::read_dir(folder).map_err(BundleError::io("read", folder))? {
            let entry = entry.map_err(BundleError::io("read", folder))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if IGNORED.contains(&name.as_str())
                || name.ends_with(['~', '#'])
                || Path::new(&name).extension().is_some_and(|it| it == "swp")
            {
                continue;
            }
            let data = fs::symlink_metadata(&path).map_err(BundleError::io("read", &path))?;
            let relative = format!("{prefix}{name}");
            if without.contains(&relative) {
                continue;
            }
            if data.is_symlink() {
                return Err(BundleError::UnsafeArchive {
                    what: folder.display().to_string(),
                    entry: relative,
                    why: "a link, which could lead out of the folder; put a copy there",
                });
            }
            if data.is_dir() {
                self.walk(&path, &format!("{relative}/"), without)?;
            } else {
                let sha256 = hash_file(&path, |_| {})?.sha256;
                let executable = data.permissions().mode() & 0o100 != 0;
                self.files.insert(
                    relative,
                    ContextFile {
                        path,
                        sha256,
                        executable,
                    },
                );
            }
        }
        Ok(())
    }

    /// Relative paths with the file behind each and whether it is executable, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path, bool)> {
        self.files
            .iter()
            .map(|(name, file)| (name.as_str(), file.path.as_path(), file.executable))
    }

    /// A digest of all paths, contents and executable bits. Times, owners and other bits do not count: a checkout
    /// does not preserve them.
    pub fn digest(&self) -> Digest {
        let list: Vec<_> = self
            .files
            .iter()
            .map(|(name, file)| (name, file.sha256.as_str(), file.executable))
            .collect();
        Digest::of(&serde_json::to_vec(&list).unwrap_or_default())
    }

    /// Copies the files into a folder, with the same permissions on every machine.
    pub fn copy_to(&self, folder: &Path) -> Result<(), BundleError> {
        for (name, file) in &self.files {
            let to = folder.join(name);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(BundleError::io("make", parent))?;
            }
            fs::copy(&file.path, &to).map_err(BundleError::io("copy", &file.path))?;
            let mode = if file.executable { 0o755 } else { 0o644 };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode))
                .map_err(BundleError::io("write", &to))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_contents_and_executable_bits_count() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, mode) in [(one.path(), 0o644), (two.path(), 0o600)] {
            fs::create_dir_all(folder.join("a/__pycache__")).unwrap();
            fs::write(folder.join("a/x"), "content").unwrap();
            fs::set_permissions(folder.join("a/x"), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(two.path().join("a/__pycache__/x.pyc"), "rubbish").unwrap();
        let digest = |folder: &Path| Context::read(folder).unwrap().digest();
        assert_eq!(digest(one.path()), digest(two.path()));
        fs::set_permissions(two.path().join("a/x"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_ne!(digest(one.path()), digest(two.path()));
        fs::set_permissions(two.path().join("a/x"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(two.path().join("a/x"), two.path().join("a/y")).unwrap();
        assert_ne!(digest(one.path()), digest(two.path()));
    }

    #[test]
    fn links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("x")).unwrap();
        assert_eq!(
            Context::read(folder.path()).unwrap_err().code(),
            "bundle::unsafe-archive"
        );
    }
}
