//! The lab's network: one bridge, one subnet, one nftables table that hides the hosts behind the machine's address.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Deserialize;

use crate::command::Call;
use crate::error::{LabError, Result};
use crate::lock::Lock;
use crate::names;
use crate::settings;
use crate::subnet::{self, Subnet};

/// Held while addresses are chosen and shared settings change.
pub(crate) fn lock() -> Result<Lock> {
    Lock::acquire("network", Duration::from_secs(30))
}

/// A free subnet, given the ones that labs have noted already.
pub(crate) fn choose(noted: &[Subnet]) -> Result<Subnet> {
    let routes = Call::new("listing routes", "ip")
        .args(["-4", "-oneline", "route", "show", "table", "all"])
        .output()?;
    let addresses = Call::new("listing addresses", "ip")
        .args(["-4", "-oneline", "address"])
        .output()?;
    let mut used = subnet::networks_in(&routes);
    used.extend(subnet::networks_in(&addresses));
    used.extend(noted);
    subnet::first_free(&used).ok_or(LabError::NoSubnet)
}

/// Makes bridge, translation and forwarding for a lab. The caller holds the lock.
pub(crate) fn up(lab: &str, subnet: Subnet) -> Result<()> {
    let bridge = names::bridge(lab);
    let ip = |arguments: &[&str]| Call::new("making the lab's bridge", "ip").args(arguments).run();
    ip(&[
        "link",
        "add",
        &bridge,
        "type",
        "bridge",
        "stp_state",
        "0",
        "forward_delay",
        "0",
    ])?;
    ip(&["link", "set", &bridge, "alias", &names::bridge_alias(lab)])?;
    ip(&[
        "address",
        "add",
        &format!("{}/{}", subnet.address(1), subnet.bits()),
        "dev",
        &bridge,
    ])?;
    ip(&["link", "set", &bridge, "up"])?;
    Call::new("making the lab's address translation", "nft")
        .args(["-f", "-"])
        .input(ruleset(lab, subnet))
        .run()?;
    open_forwarding(lab, &bridge)?;
    settings::prepare()
}

fn ruleset(lab: &str, subnet: Subnet) -> String {
    let table = names::table(lab);
    // Adding before deleting makes this work whether or not an older table is there, in one transaction.
    format!(
        "add table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n  chain postrouting {{\n    \
         type nat hook postrouting priority srcnat; policy accept;\n    \
         ip saddr {subnet} ip daddr != {subnet} masquerade\n  }}\n}}\n"
    )
}

/// Machines with a container engine or a firewall drop forwarded packets by policy, which no table of ours can undo.
/// There, and only there, two rules go to the front of that chain.
fn open_forwarding(lab: &str, bridge: &str) -> Result<()> {
    if !forwarding_is_refused() {
        return Ok(());
    }
    for direction in ["-i", "-o"] {
        Call::new("letting the lab through the firewall", "iptables")
            .args([
                "-w",
                "5",
                "-I",
                "FORWARD",
                direction,
                bridge,
                "-j",
                "ACCEPT",
                "-m",
                "comment",
                "--comment",
            ])
            .args([names::rule_comment(lab)])
            .run()?;
    }
    Ok(())
}

fn forwarding_is_refused() -> bool {
    // A machine without iptables has no such policy.
    let rules = Call::new("reading the firewall", "iptables")
        .args(["-w", "5", "-S", "FORWARD"])
        .output();
    rules.is_ok_and(|rules| rules.lines().any(|line| line == "-P FORWARD DROP"))
}

/// Removes all of a lab's network by name, whether or not it is complete.
pub(crate) fn down(lab: &str) -> Result<()> {
    let _lock = lock()?;
    let bridge = names::bridge(lab);
    for interface in links()?
        .into_iter()
        .filter(|link| link.master.as_deref() == Some(&bridge) || link.name == bridge)
    {
        let removed = Call::new("removing an interface", "ip")
            .args(["link", "delete", interface.name.as_str()])
            .run();
        // One end of a pair goes with the other, and both with the host that held one.
        if removed.is_err() && links()?.iter().any(|link| link.name == interface.name) {
            removed?;
        }
    }
    let table = names::table(lab);
    if tables()?.contains(&table) {
        Call::new("removing the lab's address translation", "nft")
            .args(["delete", "table", "ip", &table])
            .run()?;
    }
    remove_forward_rules(lab)?;
    if owners()?.is_empty() {
        settings::put_back()?;
    }
    Ok(())
}

