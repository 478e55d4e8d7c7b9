//! A host behind a fake `ssh` and a fake `sftp`: the program's own frames from a file, and a home in a folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use openg2p_lead::protocol::Reply;
use openg2p_run::{Event, EventKind, Failure};
use serde_json::Value;

use crate::{Place, Run};

/// Says what the agent would say, in the order of its questions. `installed` tells whether an earlier run left the program.
const SSH: &str = r#"#!/bin/sh
printf '%s\n' "$@" >> "$ROOT/words"
for last in "$@"; do before=$program; program=$last; done
case "$before" in
    /var/lib/openg2p/bin/*) [ -e "$ROOT/installed" ] || { echo "sh: 1: $before: command not found" >&2; exit 127; } ;;
    *) [ -e "$ROOT/home/$before" ] || { echo "sh: 1: $before: command not found" >&2; exit 127; }
       [ -e "$ROOT/refuses" ] && { cat "$ROOT/refuses" >&2; exit 1; } ;;
esac
cat "$ROOT/replies"
cat > /dev/null
"#;

const SFTP: &str = r#"#!/bin/sh
cd "$ROOT/home" || exit 255
while IFS= read -r line; do
    echo "sftp> $line"
    pass=no
    case "$line" in -*) pass=yes; line=${line#-};; esac
    eval "set -- $line"
    case "$1" in
        df) printf '        Size         Used        Avail       (root)    %%Capacity\n%12d %12d %12d %12d  9%%\n' 9 9 99999999 9;;
        mkdir) mkdir "$2" 2>/dev/null;;
        chmod) chmod "$2" "$3";;
        put) cp "$2" "$3"; echo sent >> "$ROOT/sent";;
        rm) rm "$2";;
        rmdir) rmdir "$2" 2>/dev/null;;
    esac || { [ $pass = yes ] || exit 1; }
done
"#;

/// A place with a site file and a host that answers.
pub(crate) struct Host {
    pub(crate) place: Place,
}

impl Host {
    /// A host that was installed before and answers with `replies`, behind the greeting.
    pub(crate) fn answers(replies: Vec<Reply>) -> Self {
        let host = Self {
            place: Place::with_site(),
        };
        std::fs::create_dir_all(host.path("home")).unwrap();
        let root = format!("\nROOT='{}'\n", host.path("").display());
        for (name, text) in [("ssh", SSH), ("sftp", SFTP)] {
            std::fs::write(host.path(name), text.replacen('\n', &root, 1)).unwrap();
            std::fs::set_permissions(host.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut bytes = Vec::new();
        for reply in [Reply::Done].into_iter().chain(replies) {
            let body = serde_json::to_vec(&reply).unwrap();
            bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
            bytes.push(0);
            bytes.extend(body);
        }
        std::fs::write(host.path("replies"), bytes).unwrap();
        host.put("installed", "");
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path("host").join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let path = format!("{}:/usr/bin:/bin", self.path("").display());
        self.place.run_with(arguments, &[("PATH", &path)])
    }

    /// Names in the login's home.
    pub(crate) fn home(&self) -> Vec<String> {
        std::fs::read_dir(self.path("home"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

/// The events of a run with their places.
pub(crate) fn events(kinds: Vec<EventKind>) -> Vec<Reply> {
    let numbered = (0..).zip(kinds);
    numbered
        .map(|(sequence, kind)| {
            Reply::Event(Event {
                sequence,
                time: 1_800_000_000.0,
                kind,
            })
        })
        .chain([Reply::Closed])
        .collect()
}

pub(crate) fn ended(exit: u8, error: Option<Failure>) -> EventKind {
    EventKind::RunFinished {
        outcome: if exit == 0 { "done" } else { "failed" }.into(),
        done: 1,
        failed: usize::from(exit != 0),
        skipped: 0,
        seconds: 1.0,
        error,
        exit,
        peak_memory: Some(20_000_000),
    }
}

pub(crate) fn failure(code: &str) -> Failure {
    Failure {
        code: code.into(),
        what: "do it".into(),
        place: "box1".into(),
        why: "it would not".into(),
        hint: Some("do it again".into()),
    }
}

/// Each line of standard output as a JSON document; a line that is none fails the test.
pub(crate) fn lines(run: &Run) -> Vec<Value> {
    run.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{}", run.out)))
        .collect()
}
