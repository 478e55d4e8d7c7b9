//! The engine on a real API server with Kubernetes' own controllers, killed with SIGKILL at its effects and at any instant, and on a line
//! that is cut behind any byte. The next run ends where an undisturbed one ends, and the one after it has nothing to do.
//!
//! Several sites live on one server side by side, for much of their time is waiting: a namespace alone takes five seconds to go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openg2p_lab::{ApiServer, ApiServerPrograms, ControllerManager};
use openg2p_ports::World;
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, SharedBundle, SystemRandom};

use crate::api_server::started;
use crate::cluster_engine::{Errand, send};
use crate::cluster_picture::{Looker, Picture};
use crate::cluster_site::{Lane, WISHES, Wish};
use crate::engine::{Ended, Killer};
use crate::host::Death;
use crate::link::{Cuts, Link, Way};
use crate::lot::{Lot, kills, seed};
use crate::node::Node;

/// Kills in every run of the tests, and in a soak.
const KILLS: usize = 25;
const SOAK: usize = 1_500;
/// Sites on the server.
const LANES: [&str; 5] = ["lane-a", "lane-b", "lane-c", "lane-d", "lane-e"];

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Effect(Death),
    /// After that share of the time that it takes, in hundredths.
    Instant(u32),
    Line(Cuts),
}

impl Harm {
    fn draw(lot: &mut Lot, effects: usize) -> Self {
        match lot.draw(8) {
            kind @ 0..=4 => Self::Effect(Death {
                effect: Some(lot.draw(effects)),
                // an answer that is lost, rather than a request that was never sent
                behind: kind > 1,
            }),
            5 | 6 => Self::Instant(lot.share()),
            _ => Self::Line(Cuts {
                way: if lot.draw(3) == 0 { Way::There } else { Way::Back },
                // a handshake of TLS must come through from time to time
                every: 8_000 + lot.draw(60_000),
            }),
        }
    }
}

/// Where a wish ends, with how many effects and how long it takes.
struct Goal {
    picture: Picture,
    effects: usize,
    took: Duration,
}

/// One site, its folder, and how it is looked at.
struct Life<'a> {
    lane: &'a Lane,
    folder: PathBuf,
    kubeconfig: &'a Path,
    look: Looker<'a>,
    seed: u64,
}

#[derive(Default)]
struct Count {
    kills: usize,
    at_effect: usize,
    cuts: usize,
    lines: usize,
    spared: usize,
}

impl Life<'_> {
    fn errand(&self, wish: Wish, death: Death, run: &str) -> Errand {
        Errand {
            kubeconfig: self.kubeconfig.to_owned(),
            root: self.folder.clone(),
            lane: self.lane.clone(),
            wish,
            death,
            run: run.into(),
            told: self.folder.join("ended"),
        }
    }

    /// The next run comes to its end, and the one behind it has nothing to do.
    #[track_caller]
    fn finish(&self, wish: Wish, run: &str, context: &str) {
        match send(
            &self.errand(wish, Death::default(), &format!("{run}-again")),
            Killer::Nobody,
        ) {
            Ended::Nothing => return,
            Ended::Done(_) => {}
            other => panic!("{}: the next run: {other:?}", self.words(context)),
        }
        let last = send(
            &self.errand(wish, Death::default(), &format!("{run}-last")),
            Killer::Nobody,
        );
        assert_eq!(last, Ended::Nothing, "{}: the second run", self.words(context));
    }

    fn words(&self, context: &str) -> String {
        format!("{} of seed {}, {context}", self.lane.name, self.seed)
    }

    #[track_caller]
    fn is_as(&self, goal: &Picture, context: &str) {
        let found = self.look.differs(goal);
        assert!(found.is_empty(), "{}:\n{}", self.words(context), found.join("\n"));
    }

    /// Undisturbed.
    fn goals(&self, bare: &Picture) -> Vec<Goal> {
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
                    panic!("{}: {ended:?}", self.words(&format!("{wish:?}, undisturbed")))
                };
                let picture = self.look.settled();
                let context = format!("{wish:?}, undisturbed");
                self.finish(*wish, &format!("second-{number}"), &context);
                self.is_as(&picture, &context);
                Goal {
                    picture,
                    effects,
                    took,
                }
            })
            .collect();
        // removed is as if it had never been
        if let Some(last) = goals.last() {
            self.is_as(bare, "removed");
            assert_eq!(&last.picture, bare, "{}", self.words("removed"));
        }
        goals
    }

    fn live(&self, wanted: usize) -> Count {
        self.look.plant();
        let bare = self.look.picture();
        let goals = self.goals(&bare);
        for (wish, goal) in WISHES.iter().zip(&goals) {
            eprintln!(
                "{} {wish:?}, undisturbed: {} effects, {:.1?}, {} lines",
                self.lane.name,
                goal.effects,
                goal.took,
                goal.picture.len()
            );
        }
        let mut count = Count::default();
        let mut lot = Lot(self.seed);
        let mut turn = 0;
        while count.kills < wanted {
            for (wish, goal) in WISHES.iter().zip(&goals) {
                self.turn(*wish, goal, turn, &mut lot, &mut count);
                turn += 1;
            }
        }
        count
    }

    fn turn(&self, wish: Wish, goal: &Goal, turn: usize, lot: &mut Lot, count: &mut Count) {
        let harm = Harm::draw(lot, goal.effects);
        let run = format!("turn-{turn}");
        let told = format!("{wish:?}, {run}, {harm:?}");
        let before = self.look.values();
        let mut errand = self.errand(wish, Death::default(), &run);
        let ended = match harm {
            Harm::Effect(death) => {
                errand.death = death;
                send(&errand, Killer::Nobody)
            }
            Harm::Instant(share) => send(&errand, Killer::Process(goal.took * share / 100)),
            Harm::Line(cuts) => {
                let text = std::fs::read_to_string(self.kubeconfig).unwrap();
                let port = text.split("https://127.0.0.1:").nth(1).unwrap();
                let port = port.lines().next().unwrap().trim().to_owned();
                let link = Link::to(port.parse().unwrap(), cuts);
                errand.kubeconfig = self.folder.join("kubeconfig");
                let text = text.replace(
                    &format!("https://127.0.0.1:{port}"),
                    &format!("https://127.0.0.1:{}", link.port()),
                );
                std::fs::write(&errand.kubeconfig, text).unwrap();
                let ended = send(&errand, Killer::Nobody);
                count.cuts += link.count();
                count.lines += 1;
                ended
            }
        };
        match (&ended, harm) {
            (Ended::Killed, Harm::Line(_)) => panic!("{}: it ended by itself", self.words(&told)),
            (Ended::Killed, _) => {
                count.kills += 1;
                count.at_effect += usize::from(matches!(harm, Harm::Effect(_)));
            }
            // what the line did to it is told; only the next run must succeed
            (_, Harm::Line(_)) => {}
            (Ended::Failed(why), _) => panic!("{}: {why}", self.words(&told)),
            _ => count.spared += 1,
        }
        let behind = self.look.values();
        self.finish(wish, &run, &told);
        self.is_as(&goal.picture, &told);
        if wish == Wish::Gone {
            return;
        }
        let now = self.look.values();
        for (name, value) in before.iter().chain(&behind) {
            assert!(
                now.get(name) == Some(value),
                "{}: {name} is another one",
                self.words(&told)
            );
        }
    }
}

