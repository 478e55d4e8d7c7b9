//! The adapters beside the simulated world, and the real engine on real files, Nginx, nftables and the Kubernetes API. What the port of the
//! Kubernetes API promises is asked of a real API server too.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares is there, or the test is wrong"
)]
#![expect(
    clippy::print_stderr,
    reason = "how many kills there were, and which promise was looked at, belongs into a test's output"
)]
#![expect(clippy::needless_pass_by_value, reason = "`json!` stands in the calls")]

mod api;
mod api_server;
mod api_server_kills;
mod busy;
mod cluster;
mod cluster_engine;
mod cluster_picture;
mod cluster_site;
mod contract;
mod engine;
mod helm;
mod host;
mod kills;
mod link;
mod lot;
mod node;
mod order;
mod programs;
mod systemd_engine;
mod systemd_kills;
mod systemd_site;

#[test]
fn no_file_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        assert!(
            name == "main" || listed.contains(&format!("mod {name};")),
            "{name} is not part of the tests"
        );
    }
}
