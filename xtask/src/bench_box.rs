//! `cargo xtask bench-box`: the figures that a box must reach, measured here, each beside its target. Nothing is asserted: a busy
//! machine is no fault of the product.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use openg2p_lab::{LabError, LabState, Store};
use serde_json::Value;

use crate::machine::{self, Purpose};
use crate::printer::Printer;
use crate::product::{self, Site};
use crate::runner::Runner;

const LAB: &str = "bench";
/// How long an environment is left alone before its memory is read.
const REST: Duration = Duration::from_secs(45);
/// Where the host notes the engine's peak.
const PEAK: &str = "/run/bench-box-peak";

/// One line of the table.
struct Figure {
    what: &'static str,
    measured: String,
    target: &'static str,
}

/// Measures one installation from bare to bare.
pub(crate) fn run(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let checkout = product::checkout()?;
    let logs = store.cache().join("logs").join("bench");
    let runner = Runner::new(printer, store.cache(), logs.clone())?;
    machine::look(&runner, store.cache(), Purpose::Box)?;
    machine::install(&runner, Purpose::Box)?;
    down(store, printer)?;
    let work = logs.join("work");
    let binary = product::build(&runner, &checkout, &work)?;
    let bundle = product::bundle_directory(store.cache(), LAB);
    product::fill_bundle(&runner, &checkout, &binary, &bundle, false)?;
    let again = product::fill_bundle(&runner, &checkout, &binary, &bundle, false)?;
    let cloned = in_a_clone(&runner, &checkout, &binary, &bundle, &work.join("clone"))?;
    let lab = product::lab_up(&runner, store, LAB)?;
    let site = Site {
        binary,
        bundle,
        directory: work,
        lab,
    };
    let figures = measure(&runner, &site, again.took, cloned);
    down(store, printer)?;
    let figures = figures?;
    printer.data(&table(&figures));
    Ok(ExitCode::SUCCESS)
}

