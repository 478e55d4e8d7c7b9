//! A tree of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use openg2p_plan::Fingerprint;
use openg2p_ports::FileState;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Content.
        bytes: Arc<[u8]>,
        /// Permission bits.
        mode: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link(String),
}

/// Ending of a file that is being written.
pub(crate) const UNFINISHED: &str = ".openg2p-new";
const NO_DIRECTORY: &str = "Not a directory (os error 20)";

/// Paths and what stands there. Parents are always there and are directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Node>);

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn below(folder: &str) -> String {
    format!("{}/", folder.trim_end_matches('/'))
}

impl Files {
    /// Every path with what stands there.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.0.iter()
    }

    /// What stands at `path`, links not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// True when anything stands at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Makes a directory with its parents: for setting a scene.
    pub fn directories(&mut self, path: &str) {
        if path != "/" {
            self.directories(parent(path));
        }
        self.0
            .entry(path.into())
            .or_insert(Node::Directory { mode: 0o755 });
    }

    /// Writes a file with its parents: for setting a scene.
    pub fn put(&mut self, path: &str, bytes: impl AsRef<[u8]>) {
        self.directories(parent(path));
        self.0.insert(
            path.into(),
            Node::File {
                bytes: bytes.as_ref().into(),
                mode: 0o644,
            },
        );
    }

    /// A file cannot have anything below it.
    fn nothing_in_the_way(&self, path: &str) -> Result<(), String> {
        let mut above = parent(path);
        while above != "/" {
            if matches!(self.0.get(above), Some(Node::File { .. })) {
                return Err(NO_DIRECTORY.into());
            }
            above = parent(above);
        }
        Ok(())
    }

    /// As lstat.
    pub(crate) fn stat(&self, path: &str) -> Result<FileState, String> {
        self.nothing_in_the_way(path)?;
        Ok(match self.0.get(path) {
            None => FileState::Absent,
            Some(Node::File { bytes, mode }) => FileState::File {
                sha256: Fingerprint::of_bytes(bytes).as_str().to_owned(),
                mode: *mode,
            },
            Some(Node::Directory { mode }) => FileState::Directory { mode: *mode },
            Some(Node::Link(target)) => FileState::Link(target.clone()),
        })
    }

    /// The content, links followed.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        self.nothing_in_the_way(path)?;
        match self.0.get(path) {
            None => Ok(None),
            Some(Node::File { bytes, .. }) => Ok(Some(bytes.to_vec())),
            Some(Node::Directory { .. }) => Err("Is a directory (os error 21)".into()),
            Some(Node::Link(target)) if target == "/dev/null" => Ok(Some(Vec::new())),
            Some(Node::Link(target)) => self.read(target),
        }
    }

    /// The content as text, empty when nothing can be read.
    pub(crate) fn text(&self, path: &str) -> String {
        let bytes = self.read(path).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn parent_is_there(&self, path: &str) -> Result<(), String> {
        self.nothing_in_the_way(path)?;
        match self.0.get(parent(path)) {
            Some(Node::Directory { .. }) => Ok(()),
            // links to folders are not followed here: nothing of ours goes through one
            _ => Err("No such file or directory (os error 2)".into()),
        }
    }

    /// Writes a file as the real host does: a temporary file beside it, then a rename. `cut`: the run ends between the two.
    pub(crate) fn write(&mut self, path: &str, bytes: Arc<[u8]>, mode: u32, cut: bool) -> Result<(), String> {
        self.parent_is_there(path)?;
        let temporary = format!("{path}{UNFINISHED}");
        if cut {
            let half = bytes[..bytes.len() / 2].into();
            self.0.insert(temporary, Node::File { bytes: half, mode });
            return Ok(());
        }
        self.0.remove(&temporary);
        if matches!(self.0.get(path), Some(Node::Directory { .. })) {
            return Err("Is a directory (os error 21)".into());
        }
        self.0.insert(path.into(), Node::File { bytes, mode });
        Ok(())
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) -> Result<(), String> {
        self.parent_is_there(path)?;
        if self.0.contains_key(path) {
            return Err("File exists (os error 17)".into());
        }
        self.0.insert(path.into(), Node::Link(target.into()));
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) -> Result<(), String> {
        self.nothing_in_the_way(path)?;
        if matches!(self.0.get(path), Some(Node::Directory { .. })) {
            return Err("Is a directory (os error 21)".into());
        }
        self.0.remove(path);
        // and what a write of it that was cut off left beside it
        self.0.remove(&format!("{path}{UNFINISHED}"));
        Ok(())
    }

    pub(crate) fn make_directory(&mut self, path: &str, mode: u32) -> Result<(), String> {
        self.parent_is_there(path)?;
        if self.0.contains_key(path) {
            return Ok(());
        }
        self.0.insert(path.into(), Node::Directory { mode });
        Ok(())
    }

    /// Names directly in a directory, without what writes that were cut off left behind: as the real host lists it.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let mut names = self.names(path);
        names.retain(|name| !name.ends_with(UNFINISHED));
        names
    }

    /// As the host lists a directory: one that is not there is empty.
    pub(crate) fn listed(&self, path: &str) -> Result<Vec<String>, String> {
        self.nothing_in_the_way(path)?;
        match self.0.get(path) {
            Some(Node::File { .. }) => Err(NO_DIRECTORY.into()),
            _ => Ok(self.list(path)),
        }
    }

    /// All names directly in a directory.
    fn names(&self, path: &str) -> Vec<String> {
        let prefix = below(path);
        self.0
            .range(prefix.clone()..)
            .take_while(|(name, _)| name.starts_with(&prefix))
            .filter_map(|(name, _)| name.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn remove_directory(&mut self, path: &str, whole: bool) -> Result<(), String> {
        match self.0.get(path) {
            Some(Node::Directory { .. }) => {}
            Some(Node::File { .. }) => return Err(NO_DIRECTORY.into()),
            Some(Node::Link(_)) | None => return Ok(()),
        }
        if !whole && !self.names(path).is_empty() {
            return Err("Directory not empty (os error 39)".into());
        }
        let prefix = below(path);
        self.0
            .retain(|name, _| name != path && !name.starts_with(&prefix));
        Ok(())
    }

    /// Removes whatever stands at `path` and below it.
    pub fn erase(&mut self, path: &str) {
        let prefix = below(path);
        self.0
            .retain(|name, _| name != path && !name.starts_with(&prefix));
    }
}
