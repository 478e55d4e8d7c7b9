//! What a site file must say about hosts of a lab.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::kernel::Facts;
use crate::state::LabState;

/// The host overrides that hosts on this machine need, in the form of the site file. Only what the machine demands
/// stands in them; the product's own defaults know nothing of labs.
pub fn host_overrides(facts: Facts) -> Value {
    let mut kubelet = Map::new();
    let mut ignored = Vec::new();
    if facts.cgroups.has_old_controllers() {
        kubelet.insert("cgroupDriver".into(), json!("cgroupfs"));
        kubelet.insert("failCgroupV1".into(), json!(false));
    }
    if facts.swap {
        kubelet.insert("failSwapOn".into(), json!(false));
        ignored.push("Swap");
    }
    // It looks for the kernel's configuration and modules, which belong to the machine around the host.
    ignored.push("SystemVerification");
    let mut overrides = Map::new();
    if !facts.may_raise_limits {
        overrides.insert("restrictOomScoreAdj".into(), json!(true));
    }
    if !kubelet.is_empty() {
        overrides.insert("kubelet".into(), kubelet.into());
    }
    // The limit of tracked connections belongs to the machine: a host's network namespace cannot set it.
    overrides.insert(
        "kubeProxy".into(),
        json!({"conntrack": {"maxPerCore": 0, "min": 0}}),
    );
    overrides.insert("ignorePreflightErrors".into(), json!(ignored));
    overrides.into()
}

/// A whole site file for a lab: the first host is everything, further ones carry work.
pub fn site_file(lab: &LabState, domain: &str, overrides: &Value) -> String {
    let mut text = format!(
        "apiVersion: openg2p.org/v1\nsite: {{name: {}, domain: {domain}, profile: small}}\nnodes:\n",
        lab.name
    );
    for (number, host) in lab.hosts.iter().enumerate() {
        let roles = if number == 0 {
            "lead, server, edge, storage"
        } else {
            "agent, storage"
        };
        // Writing into a String cannot fail. JSON is YAML.
        let _ = writeln!(
            text,
            "  - name: {}\n    address: {}\n    roles: [{roles}]\n    ssh: {{user: root, port: 22, hostKey: \"{}\"}}\n    \
             host: {overrides}",
            host.name, host.address, host.host_key
        );
    }
    text + "kubernetes: {provider: kubeadm}\n\
            edge: {certificates: {localAuthority: {}}}\n\
            environments:\n  \
              dev:\n    \
                profile: sandbox\n    \
                access: private\n    \
                commons: {postgresql: {}, redis: {}}\n    \
                modules: {spar: {}, g2p-bridge: {}, example-bank: {}}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupVersion;

    #[test]
    fn a_machine_without_limits_needs_almost_nothing() {
        let facts = Facts {
            cgroups: CgroupVersion::Unified,
            may_raise_limits: true,
            swap: false,
            open_files: 1 << 20,
        };
        let expected = json!({
            "kubeProxy": {"conntrack": {"maxPerCore": 0, "min": 0}},
            "ignorePreflightErrors": ["SystemVerification"],
        });
        assert_eq!(host_overrides(facts), expected);
    }

    #[test]
    fn old_cgroups_and_missing_rights_show() {
        let facts = Facts {
            cgroups: CgroupVersion::Hybrid,
            may_raise_limits: false,
            swap: true,
            open_files: 20_000,
        };
        let overrides = host_overrides(facts);
        assert_eq!(overrides["restrictOomScoreAdj"], true);
        assert_eq!(
            overrides["kubelet"],
            json!({"cgroupDriver": "cgroupfs", "failCgroupV1": false, "failSwapOn": false})
        );
        assert_eq!(
            overrides["ignorePreflightErrors"],
            json!(["Swap", "SystemVerification"])
        );
    }
}
