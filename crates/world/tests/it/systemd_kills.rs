//! The engine on a real host with systemd, apt, Nginx and nftables, killed with SIGKILL at its effects and at any instant, alone or with all
//! that it started. The next run ends where an undisturbed one ends, and the one after it has nothing to do.
//!
//! It installs packages and masks units on the host that it runs on: `cargo xtask kills` runs it on a throw-away one, and it refuses any
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openg2p_plan::Fingerprint;
use openg2p_ports::Host as _;
use openg2p_run::Memory;
use openg2p_world::{BundleDirectory, LocalHost};

use crate::cluster_site::Wish;
use crate::engine::{Ended, Killer, walk};
use crate::host::{Counter, Death, TestState};
use crate::lot::{self, Lot};
use crate::systemd_engine::{Errand, send};
use crate::systemd_site::{DAEMON, SETTINGS, UNITS, names};

/// Kills in every run of the tests, and in a soak.
const KILLS: usize = 100;
const SOAK: usize = 1_000;
/// How long the host may take until all is as it will be.
const SETTLES: Duration = Duration::from_secs(20);
/// What programs of Debian's write at their own time.
const DEBIANS: [&str; 3] = ["/etc/ld.so.cache", "/etc/.pwd.lock", "/etc/resolv.conf"];

/// Install, edit, edit with things taken out, round and round, and removal from time to time: most of its time is apt's. Where a wish ends does not
/// depend on the way.
const WAY: [Wish; 10] = [
    Wish::Site(0),
    Wish::Site(1),
    Wish::Site(2),
    Wish::Site(0),
    Wish::Site(1),
    Wish::Site(2),
    Wish::Site(1),
    Wish::Site(0),
    Wish::Site(2),
    Wish::Gone,
];
/// Each of them once.
const WISHES: [Wish; 4] = [Wish::Site(0), Wish::Site(1), Wish::Site(2), Wish::Gone];

/// By name, one thing a line.
type Picture = BTreeMap<String, String>;

/// What a program prints, whatever it thinks of the question.
fn says(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| format!("no {program}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// What a client sees of one host name.
fn served(name: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", 80))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer
            .split_once("\r\n\r\n")
            .map_or(String::new(), |(head, body)| {
                format!(
                    "{} {}",
                    head.split_whitespace().nth(1).unwrap_or_default(),
                    body.trim()
                )
            }))
    };
    // its pages are long and Debian's
    ask().map_or_else(
        |error| error.kind().to_string(),
        |text| text.chars().take(60).collect(),
    )
}

/// With which edition of its settings the program runs that has them in its environment.
fn running_edition() -> String {
    let pid = says("systemctl", &["show", "--property=MainPID", "--value", DAEMON]);
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let edition = environment
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .find(|variable| variable.starts_with("EDITION="));
    edition.map_or_else(|| "none".to_owned(), std::borrow::Cow::into_owned)
}

