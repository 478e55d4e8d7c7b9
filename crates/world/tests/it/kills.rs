//! The engine on real files, Nginx and nftables, killed with SIGKILL at its effects and at any instant. The next run ends where an
//! undisturbed one ends.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::engine::{ENVIRONMENTS, Ended, Errand, Wish, differs, picture, send};
use crate::host::{Death, Ground};
use crate::programs::{Network, free_port, is_root, must, nginx};

/// Kills in every run of the tests (with those on the API server and on systemd more than 200), and in a soak.
const KILLS: usize = 160;
const SOAK: usize = 2_000;

fn ground(root: &std::path::Path, network: Option<&Network>) -> Ground {
    for name in ["run", "log", "units"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    Ground {
        root: root.to_owned(),
        nginx: nginx(),
        network: network.map(|network| network.0.clone()),
        port: free_port(),
    }
}

/// Ends Nginx with the test, also when it fails.
struct Daemon(Ground);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = self.0.master() {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

fn all() -> Vec<String> {
    ENVIRONMENTS.iter().map(|name| (*name).to_owned()).collect()
}

/// Install, edit, removal: again and again.
fn wishes() -> [Wish; 3] {
    [
        Wish::Site(0, all()),
        Wish::Site(1, vec!["dev".into(), "qa".into()]),
        Wish::Gone,
    ]
}

fn errand(ground: &Ground, wish: &Wish, death: Death, run: &str) -> Errand {
    Errand {
        ground: ground.clone(),
        wish: wish.clone(),
        death,
        run: run.into(),
        told: ground.root.with_extension("ended"),
    }
}

#[track_caller]
fn finish(ground: &Ground, wish: &Wish, context: &str) {
    let mut told = Vec::new();
    for turn in 0..4 {
        match send(
            &errand(ground, wish, Death::default(), &format!("again-{turn}")),
            None,
        ) {
            Ended::Nothing => return,
            other => told.push(format!("{other:?}")),
        }
    }
    panic!("{context}: no end of it:\n{}", told.join("\n"));
}

/// Undisturbed: where each wish ends, with how many effects and how long it takes.
fn goals(ground: &Ground) -> Vec<(BTreeMap<String, String>, usize, Duration)> {
    wishes()
        .iter()
        .map(|wish| {
            let began = Instant::now();
            let ended = send(&errand(ground, wish, Death::default(), "first"), None);
            let took = began.elapsed();
            let Ended::Done(effects) = ended else {
                panic!("{wish:?}: {ended:?}")
            };
            // a reload is seen by clients a moment later
            std::thread::sleep(Duration::from_millis(300));
            let first = picture(ground);
            finish(ground, wish, "undisturbed");
            assert_eq!(differs(ground, &first), Vec::<String>::new());
            (first, effects, took)
        })
        .collect()
}

#[test]
fn the_engine_killed_on_real_back_ends_converges() {
    let asked = std::env::var("OPENG2P_KILLS").ok();
    let asked = asked.and_then(|text| text.parse().ok());
    let soak = std::env::var("OPENG2P_SOAK").is_ok();
    let wanted: usize = asked.unwrap_or(if soak { SOAK } else { KILLS });
    let folder = tempfile::Builder::new()
        .prefix("openg2p-real-")
        .tempdir()
        .unwrap();
    let network = is_root().then(|| Network::new("kills"));
    if network.is_none() {
        eprintln!("not root: nftables is left out");
    }
    let ground = ground(folder.path(), network.as_ref());
    let _daemon = Daemon(ground.clone());
    let goals = goals(&ground);
    for (_, effects, took) in &goals {
        eprintln!("undisturbed: {effects} effects, {took:.1?}");
    }
    let began = Instant::now();
    let (mut kills, mut at_effect, mut early, mut turn) = (0, 0, 0, 0_usize);
    while kills < wanted {
        for (number, wish) in wishes().iter().enumerate() {
            let (goal, effects, took) = &goals[number];
            // two of three at an effect, evenly spread over them; the third at any instant
            let (death, kill_after) = if turn % 3 == 2 {
                let share = u32::try_from(turn * 37 % 100).unwrap();
                (Death::default(), Some(*took * share / 100))
            } else {
                let death = Death {
                    effect: Some(turn * 13 % effects),
                    behind: turn % 2 == 0,
                };
                (death, None)
            };
            let context = format!("{wish:?}, turn {turn}, {death:?}, {kill_after:?}");
            let ended = send(&errand(&ground, wish, death, &format!("turn-{turn}")), kill_after);
            if ended == Ended::Killed {
                kills += 1;
                at_effect += usize::from(death.effect.is_some());
            } else if let (Some(effect), Ended::Done(count)) = (death.effect, &ended) {
                // steps side by side are written together, sometimes more of them and sometimes fewer, so one
                // run has a few effects less than the one that was counted
                assert!(*count <= effect, "{context}: not killed: {ended:?}");
                early += 1;
            } else {
                assert!(kill_after.is_some(), "{context}: not killed: {ended:?}");
            }
            finish(&ground, wish, &context);
            let found = differs(&ground, goal);
            assert!(found.is_empty(), "{context}:\n{}", found.join("\n"));
        }
        turn += 1;
    }
    assert!(
        early * 10 < kills,
        "{early} runs of {kills} ended before the effect they were to be killed at"
    );
    eprintln!(
        "killed {kills} times, {at_effect} of them at an effect; {early} runs ended before theirs; all the same in the end, {:.1?}",
        began.elapsed()
    );
}

/// A file system of four megabytes.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(path: &std::path::Path) -> Self {
        must(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs"])
                .arg(path),
        );
        Self(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_stops_a_run_and_harms_nothing() {
    if !is_root() {
        eprintln!("not root: no small disk can be mounted");
        return;
    }
    let folder = tempfile::Builder::new()
        .prefix("openg2p-full-")
        .tempdir()
        .unwrap();
    let _disk = SmallDisk::new(folder.path());
    let network = Network::new("full");
    let ground = ground(folder.path(), Some(&network));
    let _daemon = Daemon(ground.clone());
    let goals = goals(&ground);
    let mut stopped = 0;
    for kibibytes in [0, 4, 8, 16, 24, 32, 48, 64, 80, 96] {
        for (number, wish) in wishes().iter().enumerate() {
            let context = format!("{wish:?} with {kibibytes} KiB free");
            let ballast = folder.path().join("ballast");
            let _ = std::fs::write(&ballast, vec![0_u8; 4 << 20]);
            let size = std::fs::metadata(&ballast).unwrap().len();
            let file = std::fs::OpenOptions::new().write(true).open(&ballast).unwrap();
            file.set_len(size.saturating_sub(kibibytes * 1024)).unwrap();
            // a file that is open keeps its room even when it is removed
            drop(file);
            let ended = send(&errand(&ground, wish, Death::default(), "full"), None);
            if let Ended::Failed(why) = &ended {
                assert!(why.contains("No space left"), "{context}: {why}");
                stopped += 1;
            }
            std::fs::remove_file(&ballast).unwrap();
            finish(&ground, wish, &context);
            // the journals of all these runs would fill it for good
            std::fs::remove_dir_all(folder.path().join("state/journal")).unwrap();
            let found = differs(&ground, &goals[number].0);
            assert!(found.is_empty(), "{context}:\n{}", found.join("\n"));
        }
    }
    eprintln!("stopped {stopped} times by a full disk");
    assert!(stopped >= 6, "{stopped}");
}
