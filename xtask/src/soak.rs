//! `cargo xtask soak`: the tests of the engine in their long form, for a night or a weekend. Each part says what it did; the last line
//! counts.

use std::process::{ExitCode, Stdio};

use clap::Args;
use openg2p_lab::Store;

use crate::printer::Printer;
use crate::product;
use crate::test::api_server_programs;

/// The part that needs a real API server.
const API_SERVER: &str = "api_server_kills";

/// Tests by package, with what their long form is.
const PARTS: &[(&str, &str, &str)] = &[
    (
        "openg2p-sim",
        "seeds_of_mixed_faults_converge",
        "lives by seed, a million",
    ),
    (
        "openg2p-sim",
        "boundaries",
        "every effect, also of a site on a bare host",
    ),
    ("openg2p-sim", "kills", "every call of a whole site"),
    ("openg2p-sim", "random_sites", "random edits of a whole site"),
    (
        "openg2p-world",
        "kills::the_engine_killed_on_real_back_ends",
        "kills on real files, Nginx and nftables, two thousand",
    ),
    (
        "openg2p-chart",
        "hostile_values_are",
        "hostile words in the shipped charts, under all their values",
    ),
    (
        "openg2p-world",
        API_SERVER,
        "kills and cut lines on a real API server, fifteen hundred",
    ),
    (
        "openg2p-init",
        "real_servers",
        "kills and cut links on PostgreSQL",
    ),
];

/// `cargo xtask soak`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this
    only: Option<String>,
    /// Number of seeds
    #[arg(long, default_value_t = 1_000_000)]
    seeds: u64,
}

/// Runs one part behind the other: each uses all processors.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let (mut passed, mut failed) = (0, 0);
    for (package, test, what) in PARTS {
        if arguments
            .only
            .as_ref()
            .is_some_and(|only| !test.contains(only.as_str()))
        {
            continue;
        }
        printer.say(&format!("{package}, {test}: {what}"));
        let mut command = product::cargo(
            &checkout,
            &["test", "--quiet", "--package", package, "--test", "it", test],
        );
        command.args(["--", "--nocapture"]);
        if *test == API_SERVER {
            let folder = store.cache().join("logs/soak/programs");
            command
                .arg("--ignored")
                .envs(api_server_programs(store.cache(), &folder)?);
        }
        let status = command
            .env("OPENG2P_SOAK", "1")
            .env("OPENG2P_SEEDS", arguments.seeds.to_string())
            .env("OPENG2P_CACHE", store.cache())
            .stdin(Stdio::null())
            .status()?;
        if status.success() {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    printer.data(&format!("{passed} passed, {failed} failed\n"));
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
