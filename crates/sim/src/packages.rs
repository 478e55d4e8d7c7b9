//! Debian packages: what they need, which programs and units they bring.

use std::collections::BTreeSet;

use crate::things::Machine;

struct Known {
    name: &'static str,
    needs: &'static [&'static str],
    programs: &'static [&'static str],
    /// A unit whose daemon the package starts at its installation, with its program.
    daemon: Option<(&'static str, &'static str)>,
}

const KNOWN: &[Known] = &[
    Known {
        name: "conntrack",
        needs: &["libnetfilter-conntrack3"],
        programs: &["/usr/sbin/conntrack"],
        daemon: None,
    },
    Known {
        name: "containerd",
        needs: &["runc"],
        programs: &["/usr/bin/containerd", "/usr/bin/ctr"],
        daemon: Some(("containerd.service", "/usr/bin/containerd")),
    },
    Known {
        name: "containernetworking-plugins",
        needs: &[],
        programs: &["/usr/lib/cni/bridge"],
        daemon: None,
    },
    Known {
        name: "ethtool",
        needs: &[],
        programs: &["/usr/sbin/ethtool"],
        daemon: None,
    },
    Known {
        name: "iproute2",
        needs: &[],
        programs: &["/usr/bin/ip"],
        daemon: None,
    },
    Known {
        name: "ipset",
        needs: &["libipset13"],
        programs: &["/usr/sbin/ipset"],
        daemon: None,
    },
    Known {
        name: "iptables",
        needs: &["libip4tc2"],
        programs: &[
            "/usr/sbin/iptables",
            "/usr/sbin/ip6tables",
            "/usr/sbin/iptables-save",
            "/usr/sbin/ip6tables-save",
        ],
        daemon: None,
    },
    Known {
        name: "kmod",
        needs: &[],
        programs: &["/usr/sbin/modprobe"],
        daemon: None,
    },
    Known {
        name: "nftables",
        needs: &[],
        programs: &["/usr/sbin/nft"],
        daemon: None,
    },
    Known {
        name: "nginx",
        needs: &["nginx-common"],
        programs: &["/usr/sbin/nginx"],
        daemon: Some(("nginx.service", "/usr/sbin/nginx")),
    },
    Known {
        name: "nginx-common",
        needs: &[],
        programs: &["/etc/nginx/mime.types"],
        daemon: None,
    },
    Known {
        name: "runc",
        needs: &[],
        programs: &["/usr/bin/runc"],
        daemon: None,
    },
    Known {
        name: "socat",
        needs: &[],
        programs: &["/usr/bin/socat"],
        daemon: None,
    },
];

fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

impl Machine {
    /// Names that an installation of `wanted` would add, needs first.
    pub(crate) fn packages_to_add(&self, wanted: &[(String, String)]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, _) in wanted {
            for need in known(name).map_or(&[][..], |known| known.needs) {
                found.push((*need).to_owned());
            }
            found.push(name.clone());
        }
        let mut seen = BTreeSet::new();
        found.retain(|name| !self.packages.contains_key(name) && seen.insert(name.clone()));
        found
    }

    /// Installs; `most` limits how many packages come in before the run is cut off.
    pub(crate) fn install(&mut self, wanted: &[(String, String)], most: usize) -> Vec<String> {
        let new = self.packages_to_add(wanted);
        for name in new.iter().take(most) {
            let version = wanted
                .iter()
                .find(|(wanted, _)| wanted == name)
                .map_or("1.0-1", |(_, version)| version.as_str());
            self.unpack(name, version);
        }
        new
    }

    /// Puts one package in place as dpkg does, and starts its daemon unless its unit is masked.
    pub(crate) fn unpack(&mut self, name: &str, version: &str) {
        self.packages.insert(name.into(), version.into());
        let Some(known) = known(name) else { return };
        for program in known.programs {
            self.files.put(program, format!("{name} {version}\n"));
        }
        if let Some((unit, program)) = known.daemon {
            let text =
                format!("[Unit]\n[Service]\nExecStart={program}\n[Install]\nWantedBy=multi-user.target\n");
            self.files.put(&format!("/usr/lib/systemd/system/{unit}"), text);
            if !self.is_masked(unit) {
                // deb-systemd-helper: what cannot start does not fail the installation of these packages
                let _ = self.enable(unit);
                let _ = self.start(unit);
            }
        }
    }

    /// Somebody installs a package: for setting a scene.
    pub fn apt_install(&mut self, name: &str) {
        self.install(&[(name.to_owned(), "0.9-1".to_owned())], usize::MAX);
    }

    /// Somebody purges a package: for setting a scene.
    pub fn apt_purge(&mut self, name: &str) {
        self.purge(&[name.to_owned()]);
    }

    /// Purges `names` and, as apt does, every installed package that cannot be without them.
    pub(crate) fn purge(&mut self, names: &[String]) {
        let mut gone: BTreeSet<String> = names
            .iter()
            .filter(|name| self.packages.contains_key(*name))
            .cloned()
            .collect();
        loop {
            let more: Vec<String> = self
                .packages
                .keys()
                .filter(|name| {
                    !gone.contains(*name) && self.needs_of(name).iter().any(|need| gone.contains(need))
                })
                .cloned()
                .collect();
            if more.is_empty() {
                break;
            }
            gone.extend(more);
        }
        for name in gone {
            self.packages.remove(&name);
            self.foreign_needs.remove(&name);
            let Some(known) = known(&name) else { continue };
            if let Some((unit, _)) = known.daemon {
                self.stop(unit);
                let _ = self.disable(unit);
                let _ = self.files.remove(&format!("/usr/lib/systemd/system/{unit}"));
            }
            for program in known.programs {
                let _ = self.files.remove(program);
            }
            for folder in ["/etc/nginx", "/usr/lib/cni"] {
                if self.files.list(folder).is_empty() {
                    self.files.erase(folder);
                }
            }
        }
    }

    fn needs_of(&self, name: &str) -> Vec<String> {
        let own = known(name)
            .map_or(&[][..], |known| known.needs)
            .iter()
            .map(|need| (*need).to_owned());
        own.chain(self.foreign_needs.get(name).into_iter().flatten().cloned())
            .collect()
    }
}
