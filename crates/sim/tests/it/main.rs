//! Real kinds and the real executor on the simulated world.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares is there, or the test is wrong"
)]
#![expect(
    clippy::print_stderr,
    reason = "how many kills there were belongs into a test's output"
)]

mod boundaries;
mod contract;
mod definitions;
mod doctor;
mod drift;
mod host_ports;
mod kept_ledger;
mod kills;
mod ledger_copy;
mod operator;
mod pack;
mod random_sites;
mod removals;
mod reruns;
mod runs;
mod seeds;
mod small;
mod status;
#[path = "../stories.rs"]
mod stories;
mod teardown;
mod teardown_reports;
mod tiny;
mod unfinished;
mod whole;

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
