//! The machine on which this program runs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use openg2p_bundle::index::Digest;
use openg2p_ports::{
    Command, FileContent, FileOrigin, FileState, Host, HostFacts, Listener, Output, PortError, UnitState,
};
use sha2::{Digest as _, Sha256};

use crate::apt::Apt;
use crate::bundle::BundleDirectory;
use crate::state::{failed, list_names, remove_with_unfinished, write_failed, write_filled, write_whole};

/// This machine, with the bundle that lies on it.
pub struct LocalHost {
    name: String,
    bundle: Arc<BundleDirectory>,
    apt: PathBuf,
}

impl LocalHost {
    /// This machine under the node name `name`; apt's own files go below `apt`.
    pub fn new(name: &str, bundle: Arc<BundleDirectory>, apt: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            bundle,
            apt: apt.into(),
        }
    }

    fn apt(&self) -> Apt<'_> {
        Apt {
            directory: self.apt.clone(),
            index: self.bundle.index(),
            bundle: Some(&self.bundle),
            place: &self.name,
        }
    }

    /// Those of `wanted` that are not installed at any version.
    async fn missing(&self, wanted: &[(String, String)]) -> Result<Vec<(String, String)>, PortError> {
        let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
        let installed = self.packages(&names).await?;
        Ok(wanted
            .iter()
            .filter(|(name, _)| !installed.contains_key(name))
            .cloned()
            .collect())
    }
}

/// What this machine is like.
pub fn facts() -> Result<HostFacts, PortError> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let field = |key: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let memory = read("/proc/meminfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .unwrap_or(0)
        * 1024;
    let disk = rustix::fs::statvfs("/var/lib").map_err(|error| {
        PortError::new("host::disk", "read the free space", "/var/lib", error.to_string())
    })?;
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    Ok(HostFacts {
        release: field("VERSION_CODENAME"),
        distribution: field("ID"),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        architecture: std::env::consts::ARCH.into(),
        memory,
        disk_free: disk.f_bavail.saturating_mul(disk.f_frsize),
        processors: u32::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1),
        clock,
        cgroup_version: if unified { 2 } else { 1 },
        user: rustix::process::geteuid().as_raw(),
    })
}

/// Listening TCP sockets, from the kernel's own tables.
fn listeners() -> Vec<Listener> {
    let owners = socket_owners();
    let mut found = Vec::new();
    for (table, six) in [("/proc/net/tcp", false), ("/proc/net/tcp6", true)] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(&"0A")) = (fields.get(1), fields.get(3)) else {
                continue;
            };
            let Some((address, port)) = local.split_once(':') else {
                continue;
            };
            let Ok(port) = u16::from_str_radix(port, 16) else {
                continue;
            };
            let everywhere = address.chars().all(|digit| digit == '0');
            let address = match (everywhere, six) {
                (true, false) => "0.0.0.0".to_owned(),
                (true, true) => "::".to_owned(),
                _ => decode_address(address),
            };
            let process = fields.get(9).and_then(|inode| owners.get(*inode)).cloned();
            found.push(Listener {
                port,
                address,
                process,
            });
        }
    }
    found
}

/// The kernel writes each 32-bit word of an address in host byte order.
fn decode_address(hex: &str) -> String {
    let words: Vec<u32> = (0..hex.len() / 8)
        .filter_map(|index| u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok())
        .map(u32::from_le)
        .collect();
    match words.as_slice() {
        [word] => std::net::Ipv4Addr::from(u32::from_be(*word)).to_string(),
        [a, b, c, d] => {
            let bytes: Vec<u8> = [a, b, c, d].iter().flat_map(|word| word.to_ne_bytes()).collect();
            let bytes: [u8; 16] = bytes.try_into().unwrap_or_default();
            std::net::Ipv6Addr::from(bytes).to_string()
        }
        _ => hex.to_owned(),
    }
}

/// Socket inode to `name (pid)`.
fn socket_owners() -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        for descriptor in std::fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(target) = std::fs::read_link(descriptor.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            if let Some(inode) = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
            {
                owners.insert(inode.to_owned(), format!("{} ({pid})", name.trim()));
            }
        }
    }
    owners
}

fn digest_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(Digest::from_hash(&hasher.finalize()).as_str().to_owned())
}

/// Programs of the bundle are large, and several are written at once: they go through memory in pieces.
fn write_blob(bundle: &BundleDirectory, sha256: &str, path: &Path, mode: u32) -> Result<(), PortError> {
    write_filled(path, mode, |file| {
        bundle.pieces(sha256, |piece| {
            file.write_all(piece).map_err(|error| write_failed(path, &error))
        })
    })
}

