//! The client against a fake `ssh` and a fake `sftp`: shell scripts that do what the real ones would, in a folder.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A machine in a folder: `home` is the login's home, `said` is what was asked of it.
struct Machine {
    folder: tempfile::TempDir,
}

/// Does the few commands that the product uses, as OpenSSH's does: `-` before a command means that its failure is passed over.
/// `free` holds KiB; a copy that does not fit leaves half of it, as a full disk does.
const SFTP: &str = r#"#!/bin/sh
cd "$ROOT/home" || exit 255
while IFS= read -r line; do
    echo "sftp> $line"
    echo "$line" >> "$ROOT/said"
    pass=no
    case "$line" in -*) pass=yes; line=${line#-};; esac
    eval "set -- $line"
    case "$1" in
        df) printf '%12s %12s %12s %12s    %%Capacity\n%12d %12d %12d %12d  9%%\n' Size Used Avail '(root)' 9 9 "$(cat "$ROOT/free")" 9;;
        mkdir) mkdir "$2" 2>/dev/null;;
        chmod) chmod "$2" "$3";;
        put) if [ -e "$ROOT/breaks" ]; then head -c 3 "$2" > "$3"; cat "$ROOT/breaks" > "$ROOT/free"; echo "write remote \"$3\": Failure" >&2; false
             else cp "$2" "$3"; fi;;
        rm) rm "$2";;
        rmdir) rmdir "$2" 2>/dev/null;;
        *) echo "unknown $1" >&2; false;;
    esac || { [ $pass = yes ] || exit 1; }
done
"#;

/// Prints its arguments behind the destination, one a line, then does what the test wants.
const SSH: &str = r#"#!/bin/sh
printf '%s\n' "$@" > "$ROOT/words"
cat "$ROOT/stderr" >&2
exit "$(cat "$ROOT/status")"
"#;

impl Machine {
    fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(machine.path("home")).unwrap();
        machine.put("free", "100000");
        let root = format!("ROOT='{}'\n", machine.folder.path().display());
        for (name, text) in [("sftp", SFTP), ("ssh", SSH)] {
            machine.put(name, &text.replacen('\n', &format!("\n{root}"), 1));
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(machine.path(name), executable).unwrap();
        }
        machine.put("program", "a program of some bytes");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn connection(&self, user: &str) -> Connection {
        let target = Target {
            name: "box1".into(),
            address: [192, 0, 2, 10].into(),
            port: 22,
            user: user.into(),
            host_key: None,
            identity: None,
        };
        let clients = Clients {
            ssh: self.path("ssh"),
            sftp: self.path("sftp"),
        };
        Connection::through(clients, target, self.folder.path()).unwrap()
    }

    /// Starts the agent, which ends at once with these words and this status.
    async fn ends(&self, user: &str, status: i32, stderr: &str) -> Ended {
        self.put("status", &status.to_string());
        self.put("stderr", stderr);
        let connection = self.connection(user);
        let remote = connection
            .start("/var/lib/openg2p/bin/openg2p-0123", "agent")
            .unwrap();
        connection.ended(remote).await
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.path("home")).unwrap().count()
    }
}

