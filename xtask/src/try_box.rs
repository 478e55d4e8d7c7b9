//! `cargo xtask try`: from this machine to a box that pays, with one command.

use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use openg2p_lab::{LabState, Store};

use crate::durations::human;
use crate::machine::{self, Purpose};
use crate::printer::Printer;
use crate::product::{self, Site};
use crate::runner::Runner;

/// The lab's name, and that of the folder in the checkout.
const LAB: &str = "try";
const FOLDER: &str = ".try";
/// Steps whose durations are remembered, with guesses for a first installation.
const APPLY_STEPS: [&str; 2] = ["try: apply to a bare host", "try: apply again"];
const VERIFY_STEP: &str = "try: verify";
/// What a cold and a warm machine with two cores need, measured roughly.
const COLD: &str = "30 to 40 min";
const WARM: Duration = Duration::from_mins(5);

/// `cargo xtask try`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the environment that is verified in the end
    #[arg(long, default_value = "dev")]
    environment: String,
}

/// Does it. What is there already is kept: a second run goes on where the first one ended.
pub(crate) fn run(arguments: &Arguments, store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let checkout = product::checkout()?;
    let directory = checkout.join(FOLDER);
    let runner = Runner::new(printer, store.cache(), directory.join("logs"))?;
    let there = store.read(LAB)?.filter(LabState::is_alive);
    let apply = APPLY_STEPS[usize::from(there.is_some())];
    machine::look(&runner, store.cache(), Purpose::Box)?;
    announce(&runner, there.is_some(), apply);
    machine::install(&runner, Purpose::Box)?;
    let (lab, binary, bundle) = make_parts(&runner, store, &checkout, &directory, there)?;
    stop_if_wished(&runner)?;
    let site = Site {
        binary,
        bundle,
        directory,
        lab,
    };
    write_folder(&site)?;
    attached(&runner, &site, apply, &["apply", "--yes"])?;
    attached(&runner, &site, VERIFY_STEP, &["verify", &arguments.environment])?;
    let trusted = runner.run("trust", site.command(&["trust", "-o", "authority.crt"]))?;
    trusted.expect(0)?;
    printer.data(&farewell(&site, start.elapsed())?);
    Ok(ExitCode::SUCCESS)
}

fn announce(runner: &Runner<'_>, there: bool, apply: &str) {
    let steps = [product::BUILD_STEP, product::BUNDLE_STEP, apply, VERIFY_STEP];
    let known: Option<Duration> = steps.iter().map(|step| runner.durations.last(step)).sum();
    let time = match (runner.durations.last(product::BUNDLE_STEP), known) {
        (None, _) => COLD.to_owned(),
        (Some(_), None) => human(WARM),
        (Some(_), Some(known)) => human(known.max(Duration::from_secs(30))),
    };
    let host = if there {
        "keep the host of last time"
    } else {
        "start a throw-away Debian host in systemd-nspawn"
    };
    for line in [
        format!("make try: a box that pays, on this machine, in about {time}"),
        format!("  1. {host}; nothing of it touches this machine's own services"),
        "  2. build openg2p, Kubernetes and the OpenG2P images from source into a bundle (kept in the cache)"
            .into(),
        "  3. openg2p apply: turn the bare host into a Kubernetes box with the environment `dev`".into(),
        "  4. openg2p verify dev: register 20 people, pay them, and compare every amount".into(),
        "Ctrl-C stops; the same command goes on from there.".into(),
        String::new(),
    ] {
        runner.printer.say(&line);
    }
}

