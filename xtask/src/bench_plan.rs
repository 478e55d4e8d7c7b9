//! How long planning takes, printed beside its target.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::product::{cargo, checkout};

/// Builds the figures' program in the development profile and runs it. It prints; nothing is asserted.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let arguments = [
        "run",
        "--quiet",
        "--package",
        "openg2p-run",
        "--example",
        "bench_plan",
    ];
    let status = cargo(&checkout()?, &arguments)
        .status()
        .context("cargo cannot be run")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