/// The name of a user in /etc/passwd, or the id where it has none.
fn user_name(id: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = id.to_string();
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&id.as_str()))
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .unwrap_or(id)
}

#[async_trait]
impl Host for LocalHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn facts(&self) -> Result<HostFacts, PortError> {
        facts()
    }

    async fn listeners(&self) -> Result<Vec<Listener>, PortError> {
        Ok(listeners())
    }

    async fn origin(&self, path: &str) -> Result<Option<FileOrigin>, PortError> {
        use std::os::unix::fs::MetadataExt as _;
        let place = PathBuf::from(path);
        match std::fs::symlink_metadata(&place) {
            Ok(metadata) => Ok(Some(FileOrigin {
                user: user_name(metadata.uid()),
                modified: metadata.mtime(),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look at a file", &place, &error)),
        }
    }

    async fn stat(&self, path: &str) -> Result<FileState, PortError> {
        use std::os::unix::fs::PermissionsExt as _;
        let place = PathBuf::from(path);
        let metadata = match std::fs::symlink_metadata(&place) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileState::Absent),
            Err(error) => return Err(failed("look at a file", &place, &error)),
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = std::fs::read_link(&place).map_err(|error| failed("read a link", &place, &error))?;
            return Ok(FileState::Link(target.to_string_lossy().into_owned()));
        }
        if kind.is_dir() {
            return Ok(FileState::Directory { mode });
        }
        if !kind.is_file() {
            return Ok(FileState::Other);
        }
        let shown = place.clone();
        let sha256 = tokio::task::spawn_blocking(move || digest_of_file(&place))
            .await
            .map_err(|error| PortError::new("host::file", "read a file", path, error.to_string()))?
            .map_err(|error| failed("read a file", &shown, &error))?;
        Ok(FileState::File { sha256, mode })
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, PortError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read a file", Path::new(path), &error)),
        }
    }

    async fn write(&self, path: &str, content: FileContent<'_>, mode: u32) -> Result<(), PortError> {
        let path = PathBuf::from(path);
        let place = self.name.clone();
        let work: Box<dyn FnOnce() -> Result<(), PortError> + Send> = match content {
            FileContent::Bytes(bytes) => {
                let bytes = bytes.to_vec();
                Box::new(move || write_whole(&path, &bytes, mode))
            }
            FileContent::Blob(sha256) => {
                let (bundle, sha256) = (self.bundle.clone(), sha256.to_owned());
                Box::new(move || write_blob(&bundle, &sha256, &path, mode))
            }
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| PortError::new("host::file", "write a file", place, error.to_string()))?
    }

    async fn link(&self, path: &str, target: &str) -> Result<(), PortError> {
        std::os::unix::fs::symlink(target, path)
            .map_err(|error| failed("make a link", Path::new(path), &error))
    }

    async fn remove(&self, path: &str) -> Result<(), PortError> {
        remove_with_unfinished(Path::new(path))
    }

    async fn make_directory(&self, path: &str, mode: u32) -> Result<(), PortError> {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        let place = Path::new(path);
        match std::fs::DirBuilder::new().mode(mode).create(place) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
            other => other.map_err(|error| failed("make a directory", place, &error))?,
        }
        // the umask may have taken bits away
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode))
            .map_err(|error| failed("set permissions", place, &error))
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, PortError> {
        list_names(Path::new(path))
    }

    async fn remove_directory(&self, path: &str, whole: bool) -> Result<(), PortError> {
        let place = Path::new(path);
        if !place.exists() {
            return Ok(());
        }
        if !whole {
            return std::fs::remove_dir(place).map_err(|error| failed("remove a directory", place, &error));
        }
        // deepest mount first; removing through a mount would reach into somebody else's file system
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut inside: Vec<&str> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|mount| Path::new(mount).starts_with(place) && Path::new(mount) != place)
            .collect();
        inside.sort_by_key(|mount| std::cmp::Reverse(mount.len()));
        for mount in inside {
            let output = self.run(Command::new("umount", [mount])).await?;
            if output.status != Some(0) {
                return Err(PortError::new(
                    "host::umount",
                    format!("unmount {mount}"),
                    &self.name,
                    output.reason(),
                )
                .hint(
                    "end the program that uses it (`fuser -vm` names it), then run the same command again",
                ));
            }
        }
        let own = mounts.lines().any(|line| line.split(' ').nth(1) == Some(path));
        if own {
            // a mount point itself stays; only what is in it goes
            for name in list_names(place)? {
                let inner = place.join(name);
                let removed = if inner.is_dir() {
                    std::fs::remove_dir_all(&inner)
                } else {
                    std::fs::remove_file(&inner)
                };
                removed.map_err(|error| failed("remove a directory", &inner, &error))?;
            }
            return Ok(());
        }
        std::fs::remove_dir_all(place).map_err(|error| failed("remove a directory", place, &error))
    }

    async fn unit(&self, unit: &str) -> Result<UnitState, PortError> {
        let arguments = [
            "show",
            "--property=LoadState,ActiveState,UnitFileState,SubState",
            "--",
            unit,
        ];
        let output = self.run(Command::new("systemctl", arguments)).await?;
        if output.status != Some(0) {
            return Err(PortError::new(
                "host::systemd",
                format!("ask systemd for {unit}"),
                &self.name,
                output.reason(),
            ));
        }
        let field = |key: &str| {
            output
                .stdout
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or_default()
                .to_owned()
        };
        Ok(UnitState {
            load: field("LoadState"),
            active: field("ActiveState"),
            enabled: field("UnitFileState"),
            sub: field("SubState"),
        })
    }

    async fn packages(&self, names: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        crate::apt::installed(names, &self.name).await
    }

    async fn install_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        let missing = self.missing(wanted).await?;
        let apt = self.apt();
        let mut new = Vec::new();
        if !missing.is_empty() {
            apt.prepare().await?;
            new = apt.simulate(&missing).await?;
            apt.install_now(&missing).await?;
        }
        // Where nothing is missing, a run before this one was cut off behind the packages themselves; and for apt a package that only waits
        // to be told of others is installed.
        apt.finish().await?;
        Ok(new)
    }

    async fn simulate_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        let missing = self.missing(wanted).await?;
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let apt = self.apt();
        apt.prepare().await?;
        apt.simulate(&missing).await
    }

    async fn purge_packages(&self, names: &[String]) -> Result<(), PortError> {
        // one that is half removed apt removes, and leaves its configuration to another purge
        for _ in 0..2 {
            let left = crate::apt::with_traces(names, &self.name).await?;
            if left.is_empty() {
                break;
            }
            self.apt().purge(&left).await?;
        }
        // Of ours nothing is there any more; what dpkg cannot finish now is not ours, and nothing to stop a removal for.
        self.apt().finish().await.or(Ok(()))
    }

    async fn images(&self) -> Result<Option<BTreeMap<String, String>>, PortError> {
        crate::containerd::images(&self.name).await
    }

    async fn import_image(&self, reference: &str) -> Result<(), PortError> {
        crate::containerd::import(&self.bundle, reference, &self.name).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), PortError> {
        crate::containerd::remove(reference, &self.name).await
    }

    async fn run(&self, command: Command) -> Result<Output, PortError> {
        crate::process::run(command, &self.name).await
    }

    async fn run_into(&self, command: Command, path: &str) -> Result<(Output, u64), PortError> {
        crate::process::run_into(command, Path::new(path), &self.name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle without members, and this host with it.
    fn host_with_blob(folder: &Path, sha256: &str, bytes: &[u8]) -> LocalHost {
        let blobs = folder.join("bundle/blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(sha256), bytes).unwrap();
        let bundle = BundleDirectory::open_or_empty(&folder.join("bundle"));
        LocalHost::new("box1", Arc::new(bundle), folder.join("apt"))
    }

    #[tokio::test]
    async fn a_blob_larger_than_a_piece_is_written_as_it_is_and_an_altered_one_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
        let sha256 = Digest::of(&bytes).as_str().to_owned();
        let host = host_with_blob(folder.path(), &sha256, &bytes);
        let path = folder.path().join("kubelet");
        let shown = path.to_str().unwrap();
        host.write(shown, FileContent::Blob(&sha256), 0o755)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(
            host.stat(shown).await.unwrap(),
            FileState::File {
                sha256: sha256.clone(),
                mode: 0o755
            }
        );

        let mut altered = bytes.clone();
        *altered.last_mut().unwrap() ^= 1;
        let host = host_with_blob(folder.path(), &sha256, &altered);
        let error = host
            .write(shown, FileContent::Blob(&sha256), 0o755)
            .await
            .unwrap_err();
        assert_eq!(error.code, "bundle::digest-mismatch");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(
            host.list(folder.path().to_str().unwrap()).await.unwrap(),
            ["bundle", "kubelet"]
        );
        assert!(
            !folder.path().join("kubelet.openg2p-new").exists(),
            "a half written program stays behind"
        );
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        assert_eq!(decode_address("0100007F"), "127.0.0.1");
        assert_eq!(decode_address("00000000000000000000000001000000"), "::1");
    }
}
