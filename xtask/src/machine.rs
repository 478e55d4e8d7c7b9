//! A look at this machine before anything is done: all that is missing at once, each with its remedy, and what will be installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use openg2p_lab::{Finding, Needs, Release, Severity, TOOLS, Tool, build_registries};

use crate::runner::Runner;

/// Free space: for the caches of Go and Rust (22 GiB), the bundle and a host on a cold machine, and on a warm one.
const DISK_GIB: [u64; 2] = [32, 12];
/// A machine is warm when at least so many things for the bundle were made on it; there are about fifty.
const WARM: usize = 30;
/// A box with one environment takes less than 4 GiB, and builds go on beside it.
const MEMORY_GIB: u64 = 6;
/// From this version on, Go fetches the version that a module names.
const OLDEST_GO: (u32, u32) = (1, 21);

/// What the lab does not need but the builds do.
const BUILD_TOOLS: [Tool; 8] = [
    Tool {
        program: "buildah",
        package: "buildah",
    },
    Tool {
        program: "gcc",
        package: "gcc",
    },
    Tool {
        program: "/usr/include/stdlib.h",
        package: "libc6-dev",
    },
    Tool {
        program: "strip",
        package: "binutils",
    },
    Tool {
        program: "git",
        package: "git",
    },
    Tool {
        program: "tar",
        package: "tar",
    },
    Tool {
        program: "xz",
        package: "xz-utils",
    },
    Tool {
        program: "/etc/ssl/certs/ca-certificates.crt",
        package: "ca-certificates",
    },
];

/// What only tests need. Servers are started by the tests themselves, on loopback; Debian's own copies of them stay as they are.
const TEST_TOOLS: [Tool; 6] = [
    Tool {
        program: "/usr/lib/postgresql",
        package: "postgresql",
    },
    Tool {
        program: "nginx",
        package: "nginx-light",
    },
    Tool {
        program: "skopeo",
        package: "skopeo",
    },
    Tool {
        program: "openssl",
        package: "openssl",
    },
    Tool {
        program: "python3",
        package: "python3",
    },
    Tool {
        program: "/usr/share/doc/python3-venv",
        package: "python3-venv",
    },
];

/// What the chore needs besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Running a box.
    Box,
    /// Running the tests too.
    Tests,
}

/// Looks at everything and changes nothing; an error when something is missing that cannot be installed. `xtask/needs` has looked at what
/// cargo itself needs, and has installed curl, with which registries are asked.
pub(crate) fn look(runner: &Runner<'_>, cache: &Path, purpose: Purpose) -> anyhow::Result<()> {
    runner.printer.say("Looking at this machine");
    let made = fs::read_dir(cache.join("bundle/made")).map_or(0, Iterator::count);
    let mut needs = Needs::of_lab(cache, Release::default())?;
    needs.disk_gib = DISK_GIB[usize::from(made >= WARM)];
    needs.memory_gib = MEMORY_GIB;
    needs.tools.clear();
    needs.registries.extend(build_registries());
    let mut findings = openg2p_lab::preflight(&needs);
    findings.extend(look_at_go());
    findings.extend(look_at_rust(purpose));
    tell(runner, findings)
}

/// Installs what Debian has and this machine lacks.
pub(crate) fn install(runner: &Runner<'_>, purpose: Purpose) -> anyhow::Result<()> {
    let mut tools: Vec<Tool> = [&TOOLS[..], &BUILD_TOOLS].concat();
    if purpose == Purpose::Tests {
        tools.extend(TEST_TOOLS);
    }
    let to_install = openg2p_lab::missing_tools(&tools);
    if to_install.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = to_install.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let step = format!("install Debian packages: {}", packages.join(" "));
    runner.step(&step, Duration::from_mins(1), || {
        openg2p_lab::install_tools(&to_install)
            .map(drop)
            .context("Debian packages could not be installed")
    })
}

fn tell(runner: &Runner<'_>, mut findings: Vec<Finding>) -> anyhow::Result<()> {
    findings.sort_by_key(|finding| finding.severity);
    let missing = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Missing)
        .count();
    for finding in &findings {
        let word = if finding.severity == Severity::Missing {
            "MISSING"
        } else {
            "   note"
        };
        runner.printer.say(&format!("{word}  {}", finding.text));
        if !finding.remedy.is_empty() {
            runner.printer.say(&format!("         -> {}", finding.remedy));
        }
    }
    if missing > 0 {
        let things = if missing == 1 { "thing is" } else { "things are" };
        bail!("{missing} {things} missing on this machine (above, with remedies); nothing was changed");
    }
    Ok(())
}

fn missing(code: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Missing,
        code,
        text: text.into(),
        remedy: remedy.into(),
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn look_at_go() -> Option<Finding> {
    let remedy = "Debian 13: apt-get install golang-go; elsewhere: https://go.dev/doc/install, then put its bin on PATH";
    let Some(text) = output("go", &["version"]) else {
        return Some(missing(
            "go",
            "Go is not here; Kubernetes is built with it",
            remedy,
        ));
    };
    match version_of_go(&text) {
        Some(version) if version >= OLDEST_GO => None,
        _ => Some(missing(
            "go-version",
            format!(
                "{} is too old: from 1.21 on Go fetches the version it needs",
                text.trim()
            ),
            remedy,
        )),
    }
}

/// From `go version go1.26.8 linux/amd64`.
fn version_of_go(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut parts = word.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn look_at_rust(purpose: Purpose) -> Vec<Finding> {
    let mut found = Vec::new();
    if purpose == Purpose::Tests {
        for (component, arguments) in [
            ("rustfmt", ["fmt", "--version"]),
            ("clippy", ["clippy", "--version"]),
        ] {
            if output("cargo", &arguments).is_none() {
                let text = format!("`cargo {}` is not here", arguments[0]);
                found.push(missing(
                    "rust-component",
                    text,
                    format!("rustup component add {component}"),
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_before_cargo_has_the_same_figures() {
        let script = include_str!("../needs");
        for line in [
            format!("memory_gib={MEMORY_GIB}"),
            format!("disk_cold_gib={}", DISK_GIB[0]),
            format!("disk_warm_gib={}", DISK_GIB[1]),
            format!("warm={WARM}"),
        ] {
            assert!(script.lines().any(|have| have == line), "{line}");
        }
        let rust = env!("CARGO_PKG_RUST_VERSION");
        assert!(
            script.contains(&format!("rust_minor={}", rust.trim_start_matches("1."))),
            "{rust}"
        );
    }

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(version_of_go("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(version_of_go("go version go1.19 linux/amd64"), Some((1, 19)));
        assert_eq!(version_of_go("go version devel +abc"), None);
    }
}
