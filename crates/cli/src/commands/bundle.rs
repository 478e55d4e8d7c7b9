//! `openg2p bundle`: make, check and list bundles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use openg2p_bundle::check;
use openg2p_bundle::create::{LAB, OFFICIAL, Options, create, lock};
use openg2p_bundle::error::BundleError;
use openg2p_bundle::index::Digest;
use openg2p_bundle::lock::Moved;
use openg2p_bundle::mirrors::Mirrors;
use openg2p_bundle::moves::Moves;
use openg2p_bundle::progress::{Event, Progress as BundleProgress, Silent};
use serde_json::json;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Outcome, Printer, Progress, Table, human_duration};
use crate::prepared::{BundleArgs, bundle_bytes};

/// What `bundle` takes.
#[derive(Debug, Args)]
pub struct BundleCommand {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with bundles.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Fill a bundle from the sources that the catalogue names
    Create(CreateArgs),
    /// Bring the lock file up to date without making members, or say what moved
    Lock(LockArgs),
    /// Check every byte of a bundle
    Verify(VerifyArgs),
    /// List what a bundle holds
    List(BundleArgs),
}

/// Where members come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Prefer {
    /// Build everything on this machine
    #[default]
    Build,
    /// Take official images and files where the catalogue names them
    Official,
}

/// What `bundle create` takes.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// What comes from where.
    #[command(flatten)]
    pub sources: SourceArgs,
    /// Ask the sources again although the cache has an answer
    #[arg(long)]
    pub refresh: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub mirrors: MirrorArgs,
}

/// What `bundle lock` takes.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// What comes from where.
    #[command(flatten)]
    pub sources: SourceArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub mirrors: MirrorArgs,
}

/// What `bundle verify` takes.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Where the bundle is.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Digest that the bundle must have, as `bundle create` said it
    #[arg(long, value_name = "SHA256")]
    pub digest: Option<Digest>,
}

/// What comes from where, and what may differ from the lock file.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Directory with the catalogue and its sources
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub source: PathBuf,
    /// Where members come from
    #[arg(long, value_enum, default_value_t)]
    pub prefer: Prefer,
    /// Debian release of the hosts
    #[arg(long, value_name = "RELEASE", default_value = "trixie", value_parser = ["trixie", "bookworm"])]
    pub release: String,
    /// Take what differs from the lock file, and write it into the lock file
    ///
    /// A scope is `debian`, `oci`, `https`, `build`, or a member's name; several are separated by commas. Without a
    /// scope everything is taken. Each member that differs is shown.
    #[arg(long, value_name = "SCOPE", num_args = 0..=1, require_equals = true, default_missing_value = "all", value_delimiter = ',')]
    pub accept_moved: Vec<String>,
    /// Lock file, instead of `bundle.lock` beside the catalogue
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

/// Whom to ask instead of the makers.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Mirrors")]
pub struct MirrorArgs {
    /// Registry to ask instead of another, such as `registry.k8s.io=registry.example.org/kubernetes`
    #[arg(
        long,
        value_name = "HOST=MIRROR",
        env = "OPENG2P_REGISTRY_MIRROR",
        value_delimiter = ','
    )]
    pub registry_mirror: Vec<String>,
    /// Web server to ask instead of another, such as `https://dl.k8s.io/=https://mirror.example.org/k8s/`
    #[arg(
        long,
        value_name = "PREFIX=URL",
        env = "OPENG2P_HTTPS_MIRROR",
        value_delimiter = ','
    )]
    pub https_mirror: Vec<String>,
    /// Mirror of the Debian archive, such as `https://mirror.example.org/debian`
    #[arg(long, value_name = "URL", env = "OPENG2P_DEBIAN_MIRROR")]
    pub debian_mirror: Option<String>,
    /// Mirror of Debian's security fixes, such as `https://mirror.example.org/debian-security`
    #[arg(long, value_name = "URL", env = "OPENG2P_DEBIAN_SECURITY_MIRROR")]
    pub debian_security_mirror: Option<String>,
    /// PEM file with certificate authorities to trust besides the system's
    #[arg(
        long,
        value_name = "FILE",
        env = "OPENG2P_CERTIFICATE_AUTHORITY",
        value_delimiter = ','
    )]
    pub certificate_authority: Vec<PathBuf>,
    /// Registry on a loopback address that speaks plain HTTP
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "OPENG2P_PLAIN_REGISTRY",
        value_delimiter = ','
    )]
    pub plain_registry: Vec<String>,
}

