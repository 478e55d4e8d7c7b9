//! Rendering, process beside process: `openg2p chart template` and `helm template` on our largest chart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Figure;
use crate::helm::Helm;
use crate::runner::Runner;

/// How often each program renders; they take turns, so that a busy moment hits both.
const ROUNDS: usize = 61;

/// A chart with values.
struct Subject {
    chart: PathBuf,
    values: PathBuf,
    manifest: Vec<u8>,
}

/// The figures of rendering.
pub(super) fn measure(
    runner: &Runner<'_>,
    checkout: &Path,
    helm: &Helm,
    binary: &Path,
) -> anyhow::Result<Vec<Figure>> {
    runner.step("render charts beside Helm", Duration::from_mins(1), || {
        let subject = largest(checkout, helm)?;
        let ours = || command(binary, &["chart", "template"], &subject);
        let theirs = || command(&helm.program, &["template"], &subject);
        let output = ours().output().context("openg2p could not be started")?;
        ensure!(
            output.stdout == subject.manifest,
            "openg2p and Helm print different objects of {}",
            subject.chart.display()
        );
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_times.push(timed(ours())?);
            their_times.push(timed(theirs())?);
        }
        let (our_time, their_time) = (super::median(&mut our_times), super::median(&mut their_times));
        let (our_memory, their_memory) = (peak(ours())?, peak(theirs())?);
        let name = subject.chart.file_name().unwrap_or_default().to_string_lossy();
        let objects = String::from_utf8_lossy(&subject.manifest)
            .matches("\napiVersion: ")
            .count();
        let figure = |what: String, measured: String, target: &str| Figure {
            what,
            measured,
            target: target.to_owned(),
        };
        Ok(vec![
            figure(
                format!("render {name} ({objects} objects), openg2p"),
                format!("{:.1} ms", our_time.as_secs_f64() * 1e3),
                "",
            ),
            figure(
                format!("render {name}, helm"),
                format!("{:.1} ms", their_time.as_secs_f64() * 1e3),
                "",
            ),
            figure(
                "times faster".to_owned(),
                format!("{:.1}", their_time.as_secs_f64() / our_time.as_secs_f64()),
                "at least 10",
            ),
            figure(
                "memory of openg2p".to_owned(),
                format!("{our_memory} MiB"),
                "under 150 MiB",
            ),
            figure("memory of helm".to_owned(), format!("{their_memory} MiB"), ""),
        ])
    })
}

fn command(program: &Path, verb: &[&str], subject: &Subject) -> Command {
    let mut command = Command::new(program);
    command
        .args(verb)
        .args(["release"])
        .arg(&subject.chart)
        .args(["--namespace", "dev", "--values"])
        .arg(&subject.values)
        .stdin(Stdio::null());
    command
}

/// The chart, with the values among its own, of which Helm makes the longest text.
fn largest(checkout: &Path, helm: &Helm) -> anyhow::Result<Subject> {
    let mut largest: Option<Subject> = None;
    for chart in fs::read_dir(checkout.join("charts"))? {
        let chart = chart?.path();
        let Ok(sets) = fs::read_dir(chart.join("ci")) else {
            continue;
        };
        for values in sets {
            let mut subject = Subject {
                chart: chart.clone(),
                values: values?.path(),
                manifest: Vec::new(),
            };
            let output = command(&helm.program, &["template"], &subject)
                .output()
                .context("helm could not be started")?;
            subject.manifest = output.stdout;
            if largest
                .as_ref()
                .is_none_or(|largest| largest.manifest.len() < subject.manifest.len())
            {
                largest = Some(subject);
            }
        }
    }
    largest.context("there is no chart with values of its own below charts/")
}

fn timed(mut command: Command) -> anyhow::Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let took = start.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took)
}

/// The most memory that a process held, in MiB, as the kernel counts it; read until the process ends.
fn peak(mut command: Command) -> anyhow::Result<u64> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        if child.try_wait()?.is_some() {
            return Ok(peak.div_ceil(1024));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
