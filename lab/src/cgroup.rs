//! Control groups: which hierarchies the machine has, and one subtree per host in each of them.
//!
//! A subtree has two children: `launcher` holds the shell that starts the host again after a reboot, `machine` is what
//! the host takes for the root of its tree. They are apart because a unified hierarchy lets no process live in a group
//! that hands controllers to its children.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{LabError, Result};
use crate::names;

/// How the machine mounts control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupVersion {
    /// Version 1 hierarchies only.
    Legacy,
    /// Version 1 hierarchies carry the controllers, a version 2 tree tracks processes.
    Hybrid,
    /// One version 2 tree.
    Unified,
}

impl CgroupVersion {
    /// Whether the controllers are those of version 1, which Kubernetes accepts only when told to.
    pub fn has_old_controllers(self) -> bool {
        self != Self::Unified
    }
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its version 1 controllers (`name=systemd` counts as one); empty for version 2.
    pub controllers: Vec<String>,
}

/// All hierarchies of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupLayout {
    /// What they are together.
    pub version: CgroupVersion,
    /// Each of them.
    pub hierarchies: Vec<Hierarchy>,
}

/// Mount options that are no controllers.
const OPTIONS: [&str; 13] = [
    "rw",
    "ro",
    "nosuid",
    "nodev",
    "noexec",
    "relatime",
    "noatime",
    "xattr",
    "clone_children",
    "seclabel",
    "nsdelegate",
    "favordynmods",
    "none",
];

impl CgroupLayout {
    /// Reads a mount table in the form of `/proc/self/mounts`; none when no usable hierarchy is mounted.
    pub fn parse(mounts: &str) -> Option<Self> {
        let mut old: Vec<Hierarchy> = Vec::new();
        let mut unified = None;
        for line in mounts.lines() {
            let mut fields = line.split(' ');
            let (Some(_), Some(mount), Some(kind), Some(options)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            match kind {
                // The last mount on a path hides earlier ones, the first path of a hierarchy is the customary one.
                "cgroup2" if unified.is_none() => unified = Some(PathBuf::from(mount)),
                "cgroup" => {
                    let controllers: Vec<String> = options
                        .split(',')
                        .filter(|option| !OPTIONS.contains(option) && !option.starts_with("release_agent="))
                        .map(str::to_owned)
                        .collect();
                    if !controllers.is_empty() && !old.iter().any(|known| known.controllers == controllers) {
                        old.push(Hierarchy {
                            mount: mount.into(),
                            controllers,
                        });
                    }
                }
                _ => {}
            }
        }
        let version = match (old.is_empty(), &unified) {
            (true, None) => return None,
            (true, Some(_)) => CgroupVersion::Unified,
            (false, Some(_)) => CgroupVersion::Hybrid,
            (false, None) => CgroupVersion::Legacy,
        };
        let mut hierarchies = old;
        hierarchies.extend(unified.map(|mount| Hierarchy {
            mount,
            controllers: Vec::new(),
        }));
        Some(Self { version, hierarchies })
    }

    /// Reads this machine's mount table.
    pub fn detect() -> Result<Self> {
        let path = Path::new("/proc/self/mounts");
        let mounts = fs::read_to_string(path).map_err(LabError::file("reading the mount table", path))?;
        let unfit = |why: &str, remedy: &str| LabError::Machine {
            what: "control groups",
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        };
        let layout = Self::parse(&mounts).ok_or_else(|| {
            unfit(
                "none are mounted",
                "mount them, `mount -t cgroup2 cgroup2 /sys/fs/cgroup`",
            )
        })?;
        let tracks = |name: &str| {
            layout
                .hierarchies
                .iter()
                .any(|known| known.controllers.iter().any(|it| it == name))
        };
        if layout.version != CgroupVersion::Unified && !tracks("name=systemd") {
            return Err(unfit(
                "the version 1 hierarchies lack name=systemd, without which no systemd starts",
                "mkdir /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd",
            ));
        }
        Ok(layout)
    }

    /// The directories of one host's subtree.
    pub(crate) fn subtrees(&self, name: &str) -> Vec<PathBuf> {
        self.hierarchies
            .iter()
            .map(|hierarchy| hierarchy.mount.join(name))
            .collect()
    }

    /// Makes a host's subtree in every hierarchy.
    pub(crate) fn create(&self, name: &str) -> Result<()> {
        for hierarchy in &self.hierarchies {
            let top = hierarchy.mount.join(name);
            let unified = self.version == CgroupVersion::Unified;
            for directory in [top.clone(), top.join("launcher"), top.join("machine")] {
                if unified && let Some(parent) = directory.parent() {
                    hand_down_controllers(parent)?;
                }
                fs::create_dir_all(&directory).map_err(LabError::file("making a cgroup", &directory))?;
                if hierarchy
                    .controllers
                    .iter()
                    .any(|controller| controller == "cpuset")
                {
                    inherit_cpuset(&directory)?;
                }
            }
        }
        Ok(())
    }

    /// Every process in a host's subtree.
    pub(crate) fn processes(&self, name: &str) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for top in self.subtrees(name) {
            collect_processes(&top, &mut found);
        }
        found
    }

