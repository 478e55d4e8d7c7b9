//! The whole way on a real host: bare, refused, installed, paid, unchanged, broken, removed, bare again.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openg2p_lab::{LabError, LabState, Store};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::Value;

use super::host::HostSnapshot;
use super::refusals::{self, Refusals};
use super::tally::Tally;
use super::{interrupted, isolation, logins, lost_ledger, payments, plain_helm, removed_module, trouble};
use crate::helm;
use crate::kills;
use crate::product::{self, Site};
use crate::runner::{Ran, Runner};
use crate::snapshot::Snapshot;

/// The environment of the lab's site file.
const ENVIRONMENT: &str = "dev";
/// The environment whose pod cannot start, and how soon that must be told.
const BROKEN: &str = "bad";
const BROKEN_DEADLINE: Duration = Duration::from_mins(1);

/// How long a killed process may stay visible.
const REAPED: Duration = Duration::from_secs(10);

/// Guesses for steps that were never done here.
const APPLY_GUESS: Duration = Duration::from_mins(4);
const SHORT_GUESS: Duration = Duration::from_secs(30);

/// What is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) lab: &'a str,
    pub(crate) keep: bool,
    pub(crate) store: &'a Store,
    pub(crate) bundle: &'a Path,
    pub(crate) binary: &'a Path,
    pub(crate) work: &'a Path,
    pub(crate) checkout: &'a Path,
}

/// Everything between two looks at this machine. The lab is removed in the end, whatever happened.
pub(crate) fn run(wanted: &Wanted<'_>, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let _alone = alone(wanted)?;
    down(wanted, runner)?;
    let before = Snapshot::take(wanted.store, &[wanted.lab])?;
    let failed = tally.failed();
    let ended = inside(wanted, runner, tally);
    refusals::remove_copies(wanted.bundle);
    if let Err(error) = ended {
        tally.fail("the slice goes on to its end", &error);
    }
    let went_wrong = tally.failed() > failed;
    if went_wrong {
        keep_logs(wanted, runner);
    }
    if went_wrong && wanted.keep && !runner.interrupt.wished() {
        runner.printer.say(&format!(
            "    note  the lab {0} is left as it is: cargo xtask lab ssh --name {0}; cargo xtask lab down --name {0}",
            wanted.lab
        ));
        return Ok(());
    }
    let launchers = launchers(wanted);
    tally.check("the lab goes down", down(wanted, runner));
    tally.check(
        "the lab leaves nothing on this machine",
        nothing_left(wanted, &before, &launchers),
    );
    Ok(())
}

/// Holds this lab's name for this run: two runs at once would remove each other's host.
fn alone(wanted: &Wanted<'_>) -> anyhow::Result<File> {
    let path = wanted.store.cache().join(format!("test-{}.lock", wanted.lab));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "another run of these tests has the lab {}; wait for it, or take another name with --lab NAME",
            wanted.lab
        );
    }
    Ok(file)
}

/// Processes that keep the lab's hosts running. We started them, so it is for us to take note of their end.
fn launchers(wanted: &Wanted<'_>) -> Vec<Pid> {
    let lab = wanted.store.read(wanted.lab).ok().flatten();
    let hosts = lab.into_iter().flat_map(|lab| lab.hosts);
    hosts
        .filter_map(|host| Pid::from_raw(host.launcher?.pid))
        .collect()
}

fn reap(launchers: &[Pid]) {
    for launcher in launchers {
        // One of another process is none of our children.
        let _ = waitpid(Some(*launcher), WaitOptions::NOHANG);
    }
}

fn nothing_left(wanted: &Wanted<'_>, before: &Snapshot, launchers: &[Pid]) -> anyhow::Result<()> {
    // Killed processes stay visible until the machine's init has taken note.
    let end = Instant::now() + REAPED;
    loop {
        reap(launchers);
        let left = Snapshot::take(wanted.store, &[wanted.lab])?.more_than(before);
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < end, "left:\n      {}", left.join("\n      "));
        thread::sleep(Duration::from_millis(500));
    }
}