#[tokio::test]
async fn a_program_is_copied_into_a_private_folder_and_withdrawn_without_a_trace() {
    let machine = Machine::new();
    let connection = machine.connection("asha");
    let sent = connection
        .upload(&machine.path("program"), "openg2p-0123")
        .await
        .unwrap();
    assert_eq!(sent.path, ".openg2p/openg2p-0123");
    assert_eq!(
        machine.read("home/.openg2p/openg2p-0123"),
        "a program of some bytes"
    );
    let mode = |name: &str| {
        std::fs::metadata(machine.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("home/.openg2p"), mode("home/.openg2p/openg2p-0123")),
        (0o700, 0o700)
    );
    connection.withdraw(&sent).await.unwrap();
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn a_full_disk_is_found_before_anything_is_written() {
    let machine = Machine::new();
    machine.put("free", "100");
    let copy = machine
        .connection("root")
        .upload(&machine.path("program"), "openg2p-0123")
        .await;
    let error = copy.unwrap_err();
    assert_eq!(
        (error.code, error.what.as_str()),
        ("host::disk", "copy the program to the host")
    );
    assert!(
        error.why.contains("102400 bytes free, and 16777239 are needed"),
        "{error}"
    );
    assert_eq!(machine.read("said"), "-df .\n");
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn a_disk_that_fills_up_on_the_way_is_told_as_one_and_left_as_it_was() {
    let machine = Machine::new();
    machine.put("breaks", "12");
    let copy = machine
        .connection("root")
        .upload(&machine.path("program"), "openg2p-0123")
        .await;
    let error = copy.unwrap_err();
    assert_eq!(error.code, "host::disk");
    assert!(error.why.contains("12288 bytes free"), "{error}");
    assert_eq!(
        machine.left(),
        0,
        "{:?}",
        std::fs::read_dir(machine.path("home"))
            .unwrap()
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_copy_that_fails_with_room_left_is_no_full_disk_and_no_failed_login() {
    let machine = Machine::new();
    machine.put("breaks", "100000");
    std::fs::create_dir(machine.path("home/.openg2p")).unwrap();
    machine.put("home/.openg2p/somebody-elses", "");
    let copy = machine
        .connection("root")
        .upload(&machine.path("program"), "openg2p-0123")
        .await;
    let error = copy.unwrap_err();
    assert_eq!(
        (error.code, error.what.as_str()),
        ("ssh::upload", "copy the program to the host")
    );
    assert!(error.why.contains("Failure"), "{error}");
    // the folder was there with something in it, and stays
    assert!(machine.path("home/.openg2p/somebody-elses").exists());
    assert!(!machine.path("home/.openg2p/openg2p-0123").exists());
}

#[tokio::test]
async fn only_root_starts_the_program_without_sudo() {
    let machine = Machine::new();
    let words = |machine: &Machine| {
        let text = machine.read("words");
        let (_, behind) = text.split_once("\n--\n").unwrap();
        behind.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    machine.ends("root", 0, "").await;
    assert_eq!(words(&machine), ["/var/lib/openg2p/bin/openg2p-0123", "agent"]);
    machine.ends("asha", 0, "").await;
    assert_eq!(
        words(&machine),
        [
            "env",
            "LC_ALL=C",
            "sudo",
            "-n",
            "--",
            "/var/lib/openg2p/bin/openg2p-0123",
            "agent"
        ]
    );
}

#[tokio::test]
async fn a_word_that_a_shell_may_read_is_not_sent() {
    let machine = Machine::new();
    for word in ["a b", "$(id)", "a;b", "", "-x", "ä"] {
        assert!(machine.connection("root").start(word, "agent").is_err(), "{word}");
    }
    assert!(!machine.path("words").exists());
}

#[tokio::test]
async fn what_ends_a_start_has_a_code_of_its_own() {
    let machine = Machine::new();
    let cases = [
        ("asha", 1, "sudo: a password is required", "ssh::sudo"),
        (
            "asha",
            1,
            "asha is not in the sudoers file.\nsudo: a password is required",
            "ssh::sudo",
        ),
        (
            "asha",
            127,
            "env: \u{2018}sudo\u{2019}: No such file or directory",
            "ssh::sudo",
        ),
        (
            "asha",
            1,
            "sudo: unable to execute /home/asha/.openg2p/openg2p-0123: Permission denied",
            "ssh::not-executable",
        ),
        (
            "root",
            126,
            "bash: line 1: x: Permission denied",
            "ssh::not-executable",
        ),
        (
            "root",
            255,
            "No ED25519 host key is known for 192.0.2.10 and you have requested strict checking.\r\nHost key verification failed.",
            "ssh::unknown-host",
        ),
        (
            "root",
            255,
            "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
            "ssh::host-key",
        ),
        (
            "root",
            255,
            "root@192.0.2.10: Permission denied (publickey).",
            "ssh::denied",
        ),
        (
            "root",
            255,
            "ssh: connect to host 192.0.2.10 port 22: Connection refused",
            "ssh::unreachable",
        ),
    ];
    for (user, status, stderr, code) in cases {
        let ended = machine.ends(user, status, stderr).await;
        assert_eq!(ended.error.code, code, "{stderr}: {}", ended.error);
        assert!(!ended.absent, "{stderr}");
        assert!(ended.error.hint.is_some(), "{stderr}");
    }
    let unknown = machine.ends("root", 255, cases[5].2).await.error;
    assert!(unknown.hint.unwrap().contains("hostKey: \"ssh-ed25519 AAAA...\""));
}

#[tokio::test]
async fn a_program_that_is_not_there_yet_is_known_by_its_status() {
    let machine = Machine::new();
    let shell = "bash: line 1: /var/lib/openg2p/bin/openg2p-0123: No such file or directory";
    assert!(machine.ends("root", 127, shell).await.absent);
    let sudo = "sudo: unable to resolve host box1: Name or service not known\nsudo: /var/lib/openg2p/bin/openg2p-0123: command not found";
    assert!(machine.ends("asha", 1, sudo).await.absent);
}