    /// Kills every process of a host's subtree and removes the subtree. Only processes that are in the subtree at the
    /// moment of the signal are touched.
    pub(crate) fn destroy(&self, name: &str, deadline: Duration) -> Result<()> {
        let end = Instant::now() + deadline;
        loop {
            for pid in self.processes(name) {
                kill_member(name, pid);
            }
            let left: Vec<PathBuf> = self
                .subtrees(name)
                .into_iter()
                .filter(|top| !remove_tree(top))
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(LabError::Deadline {
                    what: format!("the end of all processes of {name}"),
                    seconds: deadline.as_secs(),
                    last: format!("{:?} are in {}", self.processes(name), left[0].display()),
                });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lab and host of every subtree that labs have on this machine.
    pub(crate) fn owners(&self) -> BTreeSet<(String, String)> {
        let mut owners = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            for entry in fs::read_dir(&hierarchy.mount).into_iter().flatten().flatten() {
                if let Some((lab, host)) = entry.file_name().to_str().and_then(names::owner_of_cgroup) {
                    owners.insert((lab.to_owned(), host.to_owned()));
                }
            }
        }
        owners
    }
}

/// Kills a process if it is in the subtree `name`.
fn kill_member(name: &str, pid: i32) {
    // The descriptor pins the process: after it is open, the number cannot come to mean another process unseen.
    let Some(Ok(descriptor)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return;
    };
    if fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| is_member(&groups, name)) {
        // It may have ended by itself in between.
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
    }
}

/// Whether a process with this `/proc/PID/cgroup` belongs to the subtree `name`.
fn is_member(groups: &str, name: &str) -> bool {
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .any(|path| path.split('/').any(|part| part == name))
}

fn collect_processes(directory: &Path, found: &mut BTreeSet<i32>) {
    let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(
        listed
            .lines()
            .filter_map(|line| line.parse::<i32>().ok())
            .filter(|pid| *pid > 0),
    );
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_processes(&entry.path(), found);
        }
    }
}

/// Removes a cgroup and all below it; says whether it is gone.
fn remove_tree(directory: &Path) -> bool {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // Groups with processes refuse; the caller tries again.
    let _ = fs::remove_dir(directory);
    !directory.exists()
}

/// A cpuset without CPUs and memory nodes takes no process, and a new one has none.
fn inherit_cpuset(directory: &Path) -> Result<()> {
    let parent = directory.parent().unwrap_or(directory);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let value =
            fs::read_to_string(parent.join(name)).map_err(LabError::file("reading a cpuset", parent))?;
        fs::write(directory.join(name), value.trim())
            .map_err(LabError::file("filling a cpuset", directory))?;
    }
    Ok(())
}

/// Enables every controller of a version 2 group for its children, so that the host can limit its own services.
fn hand_down_controllers(directory: &Path) -> Result<()> {
    let offered = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    let control = directory.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&control).unwrap_or_default();
    for controller in offered.split_whitespace() {
        if !enabled.split_whitespace().any(|known| known == controller) {
            fs::write(&control, format!("+{controller}")).map_err(|error| LabError::Machine {
                what: "control groups",
                why: format!("{} does not take +{controller}: {error}", control.display()),
                remedy:
                    "processes in that group hinder it (in a container, its own): move them to a group below"
                        .into(),
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "proc /proc proc rw 0 0\n\
        cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n";
    const LEGACY: &str = "tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0\n\
        cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/lib/systemd/agent,name=systemd 0 0\n\
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
    const HYBRID_TAIL: &str = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0\n";

    #[test]
    fn unified_has_one_tree() {
        let layout = CgroupLayout::parse(UNIFIED).unwrap();
        assert_eq!(layout.version, CgroupVersion::Unified);
        assert_eq!(
            layout.hierarchies,
            [Hierarchy {
                mount: "/sys/fs/cgroup".into(),
                controllers: vec![]
            }]
        );
        assert!(!layout.version.has_old_controllers());
    }

    #[test]
    fn legacy_has_joint_controllers_and_no_options_among_them() {
        let layout = CgroupLayout::parse(LEGACY).unwrap();
        assert_eq!(layout.version, CgroupVersion::Legacy);
        let controllers: Vec<_> = layout
            .hierarchies
            .iter()
            .map(|it| it.controllers.join("+"))
            .collect();
        assert_eq!(controllers, ["name=systemd", "cpu+cpuacct", "memory"]);
    }

    #[test]
    fn hybrid_is_both() {
        let layout = CgroupLayout::parse(&format!("{LEGACY}{HYBRID_TAIL}")).unwrap();
        assert_eq!(layout.version, CgroupVersion::Hybrid);
        assert_eq!(
            layout.subtrees("x").last().unwrap(),
            Path::new("/sys/fs/cgroup/unified/x")
        );
    }

    #[test]
    fn a_hierarchy_mounted_twice_counts_once() {
        let twice = format!("{LEGACY}cgroup /container/memory cgroup rw,memory 0 0\n");
        assert_eq!(CgroupLayout::parse(&twice), CgroupLayout::parse(LEGACY));
    }

    #[test]
    fn without_cgroups_there_is_nothing() {
        assert_eq!(
            CgroupLayout::parse("proc /proc proc rw 0 0\nbroken line\n\n"),
            None
        );
    }

    #[test]
    fn membership_is_by_whole_path_parts() {
        let groups = "9:name=systemd:/openg2p-lab.a.box1/machine/payload\n4:memory:/\n0::/user.slice";
        assert!(is_member(groups, "openg2p-lab.a.box1"));
        assert!(!is_member(groups, "openg2p-lab.a.box"));
        assert!(!is_member(groups, "openg2p-lab.a"));
    }
}
