//! Storage in memory, whose files a test can damage; and in a folder, with what a disk costs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use openg2p_ports::{PortError, State};

type Files = BTreeMap<String, Vec<u8>>;

/// Files in memory. `room` is how many bytes may still be written; what does not fit is written in part, as on a full disk.
pub(crate) struct InMemory {
    files: Mutex<Files>,
    room: Mutex<usize>,
}

impl InMemory {
    pub(crate) fn new(files: Files) -> Arc<Self> {
        Arc::new(Self {
            files: Mutex::new(files),
            room: Mutex::new(usize::MAX),
        })
    }

    pub(crate) fn room(&self, bytes: usize) {
        *self.room.lock().unwrap() = bytes;
    }

    fn spend(&self, bytes: usize) -> (usize, Result<(), PortError>) {
        let mut room = self.room.lock().unwrap();
        let fits = bytes.min(*room);
        *room -= fits;
        let result = if fits == bytes {
            Ok(())
        } else {
            Err(PortError::new(
                "host::file",
                "write",
                "memory",
                "No space left on device",
            ))
        };
        (fits, result)
    }
}

pub(crate) fn memory() -> Arc<dyn State> {
    InMemory::new(Files::new())
}

/// All files of a storage.
pub(crate) fn files(state: &Arc<dyn State>) -> Files {
    futures::executor::block_on(async {
        let mut found = Files::new();
        for folder in ["ledger", "journal"] {
            for name in state.list(folder).await.unwrap() {
                let path = format!("{folder}/{name}");
                let bytes = state.read(&path).await.unwrap().unwrap();
                found.insert(path, bytes);
            }
        }
        found
    })
}

#[async_trait]
impl State for InMemory {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self.files.lock().unwrap().get(name).cloned())
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        // a file that is replaced whole is there wholly or not at all
        let (_, result) = self.spend(bytes.len());
        if result.is_ok() {
            self.files.lock().unwrap().insert(name.into(), bytes.into());
        }
        result
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        let (fits, result) = self.spend(bytes.len());
        self.files
            .lock()
            .unwrap()
            .entry(name.into())
            .or_default()
            .extend(&bytes[..fits]);
        result
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        let prefix = format!("{folder}/");
        let files = self.files.lock().unwrap();
        Ok(files
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.files.lock().unwrap().remove(name);
        Ok(())
    }
}

/// Files in a folder, with the calls that the engine's own storage makes for them to be on disk.
pub(crate) struct Folder(pub(crate) PathBuf);

#[async_trait]
impl State for Folder {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(std::fs::read(self.0.join(name)).ok())
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = path.with_extension("new");
        let mut file = std::fs::File::create(&temporary).unwrap();
        file.write_all(bytes).unwrap();
        file.sync_all().unwrap();
        std::fs::rename(&temporary, &path).unwrap();
        std::fs::File::open(path.parent().unwrap())
            .unwrap()
            .sync_all()
            .unwrap();
        Ok(())
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(bytes).unwrap();
        file.sync_data().unwrap();
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        let Ok(entries) = std::fs::read_dir(self.0.join(folder)) else {
            return Ok(Vec::new());
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        let _ = std::fs::remove_file(self.0.join(name));
        Ok(())
    }
}