fn down(wanted: &Wanted<'_>, runner: &Runner<'_>) -> anyhow::Result<()> {
    match openg2p_lab::down(wanted.store, wanted.lab, runner.printer) {
        Ok(()) | Err(LabError::Unknown { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn inside(wanted: &Wanted<'_>, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let mut verify = std::process::Command::new(wanted.binary);
    verify.args(["bundle", "verify", "--bundle"]).arg(wanted.bundle);
    let verified = runner.step("bundle verify", SHORT_GUESS, || {
        runner.run("bundle-verify", verify)
    });
    tally.check(
        "bundle verify finds every byte",
        verified.and_then(|ran| ran.expect(0).map(drop)),
    );
    let lab = tally.needed(
        "a bare host boots",
        product::lab_up(runner, wanted.store, wanted.lab),
    );
    let Some(lab) = lab else { return Ok(()) };
    let site = write_site(wanted, lab)?;
    let slice = Slice {
        site,
        runner,
        tally,
        wanted,
    };
    slice.all()
}

fn write_site(wanted: &Wanted<'_>, lab: LabState) -> anyhow::Result<Site> {
    let text = product::site_file(&lab)?;
    fs::create_dir_all(wanted.work)?;
    fs::write(wanted.work.join("site.yaml"), &text)?;
    // As the last part of `environments`, which ends the file.
    let broken = format!(
        "{text}  {BROKEN}:\n    profile: sandbox\n    access: private\n    commons: {{postgresql: {{}}, redis: {{}}}}\n    \
         modules: {{spar: {{image: {{tag: does-not-exist}}}}}}\n"
    );
    fs::write(wanted.work.join("broken.yaml"), broken)?;
    Ok(Site {
        binary: wanted.binary.to_owned(),
        bundle: wanted.bundle.to_owned(),
        directory: wanted.work.to_owned(),
        lab,
    })
}

struct Slice<'a> {
    site: Site,
    runner: &'a Runner<'a>,
    tally: &'a Tally<'a>,
    wanted: &'a Wanted<'a>,
}

impl Slice<'_> {
    fn all(&self) -> anyhow::Result<()> {
        self.done("check", &["check"], "")?;
        logins::make(&self.site)?;
        let before = HostSnapshot::take(&self.site)?;
        let refusals = Refusals {
            site: &self.site,
            runner: self.runner,
            tally: self.tally,
            before: RefCell::new(HostSnapshot::take(&self.site)?),
        };
        refusals.run()?;
        self.stop()?;
        self.done("plan", &["plan", "-o", "plan.json"], "to create")?;
        let bare = self.run("status-of-a-bare-host", &["status"])?;
        self.check("status of a bare host: exit code 3, all is absent", {
            bare.expect(3).and_then(|ran| ran.says("absent").map(drop))
        });
        self.check(
            "plan and status leave nothing on a bare host",
            HostSnapshot::take(&self.site).and_then(|now| now.same_as(&refusals.before.borrow())),
        );
        let installed = self.runner.step("openg2p apply, interrupted", APPLY_GUESS, || {
            Ok(interrupted::run(&self.site, self.runner, self.tally))
        })?;
        self.stop()?;
        if installed {
            self.installed()?;
            isolation::run(&self.site, self.tally, ENVIRONMENT);
            self.stop()?;
            self.plain_helm();
            self.stop()?;
            trouble::run(&self.site, self.runner, self.tally, ENVIRONMENT)?;
            self.stop()?;
            self.broken()?;
            removed_module::run(&self.site, self.runner, self.tally, ENVIRONMENT)?;
            self.stop()?;
            self.unconfirmed()?;
            self.kept_by_others()?;
        }
        self.removed_site(&before)
    }

    /// What holds while the environment runs.
    fn installed(&self) -> anyhow::Result<()> {
        self.timed(
            "verify",
            "verify pays 20 people",
            SHORT_GUESS * 3,
            &["verify", ENVIRONMENT],
            "",
        )?;
        payments::run(&self.site, self.runner, self.tally)?;
        let before = self.ledger_and_files()?;
        self.timed(
            "second apply",
            "a second apply has nothing to do",
            SHORT_GUESS,
            &["apply", "--yes"],
            "Nothing to do",
        )?;
        let after = self.ledger_and_files()?;
        self.check("a second apply writes nothing", {
            (before == after)
                .then_some(())
                .with_context(|| format!("the engine's state differs:\n{before}\n{after}"))
        });
        lost_ledger::run(&self.site, self.runner, self.tally)?;
        self.done("status", &["status"], "")?;
        let ran = self.run("doctor", &["doctor"])?;
        self.check(
            "doctor misses the names in DNS, which nobody serves here, and nothing else",
            {
                ran.expect(3).and_then(|ran| {
                    let causes = ran.stdout.lines().filter(|line| line.starts_with("cause["));
                    let others: Vec<&str> = causes
                        .filter(|line| !line.starts_with("cause[doctor::dns]"))
                        .collect();
                    ensure!(others.is_empty(), "it found {}", others.join("; "));
                    ran.says("does not exist in DNS").map(drop)
                })
            },
        );
        self.done(
            "explain a Deployment",
            &["explain", "Deployment.apps/spar-mapper"],
            "",
        )?;
        logins::run(&self.site, self.runner, self.tally)?;
        self.stop()
    }

    fn plain_helm(&self) {
        let (checkout, cache) = (self.wanted.checkout, self.wanted.store.cache());
        if let Some(helm) = self
            .tally
            .needed("Helm builds", helm::build(self.runner, checkout, cache))
        {
            plain_helm::run(
                &self.site,
                self.runner,
                self.tally,
                checkout,
                &helm.program,
                ENVIRONMENT,
            );
        }
    }

    fn ledger_and_files(&self) -> anyhow::Result<String> {
        let (generation, owners) = self.site.ledger()?;
        let files = self.site.on_host(
            "cd /var/lib/openg2p/state && find ledger journal -type f | sort | xargs sha256sum | sha256sum",
        )?;
        Ok(format!(
            "generation {generation}, {owners:?}, files {}",
            files.trim()
        ))
    }

    /// A second environment, one pod of which cannot start.
    fn broken(&self) -> anyhow::Result<()> {
        let ran = self.run("broken", &["-f", "broken.yaml", "apply", "--yes"])?;
        self.check("a pod that cannot start: exit code 3", ran.expect(3).map(drop));
        self.check("a pod that cannot start is named", {
            let named = ran.says(&format!("pod {BROKEN}/spar-"));
            named.and_then(|ran| ran.says("does-not-exist")).map(drop)
        });
        self.check("a pod that cannot start is told soon", {
            (ran.took < BROKEN_DEADLINE)
                .then_some(())
                .with_context(|| format!("it took {:.0} s", ran.took.as_secs_f64()))
        });
        let ran = self.run("doctor-of-the-broken", &["-f", "broken.yaml", "doctor"])?;
        self.check("doctor finds the cause of a pod that cannot start", {
            ran.expect(3)
                .and_then(|ran| ran.says("does-not-exist"))
                .and_then(|ran| ran.says(&format!("{BROKEN}/")))
                .map(drop)
        });
        self.done(
            "destroy of the broken environment",
            &["destroy", "--env", BROKEN, "--confirm", BROKEN],
            "",
        )?;
        self.nothing_of(BROKEN);
        self.done("status after it", &["status"], "")?;
        self.stop()
    }

    /// A removal that nobody agreed to.
    fn unconfirmed(&self) -> anyhow::Result<()> {
        let ran = self.run(
            "destroy-unconfirmed",
            &["destroy", "--env", ENVIRONMENT, "--confirm", "other"],
        )?;
        self.check("destroy with another name: exit code 4", {
            ran.expect(4)
                .and_then(|ran| ran.says("destroy::unconfirmed"))
                .map(drop)
        });
        self.stop()
    }

    /// No namespace, no data, no site of Nginx, no certificate, no entry of the ledger.
    fn nothing_of(&self, environment: &str) {
        let found = || -> anyhow::Result<()> {
            let namespaces = self.site.kubectl("get namespaces -o name")?;
            let name = format!("namespace/{environment}");
            ensure!(
                !namespaces.lines().any(|line| line == name),
                "the namespace is there"
            );
            let volumes = self.site.kubectl("get persistentvolumes -o json")?;
            let volumes: Value = serde_json::from_str(&volumes)?;
            let volumes = volumes["items"].as_array().cloned().unwrap_or_default();
            let claimed = volumes
                .iter()
                .filter(|volume| volume["spec"]["claimRef"]["namespace"] == environment);
            ensure!(claimed.count() == 0, "its databases have volumes");
            let script = format!(
                "find /var/lib/openg2p/volumes /etc/openg2p -name '*_{environment}_*' -o -name '*.{environment}.{}.*'",
                product::DOMAIN
            );
            let files = self.site.on_host(&script)?;
            ensure!(files.trim().is_empty(), "files are there:\n{files}");
            let (_, owners) = self.site.ledger()?;
            let owner = owners.keys().find(|owner| owner.contains(environment));
            ensure!(owner.is_none(), "the ledger has entries of {owner:?}");
            Ok(())
        };
        self.check(
            &format!("nothing of the environment {environment} is left"),
            found(),
        );
    }

    /// The whole site, with its environment running: what provisions volumes, and what the environment reaches others through, must outlive
    /// it.
    fn removed_site(&self, before: &HostSnapshot) -> anyhow::Result<()> {
        let name = self.site.lab.name.clone();
        self.timed(
            "destroy site",
            "destroy of the site with all that runs in it",
            SHORT_GUESS * 3,
            &["destroy", "--confirm", &name],
            "",
        )?;
        let now = HostSnapshot::take(&self.site)?;
        self.check("nothing is left on the host", now.same_as(before));
        self.stop()?;
        self.killed(before)
    }

    /// The engine is killed while it works on the bare host.
    fn killed(&self, before: &HostSnapshot) -> anyhow::Result<()> {
        let (checkout, bundle) = (self.wanted.checkout, self.wanted.bundle);
        let told = kills::on_host(
            self.runner,
            checkout,
            &self.site.lab,
            bundle,
            &kills::Arguments::of_the_slice(),
        );
        if let Ok(told) = &told {
            self.runner.printer.say(&format!("         {told}"));
        }
        self.check(
            "an engine that is killed on a real systemd converges",
            told.map(drop),
        );
        let now = HostSnapshot::take(&self.site)?;
        self.check("behind all that nothing is left on the host", now.same_as(before));
        Ok(())
    }

    /// Somebody else keeps something in the cluster, and the site should go.
    fn kept_by_others(&self) -> anyhow::Result<()> {
        self.site.kubectl("create namespace theirs")?;
        let name = self.site.lab.name.as_str();
        let ran = self.run("destroy-of-others", &["destroy", "--confirm", name])?;
        self.check("a cluster with a namespace of others is not removed", {
            ran.expect(2)
                .and_then(|ran| ran.says("destroy::foreign"))
                .and_then(|ran| ran.says("namespace theirs"))
                .map(drop)
        });
        self.site.kubectl("delete namespace theirs")?;
        Ok(())
    }

    fn stop(&self) -> anyhow::Result<()> {
        if self.runner.interrupt.wished() {
            bail!("stopped");
        }
        Ok(())
    }

    fn run(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Ran> {
        self.runner.run(name, self.site.command(arguments))
    }

    fn check(&self, what: &str, result: anyhow::Result<()>) {
        self.tally.check(what, result);
    }

    /// A command that must end with 0 and say this.
    fn done(&self, what: &str, arguments: &[&str], says: &str) -> anyhow::Result<bool> {
        self.timed(&what.replace(' ', "-"), what, SHORT_GUESS, arguments, says)
    }

    /// The same for a command that takes its time.
    fn timed(
        &self,
        name: &str,
        what: &str,
        guess: Duration,
        arguments: &[&str],
        says: &str,
    ) -> anyhow::Result<bool> {
        let ran = self.runner.step(&format!("openg2p {name}"), guess, || {
            self.run(&name.replace(' ', "-"), arguments)
        })?;
        let result = ran.expect(0).and_then(|ran| ran.says(says)).map(drop);
        Ok(self.tally.check(what, result))
    }
}

/// What a person needs to find out why: the host's journal, pods and their logs, the console.
fn keep_logs(wanted: &Wanted<'_>, runner: &Runner<'_>) {
    let Ok(Some(lab)) = wanted.store.read(wanted.lab) else {
        return;
    };
    let Ok(host) = lab.host(None) else { return };
    let scripts = [
        ("journal", "journalctl --no-pager --lines 5000"),
        (
            "pods",
            "export KUBECONFIG=/etc/kubernetes/admin.conf; kubectl get all,pv,pvc -A -o wide; kubectl describe pods -A",
        ),
        ("containers", "tail -n 200 /var/log/pods/*/*/*.log"),
        ("runs", "tail -c 200000 /var/lib/openg2p/state/runs/*/events"),
    ];
    for (name, script) in scripts {
        let mut command = lab.ssh_command(host);
        command.arg(script);
        // The host may be the very thing that is broken.
        let _ = runner.run(&format!("host-{name}"), command);
    }
    let _ = fs::copy(&host.log, runner.logs().join("host-console.log"));
}