fn remove_forward_rules(lab: &str) -> Result<()> {
    for rule in forward_rules(lab) {
        Call::new("removing a firewall rule", "iptables")
            .args(["-w", "5", "-D"])
            .args(rule)
            .run()?;
    }
    Ok(())
}

/// Our rules in the chain that is not ours.
fn forward_rules(lab: &str) -> Vec<Vec<String>> {
    // A machine without iptables has none.
    let rules = Call::new("reading the firewall", "iptables")
        .args(["-w", "5", "-S", "FORWARD"])
        .output();
    rules.map_or_else(
        |_| Vec::new(),
        |rules| rules_with_comment(&rules, &names::rule_comment(lab)),
    )
}

/// The arguments of every `-A` line that bears exactly this comment.
fn rules_with_comment(rules: &str, comment: &str) -> Vec<Vec<String>> {
    rules
        .lines()
        .filter_map(|line| line.strip_prefix("-A "))
        .map(|line| {
            line.split_whitespace()
                .map(|word| word.trim_matches('"').to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|words| {
            words
                .windows(2)
                .any(|pair| pair[0] == "--comment" && pair[1] == comment)
        })
        .collect()
}

/// Names of labs that have a bridge or a table.
pub(crate) fn owners() -> Result<Vec<String>> {
    let links = links()?;
    let bridges = links
        .iter()
        .filter_map(|link| names::lab_of_alias(&link.alias))
        .map(str::to_owned);
    Ok(bridges
        .chain(tables()?.iter().filter_map(|table| names::lab_of_table(table)))
        .collect())
}

/// What is left of a lab's network, for people.
pub(crate) fn leftovers(lab: &str) -> Result<Vec<String>> {
    let bridge = names::bridge(lab);
    let links = links()?
        .into_iter()
        .filter(|link| link.name == bridge)
        .map(|link| format!("interface {}", link.name));
    let table = names::table(lab);
    let tables = tables()?
        .into_iter()
        .filter(|name| *name == table)
        .map(|name| format!("nftables table {name}"));
    let rules = forward_rules(lab)
        .into_iter()
        .map(|rule| format!("firewall rule {}", rule.join(" ")));
    Ok(links.chain(tables).chain(rules).collect())
}

/// One network interface.
#[derive(Debug, Deserialize)]
struct Link {
    #[serde(rename = "ifname")]
    name: String,
    master: Option<String>,
    #[serde(rename = "ifalias", default)]
    alias: String,
}

fn links() -> Result<Vec<Link>> {
    let text = Call::new("listing interfaces", "ip")
        .args(["-json", "link", "show"])
        .output()?;
    serde_json::from_str(&text).map_err(|source| LabError::State {
        path: "ip -json link show".into(),
        source,
    })
}

fn tables() -> Result<Vec<String>> {
    let text = Call::new("listing nftables", "nft")
        .args(["list", "tables", "ip"])
        .output()?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("table ip "))
        .map(|name| name.trim().to_owned())
        .collect())
}

/// The `nameserver` addresses of a resolv.conf that a host can reach.
pub(crate) fn reachable_nameservers(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse::<Ipv4Addr>().ok())
        .filter(|address| !address.is_loopback())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_with_our_very_comment_are_found() {
        let rules = "-P FORWARD DROP\n\
            -A FORWARD -i g2pb0 -m comment --comment openg2p-lab-a -j ACCEPT\n\
            -A FORWARD -o g2pb1 -m comment --comment openg2p-lab-a-b -j ACCEPT\n\
            -A FORWARD -j DOCKER-USER\n\
            -A FORWARD -o g2pb0 -m comment --comment \"openg2p-lab-a\" -j ACCEPT\n";
        let found = rules_with_comment(rules, "openg2p-lab-a");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0][..3], ["FORWARD", "-i", "g2pb0"]);
    }

    #[test]
    fn loopback_nameservers_are_no_use_to_a_host() {
        let text = "# x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver ::1\nsearch a\n";
        assert_eq!(reachable_nameservers(text), [Ipv4Addr::new(192, 0, 2, 53)]);
    }

    #[test]
    fn the_table_translates_only_what_leaves() {
        let rules = ruleset("a-b", "10.213.4.0/24".parse().unwrap());
        assert!(rules.starts_with("add table ip openg2p_lab_a_b\ndelete table ip openg2p_lab_a_b\n"));
        assert!(rules.contains("ip saddr 10.213.4.0/24 ip daddr != 10.213.4.0/24 masquerade"));
    }
}