fn world(kubeconfig: &Path, folder: &Path) -> World {
    let bundle = Arc::new(BundleDirectory::open_or_empty(&folder.join("bundle")));
    World {
        host: Box::new(LocalHost::new("box1", bundle.clone(), folder.join("apt"))),
        cluster: Box::new(KubernetesApi::new(kubeconfig)),
        bundle: Box::new(SharedBundle(bundle)),
        random: Box::new(SystemRandom),
    }
}

#[test]
#[ignore = "needs etcd, kube-apiserver and kube-controller-manager"]
fn the_engine_killed_on_a_real_api_server_converges() {
    let programs = ApiServerPrograms::from_environment().expect("OPENG2P_ETCD and OPENG2P_KUBE_APISERVER");
    let controllers = ControllerManager::from_environment().expect(ControllerManager::VARIABLE);
    let (wanted, seed) = (kills(KILLS, SOAK), seed());
    let folder = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(&programs, folder.path()).unwrap();
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(started(&mut server));
    let mut controllers = ControllerManager::start(&controllers, &server).unwrap();
    let _node = Node::start(server.kubeconfig());
    let began = Instant::now();
    let counts: Vec<Count> = std::thread::scope(|scope| {
        let lives: Vec<_> = LANES
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let (folder, kubeconfig) = (folder.path().join(name), server.kubeconfig());
                let seed = seed * 1_000 + u64::try_from(number).unwrap();
                scope.spawn(move || {
                    std::fs::create_dir_all(&folder).unwrap();
                    let world = world(kubeconfig, &folder);
                    let lane = Lane {
                        name: (*name).to_owned(),
                        definition: number == 0,
                        copy: number == 1,
                    };
                    let life = Life {
                        look: Looker::new(&lane, &folder, &world, kubeconfig),
                        lane: &lane,
                        folder: folder.clone(),
                        kubeconfig,
                        seed,
                    };
                    // the first one waits long for its own kind to go
                    let first = wanted / 15;
                    life.live(if number == 0 {
                        first
                    } else {
                        (wanted - first).div_ceil(LANES.len() - 1)
                    })
                })
            })
            .collect();
        lives
            .into_iter()
            .map(|life| {
                life.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    controllers.check().unwrap();
    server.check().unwrap();
    let sum = |field: fn(&Count) -> usize| counts.iter().map(field).sum::<usize>();
    eprintln!(
        "seed {seed}: killed {} times on a real API server, {} of them at an effect; {} runs on a line that was cut {} times; {} runs \
         ended before their turn; all the same in the end, {:.1?}",
        sum(|count| count.kills),
        sum(|count| count.at_effect),
        sum(|count| count.lines),
        sum(|count| count.cuts),
        sum(|count| count.spared),
        began.elapsed()
    );
    assert!(sum(|count| count.kills) >= wanted);
    assert!(sum(|count| count.cuts) > 0, "no line was cut");
}