/// Everything of the host that this site has to do with.
fn picture(root: &Path) -> Picture {
    let mut lines = Picture::new();
    walk(Path::new("/etc"), &mut lines);
    lines.retain(|path, _| !DEBIANS.contains(&path.as_str()));
    for folder in ["/usr/local", "/var/www"] {
        walk(Path::new(folder), &mut lines);
    }
    let format = "--showformat=${Package} ${Version} ${db:Status-Abbrev}\\n";
    for package in says("dpkg-query", &["--show", format]).lines() {
        let (name, state) = package.split_once(' ').unwrap_or((package, ""));
        lines.insert(format!("package {name}"), state.to_owned());
    }
    for unit in UNITS {
        let properties = "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload";
        lines.insert(
            format!("unit {unit}"),
            says("systemctl", &["show", properties, unit]).replace('\n', " "),
        );
    }
    let failed = ["list-units", "--failed", "--plain", "--no-legend"];
    lines.insert("failed units".into(), says("systemctl", &failed));
    lines.insert("jobs".into(), says("systemctl", &["list-jobs", "--no-legend"]));
    lines.insert(format!("{DAEMON} runs with"), running_edition());
    lines.insert("rules".into(), says("nft", &["--stateless", "list", "ruleset"]));
    for (name, _) in SETTINGS {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        lines.insert(
            format!("setting {name}"),
            std::fs::read_to_string(path).unwrap().trim().into(),
        );
    }
    let all: BTreeSet<&str> = (0..3)
        .flat_map(|edition| names(edition).iter().copied())
        .collect();
    for name in all {
        lines.insert(format!("served {name}"), served(name));
    }
    let state = TestState::new(root, Counter::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (ledger, _) = runtime.block_on(Memory::read(&state)).unwrap();
    for (id, entry) in ledger.entries {
        let mut value = serde_json::to_value(&entry).unwrap();
        for name in ["createdBy", "changedBy"] {
            value.as_object_mut().unwrap().remove(name);
        }
        lines.insert(format!("ledger {id}"), Fingerprint::of(&value).short().to_owned());
    }
    lines
}

/// Waits until the picture is the wanted one. Gives what still differs.
fn differs(root: &Path, wanted: &Picture) -> Vec<String> {
    let began = Instant::now();
    loop {
        let now = picture(root);
        if now == *wanted {
            return Vec::new();
        }
        if began.elapsed() > SETTLES {
            let names: BTreeSet<&String> = wanted.keys().chain(now.keys()).collect();
            return names
                .into_iter()
                .filter(|name| wanted.get(*name) != now.get(*name))
                .map(|name| {
                    format!(
                        "{name}\n    is  {:?}\n    not {:?}",
                        now.get(name),
                        wanted.get(name)
                    )
                })
                .collect();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Effect(Death),
    /// The engine alone, after that share of the time that it takes, in hundredths: what it started goes on, as under the unit of a run.
    Engine(u32),
    /// With all that it started.
    Group(u32),
}

impl Harm {
    fn draw(lot: &mut Lot, effects: usize) -> Self {
        match lot.draw(6) {
            kind @ 0..=2 => Self::Effect(Death {
                effect: Some(lot.draw(effects)),
                behind: kind > 0,
            }),
            3 | 4 => Self::Engine(lot.share()),
            _ => Self::Group(lot.share()),
        }
    }
}

/// Where a wish ends, with how many effects and how long it takes.
struct Goal {
    picture: Picture,
    effects: usize,
    took: Duration,
}

struct Life {
    folder: PathBuf,
    seed: u64,
}

impl Life {
    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn errand(&self, wish: Wish, death: Death, run: &str) -> Errand {
        Errand {
            root: self.root(),
            bundle: self.folder.join("bundle"),
            wish,
            death,
            run: run.into(),
            told: self.folder.join("ended"),
        }
    }

    fn words(&self, context: &str) -> String {
        format!("seed {}, {context}", self.seed)
    }

    /// The next run comes to its end, and the one behind it has nothing to do. What a killed engine had started goes on, a job of systemd or
    /// apt: a run whose plan it overtakes is refused, as it must be, and is asked for once more. Gives whether that was so.
    #[track_caller]
    fn finish(&self, wish: Wish, run: &str, context: &str) -> bool {
        let again = |name: &str| {
            let errand = self.errand(wish, Death::default(), &format!("{run}-{name}"));
            send(&errand, Killer::Nobody)
        };
        let mut next = again("again");
        let overtaken = matches!(&next, Ended::Failed(why) if why.contains("plan::moved"));
        if overtaken {
            next = again("once-more");
        }
        match next {
            Ended::Nothing => return overtaken,
            Ended::Done(_) => {}
            other => panic!("{}: the next run: {other:?}", self.words(context)),
        }
        let last = again("last");
        assert_eq!(last, Ended::Nothing, "{}: the second run", self.words(context));
        overtaken
    }

    #[track_caller]
    fn is_as(&self, goal: &Picture, context: &str) {
        packages_rest();
        let found = differs(&self.root(), goal);
        assert!(found.is_empty(), "{}:\n{}", self.words(context), found.join("\n"));
    }

    /// Undisturbed.
    fn goals(&self) -> Vec<Goal> {
        let bare = picture(&self.root());
        let goals: Vec<Goal> = WISHES
            .iter()
            .enumerate()
            .map(|(number, wish)| {
                let began = Instant::now();
                let ended = send(
                    &self.errand(*wish, Death::default(), &format!("first-{number}")),
                    Killer::Nobody,
                );
                let took = began.elapsed();
                let Ended::Done(effects) = ended else {
                    panic!("{wish:?}, undisturbed: {ended:?}")
                };
                // a reload is seen by clients a moment later
                std::thread::sleep(Duration::from_millis(500));
                let picture = picture(&self.root());
                let context = format!("{wish:?}, undisturbed");
                assert!(!self.finish(*wish, &format!("second-{number}"), &context));
                self.is_as(&picture, &context);
                eprintln!(
                    "{context}: {effects} effects, {took:.1?}, {} lines",
                    picture.len()
                );
                Goal {
                    picture,
                    effects,
                    took,
                }
            })
            .collect();
        // removed is as if it had never been
        self.is_as(&bare, "removed");
        goals
    }
}

/// Waits until no package manager works any more. The one of an engine that was killed goes on, and behind the packages themselves it still
/// has their triggers to work off: a run meanwhile finds nothing to do, and `libc-bin` is not at rest yet.
fn packages_rest() {
    let working = || {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut names = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
        names.any(|name| matches!(name.trim(), "apt-get" | "dpkg"))
    };
    let began = Instant::now();
    while working() && began.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Where the tests of this file may work.
fn throw_away_folder() -> PathBuf {
    let container = std::fs::read_to_string("/run/systemd/container").unwrap_or_default();
    assert_eq!(
        container.trim(),
        "systemd-nspawn",
        "this host is somebody's: packages would be installed on it"
    );
    PathBuf::from(std::env::var_os("OPENG2P_KILLS_FOLDER").expect("OPENG2P_KILLS_FOLDER"))
}

/// dpkg was cut off when all packages were there and `libc-bin` had still to be told of their libraries. Whoever installs or removes next
/// misses nothing, and finishes that.
#[tokio::test]
#[ignore = "needs a throw-away host with systemd: `cargo xtask kills`"]
async fn what_waits_behind_packages_that_are_all_there_is_finished() {
    let folder = throw_away_folder();
    let bundle = Arc::new(BundleDirectory::open_or_empty(&folder.join("no-bundle")));
    let host = LocalHost::new("box1", bundle, folder.join("no-apt"));
    let state = |name: &str| {
        let format = "--showformat=${db:Status-Abbrev}\t${Version}";
        says("dpkg-query", &["--show", format, name])
    };
    let package = |name: &str| {
        let version = state(name).split('\t').next_back().unwrap().to_owned();
        vec![(name.to_owned(), version)]
    };
    let rest = state("libc-bin");
    assert!(rest.starts_with("ii "), "{rest}");
    // nothing is missing; the one that waits is wanted itself; everything is gone already
    let wanted = [Some(package("dpkg")), Some(package("libc-bin")), None];
    for wanted in wanted {
        says(
            "dpkg-trigger",
            &["--by-package=libc-bin", "--no-await", "ldconfig"],
        );
        assert_eq!(state("libc-bin"), rest.replacen("ii", "it", 1));
        match &wanted {
            Some(packages) => assert!(host.install_packages(packages).await.unwrap().is_empty()),
            None => host
                .purge_packages(&["openg2p-nowhere".to_owned()])
                .await
                .unwrap(),
        }
        assert_eq!(state("libc-bin"), rest, "{wanted:?}");
    }
    // what dpkg cannot finish is told, and is nothing to stop a removal for
    let broken = folder.join("broken");
    let control = broken.join("DEBIAN");
    std::fs::create_dir_all(&control).unwrap();
    let text = "Package: openg2p-broken\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: for a test\n";
    std::fs::write(control.join("control"), text).unwrap();
    std::fs::write(control.join("postinst"), "#!/bin/sh\nexit 7\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(control.join("postinst"), executable).unwrap();
    let file = folder.join("broken.deb");
    says(
        "dpkg-deb",
        &["--build", broken.to_str().unwrap(), file.to_str().unwrap()],
    );
    says("dpkg", &["--install", file.to_str().unwrap()]);
    assert!(state("openg2p-broken").starts_with("iF "));
    let error = host.install_packages(&package("dpkg")).await.unwrap_err();
    eprintln!("{error}");
    assert_eq!(error.code, "host::packages");
    assert!(error.why.contains("openg2p-broken"), "{error}");
    host.purge_packages(&["openg2p-nowhere".to_owned()])
        .await
        .unwrap();
    says("dpkg", &["--purge", "openg2p-broken"]);
    assert!(!state("openg2p-broken").starts_with('i'));
}

#[test]
#[ignore = "needs a throw-away host with systemd: `cargo xtask kills`"]
fn the_engine_killed_on_a_real_systemd_converges() {
    let folder = throw_away_folder();
    let (wanted, seed) = (lot::kills(KILLS, SOAK), lot::seed());
    let life = Life { folder, seed };
    std::fs::create_dir_all(life.root()).unwrap();
    let goals = life.goals();
    let began = Instant::now();
    let mut draws = Lot(seed);
    let (mut kills, mut at_effect, mut whole, mut spared) = (0, 0, 0, 0);
    let (mut overtaken, mut turn) = (0, 0);
    while kills < wanted {
        for wish in &WAY {
            let goal = WISHES.iter().zip(&goals).find(|(known, _)| *known == wish);
            let (_, goal) = goal.unwrap();
            let harm = Harm::draw(&mut draws, goal.effects);
            let run = format!("turn-{turn}");
            let context = format!("{wish:?}, {run}, {harm:?}");
            let (death, killer) = match harm {
                Harm::Effect(death) => (death, Killer::Nobody),
                Harm::Engine(share) => (Death::default(), Killer::Process(goal.took * share / 100)),
                Harm::Group(share) => (Death::default(), Killer::Group(goal.took * share / 100)),
            };
            match send(&life.errand(*wish, death, &run), killer) {
                Ended::Killed => {
                    kills += 1;
                    at_effect += usize::from(matches!(harm, Harm::Effect(_)));
                    whole += usize::from(matches!(harm, Harm::Group(_)));
                }
                Ended::Failed(why) => panic!("{}: {why}", life.words(&context)),
                _ => spared += 1,
            }
            overtaken += usize::from(life.finish(*wish, &run, &context));
            life.is_as(&goal.picture, &context);
            turn += 1;
        }
    }
    eprintln!(
        "seed {seed}: killed {kills} times on a real systemd, {at_effect} of them at an effect, {whole} with all that it had started; \
         {spared} runs ended before their turn; {overtaken} were refused first, for what was started before went on; all the same in the end, \
         {:.1?}",
        began.elapsed()
    );
}
