//! The shared kernel: what hosts need from it, and what they cannot do on this machine.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupVersion;
use crate::command::Call;

/// Something that hosts on this machine cannot do and a machine of its own can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// A stable word for it.
    pub code: String,
    /// What it means.
    pub text: String,
}

/// What decides which settings Kubernetes needs on the hosts of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How control groups are mounted.
    pub cgroups: CgroupVersion,
    /// Whether `CAP_SYS_RESOURCE` is there.
    pub may_raise_limits: bool,
    /// Whether swap is on.
    pub swap: bool,
    /// The hard limit of open files.
    pub open_files: u64,
}

/// The bit of `CAP_SYS_RESOURCE`.
const SYS_RESOURCE: u32 = 24;

impl Facts {
    /// Looks at this machine.
    pub fn detect(cgroups: CgroupVersion) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cgroups,
            may_raise_limits: has_capability(&read("/proc/self/status"), SYS_RESOURCE),
            swap: read("/proc/swaps").lines().count() > 1,
            open_files: open_files_limit(&read("/proc/self/limits")),
        }
    }

    /// The restrictions that follow.
    pub fn restrictions(self) -> Vec<Restriction> {
        let mut found = Vec::new();
        let mut add = |code: &str, text: String| {
            found.push(Restriction {
                code: code.into(),
                text,
            });
        };
        if !self.may_raise_limits {
            add(
                "oom-score-adj",
                "no CAP_SYS_RESOURCE: negative oom_score_adj and higher limits are refused".into(),
            );
        }
        if self.cgroups.has_old_controllers() {
            add(
                "cgroup-v1",
                "controllers are those of cgroup v1: the kubelet must be told to accept them".into(),
            );
        }
        if self.open_files < 65_536 {
            add(
                "open-files",
                format!("no process may open more than {} files", self.open_files),
            );
        }
        if self.swap {
            add("swap", "swap is on: the kubelet must be told to accept it".into());
        }
        if !Path::new("/lib/modules").is_dir() {
            add(
                "kernel-modules",
                "no /lib/modules: hosts cannot load modules and see what is built in or loaded".into(),
            );
        }
        found
    }
}

fn has_capability(status: &str, bit: u32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> bit & 1 == 1)
}

fn open_files_limit(limits: &str) -> u64 {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1));
    hard.map_or(0, |hard| hard.parse().unwrap_or(u64::MAX))
}

/// A kernel feature: its module, and the file whose presence (and content) proves it.
struct Feature {
    module: &'static str,
    proof: &'static str,
    word: &'static str,
    purpose: &'static str,
}

const FEATURES: [Feature; 5] = [
    Feature {
        module: "overlay",
        proof: "/proc/filesystems",
        word: "overlay",
        purpose: "containers' file systems",
    },
    Feature {
        module: "br_netfilter",
        proof: "/proc/sys/net/bridge",
        word: "",
        purpose: "rules for pods on a bridge",
    },
    Feature {
        module: "nf_conntrack",
        proof: "/proc/sys/net/netfilter/nf_conntrack_count",
        word: "",
        purpose: "service addresses",
    },
    Feature {
        module: "tun",
        proof: "/dev/net/tun",
        word: "",
        purpose: "private channels",
    },
    Feature {
        module: "nf_tables",
        proof: "/proc/net/netfilter",
        word: "",
        purpose: "packet filters",
    },
];

impl Feature {
    fn is_there(&self) -> bool {
        if self.word.is_empty() {
            return Path::new(self.proof).exists();
        }
        fs::read_to_string(self.proof).is_ok_and(|text| text.split_whitespace().any(|word| word == self.word))
    }
}

/// What is not there now, as text for people.
pub(crate) fn missing() -> Vec<String> {
    let missing = FEATURES.iter().filter(|feature| !feature.is_there());
    missing
        .map(|it| format!("{} (for {}; {} is absent)", it.module, it.purpose, it.proof))
        .collect()
}

/// Loads what is missing and returns what stays missing. Loaded modules stay loaded: others may have come to use them.
pub(crate) fn prepare() -> Vec<String> {
    for feature in FEATURES.iter().filter(|feature| !feature.is_there()) {
        // Machines with all built in often have no modprobe; what is there afterwards decides.
        let _ = Call::new("loading a kernel module", "modprobe")
            .args([feature.module])
            .run();
    }
    missing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_mask() {
        assert!(has_capability(
            "Name:\tx\nCapEff:\t000001ffffffffff\n",
            SYS_RESOURCE
        ));
        assert!(!has_capability("CapEff:\t000001fffeffffff\n", SYS_RESOURCE));
        assert!(!has_capability("", SYS_RESOURCE));
    }

    #[test]
    fn limits_are_read_from_the_hard_column() {
        let line = "Max open files            1024                 20000                files     \n";
        assert_eq!(open_files_limit(line), 20_000);
        assert_eq!(open_files_limit("Max open files 1024 unlimited files"), u64::MAX);
    }

    #[test]
    fn a_full_machine_has_no_restriction_of_its_own() {
        let facts = Facts {
            cgroups: CgroupVersion::Unified,
            may_raise_limits: true,
            swap: false,
            open_files: 1 << 20,
        };
        assert!(
            facts
                .restrictions()
                .iter()
                .all(|found| found.code == "kernel-modules")
        );
        let poor = Facts {
            cgroups: CgroupVersion::Hybrid,
            may_raise_limits: false,
            swap: true,
            open_files: 20_000,
        };
        assert!(poor.restrictions().len() >= 4);
    }
}
