//! A PostgreSQL of our own on loopback: made in a temporary folder, gone with the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A running server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    pub(crate) port: u16,
    pub(crate) version: u32,
}

/// The name and the password of the role that provisions in these tests.
pub(crate) const PROVISIONER: (&str, &str) = ("openg2p_provisioner", "provisioner-secret-9f3b");

/// Folders with the programs of a PostgreSQL, newest last: what the environment names, what Debian has installed, and
/// what `fetch-postgresql.sh` has put into the cache.
pub(crate) fn installations() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("OPENG2P_TEST_POSTGRESQL") {
        return std::env::split_paths(&named).collect();
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let caches = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let cache = std::env::var_os("OPENG2P_CACHE").map_or_else(|| caches.join("openg2p"), PathBuf::from);
    let mut found: Vec<(u32, PathBuf)> = [
        PathBuf::from("/usr/lib/postgresql"),
        cache.join("embedded-postgres"),
    ]
    .iter()
    .filter_map(|folder| fs::read_dir(folder).ok())
    .flatten()
    .filter_map(Result::ok)
    .filter_map(|entry| {
        Some((
            entry.file_name().to_str()?.parse().ok()?,
            entry.path().join("bin"),
        ))
    })
    .filter(|(_, programs): &(u32, PathBuf)| programs.join("initdb").is_file())
    .collect();
    found.sort();
    found.dedup_by_key(|(version, _)| *version);
    found.into_iter().map(|(_, programs)| programs).collect()
}

impl Server {
    /// Makes and starts a server, with a role for provisioning.
    pub(crate) fn start(programs: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("openg2p-init-")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let user = unprivileged_user();
        // The cache lies in a home folder that the server's user cannot enter.
        let programs = if user.is_some() && !programs.starts_with("/usr") {
            let copy = folder.path().join("postgresql");
            run(Command::new("cp")
                .arg("-a")
                .arg(programs.parent().unwrap())
                .arg(&copy));
            run(Command::new("chmod").args(["-R", "a+rX"]).arg(&copy));
            copy.join("bin")
        } else {
            programs.to_owned()
        };
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "").unwrap();
        if let Some((uid, gid)) = user {
            chown(&data, Some(uid), Some(gid)).unwrap();
        }
        let as_user = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command
                .current_dir("/tmp")
                .env("LC_ALL", "C.UTF-8")
                .stdin(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        run(as_user("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
        ]));
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let version = fs::read_to_string(data.join("PG_VERSION"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let process = as_user("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(&data)
            // All statements are logged, so that a test can look for secrets in what the server got to see.
            .args([
                "-c",
                "fsync=off",
                "-c",
                "log_statement=all",
                "-c",
                "shared_buffers=16MB",
            ])
            .stderr(fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            process,
            port,
            version,
        };
        let began = Instant::now();
        while server.try_sql("postgres", "select 1").is_err() {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "no start: {}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let (name, password) = PROVISIONER;
        server.sql(
            "postgres",
            &format!("create role {name} login createdb createrole password '{password}'"),
        );
        server
    }

    /// Rows of text as the superuser, by the server's own socket.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> Vec<Vec<Option<String>>> {
        self.try_sql(database, statement)
            .unwrap_or_else(|why| panic!("{statement}: {why:?}"))
    }

    fn try_sql(
        &self,
        database: &str,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let socket = self.folder.path().join("data");
        query(
            socket.to_str().unwrap(),
            self.port,
            database,
            ("postgres", ""),
            statement,
        )
    }

    /// Rows of text as somebody, over the network.
    pub(crate) fn sql_as(
        &self,
        who: (&str, &str),
        database: &str,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        query("127.0.0.1", self.port, database, who, statement)
    }

    /// Rows of text as somebody, by the server's own socket, which asks for no password.
    pub(crate) fn sql_by_socket(
        &self,
        who: (&str, &str),
        database: &str,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let socket = self.folder.path().join("data");
        query(socket.to_str().unwrap(), self.port, database, who, statement)
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// A folder for files of a test.
    pub(crate) fn scratch(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is a fast shutdown: sessions end, children are gone when the parent is.
        let _ = Command::new("kill")
            .args(["-INT", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}

fn query(
    host: &str,
    port: u16,
    database: &str,
    (user, password): (&str, &str),
    statement: &str,
) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .port(port)
            .dbname(database)
            .user(user)
            .password(password);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        let messages = client.simple_query(statement).await?;
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    })
}

/// PostgreSQL refuses to run as root; the tests of the slice do run as root.
fn unprivileged_user() -> Option<(u32, u32)> {
    let whoami = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&whoami.stdout).trim() != "0" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(
        ids("postgres")
            .or_else(|| ids("nobody"))
            .expect("a user without rights"),
    )
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
