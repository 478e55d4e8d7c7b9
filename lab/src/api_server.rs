//! A Kubernetes API server without a cluster: etcd and kube-apiserver as plain processes on loopback. Nothing runs in it, for it
//! has no kubelet and no controllers; objects, server-side apply, validation and watches are the real ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{LabError, Result};

/// The programs that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServerPrograms {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
}

/// What the bundle's cache notes of a build.
#[derive(Deserialize)]
struct Made {
    #[serde(default)]
    files: std::collections::BTreeMap<String, Blob>,
    #[serde(default)]
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    blobs: Vec<Blob>,
}

#[derive(Deserialize)]
struct Blob {
    sha256: String,
    size: u64,
}

impl ApiServerPrograms {
    /// Variables that name the programs, for tests.
    pub const VARIABLES: [&'static str; 2] = ["OPENG2P_ETCD", "OPENG2P_KUBE_APISERVER"];

    /// The programs that the environment names.
    pub fn from_environment() -> Option<Self> {
        let [etcd, kube_apiserver] = Self::VARIABLES.map(std::env::var_os);
        Some(Self {
            etcd: etcd?.into(),
            kube_apiserver: kube_apiserver?.into(),
        })
    }

    /// The programs that were built for a bundle on this machine, made ready to run in `folder`.
    pub fn from_cache(cache: &Path, folder: &Path) -> Result<Option<Self>> {
        let etcd = program(cache, folder, "etcd")?;
        let kube_apiserver = program(cache, folder, "kube-apiserver")?;
        Ok(etcd
            .zip(kube_apiserver)
            .map(|(etcd, kube_apiserver)| Self { etcd, kube_apiserver }))
    }
}

/// One program that was built for a bundle on this machine, newest first, copied into `folder` and made executable.
pub fn built_program(cache: &Path, folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    program(cache, folder, name)
}

fn program(cache: &Path, folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let cache = cache.join("bundle");
    let mut newest: Option<(std::time::SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(cache.join("made")).into_iter().flatten().flatten() {
        let Some(made) = fs::read(entry.path())
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Made>(&bytes).ok())
        else {
            continue;
        };
        let member = made
            .members
            .iter()
            .find(|member| member.name.as_deref() == Some(name));
        let blob = made
            .files
            .get(name)
            .or_else(|| member.and_then(|member| member.blobs.first()));
        let Some(blob) = blob else { continue };
        let path = cache.join("blobs/sha256").join(&blob.sha256);
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        let time = entry.metadata().and_then(|metadata| metadata.modified());
        let time = time.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        if metadata.len() == blob.size && newest.as_ref().is_none_or(|(known, _)| *known < time) {
            newest = Some((time, path));
        }
    }
    let Some((_, blob)) = newest else { return Ok(None) };
    let path = folder.join(name);
    fs::create_dir_all(folder).map_err(LabError::file("make", folder))?;
    fs::copy(&blob, &path).map_err(LabError::file("copy", &path))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, mode).map_err(LabError::file("make executable", &path))?;
    Ok(Some(path))
}

