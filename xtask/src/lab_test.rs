//! `cargo xtask lab test`: real labs, killed at many points, and the proof that nothing stays.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openg2p_lab::{CgroupLayout, CgroupVersion, LabState, Store};

use crate::printer::Printer;
use crate::snapshot::Snapshot;

/// Names of the labs that this test makes; nobody else's labs are touched.
const LABS: [&str; 6] = [
    "test-a",
    "test-b",
    "test-crash",
    "test-mode",
    "test-firewall",
    "test-fail",
];

/// When `up` is killed, in milliseconds after its start. It takes about two seconds.
const UP_KILLS: [u64; 18] = [
    5, 20, 40, 60, 90, 130, 200, 300, 450, 600, 750, 900, 1050, 1200, 1500, 1800, 2500, 4000,
];
/// When `down` is killed.
const DOWN_KILLS: [u64; 5] = [5, 25, 60, 120, 250];

struct Test<'a> {
    store: &'a Store,
    printer: &'a Printer,
    passed: u32,
    failed: u32,
}

/// Runs everything and ends with `N passed, N failed`.
pub(crate) fn run(store: &Store, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut test = Test {
        store,
        printer,
        passed: 0,
        failed: 0,
    };
    for name in LABS {
        // Left by an earlier run that was cut off.
        test.lab(&["down", "--name", name])?;
    }
    let before = Snapshot::take(store, &LABS)?;
    printer.say("Two labs at once");
    test.two_labs(&before)?;
    printer.say("Killed at many points");
    test.killed_ups(&before)?;
    test.killed_downs(&before)?;
    test.killed_build(&before)?;
    printer.say("Trouble");
    test.failing_start(&before)?;
    test.rivals(&before)?;
    test.strict_firewall(&before)?;
    printer.say("Other mounts of control groups");
    test.other_modes(&before)?;
    for name in LABS {
        test.lab(&["down", "--name", name])?;
    }
    printer.data(&format!("{} passed, {} failed", test.passed, test.failed));
    Ok(if test.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Test<'_> {
    fn check(&mut self, what: &str, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {
                self.passed += 1;
                self.printer.say(&format!("  ok    {what}"));
            }
            Err(error) => {
                self.failed += 1;
                self.printer.say(&format!("  FAIL  {what}: {error:#}"));
            }
        }
    }

    /// `cargo xtask lab` with these arguments, to its end.
    fn lab(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.command(arguments)?
            .output()
            .context("xtask could not be started")
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command
            .arg("lab")
            .args(arguments)
            .env("OPENG2P_CACHE", self.store.cache());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// `cargo xtask lab`, inside a shell script that first changes its own namespaces.
    fn inside(&self, namespace: &str, script: &str) -> anyhow::Result<Output> {
        let executable = env::current_exe()?;
        Command::new("unshare")
            .args([namespace, "sh", "-eu", "-c", script])
            .env("XTASK", executable)
            .env("OPENG2P_CACHE", self.store.cache())
            .stdin(Stdio::null())
            .output()
            .context("unshare could not be started")
    }

    fn state(&self, name: &str) -> anyhow::Result<LabState> {
        self.store
            .read(name)?
            .with_context(|| format!("the lab {name} has no state"))
    }

    /// What a command prints on a host.
    fn on(&self, lab: &str, host: &str, command: &str) -> anyhow::Result<String> {
        let state = self.state(lab)?;
        let output = state
            .ssh_command(state.host(Some(host))?)
            .arg(command)
            .stdin(Stdio::null())
            .output()?;
        succeeded(&output).with_context(|| format!("`{command}` on {host} of {lab}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn says(&self, lab: &str, host: &str, command: &str, expected: &str) -> anyhow::Result<()> {
        let text = self.on(lab, host, command)?;
        ensure!(
            text == expected,
            "`{command}` on {host} of {lab} says `{text}` instead of `{expected}`"
        );
        Ok(())
    }

    fn nothing_left(&self, before: &Snapshot) -> anyhow::Result<()> {
        // Killed processes stay visible until the machine's init has taken note.
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = Snapshot::take(self.store, &LABS)?.more_than(before);
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "left behind:\n    {}", left.join("\n    "));
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn two_labs(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        let first = self
            .command(&["up", "--name", "test-a", "--host", "one", "--host", "two"])?
            .spawn()?;
        let second = self
            .command(&["up", "--name", "test-b", "--release", "bookworm"])?
            .spawn()?;
        let first = first.wait_with_output()?;
        let second = second.wait_with_output()?;
        self.check("two hosts with Debian 13 come up", succeeded(&first));
        self.check("one with Debian 12 comes up at the same time", succeeded(&second));
        let hosts = [("test-a", "one"), ("test-a", "two"), ("test-b", "box1")];
        self.check("every host boots to SSH within 10 s", self.boots_are_fast());
        let all = |command: &str, expected: &str| {
            hosts
                .iter()
                .try_for_each(|(lab, host)| self.says(lab, host, command, expected))
        };
        let system = all("systemctl is-system-running", "running");
        let files = "mount -t overlay overlay -o lowerdir=/usr,upperdir=/var/lib/u,workdir=/var/lib/w /mnt \
                     && umount /mnt && echo works";
        let files = all(&format!("mkdir -p /var/lib/u /var/lib/w && {files}"), "works");
        let groups = all(
            "for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do if [ -e $d/cgroup.procs ]; then \
             mkdir $d/probe && rmdir $d/probe || exit 1; fi; done; echo works",
            "works",
        );
        let devices = all("test -c /dev/kmsg && test -c /dev/net/tun && echo works", "works");
        let registry = all("apt-get -qq update && echo works", "works");
        let keys = all(
            "sshd -T | grep -E '^(passwordauthentication|kbdinteractiveauthentication) yes' | wc -l",
            "0",
        );
        self.check("systemd is running on every host", system);
        self.check(
            "containers' overlay file systems work on the root file system",
            files,
        );
        self.check("every cgroup hierarchy can be written to", groups);
        self.check("/dev/kmsg and /dev/net/tun are there", devices);
        self.check("hosts reach the package registry", registry);
        self.check("SSH takes keys only", keys);
        self.check("the two releases are what was asked for", self.releases());
        self.check(
            "hosts of a lab reach each other by name",
            self.says(
                "test-a",
                "one",
                "ping -c 1 -W 2 two > /dev/null && echo works",
                "works",
            ),
        );
        self.check("labs have addresses of their own", self.subnets_differ());
        self.check("a wrong host key is refused", self.wrong_key_is_refused());
        self.check(
            "a second `up` of a running lab is refused",
            self.second_up_is_refused("test-a"),
        );
        self.check("a host comes back after a reboot", self.reboots("test-a", "two"));
        let down = self.lab(&["down", "--name", "test-a"])?;
        self.check("the first lab goes", succeeded(&down));
        self.check(
            "the second lab is untouched by that",
            self.says(
                "test-b",
                "box1",
                "apt-get -qq update && systemctl is-system-running",
                "running",
            ),
        );
        let down = self.lab(&["down", "--name", "test-b"])?;
        self.check("the second lab goes", succeeded(&down));
        self.check("nothing is left of both", self.nothing_left(before));
        let again = self.lab(&["down", "--name", "test-b"])?;
        self.check(
            "a lab that is gone is named as unknown",
            fails_with(&again, "lab::unknown"),
        );
        Ok(())
    }

    fn boots_are_fast(&self) -> anyhow::Result<()> {
        for lab in ["test-a", "test-b"] {
            for host in self.state(lab)?.hosts {
                let milliseconds = host.boot_milliseconds.context("no time was noted")?;
                self.printer
                    .say(&format!("        {lab} {}: {milliseconds} ms", host.name));
                ensure!(milliseconds <= 10_000, "{} took {milliseconds} ms", host.name);
            }
        }
        Ok(())
    }

    fn releases(&self) -> anyhow::Result<()> {
        let command = ". /etc/os-release; echo $VERSION_CODENAME";
        self.says("test-a", "one", command, "trixie")?;
        self.says("test-b", "box1", command, "bookworm")
    }

    fn subnets_differ(&self) -> anyhow::Result<()> {
        let subnets = [self.state("test-a")?.subnet, self.state("test-b")?.subnet];
        ensure!(subnets[0] != subnets[1], "both have {}", subnets[0]);
        Ok(())
    }

    fn wrong_key_is_refused(&self) -> anyhow::Result<()> {
        let mut state = self.state("test-a")?;
        let other = self.state("test-b")?.hosts[0].host_key.clone();
        let known_hosts = self.store.lab("test-a").join("wrong_known_hosts");
        fs::write(&known_hosts, format!("{} {other}\n", state.hosts[0].address))?;
        state.known_hosts = known_hosts;
        let output = state
            .ssh_command(&state.hosts[0])
            .arg("true")
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && text.contains("Host key verification failed"),
            "ssh said: {text}"
        );
        Ok(())
    }

    fn second_up_is_refused(&self, name: &str) -> anyhow::Result<()> {
        let state = fs::read(self.store.state_file(name))?;
        fails_with(&self.lab(&["up", "--name", name])?, "lab::already-up")?;
        ensure!(
            fs::read(self.store.state_file(name))? == state,
            "its state file changed"
        );
        Ok(())
    }

    fn reboots(&self, lab: &str, host: &str) -> anyhow::Result<()> {
        let boot = "stat -c %Y /proc/1";
        let first = self.on(lab, host, boot)?;
        // The connection may break before the command has ended.
        let _ = self.on(lab, host, "systemctl reboot");
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            thread::sleep(Duration::from_millis(200));
            let state = self.on(lab, host, &format!("systemctl is-system-running --wait; {boot}"));
            match state.as_deref().map(|text| text.split_once('\n')) {
                Ok(Some(("running", second))) if second != first => break,
                _ if Instant::now() < end => {}
                last => bail!("not back after 60 s, last: {last:?}"),
            }
        }
        self.says(lab, host, "ping -c 1 -W 2 one > /dev/null && echo works", "works")
    }

    fn killed_ups(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        for milliseconds in UP_KILLS {
            self.kill_after(
                &["up", "--name", "test-crash", "--host", "one", "--host", "two"],
                milliseconds,
            )?;
            let down = self.lab(&["down", "--name", "test-crash"])?;
            // Killed early enough, it had not begun.
            let outcome =
                succeeded(&down).or_else(|error| fails_with(&down, "lab::unknown").map_err(|_| error));
            let outcome = outcome.and_then(|()| self.nothing_left(before));
            self.check(
                &format!("`up` killed after {milliseconds} ms, then `down`"),
                outcome,
            );
        }
        for milliseconds in [200, 1000] {
            self.kill_after(&["up", "--name", "test-crash"], milliseconds)?;
            let up = self.lab(&["up", "--name", "test-crash"])?;
            let down = self.lab(&["down", "--name", "test-crash"])?;
            let outcome = succeeded(&up)
                .and(succeeded(&down))
                .and_then(|()| self.nothing_left(before));
            self.check(
                &format!("`up` killed after {milliseconds} ms, then `up`, then `down`"),
                outcome,
            );
        }
        Ok(())
    }

    fn killed_downs(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        for milliseconds in DOWN_KILLS {
            let up = self.lab(&["up", "--name", "test-crash"])?;
            self.kill_after(&["down", "--name", "test-crash"], milliseconds)?;
            let down = self.lab(&["down", "--name", "test-crash"])?;
            let outcome =
                succeeded(&down).or_else(|error| fails_with(&down, "lab::unknown").map_err(|_| error));
            let outcome = succeeded(&up)
                .and(outcome)
                .and_then(|()| self.nothing_left(before));
            self.check(
                &format!("`down` killed after {milliseconds} ms, then `down`"),
                outcome,
            );
        }
        Ok(())
    }

    /// Kills `up` while mmdebstrap works for it, in a cache of its own.
    fn killed_build(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        let cache = self.store.cache().join("lab-test-cache");
        let mut up = self
            .command(&["up", "--name", "test-crash"])?
            .env("OPENG2P_CACHE", &cache)
            .spawn()?;
        thread::sleep(Duration::from_secs(6));
        let builds = partial_images(&cache);
        kill(&mut up)?;
        let started = if builds.is_empty() {
            Err(anyhow::anyhow!("no build had begun"))
        } else {
            Ok(())
        };
        // The end of namespaces is not instant.
        thread::sleep(Duration::from_secs(1));
        let down = self
            .command(&["down", "--name", "test-crash"])?
            .env("OPENG2P_CACHE", &cache)
            .output()?;
        let swept = fails_with(&down, "lab::unknown").and_then(|()| {
            let left = partial_images(&cache);
            ensure!(left.is_empty(), "{left:?} is left");
            Ok(())
        });
        fs::remove_dir_all(&cache)?;
        let outcome = started.and(swept).and_then(|()| self.nothing_left(before));
        self.check("`up` killed while it builds a root file system", outcome);
        Ok(())
    }

    fn failing_start(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        let script = "mount --bind /bin/false \"$(command -v systemd-nspawn)\"; exec \"$XTASK\" lab up --name test-fail";
        let output = self.inside("--mount", script)?;
        let outcome = fails_with(&output, "lab::host-ended").and_then(|()| self.nothing_left(before));
        self.check(
            "an `up` whose host ends at once says so and leaves nothing",
            outcome,
        );
        Ok(())
    }

    fn rivals(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        let arguments = ["up", "--name", "test-crash"];
        let both = [
            self.command(&arguments)?.spawn()?,
            self.command(&arguments)?.spawn()?,
        ];
        let outputs = both.map(Child::wait_with_output);
        let [first, second] = outputs;
        let (first, second) = (first?, second?);
        let (winner, loser) = if first.status.success() {
            (first, second)
        } else {
            (second, first)
        };
        let outcome = succeeded(&winner).and_then(|()| fails_with(&loser, "lab::already-up"));
        self.check(
            "of two `up`s of one name one wins and the other is refused",
            outcome,
        );
        let down = self.lab(&["down", "--name", "test-crash"])?;
        self.check(
            "the winner's lab goes",
            succeeded(&down).and_then(|()| self.nothing_left(before)),
        );
        Ok(())
    }

    /// In a network namespace of its own, where the policy can be changed without harm to anybody.
    fn strict_firewall(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        if Command::new("iptables")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            self.printer
                .say("  skip  no iptables here, so no policy to get past");
            return Ok(());
        }
        let script = "ip link set lo up; iptables -P FORWARD DROP
            settings() { cat /proc/sys/net/ipv4/ip_forward /proc/sys/vm/max_map_count; }
            before=$(settings)
            \"$XTASK\" lab up --name test-firewall --host one --host two
            \"$XTASK\" lab ssh --name test-firewall --host one -- ping -c 1 -W 2 two
            \"$XTASK\" lab ssh --name test-firewall -- \"sysctl -w vm.max_map_count=$(
                expr $(cat /proc/sys/vm/max_map_count) - 1)\"
            test \"$(settings)\" != \"$before\"
            \"$XTASK\" lab down --name test-firewall
            test \"$(iptables -S FORWARD)\" = '-P FORWARD DROP'
            test -z \"$(nft list tables ip | grep openg2p)\"
            test \"$(settings)\" = \"$before\"";
        let output = self.inside("--net", script)?;
        let outcome = succeeded(&output).and_then(|()| self.nothing_left(before));
        self.check(
            "hosts reach each other where forwarding is dropped by policy; rules and kernel settings are put back",
            outcome,
        );
        Ok(())
    }

    /// A mount namespace shows a machine with other mounts. What such a machine would also have, other controllers in
    /// the version 2 tree, it cannot show.
    fn other_modes(&mut self, before: &Snapshot) -> anyhow::Result<()> {
        if CgroupLayout::detect()?.version != CgroupVersion::Hybrid {
            self.printer
                .say("  skip  only a machine with hybrid control groups can show the other two");
            return Ok(());
        }
        let modes = [
            (
                "unified",
                "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup",
                "cgroup2fs",
            ),
            ("legacy", "umount /sys/fs/cgroup/unified", "tmpfs"),
        ];
        for (mode, change, kind) in modes {
            for release in ["trixie", "bookworm"] {
                let script = format!(
                    "{change}; exec \"$XTASK\" lab up --name test-mode --release {release} --host one"
                );
                let up = self.inside("--mount", &script)?;
                let outcome = succeeded(&up)
                    .and_then(|()| self.says("test-mode", "one", "stat -f -c %T /sys/fs/cgroup", kind))
                    .and_then(|()| self.says("test-mode", "one", "systemctl is-system-running", "running"));
                let down = self.lab(&["down", "--name", "test-mode"])?;
                let outcome = outcome
                    .and(succeeded(&down))
                    .and_then(|()| self.nothing_left(before));
                self.check(&format!("{release} with {mode} control groups"), outcome);
            }
        }
        Ok(())
    }

    fn kill_after(&self, arguments: &[&str], milliseconds: u64) -> anyhow::Result<()> {
        let mut child = self
            .command(arguments)?
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        thread::sleep(Duration::from_millis(milliseconds));
        kill(&mut child)
    }
}

fn kill(child: &mut Child) -> anyhow::Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn partial_images(cache: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("lab-images"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "partial"))
        .collect()
}

fn succeeded(output: &Output) -> anyhow::Result<()> {
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn fails_with(output: &Output, code: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1),
        "{} instead of exit status 1: {text}",
        output.status
    );
    ensure!(text.contains(code), "no `{code}` in: {text}");
    Ok(())
}
