//! `cargo xtask lab`: throw-away hosts.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use openg2p_lab::{CgroupLayout, Facts, LabError, LabSpec, LabState, Needs, Release, Severity, Store, TOOLS};

use crate::lab_test;
use crate::printer::Printer;

/// `cargo xtask lab`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a lab and wait until its hosts let root in
    Up {
        /// Name of the lab
        #[arg(long, default_value = "dev")]
        name: String,
        /// Release of Debian on its hosts
        #[arg(long, value_enum, default_value = "trixie")]
        release: DebianRelease,
        /// Names of its hosts
        #[arg(long = "host", default_value = "box1")]
        hosts: Vec<String>,
    },
    /// Remove a lab and all that belongs to it, complete or not
    Down {
        /// Name of the lab
        #[arg(long, required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// Every lab of this machine
        #[arg(long)]
        all: bool,
    },
    /// List the labs of this machine
    List,
    /// Log in on a host, or run a command there
    Ssh {
        /// Name of the lab
        #[arg(long, default_value = "dev")]
        name: String,
        /// Name of the host; the first one if absent
        #[arg(long)]
        host: Option<String>,
        /// The command
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Print a site file for a lab
    Site {
        /// Name of the lab
        #[arg(long, default_value = "dev")]
        lab: String,
        /// The site's domain
        #[arg(long, default_value = "g2p.test")]
        domain: String,
    },
    /// Look at the machine and name all that a lab lacks here
    Preflight,
    /// Make, kill and remove real labs, and prove that nothing is left
    Test,
    /// Install the Debian packages that labs need
    InstallTools,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DebianRelease {
    Trixie,
    Bookworm,
}

impl From<DebianRelease> for Release {
    fn from(release: DebianRelease) -> Self {
        match release {
            DebianRelease::Trixie => Self::Trixie,
            DebianRelease::Bookworm => Self::Bookworm,
        }
    }
}

/// Does what is asked.
pub(crate) fn run(arguments: Arguments, printer: &Printer) -> anyhow::Result<ExitCode> {
    let store = Store::new(cache()?);
    match arguments.action {
        Action::Up { name, release, hosts } => {
            let lab = openg2p_lab::up(
                &store,
                &LabSpec {
                    name,
                    release: release.into(),
                    hosts,
                },
                printer,
            )?;
            printer.data(&summary(&lab));
        }
        Action::Down { name: Some(name), .. } => openg2p_lab::down(&store, &name, printer)?,
        Action::Down { name: None, .. } => return down_all(&store, printer),
        Action::List => list(&store, printer)?,
        Action::Ssh { name, host, command } => return ssh(&store, &name, host.as_deref(), &command),
        Action::Site { lab, domain } => {
            let facts = Facts::detect(CgroupLayout::detect()?.version);
            let overrides = openg2p_lab::host_overrides(facts);
            printer.data(&openg2p_lab::site_file(
                &known(&store, &lab)?,
                &domain,
                &overrides,
            ));
        }
        Action::Preflight => return preflight(&store, printer),
        Action::Test => return lab_test::run(&store, printer),
        Action::InstallTools => {
            let installed = openg2p_lab::install_tools(&TOOLS)?;
            let text = if installed.is_empty() {
                "nothing was missing".into()
            } else {
                installed.join(" ")
            };
            printer.say(&text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where everything lives that is built or made outside of the checkout.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("OPENG2P_CACHE").filter(|path| !path.is_empty()) {
        return std::path::absolute(&path).context("OPENG2P_CACHE is no usable path");
    }
    let base = match env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => env::home_dir()
            .context("neither OPENG2P_CACHE nor HOME is set; set one of them")?
            .join(".cache"),
    };
    Ok(base.join("openg2p"))
}

fn known(store: &Store, name: &str) -> Result<LabState, LabError> {
    store.read(name)?.ok_or_else(|| LabError::Unknown {
        name: name.to_owned(),
    })
}

fn summary(lab: &LabState) -> String {
    let mut lines = vec![format!(
        "lab {} is up: Debian {}, {}",
        lab.name,
        lab.release.name(),
        lab.subnet
    )];
    lines.extend(lab.hosts.iter().map(|host| {
        let boot = Duration::from_millis(host.boot_milliseconds.unwrap_or_default()).as_secs_f64();
        format!(
            "  {:<12} {:<14} boot to SSH {boot:.1} s  {}",
            host.name, host.address, host.host_key
        )
    }));
    let restrictions = lab.restrictions.iter();
    lines.extend(restrictions.map(|found| format!("  restricted   {}: {}", found.code, found.text)));
    lines.push(format!(
        "next: cargo xtask lab ssh --name {0} | cargo xtask lab site --lab {0} | cargo xtask lab down --name {0}",
        lab.name
    ));
    lines.join("\n")
}

fn down_all(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for lab in openg2p_lab::list(store)? {
        if let Err(error) = openg2p_lab::down(store, &lab.name, printer) {
            printer.error(&error.into());
            failed = true;
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn list(store: &Store, printer: &Printer) -> anyhow::Result<()> {
    let labs = openg2p_lab::list(store)?;
    if labs.is_empty() {
        printer.say("no labs; `cargo xtask lab up` makes one");
    }
    for lab in labs {
        let Some(state) = lab.state else {
            printer.data(&format!(
                "{:<16} leftovers only; cargo xtask lab down --name {}",
                lab.name, lab.name
            ));
            continue;
        };
        let hosts: Vec<String> = state
            .hosts
            .iter()
            .map(|host| format!("{}={}", host.name, host.address))
            .collect();
        let health = if lab.alive { "up" } else { "not running" };
        printer.data(&format!(
            "{:<16} {:<12} {:<9} {}",
            lab.name,
            health,
            state.release.name(),
            hosts.join(" ")
        ));
    }
    Ok(())
}

fn preflight(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let findings = openg2p_lab::preflight(&Needs::of_lab(store.cache(), Release::default())?);
    let mut fit = true;
    for finding in &findings {
        let word = if finding.severity == Severity::Missing {
            "MISSING"
        } else {
            "note"
        };
        fit &= finding.severity != Severity::Missing;
        printer.data(&format!("{word:<8} {}", finding.text));
        if !finding.remedy.is_empty() {
            printer.data(&format!("         -> {}", finding.remedy));
        }
    }
    printer.say(if fit {
        "labs can run here"
    } else {
        "labs cannot run here yet"
    });
    Ok(if fit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ssh(store: &Store, name: &str, host: Option<&str>, command: &[String]) -> anyhow::Result<ExitCode> {
    let lab = known(store, name)?;
    let mut ssh = lab.ssh_command(lab.host(host)?);
    let status = ssh.args(command).status().context("ssh could not be started")?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(255),
    ))
}
