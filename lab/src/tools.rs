//! The programs that the lab calls, and the Debian packages that bring them.

use std::env;
use std::path::Path;

use crate::command::{Call, search_path};
use crate::error::{LabError, Result};

/// A program and its package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The program, or the absolute path of a file.
    pub program: &'static str,
    /// The Debian package.
    pub package: &'static str,
}

/// What the lab itself needs.
pub const TOOLS: [Tool; 14] = [
    Tool {
        program: "systemd-nspawn",
        package: "systemd-container",
    },
    Tool {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Tool {
        program: "/usr/share/keyrings/debian-archive-keyring.gpg",
        package: "debian-archive-keyring",
    },
    Tool {
        program: "apt-get",
        package: "apt",
    },
    Tool {
        program: "ip",
        package: "iproute2",
    },
    Tool {
        program: "nft",
        package: "nftables",
    },
    Tool {
        program: "ssh",
        package: "openssh-client",
    },
    Tool {
        program: "ssh-keygen",
        package: "openssh-client",
    },
    Tool {
        program: "setsid",
        package: "util-linux",
    },
    Tool {
        program: "setpriv",
        package: "util-linux",
    },
    Tool {
        program: "unshare",
        package: "util-linux",
    },
    Tool {
        program: "umount",
        package: "mount",
    },
    Tool {
        program: "cp",
        package: "coreutils",
    },
    Tool {
        program: "curl",
        package: "curl",
    },
];

/// Where Debian asks whether a package may start its daemon (invoke-rc.d(8), "policy-rc.d").
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, packages start no daemons: a server that tests want as a program must not take a port of this machine. A policy that
/// the machine has already decides instead.
struct NoDaemons(bool);

impl NoDaemons {
    fn arrange() -> Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let made = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY);
        match made {
            Ok(mut file) => {
                let guard = Self(true);
                file.write_all(
                    b"#!/bin/sh\n# Packages are being installed that shall start nothing.\nexit 101\n",
                )
                .map_err(LabError::file("writing", Path::new(POLICY)))?;
                Ok(guard)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Self(false)),
            Err(error) => Err(LabError::file("writing", Path::new(POLICY))(error)),
        }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.0 {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

/// Those that this machine lacks.
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    let places: Vec<_> = env::split_paths(&search_path()).collect();
    let there = |tool: &&Tool| {
        let program = Path::new(tool.program);
        if program.is_absolute() {
            program.exists()
        } else {
            places.iter().any(|place| place.join(program).exists())
        }
    };
    tools.iter().filter(|tool| !there(tool)).copied().collect()
}

/// An error that names everything missing at once.
pub(crate) fn require() -> Result<()> {
    let missing = missing(&TOOLS);
    if missing.is_empty() {
        return Ok(());
    }
    Err(LabError::MissingTools {
        programs: missing.iter().map(|tool| tool.program.to_owned()).collect(),
        packages: packages(&missing),
    })
}

/// Package names, each once.
pub(crate) fn packages(tools: &[Tool]) -> Vec<String> {
    let mut names: Vec<String> = tools.iter().map(|tool| tool.package.to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Installs the packages of the missing tools by apt and returns their names; nothing happens when none is missing.
pub fn install(tools: &[Tool]) -> Result<Vec<String>> {
    let names = packages(&missing(tools));
    if names.is_empty() {
        return Ok(names);
    }
    let apt =
        |what: &str| Call::new(what, "env").args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]);
    apt("reading package lists").args(["update"]).run()?;
    let quiet = NoDaemons::arrange()?;
    let installed = apt("installing packages")
        .args(["install", "--no-install-recommends"])
        .args(&names)
        .run();
    drop(quiet);
    installed?;
    let still = missing(tools);
    if still.is_empty() {
        return Ok(names);
    }
    Err(LabError::MissingTools {
        programs: still.iter().map(|tool| tool.program.to_owned()).collect(),
        packages: packages(&still),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_and_absent_programs_are_told_apart() {
        let absent = Tool {
            program: "no-such-program-here",
            package: "b",
        };
        let tools = [
            Tool {
                program: "sh",
                package: "dash",
            },
            absent,
            Tool {
                program: "/no/such/file",
                package: "a",
            },
        ];
        let found = missing(&tools);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&absent));
        assert_eq!(packages(&found), ["a", "b"]);
    }
}
