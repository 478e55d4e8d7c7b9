//! A look at the machine before anything is done to it: everything that is missing, at once, each with its remedy.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::apt::AptSettings;
use crate::cgroup::{CgroupLayout, CgroupVersion};
use crate::command::Call;
use crate::error::Result;
use crate::kernel::{self, Facts};
use crate::state::Release;
use crate::tools::{self, TOOLS, Tool};

/// A place that packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// What people call it.
    pub name: String,
    /// What must work.
    pub probe: Probe,
}

/// How a registry is asked whether it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A small file that must be served at this address.
    Address(String),
    /// A look-up by the registry's own client, which knows this machine's settings; program and arguments.
    Client(&'static str, &'static [&'static str]),
}

/// What the work ahead needs.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Where the work is stored.
    pub cache: PathBuf,
    /// Free space there.
    pub disk_gib: u64,
    /// Memory that is not in use.
    pub memory_gib: u64,
    /// Programs.
    pub tools: Vec<Tool>,
    /// Registries.
    pub registries: Vec<Registry>,
}

impl Needs {
    /// What a lab without anything on its hosts needs.
    pub fn of_lab(cache: impl Into<PathBuf>, release: Release) -> Result<Self> {
        let mirror = Registry {
            name: "Debian".into(),
            probe: Probe::Address(AptSettings::of_this_machine(release)?.probe()),
        };
        Ok(Self {
            cache: cache.into(),
            disk_gib: 3,
            memory_gib: 1,
            tools: TOOLS.to_vec(),
            registries: vec![mirror],
        })
    }
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The work cannot be done.
    Missing,
    /// The work can be done, with something to know.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// A stable word for it.
    pub code: &'static str,
    /// What was found.
    pub text: String,
    /// What to do; empty when nothing need be done.
    pub remedy: String,
}

impl Finding {
    fn missing(code: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Missing,
            code,
            text: text.into(),
            remedy: remedy.into(),
        }
    }

    fn note(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            code,
            text: text.into(),
            remedy: String::new(),
        }
    }
}

/// Looks at everything and changes nothing. The gravest findings come first.
pub fn preflight(needs: &Needs) -> Vec<Finding> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(look_at_user());
    found.extend(look_at_tools(&needs.tools));
    found.extend(look_at_disk(
        &needs.cache,
        needs.disk_gib,
        &read("/proc/self/mounts"),
    ));
    found.extend(look_at_memory(&read("/proc/meminfo"), needs.memory_gib));
    found.extend(look_at_kernel());
    found.extend(look_at_cgroups());
    found.extend(look_at_registries(&needs.registries));
    found.sort_by_key(|finding| finding.severity);
    found
}

fn look_at_user() -> Option<Finding> {
    let root = rustix::process::geteuid().is_root();
    (!root).then(|| {
        Finding::missing(
            "not-root",
            "this is not run by root",
            "run it again as root: sudo -E make try",
        )
    })
}

fn look_at_tools(tools: &[Tool]) -> Option<Finding> {
    let missing = tools::missing(tools);
    if missing.is_empty() {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    let remedy = format!(
        "apt-get update && apt-get install -y {}",
        tools::packages(&missing).join(" ")
    );
    Some(Finding::missing(
        "missing-tools",
        format!("not installed: {}", names.join(", ")),
        remedy,
    ))
}

fn look_at_disk(cache: &Path, needed_gib: u64, mounts: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let there = cache
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let elsewhere = "set OPENG2P_CACHE to a directory on a disk that fits";
    if let Ok(disk) = rustix::fs::statvfs(there) {
        let free = disk.f_bavail * disk.f_frsize;
        if free >> 30 < needed_gib {
            let text = format!(
                "{} has {} GiB free, {needed_gib} GiB are needed",
                there.display(),
                free >> 30
            );
            found.push(Finding::missing(
                "disk-full",
                text,
                format!("free some space there, or {elsewhere}"),
            ));
        }
    }
    let kind = file_system_of(there, mounts);
    if ["overlay", "nfs", "nfs4", "9p", "fuse", "ramfs", "vfat"].contains(&kind) {
        let text = format!(
            "{} is on {kind}, which cannot carry the file systems of containers",
            there.display()
        );
        found.push(Finding::missing("unfit-file-system", text, elsewhere));
    }
    found
}

/// The type of the file system that holds a path: that of the longest mount point above it, the last one if several.
fn file_system_of<'a>(path: &Path, mounts: &'a str) -> &'a str {
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = fields.filter(|(mount, _)| path.starts_with(mount));
    above
        .max_by_key(|(mount, _)| mount.len())
        .map_or("unknown", |(_, kind)| kind)
}