impl MirrorArgs {
    /// The mirrors; the first that is written wrongly is an error.
    fn mirrors(&self) -> Result<Mirrors, BundleError> {
        // A variable that is set to nothing names nothing.
        fn named(list: &[String]) -> impl Iterator<Item = &String> {
            list.iter().filter(|text| !text.is_empty())
        }
        let mut mirrors = Mirrors::default();
        for text in named(&self.registry_mirror) {
            mirrors.add_registry(text)?;
        }
        for text in named(&self.https_mirror) {
            mirrors.add_https(text)?;
        }
        for url in named(self.debian_mirror.as_slice()) {
            mirrors.set_debian(url)?;
        }
        for url in named(self.debian_security_mirror.as_slice()) {
            mirrors.set_security(url)?;
        }
        for host in named(&self.plain_registry) {
            mirrors.add_plain(host)?;
        }
        Ok(mirrors)
    }
}

/// The options that both verbs share.
fn options(bundle: &Path, sources: &SourceArgs, mirrors: &MirrorArgs) -> Result<Options, BundleError> {
    let mut options = Options::lab(bundle);
    let prefer = if sources.prefer == Prefer::Official {
        OFFICIAL
    } else {
        LAB
    };
    options.prefer = prefer.iter().map(|&name| name.to_owned()).collect();
    options.release.clone_from(&sources.release);
    options.lock.clone_from(&sources.lock);
    options.moves = Moves::only(&sources.accept_moved);
    options.mirrors = mirrors.mirrors()?;
    options.authorities.clone_from(&mirrors.certificate_authority);
    Ok(options)
}

/// Runs one of the verbs.
pub fn run(args: &BundleCommand, context: &Context<'_>) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::Create(args) => make(args, context),
        Verb::Lock(args) => bring_up_to_date(args, context),
        Verb::Verify(args) => verify(args, context.printer),
        Verb::List(args) => list(&args.bundle, context.printer),
    }
}

fn error(error: &BundleError) -> CliError {
    if let BundleError::Several(errors) = error {
        let mut all = CliError::failed("bundle::several", format!("{} members failed", errors.len()));
        for error in errors {
            all = all.because(format!("{error} [{}]", error.code()));
        }
        return all;
    }
    let kind = match error {
        BundleError::LockMoved { .. } => crate::error::ErrorKind::Refused,
        BundleError::NotABundle { .. }
        | BundleError::Index(_)
        | BundleError::Recipe { .. }
        | BundleError::Mirror { .. }
        | BundleError::UnknownScope { .. } => crate::error::ErrorKind::BadInput,
        _ => crate::error::ErrorKind::Failed,
    };
    CliError::new(kind, error.code(), error.to_string())
}

/// Shows the events of the making as steps.
struct Shown {
    progress: Progress,
    checked: Mutex<u64>,
    /// What was counted beforehand.
    counted: Mutex<BTreeSet<String>>,
}

impl Shown {
    fn new(printer: &Printer) -> Self {
        Self {
            progress: printer.progress(),
            checked: Mutex::default(),
            counted: Mutex::default(),
        }
    }

    fn counted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BundleProgress for Shown {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned {
                members,
                to_make,
                expected,
            } if !to_make.is_empty() => {
                let time = expected.map_or(String::new(), |time| format!(", about {}", human_duration(time)));
                self.progress.message(&format!(
                    "{members} members, {} to make or fetch{time}",
                    to_make.len()
                ));
                self.progress.start(to_make.len());
                self.counted()
                    .extend(to_make.iter().map(|what| (*what).to_owned()));
            }
            Event::Started { what, .. } => {
                // a program or a base that members need
                if !self.counted().contains(what) {
                    self.progress.one_more();
                }
                self.progress.step_started(what, what);
            }
            Event::Finished { what, .. } => self.progress.step_finished(what, &Outcome::Done),
            Event::Failed { what } => self
                .progress
                .step_finished(what, &Outcome::Failed("see below".into())),
            Event::Again { what, why, pause } => self.progress.message(&format!(
                "{what}: {why}; asked again in {}",
                human_duration(pause)
            )),
            Event::Moved(moved) => self.progress.message(&format!("moved: {moved}")),
            Event::Checked { bytes, of } if of > 0 => {
                let mut told = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
                let tenth = bytes * 10 / of;
                while *told < tenth {
                    *told += 1;
                    self.progress
                        .step_finished(&format!("{}%", *told * 10), &Outcome::Unchanged);
                }
            }
            _ => {}
        }
    }
}

