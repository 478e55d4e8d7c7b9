//! `cargo xtask soak-charts`: the tests of the chart crate that never end, for as long as somebody waits.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use openg2p_lab::Store;

use crate::helm;
use crate::printer::Printer;
use crate::product::{self, cargo};
use crate::runner::Runner;

/// The fuzz targets, as `crates/chart/fuzz` names them.
const TARGETS: [&str; 3] = ["loader", "template", "values"];
/// More memory than this for one input is a finding.
const MEMORY_MIB: u32 = 2_048;
/// More time than this for one input is a finding.
const SECONDS: u32 = 30;
/// What makes LLVM tell libFuzzer which code an input reaches; as `cargo fuzz` sets it, and a stable compiler takes it.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// `cargo xtask soak-charts`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How long, without builds: half for random charts beside Helm, half for the fuzz targets
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Seed of the random charts, instead of one from the time
    #[arg(long)]
    seed: Option<u64>,
    /// Random charts beside Helm only
    #[arg(long)]
    no_fuzz: bool,
}

/// Compares, then fuzzes. What differs is kept as a fixture, what crashes as a file that is named.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let logs = store.cache().join("logs").join("soak-charts");
    let runner = Runner::new(printer, store.cache(), logs)?;
    let half = Duration::from_secs(arguments.minutes * 30);
    let compared = compare(arguments, half, &runner, &checkout, store.cache());
    if let Err(error) = &compared {
        printer.error(error);
    }
    if !arguments.no_fuzz {
        let each = half / u32::try_from(TARGETS.len()).unwrap_or(1);
        fuzz(each, &runner, &checkout, store.cache())?;
    }
    Ok(if compared.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn compare(
    arguments: &Arguments,
    time: Duration,
    runner: &Runner<'_>,
    checkout: &Path,
    cache: &Path,
) -> anyhow::Result<()> {
    let helm = helm::build(runner, checkout, cache)?;
    let seed = arguments
        .seed
        .unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    let found = checkout.join("crates/chart/tests/fixtures/found");
    let mut command = cargo(
        checkout,
        &[
            "test",
            "--workspace",
            "--test",
            "it",
            "--",
            "--ignored",
            "--show-output",
            "random_charts",
        ],
    );
    helm.name(&mut command);
    command
        .env("CHART_CASES", u64::MAX.to_string())
        .env("CHART_SECONDS", time.as_secs().to_string())
        .env("CHART_SEED", seed.to_string())
        .env("CHART_KEEP", &found);
    let ran = runner.step(
        &format!("random charts beside Helm, seed {seed}"),
        time + Duration::from_mins(2),
        || runner.run("soak", command),
    )?;
    for line in ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("counted: "))
    {
        runner.printer.say(line);
    }
    if ran.code != Some(0) {
        bail!(
            "there are differences, kept below {}:\n{}",
            found.display(),
            ran.tail()
        );
    }
    Ok(())
}

fn fuzz(time: Duration, runner: &Runner<'_>, checkout: &Path, cache: &Path) -> anyhow::Result<()> {
    const PLATFORM: &str = "x86_64-unknown-linux-gnu";
    let folder = checkout.join("crates/chart/fuzz");
    let built = cache.join("fuzz/target");
    // With a platform named, build scripts and macros are built without the flags.
    let mut command = cargo(&folder, &["build", "--release", "--target", PLATFORM]);
    command.env("CARGO_TARGET_DIR", &built).env(
        "RUSTFLAGS",
        FLAGS.split_whitespace().collect::<Vec<_>>().join(" "),
    );
    runner.step("build the fuzz targets", Duration::from_mins(4), || {
        runner.run("build-fuzz", command)?.expect(0)?;
        Ok(())
    })?;
    let mut found = Vec::new();
    for target in TARGETS {
        let (corpus, artifacts) = (
            cache.join("fuzz/corpus").join(target),
            cache.join("fuzz/found").join(target),
        );
        for path in [&corpus, &artifacts] {
            fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
        }
        let mut command = Command::new(built.join(PLATFORM).join("release").join(target));
        command
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-timeout={SECONDS}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(&corpus)
            .arg(folder.join("corpus").join(target));
        let ran = runner.step(&format!("fuzz target {target}"), time, || {
            runner.run(&format!("fuzz-{target}"), command)
        })?;
        if ran.code != Some(0) {
            found.push(format!("{target}: see {}\n{}", artifacts.display(), ran.tail()));
        }
    }
    if !found.is_empty() {
        bail!("inputs that break something:\n{}", found.join("\n"));
    }
    Ok(())
}
