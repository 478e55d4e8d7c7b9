//! What of a lab could be on a machine, as a set of lines: take it before and after, and compare.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use openg2p_lab::{CgroupLayout, Store};

/// Processes of labs, all mounts, cgroups, interfaces, firewall rules, locks, settings, and files where labs have any.
pub(crate) struct Snapshot(BTreeSet<String>);

/// In the command lines of everything that a lab starts.
const PROCESS_WORDS: [&str; 3] = ["systemd-nspawn", "openg2p-lab", "/lab-images/"];

impl Snapshot {
    /// Takes it, leaving out what belongs to labs of other names.
    pub(crate) fn take(store: &Store, own: &[&str]) -> anyhow::Result<Self> {
        let mut lines = BTreeSet::new();
        processes(&mut lines);
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        // Image builds of others mount in the directories for temporary files, where labs have nothing.
        let mounts = mounts
            .lines()
            .filter(|line| !["/tmp/", "/var/tmp/"].iter().any(|place| line.contains(place)));
        lines.extend(mounts.map(|line| format!("mount {line}")));
        for hierarchy in CgroupLayout::detect()?.hierarchies {
            files(&hierarchy.mount, 1, &mut lines, &|path| path.is_dir());
        }
        let addresses = output("ip", &["-oneline", "address"])?;
        // Behind the fourth field come life times that count down.
        let addresses = addresses.lines().map(|line| {
            line.split_whitespace()
                .skip(1)
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        });
        lines.extend(addresses.map(|address| format!("address {address}")));
        let interfaces = output("ip", &["-brief", "link"])?;
        lines.extend(
            interfaces
                .lines()
                .filter_map(|line| line.split('@').next())
                .map(|link| format!("interface {link}")),
        );
        lines.extend(output("nft", &["list", "tables"])?.lines().map(str::to_owned));
        for table in ["filter", "nat", "mangle"] {
            // Not every machine has it.
            let rules = output("iptables", &["-w", "5", "-t", table, "-S"]).unwrap_or_default();
            lines.extend(rules.lines().map(|line| format!("iptables {table} {line}")));
        }
        let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?;
        lines.insert(format!("ip_forward {}", forwarding.trim()));
        let sockets = fs::read_to_string("/proc/net/unix")?;
        let locks = sockets.lines().filter_map(|line| line.split_whitespace().last());
        lines.extend(
            locks
                .filter(|name| name.starts_with("@openg2p-lab"))
                .map(|name| format!("lock {name}")),
        );
        files(&store.cache().join("labs"), 2, &mut lines, &|_| true);
        // Finished images stay: they are the cache.
        files(&store.cache().join("lab-images"), 1, &mut lines, &|path| {
            path.extension().is_some_and(|kind| kind == "partial")
        });
        files(Path::new("/run/systemd/nspawn"), 2, &mut lines, &|path| {
            !["propagate", "locks", "unix-export"]
                .iter()
                .any(|name| path.ends_with(name))
        });
        for directory in ["/run/netns", "/var/lib/machines"] {
            files(Path::new(directory), 1, &mut lines, &|_| true);
        }
        for directory in ["/run", "/run/lock", "/tmp"] {
            let words = ["openg2p-lab", "nspawn", "g2p"];
            files(Path::new(directory), 1, &mut lines, &|path| {
                words.iter().any(|word| path.to_string_lossy().contains(word))
            });
        }
        let foreign = foreign_words(store, own)?;
        lines.retain(|line| !foreign.iter().any(|word| line.contains(word)));
        Ok(Self(lines))
    }

    /// What is here and was not there.
    pub(crate) fn more_than(&self, earlier: &Self) -> Vec<String> {
        self.0.difference(&earlier.0).cloned().collect()
    }
}

fn processes(lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        if !path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        {
            continue;
        }
        // one that is over and whose parent, this very program, has not asked for its status yet
        let state = fs::read_to_string(path.join("stat")).unwrap_or_default();
        if state
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z'))
        {
            continue;
        }
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        let group = groups.lines().find(|line| line.contains("openg2p-lab."));
        if group.is_some() || PROCESS_WORDS.iter().any(|word| command.contains(word)) {
            lines.insert(format!(
                "process {} {command} {}",
                path.display(),
                group.unwrap_or_default()
            ));
        }
    }
}

fn files(directory: &Path, depth: u32, lines: &mut BTreeSet<String>, wanted: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if wanted(&path) {
            lines.insert(format!("file {}", path.display()));
        }
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, depth - 1, lines, wanted);
        }
    }
}

/// Words that stand in every trace of labs that are not ours.
fn foreign_words(store: &Store, own: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    for lab in openg2p_lab::list(store)?
        .into_iter()
        .filter(|lab| !own.contains(&lab.name.as_str()))
    {
        words.push(format!("openg2p-lab.{}.", lab.name));
        words.push(format!("labs/{}", lab.name));
        words.push(format!("openg2p-lab/lab {}", lab.name));
        let Some(state) = lab.state else { continue };
        words.extend([state.bridge, state.table]);
        words.extend(state.hosts.into_iter().map(|host| host.machine));
    }
    Ok(words)
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("starting {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