fn look_at_memory(meminfo: &str, needed_gib: u64) -> Option<Finding> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    (kib >> 20 < needed_gib).then(|| {
        let text = format!(
            "{:.1} GiB of memory are free, {needed_gib} GiB are needed",
            as_gib(kib)
        );
        Finding::missing(
            "memory-low",
            text,
            "end other work on this machine, or take a larger one",
        )
    })
}

fn as_gib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib >> 10).unwrap_or(u32::MAX)) / 1024.0
}

fn look_at_kernel() -> Vec<Finding> {
    let mut found = Vec::new();
    let loadable = !tools::missing(&[Tool {
        program: "modprobe",
        package: "kmod",
    }])
    .is_empty();
    for feature in kernel::missing() {
        let text = format!("the kernel does not show {feature}");
        // Being a module is no fault: `up` loads it.
        found.push(if loadable || !Path::new("/lib/modules").is_dir() {
            Finding::missing(
                "kernel-feature",
                text,
                "use a kernel with this feature, or install kmod and its modules",
            )
        } else {
            Finding::note(
                "kernel-feature",
                format!("{text} yet; it is loaded when a lab starts"),
            )
        });
    }
    let probe = Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--fork", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if probe.is_ok_and(|status| !status.success()) {
        found.push(Finding::missing(
            "no-namespaces",
            "new namespaces are refused",
            "use a machine or a privileged container where root may `unshare --mount --pid --net`",
        ));
    }
    found
}

fn look_at_cgroups() -> Vec<Finding> {
    let layout = match CgroupLayout::detect() {
        Ok(layout) => layout,
        Err(error) => return vec![Finding::missing("no-cgroups", error.to_string(), "see there")],
    };
    let mut found = Vec::new();
    for hierarchy in &layout.hierarchies {
        if rustix::fs::access(&hierarchy.mount, rustix::fs::Access::WRITE_OK).is_err() {
            let text = format!("{} cannot be written to", hierarchy.mount.display());
            let remedy = format!("mount -o remount,rw {}", hierarchy.mount.display());
            found.push(Finding::missing("cgroups-read-only", text, remedy));
        }
    }
    let version = match layout.version {
        CgroupVersion::Legacy => "version 1",
        CgroupVersion::Hybrid => "version 1 with a version 2 tree beside it",
        CgroupVersion::Unified => "version 2",
    };
    found.push(Finding::note(
        "cgroup-version",
        format!("control groups are {version}"),
    ));
    let restrictions = Facts::detect(layout.version).restrictions();
    found.extend(
        restrictions
            .into_iter()
            .map(|found| Finding::note("restriction", found.text)),
    );
    found
}

/// The registries of a build, where this machine's own settings put them. Each is asked through its own client, so that proxies, mirrors and
/// authorities count as they will in the build; Python's, whose client runs in image builds only, by the address that they are given.
pub fn build_registries() -> Vec<Registry> {
    let mut found = vec![
        Registry {
            name: "Go modules".into(),
            probe: Probe::Client("go", &["list", "-m", "-versions", "golang.org/x/sys"]),
        },
        Registry {
            name: "Rust crates".into(),
            probe: Probe::Client("cargo", &["info", "--quiet", "itoa"]),
        },
    ];
    if let Ok(index) = env::var("PIP_INDEX_URL") {
        found.push(Registry {
            name: "Python packages".into(),
            probe: Probe::Address(format!("{}/pip/", index.trim_end_matches('/'))),
        });
    }
    found
}

