//! Programs that the tests need: Debian's Nginx without installing it, a network namespace of our own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs a program that must succeed.
pub(crate) fn must(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Nginx as Debian builds it.
pub(crate) fn nginx() -> PathBuf {
    for installed in ["/usr/sbin/nginx", "/usr/local/sbin/nginx"] {
        if PathBuf::from(installed).is_file() {
            return installed.into();
        }
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let caches = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let cache = std::env::var_os("OPENG2P_CACHE").map_or_else(|| caches.join("openg2p"), PathBuf::from);
    let folder = cache.join("test-nginx");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fetch-nginx.sh");
    must(Command::new(script).arg(&folder));
    folder.join("usr/sbin/nginx")
}

/// A network namespace; it goes with this value.
pub(crate) struct Network(pub(crate) String);

impl Network {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("openg2p-test-{name}-{}", std::process::id());
        must(Command::new("ip").args(["netns", "add", &name]));
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

/// Whether this test may make namespaces and mounts.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A TCP port on loopback that nobody uses now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