/// A running API server; it ends with this value, and its folder is the caller's to remove.
#[derive(Debug)]
pub struct ApiServer {
    children: Vec<Child>,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

impl ApiServer {
    /// Starts etcd and the API server with their files in `folder`. It answers some seconds later.
    pub fn start(programs: &ApiServerPrograms, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(LabError::file("make", folder))?;
        let mut server = Self {
            children: Vec::new(),
            kubeconfig: folder.join("kubeconfig"),
            folder: folder.to_owned(),
        };
        let [clients, peers, secure] = free_ports()?;
        let path = |name: &str| folder.join(name).display().to_string();
        let text = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(LabError::file("write", &path))
        };
        let made = |error: rcgen::Error| LabError::ApiServer {
            why: format!("its certificate cannot be made: {error}"),
        };
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(made)?;
        let accounts = rcgen::KeyPair::generate().map_err(made)?;
        text("server.crt", &identity.cert.pem())?;
        text("server.key", &identity.signing_key.serialize_pem())?;
        text("accounts.key", &accounts.serialize_pem())?;
        text("accounts.pub", &accounts.public_key_pem())?;
        text("tokens.csv", "test,admin,1,system:masters\n")?;
        text("kubeconfig", &kubeconfig(secure, &folder.join("server.crt")))?;
        server.spawn(
            "etcd",
            &programs.etcd,
            &[
                format!("--data-dir={}", path("etcd")),
                format!("--listen-client-urls=http://127.0.0.1:{clients}"),
                format!("--advertise-client-urls=http://127.0.0.1:{clients}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peers}"),
                "--log-level=error".into(),
            ],
        )?;
        server.spawn(
            "kube-apiserver",
            &programs.kube_apiserver,
            &[
                format!("--etcd-servers=http://127.0.0.1:{clients}"),
                "--bind-address=127.0.0.1".into(),
                "--advertise-address=127.0.0.1".into(),
                format!("--secure-port={secure}"),
                format!("--cert-dir={}", path("certs")),
                format!("--tls-cert-file={}", path("server.crt")),
                format!("--tls-private-key-file={}", path("server.key")),
                format!("--token-auth-file={}", path("tokens.csv")),
                "--authorization-mode=RBAC".into(),
                "--service-cluster-ip-range=10.0.0.0/16".into(),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-key-file={}", path("accounts.pub")),
                format!("--service-account-signing-key-file={}", path("accounts.key")),
                // there is no controller that makes the default account of a namespace
                "--disable-admission-plugins=ServiceAccount".into(),
                "--endpoint-reconciler-type=none".into(),
            ],
        )?;
        Ok(server)
    }

    fn spawn(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<()> {
        self.children.push(spawn(&self.folder, name, program, arguments)?);
        Ok(())
    }

    /// The file with which clients reach it, as an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An error when one of its programs has ended, with the last lines that it wrote.
    pub fn check(&mut self) -> Result<()> {
        for (child, name) in self.children.iter_mut().zip(["etcd", "kube-apiserver"]) {
            lives(child, &self.folder, name)?;
        }
        Ok(())
    }

    /// Where its files and logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The authority that clients check it with.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// Processor time that etcd and kube-apiserver have taken so far.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut ticks = 0;
        for child in &self.children {
            let path = PathBuf::from(format!("/proc/{}/stat", child.id()));
            let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            // proc(5): behind the program's name, which ends with the last parenthesis, `utime` and `stime` are the 12th and
            // 13th field
            let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
            let times = fields.split_whitespace().skip(11).take(2);
            ticks += times.filter_map(|time| time.parse::<u64>().ok()).sum::<u64>();
        }
        // a tick is 10 ms wherever Linux shows one to programs
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Process id of kube-apiserver.
    pub fn process(&self) -> Option<u32> {
        self.children.last().map(Child::id)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // what has ended already needs no end
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a program with its output in `folder`.
pub(crate) fn spawn(folder: &Path, name: &str, program: &Path, arguments: &[String]) -> Result<Child> {
    let log = folder.join(format!("{name}.log"));
    let file = fs::File::create(&log).map_err(LabError::file("write", &log))?;
    let other = file.try_clone().map_err(LabError::file("write", &log))?;
    // a test that is killed leaves nothing running
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(other)
        .spawn()
        .map_err(LabError::file("start", program))
}

/// An error when a program that was started here has ended, with the last lines that it wrote.
pub(crate) fn lives(child: &mut Child, folder: &Path, name: &str) -> Result<()> {
    let Ok(Some(status)) = child.try_wait() else {
        return Ok(());
    };
    let log = fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(8).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    Err(LabError::ApiServer {
        why: format!("{name} ended with {status}: {}", lines.join("\n")),
    })
}

fn kubeconfig(port: u16, authority: &Path) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: test\n  cluster:\n    server: https://127.0.0.1:{port}\n    \
         certificate-authority: {}\nusers:\n- name: admin\n  user: {{token: test}}\ncontexts:\n- name: test\n  context: {{cluster: test, user: admin}}\n",
        authority.display()
    )
}

/// Ports of loopback that nobody listens on now.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let failed = |error: std::io::Error| LabError::ApiServer {
        why: format!("no free port on loopback: {error}"),
    };
    // all are held until the last is found, or one would be found twice
    let listeners = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(failed)?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().map_err(failed)?.port();
    }
    Ok(ports)
}