/// Host, program and bundle: the host boots while the builds run.
fn make_parts(
    runner: &Runner<'_>,
    store: &Store,
    checkout: &Path,
    directory: &Path,
    there: Option<LabState>,
) -> anyhow::Result<(LabState, std::path::PathBuf, std::path::PathBuf)> {
    thread::scope(|scope| {
        let lab = scope.spawn(|| there.map_or_else(|| product::lab_up(runner, store, LAB), Ok));
        let bundle = product::bundle_directory(store.cache(), LAB);
        let built = product::build(runner, checkout, directory).and_then(|binary| {
            stop_if_wished(runner)?;
            product::fill_bundle(runner, checkout, &binary, &bundle, true)?;
            Ok(binary)
        });
        let lab = lab
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Both may have failed; the person needs to know of both.
        match (lab, built) {
            (Ok(lab), Ok(binary)) => Ok((lab, binary, bundle)),
            (Err(lab), Err(built)) => {
                runner.printer.error(&lab);
                Err(built)
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    })
}

fn stop_if_wished(runner: &Runner<'_>) -> anyhow::Result<()> {
    if runner.interrupt.wished() {
        bail!("stopped; `make try` goes on from here, `make lab-down` removes the host");
    }
    Ok(())
}

/// The site file, unless it was written for this host already: a person may have changed it since.
fn write_folder(site: &Site) -> anyhow::Result<()> {
    let path = site.directory.join("site.yaml");
    let text = fs::read_to_string(&path).unwrap_or_default();
    if !text.contains(&site.host()?.host_key) {
        fs::write(&path, product::site_file(&site.lab)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let environment = format!(
        "# Read it with `. ./env`; then the commands below find host, bundle and program.\n\
         export OPENG2P_IDENTITY={}\nexport OPENG2P_BUNDLE={}\nexport PATH={}:\"$PATH\"\n",
        quoted(&site.lab.ssh_key),
        quoted(&site.bundle),
        quoted(&site.directory)
    );
    fs::write(site.directory.join("env"), environment)?;
    Ok(())
}

/// A command of the product that shows its own progress, with the time it usually takes before it.
fn attached(runner: &Runner<'_>, site: &Site, step: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let words = arguments.join(" ");
    let usual = runner.durations.last(step);
    let usual = usual.map_or(String::new(), |usual| format!("  (last time {})", human(usual)));
    runner.printer.say(&format!("\nopeng2p {words}{usual}"));
    let start = Instant::now();
    let mut command = site.command(arguments);
    // Its own progress needs the terminal; in a log it writes lines.
    if !std::io::stderr().is_terminal() {
        command.env("NO_COLOR", "1");
    }
    match runner.attached(command)? {
        Some(0) => {
            runner.durations.took(step, start.elapsed());
            Ok(())
        }
        Some(code) => bail!(
            "`openg2p {words}` ended with {code}; what to do stands above. `make try` goes on from there. To look: {}",
            enter(site)
        ),
        None => bail!("`openg2p {words}` was ended by a signal; `make try` goes on from there"),
    }
}

fn enter(site: &Site) -> String {
    format!("cd {} && . ./env && openg2p status", site.directory.display())
}

fn farewell(site: &Site, took: Duration) -> anyhow::Result<String> {
    let names = site.host_names()?;
    let address = site.host()?.address;
    let directory = site.directory.display();
    let example = names
        .iter()
        .find(|name| name.starts_with("spar."))
        .or_else(|| names.first());
    let example = example.map_or("", String::as_str);
    let list = names.join(" ");
    let urls = names
        .iter()
        .fold(String::new(), |text, name| format!("{text}  https://{name}\n"));
    let works = answers(site, example);
    Ok(format!(
        "
The box pays. It took {time}.

Addresses ({works})
{urls}
  They are at {address}. For a browser on this machine, one line for /etc/hosts:
    {address} {list}
  With curl, nothing to change:
    curl --cacert {directory}/authority.crt --resolve {example}:443:{address} https://{example}/ping

Trust the box's own authority
  {directory}/authority.crt has it (`openg2p trust -o authority.crt` writes it). Debian:
    cp {directory}/authority.crt /usr/local/share/ca-certificates/openg2p-try.crt && update-ca-certificates
  It can vouch for names below {domain} only.

Look in (paste the first line once)
    {directory_line}
    openg2p status
    openg2p plan            # after a change of site.yaml
    openg2p verify dev
    cargo xtask lab ssh --name {LAB}    # a root shell on the box; kubectl is there

Destroy
    openg2p destroy --env dev      # the environment with its data; the cluster stays
    openg2p destroy                # everything of openg2p on the host
    cargo xtask lab down --name {LAB}   # the host itself",
        time = human(took),
        domain = product::DOMAIN,
        directory_line = format_args!("cd {directory} && . ./env"),
    ))
}

/// Whether the printed example works from here, said as it is.
fn answers(site: &Site, name: &str) -> String {
    let Ok(host) = site.host() else {
        return String::new();
    };
    let status = Command::new("curl")
        .args(["-sS", "--fail", "--max-time", "10", "-o", "/dev/null", "--cacert"])
        .arg(site.directory.join("authority.crt"))
        .args(["--resolve", &format!("{name}:443:{}", host.address)])
        .arg(format!("https://{name}/ping"))
        .output();
    match status {
        Ok(output) if output.status.success() => format!("https://{name}/ping was asked and answers"),
        Ok(output) => format!(
            "https://{name}/ping does not answer yet: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) => format!("not asked: {error}"),
    }
}
