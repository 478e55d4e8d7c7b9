//! The program against real PostgreSQL servers: every installation that is found (Debian's, and the one that
//! `tests/fetch-postgresql.sh` puts into the cache), every scenario.

// A test says what it needs by panicking, and tells its progress on standard output.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
// `PostgreSQL` is a name, not code.
#![allow(clippy::doc_markdown)]

mod links;
mod model;
mod program;
mod provision;
mod remove;
mod server;
mod wait;

use std::panic::{AssertUnwindSafe, catch_unwind};

use server::Server;

type Scenario = (&'static str, fn(&Server));

#[test]
fn real_servers() {
    let installations = server::installations();
    assert!(
        !installations.is_empty(),
        "no PostgreSQL to test with: install the package postgresql-15 (or newer), or run tests/fetch-postgresql.sh"
    );
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut failed = Vec::new();
    for programs in installations {
        let server = Server::start(&programs);
        for (name, scenario) in [
            provision::SCENARIOS,
            remove::SCENARIOS,
            wait::SCENARIOS,
            model::SCENARIOS,
            links::SCENARIOS,
        ]
        .concat()
        {
            if !name.contains(&only) {
                continue;
            }
            let began = std::time::Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| scenario(&server)));
            let verdict = if result.is_ok() { "ok" } else { "FAILED" };
            println!(
                "PostgreSQL {} {name} ... {verdict} ({:.1?})",
                server.version,
                began.elapsed()
            );
            if result.is_err() {
                failed.push(format!("PostgreSQL {} {name}", server.version));
            }
        }
        let log = server.log();
        for secret in ["module-secret", server::PROVISIONER.1] {
            let leaks: Vec<&str> = log
                .lines()
                .filter(|line| {
                    line.contains(secret) && !line.contains("create role openg2p_provisioner login")
                })
                .collect();
            assert!(
                leaks.is_empty(),
                "the server got to see a clear password: {leaks:?}"
            );
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}
