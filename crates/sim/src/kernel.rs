//! What lives in the kernel: settings, modules, network tables.

use std::collections::{BTreeMap, BTreeSet};

/// The kernel of the simulated host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Settings by dotted name.
    pub settings: BTreeMap<String, String>,
    /// Loaded modules.
    pub modules: BTreeSet<String>,
    /// Tables of nftables, `family name`.
    pub tables: BTreeSet<String>,
    /// Network links.
    pub links: BTreeSet<String>,
    /// Control groups below /sys/fs/cgroup that hold no process.
    pub groups: BTreeSet<String>,
    /// Sets of ipset.
    pub sets: BTreeSet<String>,
    /// Rules of iptables by `tool table` and chain.
    pub chains: BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>>,
}

impl Kernel {
    /// What Debian's kernel has after a boot.
    pub(crate) fn booted() -> Self {
        let settings = [
            ("net.ipv4.ip_forward", "0"),
            ("fs.inotify.max_user_instances", "128"),
            ("vm.swappiness", "60"),
        ];
        Self {
            settings: settings
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            links: ["lo", "eth0"].map(str::to_owned).into(),
            ..Self::default()
        }
    }

    /// The content of a file below /proc that shows the kernel; none for paths that are not there.
    pub(crate) fn proc(&self, path: &str) -> Option<String> {
        if path == "/proc/filesystems" {
            let overlay = if self.modules.contains("overlay") {
                "nodev\toverlay\n"
            } else {
                ""
            };
            return Some(format!("nodev\tproc\nnodev\ttmpfs\n\text4\n{overlay}"));
        }
        let name = path.strip_prefix("/proc/sys/")?.replace('/', ".");
        self.settings.get(&name).map(|value| format!("{value}\n"))
    }

    /// True for a directory below /proc/sys.
    pub(crate) fn proc_directory(&self, path: &str) -> bool {
        let Some(name) = path.strip_prefix("/proc/sys/") else {
            return false;
        };
        let prefix = format!("{}.", name.replace('/', "."));
        self.settings.keys().any(|name| name.starts_with(&prefix))
    }

    pub(crate) fn load(&mut self, module: &str) -> Result<(), String> {
        match module {
            "overlay" => {}
            "br_netfilter" => {
                for name in ["iptables", "ip6tables", "arptables"] {
                    let name = format!("net.bridge.bridge-nf-call-{name}");
                    // the kernel's default once the module is there
                    self.settings.entry(name).or_insert_with(|| "1".into());
                }
            }
            other => {
                return Err(format!(
                    "modprobe: FATAL: Module {other} not found in directory /lib/modules"
                ));
            }
        }
        self.modules.insert(module.into());
        Ok(())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match self.settings.get_mut(name) {
            Some(old) => {
                value.clone_into(old);
                Ok(())
            }
            None => Err(format!(
                "sysctl: cannot stat /proc/sys/{}: No such file or directory",
                name.replace('.', "/")
            )),
        }
    }

    /// iptables keeps its chains in tables of nftables.
    fn behind(family: &str, name: &str) -> String {
        format!(
            "{} {name}",
            if family == "ip6" { "ip6tables" } else { "iptables" }
        )
    }

    pub(crate) fn delete_table(&mut self, family: &str, name: &str) -> bool {
        if family != "inet" {
            self.chains.remove(&Self::behind(family, name));
        }
        self.tables.remove(&format!("{family} {name}"))
    }

    /// As `nft list table`.
    pub(crate) fn show_table(&self, family: &str, name: &str) -> Option<String> {
        if !self.tables.contains(&format!("{family} {name}")) {
            return None;
        }
        let mut text = format!("table {family} {name} {{\n");
        match self.chains.get(&Self::behind(family, name)) {
            Some(chains) => {
                for (chain, rules) in chains {
                    text.push_str(&format!(
                        "\tchain {chain} {{\n\t\ttype filter hook input priority filter; policy accept;\n"
                    ));
                    text.extend(rules.iter().map(|rule| format!("\t\t{}\n", rule.join(" "))));
                    text.push_str("\t}\n");
                }
            }
            None => text.push_str("\tchain rules {\n\t\tcounter packets 0 bytes 0\n\t}\n"),
        }
        text.push_str("}\n");
        Some(text)
    }

    /// As `iptables-save` prints it.
    pub(crate) fn saved(&self, tool: &str) -> String {
        let mut text = String::new();
        for (key, chains) in &self.chains {
            let Some(table) = key.strip_prefix(tool).and_then(|rest| rest.strip_prefix(' ')) else {
                continue;
            };
            text.push_str(&format!("*{table}\n"));
            for chain in chains.keys() {
                let policy = if chain.chars().all(|letter| letter.is_ascii_uppercase()) {
                    "ACCEPT"
                } else {
                    "-"
                };
                text.push_str(&format!(":{chain} {policy} [0:0]\n"));
            }
            for (chain, rules) in chains {
                for rule in rules {
                    let words: Vec<String> = rule
                        .iter()
                        .map(|word| {
                            if word.contains(' ') {
                                format!("\"{word}\"")
                            } else {
                                word.clone()
                            }
                        })
                        .collect();
                    text.push_str(&format!("-A {chain} {}\n", words.join(" ")));
                }
            }
            text.push_str("COMMIT\n");
        }
        text
    }

    /// `-t TABLE -D|-F|-X CHAIN [RULE]`.
    pub(crate) fn change_rules(&mut self, tool: &str, words: &[String]) -> Result<(), String> {
        let [flag, table, action, chain, rule @ ..] = words else {
            return Err("bad argument".into());
        };
        let chains = self.chains.get_mut(&format!("{tool} {table}"));
        let (Some(chains), "-t") = (chains, flag.as_str()) else {
            return Err("can't initialize table".into());
        };
        let missing = "No chain/target/match by that name.".to_owned();
        match action.as_str() {
            "-D" => {
                let rules = chains.get_mut(chain).ok_or_else(|| missing.clone())?;
                let at = rules
                    .iter()
                    .position(|known| known == rule)
                    .ok_or("Bad rule (does a matching rule exist?).")?;
                rules.remove(at);
            }
            "-F" => chains.get_mut(chain).ok_or(missing)?.clear(),
            "-X" => {
                let used = chains.values().flatten().any(|rule| rule.contains(chain));
                if used || !chains.get(chain).ok_or(missing)?.is_empty() {
                    return Err("CHAIN_USER_DEL failed (Device or resource busy)".into());
                }
                chains.remove(chain);
            }
            other => return Err(format!("unknown option {other}")),
        }
        Ok(())
    }
}
