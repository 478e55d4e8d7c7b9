//! Large files stay linear; no clock is asserted, only that ten thousand nodes do not take for ever.

use crate::load;

#[test]
fn a_site_of_many_environments_is_read() {
    let head = "apiVersion: openg2p.org/v1\nsite: {name: a, domain: b.c}\n\
                nodes: [{name: n, address: 192.0.2.1, roles: [lead, server, edge, storage]}]\nenvironments:\n";
    let environments: Vec<String> = (0..2000)
        .map(|number| format!("  e{number}: {{modules: {{spar: {{}}}}}}\n"))
        .collect();
    let text = head.to_owned() + &environments.concat();
    assert_eq!(load("site.yaml", &text).unwrap().site.environments.len(), 2000);
}
