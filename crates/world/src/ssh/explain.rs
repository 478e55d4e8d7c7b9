//! What the client and the other side say when something fails, as errors that say what to do.

use openg2p_ports::PortError;

use super::{Connection, Ended};

/// ssh's own status for a connection that did not come about or broke.
pub(super) const NO_CONNECTION: i32 = 255;
/// A shell's statuses for a program that is not there, and for one that may not be started.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

const LOGIN: &str = "log in over SSH";

impl Connection {
    /// A login that failed.
    pub(super) fn explain_login(&self, stderr: &str) -> PortError {
        let (code, hint) = self.login_advice(stderr);
        PortError::new(code, LOGIN, self.place(), shortened(stderr)).hint(hint)
    }

    fn login_advice(&self, stderr: &str) -> (&'static str, String) {
        if stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            return (
                "ssh::host-key",
                "the host shows another key than the one pinned under `nodes` (or in known_hosts). If the machine was \
                 installed anew, ask whoever did it for its key (`cat /etc/ssh/ssh_host_ed25519_key.pub` on its console) and \
                 change `ssh.hostKey`; otherwise somebody may stand in between: do not go on"
                    .into(),
            );
        }
        if stderr.contains("host key is known for") || stderr.contains("Host key verification failed") {
            return (
                "ssh::unknown-host",
                format!(
                    "get the host's key from its console, not over the network: `cat /etc/ssh/ssh_host_ed25519_key.pub`. Put its \
                     first two words into the site file, below `ssh:` of node `{}`: `hostKey: \"ssh-ed25519 AAAA...\"`",
                    self.target.name
                ),
            );
        }
        if stderr.contains("Permission denied") || stderr.contains("Too many authentication failures") {
            return (
                "ssh::denied",
                format!(
                    "the host is there and refuses the login of `{}`: put your public key into its authorized_keys, or load the \
                     right key into your agent (`ssh-add`), or name it with --identity",
                    self.target.user
                ),
            );
        }
        let unreachable = [
            "Could not resolve",
            "No route to host",
            "timed out",
            "Connection refused",
            "unreachable",
        ];
        if unreachable.iter().any(|text| stderr.contains(text)) {
            return (
                "ssh::unreachable",
                "look whether the machine is on, its address and port are right, and a firewall lets SSH through".into(),
            );
        }
        ("ssh::failed", "run the same login by hand: `ssh -v`".into())
    }

    /// A program that could not be started, or that ended.
    pub(super) fn explain_start(&self, status: Option<i32>, stderr: &str) -> Ended {
        if status == Some(NO_CONNECTION) {
            return Ended {
                absent: false,
                error: self.explain_login(stderr),
            };
        }
        let sudo = self.target.user != "root";
        let says = |text: &str| stderr.contains(text);
        let failed = |code: &'static str, hint: String| Ended {
            absent: false,
            error: PortError::new(code, "start openg2p on the host", self.place(), shortened(stderr))
                .hint(hint),
        };
        let user = &self.target.user;
        if sudo && status == Some(NOT_FOUND) && says("sudo") {
            return failed(
                "ssh::sudo",
                format!(
                    "there is no sudo for `{user}`: install it (Debian: sudo), or log in as root (`ssh.user: root`)"
                ),
            );
        }
        let absent = if sudo {
            says("command not found") || says("No such file or directory")
        } else {
            status == Some(NOT_FOUND)
        };
        if absent {
            return Ended {
                absent: true,
                error: PortError::new(
                    "ssh::no-program",
                    "start openg2p on the host",
                    self.place(),
                    shortened(stderr),
                )
                .hint("run the same command again: the program is sent anew"),
            };
        }
        if status == Some(NOT_EXECUTABLE) || (sudo && says("unable to execute")) {
            return failed(
                "ssh::not-executable",
                format!(
                    "programs may not run from the home of `{user}` (mounted `noexec`?), or this host is another kind of \
                     machine than this one; log in as a user whose home allows it"
                ),
            );
        }
        if says("GLIBC_") {
            return failed(
                "ssh::not-executable",
                "this program was built on a newer Debian than the host's: build it on the host's release"
                    .into(),
            );
        }
        // a host that cannot resolve its own name makes sudo say so, and goes on
        let refuses = |line: &str| line.contains("sudo") && !line.contains("unable to resolve host");
        if sudo && stderr.lines().any(refuses) {
            return failed(
                "ssh::sudo",
                format!(
                    "`{user}` must be allowed to use sudo without a password and without a terminal. As root on the host: put \
                     the line `{user} ALL=(root) NOPASSWD: ALL` into /etc/sudoers.d/openg2p with `visudo -f`; or log in as root \
                     (`ssh.user: root`)"
                ),
            );
        }
        failed(
            "ssh::failed",
            "the program on the host ended; run the same command again, and with -v when it stays".into(),
        )
    }
}

/// The first lines, without ssh's box of `@`.
pub(super) fn shortened(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with('@') && !line.trim().is_empty())
        .take(6)
        .collect();
    if lines.is_empty() {
        "it ended without a word".into()
    } else {
        lines.join("\n")
    }
}
