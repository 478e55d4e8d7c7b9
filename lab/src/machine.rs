//! One host: its root file system, its start under systemd-nspawn, its end.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::{CgroupLayout, CgroupVersion};
use crate::command::{Call, tail};
use crate::error::{LabError, Result};
use crate::state::{HostState, LabState};

/// Joins the host's cgroups and starts systemd-nspawn; starts it again when the host asks for a reboot, which
/// systemd-nspawn reports as exit status 133 when it does not manage a unit. Arguments: cgroup directories joined by
/// colons, then the command. `echo 0` moves the process that writes.
const LAUNCHER: &str = r#"
join() { IFS=:; for group in $groups; do echo 0 > "$group/$1/cgroup.procs" || exit 1; done; unset IFS; }
groups=$1
shift
join launcher
while :; do
  (join machine; exec "$@")
  status=$?
  [ "$status" = 133 ] || exit "$status"
done
"#;

/// On old hierarchies systemd-nspawn mounts controllers read-only, and a kubelet needs to write to them.
const CGROUP_UNIT: &str = "[Unit]
Description=Make cgroup controllers writable
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for mount in /sys/fs/cgroup/*/; do if mountpoint -q \"$mount\"; then mount -o remount,bind,rw \"$mount\" || exit 1; fi; done'

[Install]
WantedBy=sysinit.target
";

/// What a host's files are made from.
pub(crate) struct Files<'a> {
    /// The image.
    pub(crate) image: &'a Path,
    /// The line for root's `authorized_keys`.
    pub(crate) login_key: &'a str,
    /// The bridge's address.
    pub(crate) gateway: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub(crate) bits: u8,
    /// Content of resolv.conf.
    pub(crate) resolv_conf: &'a str,
    /// All hosts of the lab.
    pub(crate) neighbours: &'a [HostState],
    /// How the machine mounts control groups.
    pub(crate) cgroups: CgroupVersion,
}

/// Copies the image and makes it this host. A copy takes three seconds and, unlike an overlay, leaves nothing mounted
/// and lets containers have overlays of their own anywhere. `host_key` is the private host key, with its public half
/// beside it.
pub(crate) fn make_root(host: &HostState, host_key: &Path, files: &Files<'_>) -> Result<()> {
    Call::new("copying the root file system", "cp")
        .args(["-a", "--reflink=auto", "--"])
        .args([files.image, &host.root])
        .dies_with_us()
        .run()?;
    let write = |path: &str, text: &str, mode: u32| {
        let path = host.root.join(path);
        let put = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            // A link (resolv.conf) must make way, not be written through to where it points outside.
            let _ = fs::remove_file(&path);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))
        };
        put().map_err(LabError::file("writing a file of the host", &path))
    };
    let read = |path: &Path| fs::read_to_string(path).map_err(LabError::file("reading a key", path));
    let identity = Path::new("/proc/sys/kernel/random/uuid");
    let identity = fs::read_to_string(identity).map_err(LabError::file("making a machine id", identity))?;
    let names = files.neighbours.iter().fold(String::new(), |text, it| {
        format!("{text}{}\t{}\n", it.address, it.name)
    });
    write("etc/hostname", &format!("{}\n", host.name), 0o644)?;
    write(
        "etc/hosts",
        &format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{names}"),
        0o644,
    )?;
    write("etc/machine-id", &identity.replace('-', ""), 0o444)?;
    write("etc/resolv.conf", files.resolv_conf, 0o644)?;
    write(
        "etc/network/interfaces",
        &format!(
            "auto lo\niface lo inet loopback\n\nauto host0\niface host0 inet static\n  address {}/{}\n  gateway {}\n",
            host.address, files.bits, files.gateway
        ),
        0o644,
    )?;
    write("etc/ssh/ssh_host_ed25519_key", &read(host_key)?, 0o600)?;
    write(
        "etc/ssh/ssh_host_ed25519_key.pub",
        &read(&host_key.with_extension("pub"))?,
        0o644,
    )?;
    write("root/.ssh/authorized_keys", files.login_key, 0o600)?;
    let directory = host.root.join("root/.ssh");
    fs::set_permissions(&directory, Permissions::from_mode(0o700))
        .map_err(LabError::file("protecting a directory", &directory))?;
    if files.cgroups.has_old_controllers() {
        write("etc/systemd/system/lab-cgroups.service", CGROUP_UNIT, 0o644)?;
        let link = host
            .root
            .join("etc/systemd/system/sysinit.target.wants/lab-cgroups.service");
        std::os::unix::fs::symlink("../lab-cgroups.service", &link)
            .map_err(LabError::file("enabling a unit", &link))?;
    }
    Ok(())
}

/// Starts the host. It outlives this process; what it prints goes to its log.
pub(crate) fn start(host: &HostState, bridge: &str, layout: &CgroupLayout) -> Result<Child> {
    layout.create(&host.cgroup)?;
    let console = File::create(&host.log).map_err(LabError::file("making a log", &host.log))?;
    let errors = console
        .try_clone()
        .map_err(LabError::file("making a log", &host.log))?;
    let groups: Vec<String> = layout
        .subtrees(&host.cgroup)
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let mut command = Command::new("setsid");
    command
        .args(["sh", "-c", LAUNCHER, "openg2p-lab"])
        .arg(groups.join(":"));
    command.args([
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--console=read-only",
    ]);
    command.args([
        "--capability=all",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
    ]);
    command.arg(format!("--directory={}", host.root.display()));
    command
        .arg(format!("--machine={}", host.machine))
        .arg(format!("--hostname={}", host.name));
    command.arg(format!("--network-bridge={bridge}"));
    for path in ["/dev/net/tun", "/dev/kmsg", "/dev/fuse"] {
        if Path::new(path).exists() {
            command.arg(format!("--bind={path}"));
        }
    }
    if Path::new("/lib/modules").is_dir() {
        command.arg("--bind-ro=/lib/modules");
    }
    if layout.version.has_old_controllers() {
        // systemd 256 and newer refuse old hierarchies unless told so.
        command.arg("--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1");
    }
    command.env_clear().env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command
        .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "yes")
        .env("SYSTEMD_NSPAWN_USE_CGNS", "1");
    command.env("SYSTEMD_SECCOMP", "0");
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(errors);
    command.spawn().map_err(|source| LabError::Start {
        what: format!("starting host {}", host.name),
        program: "setsid".into(),
        source,
    })
}

/// Waits until root can log in.
pub(crate) fn wait_for_login(
    lab: &LabState,
    host: &HostState,
    child: &mut Child,
    deadline: Duration,
) -> Result<()> {
    let end = Instant::now() + deadline;
    loop {
        if let Ok(Some(_)) = child.try_wait() {
            return Err(LabError::HostEnded {
                host: host.name.clone(),
                console: console(&host.log),
            });
        }
        let last = match greets(host.address) {
            Err(error) => error,
            Ok(()) => match lab.ssh_command(host).arg("true").stdin(Stdio::null()).output() {
                Ok(output) if output.status.success() => return Ok(()),
                Ok(output) => tail(&String::from_utf8_lossy(&output.stderr), 3),
                Err(error) => error.to_string(),
            },
        };
        if Instant::now() > end {
            let what = format!("a login on host {} ({})", host.name, host.address);
            return Err(LabError::Deadline {
                what,
                seconds: deadline.as_secs(),
                last,
            });
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether an SSH server greets at the address.
fn greets(address: Ipv4Addr) -> Result<(), String> {
    let wait = Duration::from_millis(500);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 22)), wait)
        .map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(wait))
        .map_err(|error| error.to_string())?;
    let mut greeting = [0; 4];
    stream
        .read_exact(&mut greeting)
        .map_err(|error| error.to_string())?;
    if &greeting == b"SSH-" {
        Ok(())
    } else {
        Err("something else than SSH answers on port 22".into())
    }
}

/// Waits until systemd has started everything; says what failed otherwise.
pub(crate) fn wait_for_system(lab: &LabState, host: &HostState, deadline: Duration) -> Result<()> {
    let script = format!(
        "timeout {} systemctl is-system-running --wait; systemctl list-units --failed --plain --no-legend",
        deadline.as_secs()
    );
    let output = lab
        .ssh_command(host)
        .arg(script)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LabError::Start {
            what: "asking a host for its state".into(),
            program: "ssh".into(),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.lines().next() == Some("running") {
        return Ok(());
    }
    let what = format!("systemd on host {} being `running`", host.name);
    Err(LabError::Deadline {
        what,
        seconds: deadline.as_secs(),
        last: tail(&text, 12),
    })
}

/// The end of a host's console, without its colours.
pub(crate) fn console(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let plain: String = text
        .split('\u{1b}')
        .enumerate()
        .fold(String::new(), |plain, (number, part)| {
            let visible = if number == 0 {
                part
            } else {
                part.split_once('m').map_or("", |(_, rest)| rest)
            };
            plain + visible
        });
    tail(&plain.replace('\r', ""), 25)
}

/// What systemd-nspawn leaves in /run when it is killed: directories by the machine's name, and a lock that is named by
/// the root file system's inode, so it must be looked for while that still exists.
pub(crate) fn traces(machine: &str, root: &Path) -> Vec<PathBuf> {
    let run = Path::new("/run/systemd/nspawn");
    let mut found = vec![
        run.join("propagate").join(machine),
        run.join("unix-export").join(machine),
    ];
    if let Ok(meta) = fs::metadata(root) {
        found.push(
            run.join("locks")
                .join(format!("inode-{}:{}", meta.dev(), meta.ino())),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_readable() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("console.log");
        fs::write(&log, "[\u{1b}[0;32m  OK  \u{1b}[0m] Started\r\n").unwrap();
        assert_eq!(console(&log), "[  OK  ] Started");
        assert_eq!(console(&directory.path().join("none")), "");
    }
}