fn down(store: &Store, printer: &Printer) -> anyhow::Result<()> {
    match openg2p_lab::down(store, LAB, printer) {
        Ok(()) | Err(LabError::Unknown { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How long the same bundle takes from a fresh clone, whose files have other times and another place.
fn in_a_clone(
    runner: &Runner<'_>,
    checkout: &Path,
    binary: &Path,
    bundle: &Path,
    clone: &Path,
) -> anyhow::Result<Duration> {
    if clone.exists() {
        fs::remove_dir_all(clone).with_context(|| format!("removing {}", clone.display()))?;
    }
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--depth", "1"])
        .arg(format!("file://{}", checkout.display()))
        .arg(clone);
    runner.run("clone", git)?.expect(0)?;
    let ran = product::fill_bundle(runner, clone, binary, bundle, false)?;
    fs::remove_dir_all(clone).with_context(|| format!("removing {}", clone.display()))?;
    Ok(ran.took)
}

fn measure(
    runner: &Runner<'_>,
    site: &Site,
    bundle: Duration,
    cloned: Duration,
) -> anyhow::Result<Vec<Figure>> {
    fs::write(site.directory.join("site.yaml"), product::site_file(&site.lab)?)?;
    let boot = Duration::from_millis(site.host()?.boot_milliseconds.unwrap_or_default());
    let mut watcher = watch_engine(site)?;
    let started = clock(site)?;
    let start = Instant::now();
    timed(runner, site, "apply", &["apply", "--yes"], Duration::from_mins(4))?;
    let applied = start.elapsed();
    timed(runner, site, "verify", &["verify", "dev"], Duration::from_mins(1))?;
    let verified = start.elapsed();
    let ready = (node_ready(site)? - started).max(0.0);
    let peaks = end_watch(site, &mut watcher);
    let second = timed(
        runner,
        site,
        "second apply",
        &["apply", "--yes"],
        Duration::from_secs(5),
    )?;
    runner.step("let the environment rest", REST, || {
        wait(runner, REST);
        Ok(())
    })?;
    let memory = memory(&site.lab)?;
    let destroy = timed(
        runner,
        site,
        "destroy environment",
        &["destroy", "--env", "dev", "--confirm", "dev"],
        Duration::from_mins(1),
    )?;
    let whole = timed(
        runner,
        site,
        "destroy site",
        &["destroy", "--confirm", LAB],
        Duration::from_mins(1),
    )?;
    let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
    let figure = |what, measured, target| Figure {
        what,
        measured,
        target,
    };
    let mut figures = vec![
        figure("bundle create with nothing changed", seconds(bundle), "5 s"),
        figure("  the same from a fresh clone", seconds(cloned), "5 s"),
        figure("host boot to SSH", seconds(boot), "10 s"),
        figure("bare host to node Ready", format!("{ready:.1} s"), "60 s"),
        figure(
            "node Ready to verified environment",
            format!("{:.1} s", verified.as_secs_f64() - ready),
            "240 s",
        ),
        figure("  of it, the whole apply from its start", seconds(applied), ""),
        figure("second apply with nothing to do", seconds(second), "3 s"),
        figure("destroy of the environment", seconds(destroy), "60 s"),
        figure("destroy of the rest", seconds(whole), ""),
        figure(
            "memory of the whole host at rest",
            mebibytes(memory.working),
            "4096 MiB",
        ),
        figure(
            "  with files that the kernel keeps in memory",
            mebibytes(memory.all),
            "",
        ),
    ];
    figures.extend(
        peaks
            .into_iter()
            .map(|(what, peak)| figure(what, peak, "100 MiB")),
    );
    Ok(figures)
}

fn timed(
    runner: &Runner<'_>,
    site: &Site,
    name: &str,
    arguments: &[&str],
    guess: Duration,
) -> anyhow::Result<Duration> {
    if runner.interrupt.wished() {
        bail!("stopped");
    }
    let ran = runner.step(&format!("bench: {name}"), guess, || {
        let ran = runner.run(&name.replace(' ', "-"), site.command(arguments))?;
        ran.expect(0)?;
        Ok(ran)
    })?;
    Ok(ran.took)
}

fn wait(runner: &Runner<'_>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end && !runner.interrupt.wished() {
        thread::sleep(Duration::from_millis(200));
    }
}

/// The host's clock, seconds since 1970; Kubernetes writes its times by it.
fn clock(site: &Site) -> anyhow::Result<f64> {
    Ok(site.on_host("date +%s.%N")?.trim().parse()?)
}

/// When the node became Ready; Kubernetes notes whole seconds.
fn node_ready(site: &Site) -> anyhow::Result<f64> {
    let text = site.kubectl("get nodes -o json")?;
    let nodes: Value = serde_json::from_str(&text)?;
    let conditions = nodes["items"][0]["status"]["conditions"]
        .as_array()
        .context("the node has no conditions")?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    let time = ready.and_then(|ready| ready["lastTransitionTime"].as_str());
    let time: jiff::Timestamp = time.context("the node was never Ready")?.parse()?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century fit")]
    Ok(time.as_second() as f64)
}

/// What our program does on the host, as its arguments say.
const ROLES: [(&str, &str); 2] = [
    ("engine", "peak memory of the engine"),
    ("agent", "peak memory of the agent (plans, takes the bundle)"),
];

/// Notes the peaks of our processes on the host, four times a second. The kernel keeps each process's own peak, so only what a
/// process takes in its last quarter of a second is missed. A peak has the
/// program's file too, as far as it was read.
fn watch_engine(site: &Site) -> anyhow::Result<Child> {
    let script = format!(
        "mkdir -p {PEAK}; while :; do for process in $(grep -lsa '^/var/lib/openg2p/bin/' /proc/[0-9]*/cmdline); do \
         process=${{process%/cmdline}}; role=$(tr '\\0' ' ' < $process/cmdline | cut -d ' ' -f 2); \
         now=$(awk '/^VmHWM/ {{ print $2 }}' $process/status 2>/dev/null); old=$(cat {PEAK}/$role 2>/dev/null || echo 0); \
         [ \"${{now:-0}}\" -gt \"$old\" ] && echo $now > {PEAK}/$role; done; sleep 0.25; done"
    );
    site.lab
        .ssh_command(site.host()?)
        .arg("-tt")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("ssh could not be started")
}

/// What was noted of each role.
fn end_watch(site: &Site, watcher: &mut Child) -> Vec<(&'static str, String)> {
    // It runs for ever; with the connection its terminal goes, and the loop with it.
    let _ = watcher.kill();
    let _ = watcher.wait();
    let noted = |role: &str| -> Option<u64> {
        let text = site.on_host(&format!("cat {PEAK}/{role}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let peaks = ROLES.map(|(role, what)| {
        let peak = noted(role).map_or("not seen".to_owned(), |kibibytes| mebibytes(kibibytes * 1024));
        (what, peak)
    });
    // Left over, it would only be forgotten at the next boot.
    let _ = site.on_host(&format!("rm -rf {PEAK}"));
    peaks.into()
}

struct Memory {
    /// Without files that could be dropped at once.
    working: u64,
    all: u64,
}

/// What the host's cgroup holds, read from this machine.
fn memory(lab: &LabState) -> anyhow::Result<Memory> {
    let host = lab.host(None)?;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let layout = openg2p_lab::CgroupLayout::detect()?;
    let folders = layout.hierarchies.iter().map(|it| it.mount.join(&host.cgroup));
    for folder in folders {
        for (usage, inactive) in [
            ("memory.usage_in_bytes", "total_inactive_file"),
            ("memory.current", "inactive_file"),
        ] {
            if !folder.join(usage).exists() {
                continue;
            }
            let all: u64 = read(&folder.join(usage))?.trim().parse()?;
            let stat = read(&folder.join("memory.stat"))?;
            let inactive: u64 = stat
                .lines()
                .filter_map(|line| line.split_once(' '))
                .find(|(name, _)| *name == inactive)
                .map_or(Ok(0), |(_, value)| value.parse())?;
            return Ok(Memory {
                working: all.saturating_sub(inactive),
                all,
            });
        }
    }
    bail!("no memory cgroup of the host was found")
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn table(figures: &[Figure]) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg");
    let load = load
        .ok()
        .and_then(|text| text.split_whitespace().nth(1).map(ToOwned::to_owned))
        .unwrap_or_default();
    let mut text = format!("\n{cores} cores, load of the last 5 minutes {load}\n");
    for Figure {
        what,
        measured,
        target,
    } in figures
    {
        let target = if target.is_empty() {
            String::new()
        } else {
            format!("target {target}")
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{what:<52} {measured:>10}   {target}");
    }
    text
}