fn look_at_registries(registries: &[Registry]) -> Vec<Finding> {
    thread::scope(|scope| {
        let asked: Vec<_> = registries
            .iter()
            .map(|registry| (registry, scope.spawn(|| answer_of(&registry.probe))))
            .collect();
        asked
            .into_iter()
            .filter_map(|(registry, thread)| {
                let why = thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    .err()?;
                let asked = match &registry.probe {
                    Probe::Address(address) => address.clone(),
                    Probe::Client(program, arguments) => format!("`{program} {}`", arguments.join(" ")),
                };
                let text = format!(
                    "the registry of {} does not answer: {asked}: {why}",
                    registry.name
                );
                Some(Finding::missing(
                    "registry-silent",
                    text,
                    "check network, proxy variables (http_proxy, https_proxy) and certificate authorities",
                ))
            })
            .collect()
    })
}

fn answer_of(probe: &Probe) -> std::result::Result<(), String> {
    let call = match probe {
        Probe::Address(address) => Call::new("asking a registry", "curl").args([
            "-sS",
            "-L",
            "--fail",
            "--max-time",
            "15",
            "-o",
            "/dev/null",
            address,
        ]),
        // In a folder of nobody's: a checkout's own settings for a client must not decide.
        Probe::Client(program, arguments) => Call::new("asking a registry", "timeout")
            .args(["30", "env", "-C", "/", "GOFLAGS=-mod=mod", program])
            .args(*arguments),
    };
    call.output().map(drop).map_err(|error| match error {
        crate::LabError::Command { output, .. } => output,
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_last_mount_decides() {
        let mounts = "a / overlay rw 0 0\nb /root ext4 rw 0 0\nc /root/.cache tmpfs rw 0 0\nd /root/.cache xfs rw 0 0\n";
        assert_eq!(file_system_of(Path::new("/root/.cache/openg2p"), mounts), "xfs");
        assert_eq!(file_system_of(Path::new("/root2"), mounts), "overlay");
        assert_eq!(file_system_of(Path::new("/x"), ""), "unknown");
    }

    #[test]
    fn an_overlay_is_refused_before_any_work() {
        let found = look_at_disk(Path::new("/"), 0, "a / overlay rw 0 0\n");
        assert_eq!(
            found.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            ["unfit-file-system"]
        );
        assert!(look_at_disk(Path::new("/"), 0, "a / ext4 rw 0 0\n").is_empty());
        let full = look_at_disk(Path::new("/no/such/place"), u64::MAX, "a / ext4 rw 0 0\n");
        assert_eq!(full[0].code, "disk-full");
    }

    #[test]
    fn memory_is_compared_with_the_need() {
        let meminfo = "MemTotal: 4194304 kB\nMemAvailable:    3145728 kB\n";
        assert_eq!(look_at_memory(meminfo, 3), None);
        let low = look_at_memory(meminfo, 4).unwrap();
        assert!(low.text.starts_with("3.0 GiB"), "{}", low.text);
    }

    #[test]
    fn all_missing_tools_come_at_once() {
        let tools = [
            Tool {
                program: "no-such-program-1",
                package: "one",
            },
            Tool {
                program: "no-such-program-2",
                package: "two",
            },
        ];
        let finding = look_at_tools(&tools).unwrap();
        assert!(finding.text.contains("no-such-program-1, no-such-program-2"));
        assert!(finding.remedy.ends_with("install -y one two"));
    }

    #[test]
    fn a_silent_registry_is_named() {
        let registry = Registry {
            name: "tests".into(),
            probe: Probe::Address("http://127.0.0.1:9/x".into()),
        };
        let found = look_at_registries(&[registry]);
        assert!(
            found[0].text.contains("http://127.0.0.1:9/x"),
            "{}",
            found[0].text
        );
        let registry = Registry {
            name: "clients".into(),
            probe: Probe::Client("false", &["--never"]),
        };
        let found = look_at_registries(&[registry]);
        assert!(found[0].text.contains("`false --never`"), "{}", found[0].text);
    }
}
