//! Takes a bundle from the operator, blob by blob. A blob's file exists only when its digest was checked, so an interrupted
//! transfer goes on where it stopped.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use openg2p_bundle::index::{Digest, INDEX_FILE, Index};
use openg2p_ports::PortError;
use openg2p_world::frames::{Frame, FrameError};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;

use crate::lock;

pub(crate) struct Store {
    root: PathBuf,
    /// Where the lock of runs is: the bundle is what a run reads, and it is not exchanged under one.
    state: PathBuf,
    offered: Option<(String, Index)>,
}

fn failed(what: &str, path: &Path, why: impl std::fmt::Display) -> PortError {
    let error = PortError::new("bundle::store", what, path.display().to_string(), why.to_string());
    if error.why.contains("No space left") {
        return error.hint("the disk is full: make room on this host, then run the same command again");
    }
    error
}

impl Store {
    pub(crate) fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state: state.into(),
            offered: None,
        }
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// SHA-256 of the blobs that are not there yet. Refused while a run goes on, before gigabytes are sent in vain.
    pub(crate) fn offer(&mut self, text: String) -> Result<Vec<String>, PortError> {
        lock::free(&self.state)?;
        let blobs = self.blobs();
        std::fs::create_dir_all(&blobs).map_err(|error| failed("make room for the bundle", &blobs, error))?;
        let index =
            Index::parse(text.as_bytes()).map_err(|error| failed("read the offered index", &blobs, error))?;
        let mut missing: Vec<String> = index
            .members
            .iter()
            .flat_map(|member| &member.blobs)
            .map(|blob| blob.sha256.as_str().to_owned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|sha256| !blobs.join(sha256).exists())
            .collect();
        missing.sort();
        self.offered = Some((text, index));
        Ok(missing)
    }

    /// Reads one blob from data frames.
    pub(crate) async fn receive<R: AsyncRead + Unpin>(
        &self,
        sha256: &str,
        size: u64,
        input: &mut R,
    ) -> Result<Result<(), PortError>, FrameError> {
        let path = self.blobs().join(sha256);
        let temporary = self.blobs().join(format!("{sha256}.new"));
        // digests are hexadecimal; anything else would be a path
        let named = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut trouble = (!named).then(|| failed("store a blob", &path, "its name is no digest"));
        let mut file = None;
        if trouble.is_none() {
            match std::fs::File::create(&temporary) {
                Ok(made) => file = Some(std::io::BufWriter::with_capacity(1 << 20, made)),
                Err(error) => trouble = Some(failed("store a blob", &temporary, error)),
            }
        }
        let mut hasher = Sha256::new();
        let mut left = size;
        // the frames are read to the end even after a failure, so that the conversation can go on
        while left > 0 {
            let Some(Frame::Data(bytes)) = openg2p_world::frames::read(input).await? else {
                return Err(FrameError::Format("a blob that ends early".into()));
            };
            left = left.saturating_sub(bytes.len() as u64);
            if let (Some(file), None) = (&mut file, &trouble) {
                hasher.update(&bytes);
                if let Err(error) = file.write_all(&bytes) {
                    trouble = Some(failed("store a blob", &temporary, error));
                }
            }
        }
        if let (Some(mut file), None) = (file, &trouble)
            && let Err(error) = file.flush().and_then(|()| file.get_ref().sync_data())
        {
            trouble = Some(failed("store a blob", &temporary, error));
        }
        let found = Digest::from_hash(&hasher.finalize()).as_str().to_owned();
        if trouble.is_none() && found != sha256 {
            trouble = Some(
                failed(
                    "store a blob",
                    &path,
                    format!("its SHA-256 is {found}: it was altered on the way or at its source"),
                )
                .hint("run `openg2p bundle verify` on the machine that holds the bundle"),
            );
        }
        Ok(match trouble {
            None => std::fs::rename(&temporary, &path).map_err(|error| failed("store a blob", &path, error)),
            Some(error) => {
                let _ = std::fs::remove_file(&temporary);
                Err(error)
            }
        })
    }

    /// Makes the offered bundle the one in use and removes blobs that it does not name.
    pub(crate) fn commit(&mut self) -> Result<(), PortError> {
        let Some((text, index)) = self.offered.clone() else {
            return Err(failed("use the bundle", &self.root, "none was offered"));
        };
        let wanted: BTreeSet<String> = index
            .members
            .iter()
            .flat_map(|member| &member.blobs)
            .map(|blob| blob.sha256.as_str().to_owned())
            .collect();
        let blobs = self.blobs();
        if let Some(missing) = wanted.iter().find(|sha256| !blobs.join(sha256).exists()) {
            return Err(failed(
                "use the bundle",
                &self.root,
                format!("blob {missing} was not sent"),
            ));
        }
        // held until the old blobs are gone: a run that begins now finds the one bundle or the other
        let _lock = lock::take(&self.state, "an exchange of the bundle")?;
        let path = self.root.join(INDEX_FILE);
        let temporary = self.root.join("bundle.json.new");
        let written = std::fs::write(&temporary, &text).and_then(|()| std::fs::rename(&temporary, &path));
        written.map_err(|error| failed("use the bundle", &path, error))?;
        for entry in std::fs::read_dir(&blobs).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !wanted.contains(&name) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        self.offered = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use openg2p_bundle::index::{Blob, Kind, Member};

    use super::*;

    fn index(content: &[u8]) -> String {
        let sha256 = Digest::of(content);
        let size = content.len() as u64;
        let member = Member {
            kind: Kind::Binary,
            name: "kubeadm".into(),
            version: "1".into(),
            reference: None,
            architecture: None,
            control: None,
            sha256: sha256.clone(),
            size,
            licence: "Apache-2.0".into(),
            origin: "test".into(),
            blobs: vec![Blob { sha256, size }],
        };
        let index = Index::new("trixie", vec![member]).unwrap();
        String::from_utf8(index.to_bytes()).unwrap()
    }

    async fn send(store: &Store, content: &[u8]) {
        let mut frames = Vec::new();
        openg2p_world::frames::write(&mut frames, &Frame::Data(content.to_vec()))
            .await
            .unwrap();
        let sha256 = Digest::of(content);
        let received = store
            .receive(sha256.as_str(), content.len() as u64, &mut frames.as_slice())
            .await;
        received.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_bundle_is_not_exchanged_under_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let (root, state) = (folder.path().join("bundle"), folder.path().join("state"));
        let mut store = Store::new(&root, &state);
        assert_eq!(store.offer(index(b"old")).unwrap().len(), 1);
        send(&store, b"old").await;
        store.commit().unwrap();
        let before = std::fs::read(root.join(INDEX_FILE)).unwrap();

        // a run that is there already
        let run = lock::take(&state, "run r1").unwrap();
        let error = store.offer(index(b"new")).unwrap_err();
        assert_eq!(error.code, "run::locked");
        assert!(error.why.contains("run r1"), "{error}");
        drop(run);

        // a run that begins while the blobs are on their way
        store.offer(index(b"new")).unwrap();
        send(&store, b"new").await;
        let run = lock::take(&state, "run r2").unwrap();
        assert_eq!(store.commit().unwrap_err().code, "run::locked");
        assert_eq!(std::fs::read(root.join(INDEX_FILE)).unwrap(), before);
        assert!(store.blobs().join(Digest::of(b"old").as_str()).exists());
        drop(run);

        // what was sent is not lost
        store.commit().unwrap();
        assert!(!store.blobs().join(Digest::of(b"old").as_str()).exists());
        assert!(store.blobs().join(Digest::of(b"new").as_str()).exists());
    }
}