fn make(args: &CreateArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let mut options =
        options(&args.bundle.bundle, &args.sources, &args.mirrors).map_err(|failure| error(&failure))?;
    options.refresh = args.refresh;
    let shown = Shown::new(printer);
    let started = std::time::Instant::now();
    let report = create(&args.sources.source, &options, &shown).map_err(|failure| error(&failure))?;
    let took = human_duration(Duration::from_secs(started.elapsed().as_secs()));
    let members = report.index.members.len();
    if printer.is_json() {
        printer.json(&json!({
            "bundle": args.bundle.bundle, "digest": report.digest, "members": members, "made": report.made,
            "moved": moved_json(&report.moved),
        }));
    } else {
        let size = bundle_bytes(&report.index) / 1_000_000;
        printer.note(&format!(
            "bundle {} with {members} members, {size} MB, {} made or fetched in {took}",
            report.digest, report.made
        ));
    }
    printer.next("openg2p plan", "shows what would be done with it");
    Ok(Exit::Done)
}

fn moved_json(moved: &[Moved]) -> Vec<serde_json::Value> {
    moved
        .iter()
        .map(|one| json!({"member": one.member, "source": one.source, "change": one.change}))
        .collect()
}

fn bring_up_to_date(args: &LockArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let shown = Shown::new(printer);
    let moved = options(Path::new("bundle"), &args.sources, &args.mirrors)
        .and_then(|options| lock(&args.sources.source, &options, &shown))
        .map_err(|failure| error(&failure))?;
    if printer.is_json() {
        printer.json(&json!({"moved": moved_json(&moved)}));
    } else if moved.is_empty() {
        printer.note("the lock file is up to date");
    } else {
        printer.note(&format!(
            "{} members are locked anew; commit the lock file",
            moved.len()
        ));
    }
    Ok(Exit::Done)
}

fn verify(args: &VerifyArgs, printer: &Printer) -> Result<Exit, CliError> {
    let directory = &args.bundle.bundle;
    let shown = Shown::new(printer);
    shown.progress.start(10);
    let findings = check::verify(directory, &shown).map_err(|failure| error(&failure))?;
    if let Some(expected) = args.digest.as_ref().filter(|digest| **digest != findings.digest) {
        let message = format!(
            "the bundle's digest is {}, not {expected}; it is not used",
            findings.digest
        );
        return Err(CliError::bad_input("bundle::other-bundle", message)
            .at(directory.display())
            .hint("take the bundle that the digest belongs to, and find out where this one comes from"));
    }
    let members = findings.index.members.len();
    if printer.is_json() {
        let problems: Vec<_> = findings
            .problems
            .iter()
            .map(|problem| json!({"code": problem.code(), "message": problem.to_string()}))
            .collect();
        printer.json(&json!({
            "digest": findings.digest, "members": members, "bytes": findings.bytes, "problems": problems,
        }));
    }
    if findings.problems.is_empty() {
        shown.progress.finish(&format!(
            "{members} members, {} MB: every byte is as the index says",
            findings.bytes / 1_000_000
        ));
        return Ok(Exit::Done);
    }
    Err(damaged(directory, &findings.problems))
}

/// Checks every byte of a bundle that is about to be used.
pub fn whole(directory: &Path) -> Result<(), CliError> {
    let findings = check::verify(directory, &Silent).map_err(|failure| error(&failure))?;
    if findings.problems.is_empty() {
        Ok(())
    } else {
        Err(damaged(directory, &findings.problems))
    }
}

