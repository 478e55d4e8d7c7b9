//! A real web server for the tests: Nginx with TLS on the loopback address, in a temporary folder.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::Certificate;

/// A running Nginx; it ends with its value.
pub(crate) struct Nginx {
    child: Child,
    folder: TempDir,
    program: PathBuf,
    /// `127.0.0.1:port` with TLS.
    pub(crate) address: String,
    /// `127.0.0.1:port` without.
    pub(crate) plain: String,
    /// How many requests of the log's own there were.
    marks: AtomicUsize,
}

/// Two ports that are free now, and that the kernel gives to nobody else in the next moment.
fn free_ports() -> [u16; 2] {
    let one = TcpListener::bind("127.0.0.1:0").unwrap();
    let two = TcpListener::bind("127.0.0.1:0").unwrap();
    [one, two].map(|listener| listener.local_addr().unwrap().port())
}

impl Nginx {
    /// Starts it with these lines in its server; `None` where there is no Nginx.
    pub(crate) fn start(certificate: &Certificate, lines: &str) -> Option<Self> {
        let Some(program) = openg2p_test_needs::program("nginx") else {
            openg2p_test_needs::skip("nginx", "there is no web server to fetch from");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let [port, plain] = free_ports();
        fs::create_dir(folder.path().join("www")).unwrap();
        fs::write(folder.path().join("tls.crt"), &certificate.pem).unwrap();
        fs::write(folder.path().join("tls.key"), &certificate.key_pem).unwrap();
        write_configuration(folder.path(), [port, plain], lines);
        // It ends with this process too, if that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(&program)
            .args(arguments(folder.path()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let nginx = Self {
            child,
            folder,
            program,
            address: format!("127.0.0.1:{port}"),
            plain: format!("127.0.0.1:{plain}"),
            marks: AtomicUsize::new(0),
        };
        nginx.wait("the server answers", || {
            std::net::TcpStream::connect(&nginx.address).is_ok()
        });
        Some(nginx)
    }

    /// Puts a file below its root.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Where a file below its root is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("www").join(name)
    }

    /// The address of a file.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://{}/{name}", self.address)
    }

    /// What was asked so far, as `status path range`, without the empty connections of the waiting above. Nginx notes a request when
    /// its answer is on its way, and takes one behind the other: what stands before a request of our own is all that there was.
    pub(crate) fn log(&self) -> Vec<String> {
        let mark = format!("/mark-{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let mut stream = std::net::TcpStream::connect(&self.plain).unwrap();
        let request = format!("GET {mark} HTTP/1.1\r\nHost: mark\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        self.wait(&mark, || self.lines().iter().any(|line| line.contains(&mark)));
        let before = self.lines().into_iter().take_while(|line| !line.contains(&mark));
        before.filter(|line| !line.contains(" /mark-")).collect()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Waits until the log has a line with this beginning.
    pub(crate) fn wait_for(&self, beginning: &str) {
        self.wait(beginning, || {
            self.lines().iter().any(|line| line.starts_with(beginning))
        });
    }

    /// Gives its processes these lines in place of the first ones, which breaks off every answer in the making.
    pub(crate) fn reconfigure(&self, lines: &str) {
        let port = |address: &str| address.rsplit(':').next().unwrap().parse().unwrap();
        write_configuration(
            self.folder.path(),
            [port(&self.address), port(&self.plain)],
            lines,
        );
        let status = Command::new(&self.program)
            .args(arguments(self.folder.path()))
            .args(["-s", "reload"])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn wait(&self, what: &str, mut until: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !until() {
            let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "{what}: {}\n{}",
                read("error.log"),
                read("stderr")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, its first process would leave the others behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn arguments(folder: &Path) -> Vec<std::ffi::OsString> {
    [
        "-p".into(),
        folder.into(),
        "-c".into(),
        folder.join("nginx.conf").into(),
        "-e".into(),
        folder.join("error.log").into(),
    ]
    .into()
}

fn write_configuration(folder: &Path, [port, plain]: [u16; 2], lines: &str) {
    let at = folder.display();
    let text = format!(
        "daemon off;
user root;
worker_processes 1;
worker_shutdown_timeout 50ms;
pid {at}/pid;
error_log {at}/error.log info;
events {{}}
http {{
  log_format short '$status $request_uri $http_range';
  access_log {at}/access.log short;
  client_body_temp_path {at}/t1;
  proxy_temp_path {at}/t2;
  fastcgi_temp_path {at}/t3;
  uwsgi_temp_path {at}/t4;
  scgi_temp_path {at}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {at}/tls.crt;
    ssl_certificate_key {at}/tls.key;
    root {at}/www;
    {lines}
  }}
  server {{
    listen 127.0.0.1:{plain};
    root {at}/www;
  }}
}}
"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
}