fn damaged(directory: &Path, problems: &[check::Problem]) -> CliError {
    let code = problems.first().map_or("bundle::damaged", check::Problem::code);
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut error = CliError::bad_input(code, format!("the bundle has {count} {noun}; it is not used"))
        .at(directory.display());
    for problem in problems {
        error = error.because(format!("{problem} [{}]", problem.code()));
    }
    error.hint(
        "`openg2p bundle create` makes what is damaged anew; a bundle from elsewhere must be copied again",
    )
}

fn list(directory: &Path, printer: &Printer) -> Result<Exit, CliError> {
    let index = check::open(directory).map_err(|failure| error(&failure))?;
    if printer.is_json() {
        printer.json(&index);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["KIND", "NAME", "VERSION", "SIZE", "LICENCE", "ORIGIN"]).right("SIZE");
    for member in &index.members {
        let size: u64 = member.blobs.iter().map(|blob| blob.size).sum();
        table.row([
            member.kind.as_str().to_owned(),
            member.name.clone(),
            member.version.clone(),
            format!("{}.{} MB", size / 1_000_000, size / 100_000 % 10),
            member.licence.clone(),
            member.origin.clone(),
        ]);
    }
    printer.table(&table);
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        verb: Verb,
    }

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        let line =
            Line::try_parse_from([&["bundle"], arguments].concat()).map_err(|error| error.to_string())?;
        let made = match &line.verb {
            Verb::Create(args) => options(&args.bundle.bundle, &args.sources, &args.mirrors),
            Verb::Lock(args) => options(Path::new("bundle"), &args.sources, &args.mirrors),
            other => return Err(format!("{other:?}")),
        };
        made.map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_reaches_the_sources() {
        let options = parsed(&[
            "create",
            "--prefer",
            "official",
            "--release",
            "bookworm",
            "--registry-mirror",
            "registry.k8s.io=registry.example.org/k8s",
            "--registry-mirror",
            "docker.io=registry.example.org/hub",
            "--https-mirror",
            "https://dl.k8s.io/=https://mirror.example.org/k8s/",
            "--debian-mirror",
            "https://mirror.example.org/debian",
            "--debian-security-mirror",
            "https://mirror.example.org/security",
            "--certificate-authority",
            "a.pem,b.pem",
            "--plain-registry",
            "localhost:5000",
        ])
        .unwrap();
        let mut mirrors = Mirrors::default();
        mirrors
            .add_registry("registry.k8s.io=registry.example.org/k8s")
            .unwrap();
        mirrors
            .add_registry("docker.io=registry.example.org/hub")
            .unwrap();
        mirrors
            .add_https("https://dl.k8s.io/=https://mirror.example.org/k8s/")
            .unwrap();
        mirrors.set_debian("https://mirror.example.org/debian").unwrap();
        mirrors
            .set_security("https://mirror.example.org/security")
            .unwrap();
        mirrors.add_plain("localhost:5000").unwrap();
        assert_eq!(options.mirrors, mirrors);
        assert_eq!(options.authorities, ["a.pem", "b.pem"].map(PathBuf::from));
        assert_eq!(options.prefer, OFFICIAL);
        assert_eq!(options.release, "bookworm");
    }

    #[test]
    fn what_is_set_to_nothing_names_nothing() {
        let options = parsed(&["create", "--registry-mirror", "", "--debian-mirror", ""]).unwrap();
        assert_eq!(options.mirrors, Mirrors::default());
    }

    #[test]
    fn acceptance_has_a_scope_or_is_of_everything() {
        for (arguments, moves) in [
            (&["create"][..], Moves::refuse()),
            (&["create", "--accept-moved"], Moves::all()),
            (&["create", "--accept-moved=debian"], Moves::only(["debian"])),
            (&["lock", "--accept-moved=oci,etcd"], Moves::only(["oci", "etcd"])),
            (&["create", "--accept-moved", "--refresh"], Moves::all()),
        ] {
            assert_eq!(parsed(arguments).unwrap().moves, moves, "{arguments:?}");
        }
    }

    #[test]
    fn wrong_mirrors_are_told_with_a_good_one() {
        let why = parsed(&["create", "--registry-mirror", "registry.example.org"]).unwrap_err();
        assert!(
            why.contains("registry.k8s.io=registry.example.org/kubernetes"),
            "{why}"
        );
        assert!(parsed(&["create", "--plain-registry", "192.0.2.1:5000"]).is_err());
    }
}
