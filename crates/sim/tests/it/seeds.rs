//! Lives of a site, each from one number: edits, removals, other hands, and faults at random calls. Whatever happens, it ends as if it
//! had been made so at once, and nothing that holds data was made anew on the way.
//!
//! `OPENG2P_SEED=N cargo test -p openg2p-sim seeds -- --nocapture` lives one of them again and tells every call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use openg2p_ports::ObjectRef;
use openg2p_sim::{Dice, Fault, Node, Simulation, SimulationState, Things, Trouble, View, differences};
use serde_json::{Value, json};

use crate::operator::{Ended, Wish, apply, destroy, ledger, plain};
use crate::tiny::{self, ENVIRONMENTS, MODULES, Shape};
use crate::{small, whole};

/// Lives in every run of the tests.
const LIVES: u64 = 20_000;
/// Lives in a soak.
const SOAK: u64 = 1_000_000;
/// One life in so many begins on a bare host and makes the cluster too: those take ten times as long.
const BARE_HOST: u64 = 50;

/// Where a life must end.
struct Goal {
    view: View,
    ledger: Value,
}

static GOALS: LazyLock<Mutex<BTreeMap<Shape, Arc<Goal>>>> = LazyLock::new(Mutex::default);
static STARTS: LazyLock<Mutex<BTreeMap<Shape, SimulationState>>> = LazyLock::new(Mutex::default);

fn start(shape: &Shape) -> SimulationState {
    let known = STARTS.lock().unwrap().get(shape).cloned();
    known.unwrap_or_else(|| {
        let state = tiny::installed(shape).things();
        STARTS.lock().unwrap().insert(shape.clone(), state.clone());
        state
    })
}

fn goal(shape: &Shape) -> Arc<Goal> {
    let known = GOALS.lock().unwrap().get(shape).cloned();
    known.unwrap_or_else(|| {
        let simulation = tiny::resume(&start(shape), 1);
        simulation.change(plant);
        let goal = Arc::new(Goal {
            view: simulation.things().view(),
            ledger: plain(&ledger(&simulation)),
        });
        GOALS.lock().unwrap().insert(shape.clone(), goal.clone());
        goal
    })
}

/// Things of other people whose names look like ours.
fn plant(things: &mut Things) {
    for path in [
        "/etc/openg2p/nginx/sites/spar.dev.example.org.conf.old",
        "/etc/openg2p/nginx/sites/spar.dev.example.com",
        "/etc/openg2p/pki/spar.dev.example.org.key.bak",
        "/etc/openg2p/pki/authority.key.old",
        "/var/lib/openg2p/volumes/dev",
        "/var/lib/openg2p/notes",
    ] {
        things.machine.files.put(path, "# somebody's\n");
    }
    let clock = things.machine.facts.clock;
    let Things {
        cluster: Some(objects),
        uids,
        ..
    } = things
    else {
        return;
    };
    let label = json!({"openg2p.org/owner": "environment.dev"});
    for manifest in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev2"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "spar", "namespace": "dev2", "labels": label}, "data": {"password": "eA=="}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default", "labels": label}, "data": {"edition": "0"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "spar", "namespace": "default"}, "spec": {"replicas": 1}}),
    ] {
        objects.apply(&manifest, "kubectl", clock, uids).unwrap();
    }
}

/// What happened in all lives together.
#[derive(Default)]
struct Count {
    runs: AtomicUsize,
    killed: AtomicUsize,
    failed: AtomicUsize,
    refused: AtomicUsize,
    calls: AtomicUsize,
}

struct Life {
    seed: u64,
    dice: Dice,
    simulation: Simulation,
    shape: Shape,
    /// Secrets and volumes that must stay as they were first seen.
    kept: BTreeMap<String, Vec<u8>>,
    runs: u64,
    /// It began with a site.
    installed: bool,
    told: String,
}

impl Life {
    fn begin(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x6c69_7665_735f_6f66);
        let mut shape = Shape::default();
        for environment in ENVIRONMENTS {
            if dice.one_in(2) {
                shape.environments.insert(environment, Vec::new());
            }
        }
        let names: Vec<&str> = shape.environments.keys().copied().collect();
        for name in names {
            if dice.one_in(2) {
                shape.toggle(name, module(&mut dice));
            }
        }
        let new = dice.one_in(8);
        let state = if new { tiny::bare() } else { start(&shape) };
        let simulation = tiny::resume(&state, seed);
        if !new {
            // folders that were there before the site are not the site's: on a new host others come later
            simulation.change(plant);
        }
        let told = format!("begins {} {shape}\n", if new { "without" } else { "with" });
        Self {
            seed,
            dice,
            simulation,
            shape,
            kept: BTreeMap::new(),
            runs: 0,
            installed: !new,
            told,
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.told, "{line}");
    }

    /// What is wanted next. Gives an environment that is to be destroyed by name and not by an edit.
    fn edit(&mut self) -> Option<&'static str> {
        let environment = *self.dice.pick(&ENVIRONMENTS).unwrap_or(&"dev");
        match self.dice.below(6) {
            0 => self.shape.edition = 1 - self.shape.edition,
            1 if self.shape.environments.contains_key(environment) => {
                self.shape.environments.remove(environment);
                if self.dice.one_in(2) {
                    return Some(environment);
                }
            }
            1 => {
                self.shape.environments.insert(environment, Vec::new());
            }
            _ => {
                let module = module(&mut self.dice);
                self.shape.toggle(environment, module);
            }
        }
        None
    }

    fn trouble(&mut self) {
        let most = self.dice.below(4);
        self.simulation.interleave(most);
        let now = self.simulation.count();
        let at = |dice: &mut Dice, within: u64| now + usize::try_from(dice.below(within)).unwrap_or(0);
        for _ in 0..self.dice.below(4) {
            let number = at(&mut self.dice, 150);
            let troubles = [
                Trouble::FailBefore,
                Trouble::AnswerLost,
                Trouble::KillBefore,
                Trouble::KillAfter,
                Trouble::KillDuring,
                Trouble::Slow,
                // the generation before must be there: the first ledger of all has none
                if self.installed {
                    Trouble::Torn
                } else {
                    Trouble::Slow
                },
            ];
            let trouble = *self.dice.pick(&troubles).unwrap_or(&Trouble::Slow);
            self.say(&format!("fault at call {number}: {trouble:?}"));
            self.simulation.fault(Fault::at(number, trouble));
        }
        if self.dice.one_in(8) {
            let from = at(&mut self.dice, 100);
            let to = from + usize::try_from(self.dice.below(60)).unwrap_or(0);
            self.say(&format!("the disk is full at calls {from} to {to}"));
            self.simulation.disk_full(from..to);
        }
        if self.dice.one_in(8) {
            let from = at(&mut self.dice, 100);
            let to = from + usize::try_from(self.dice.below(60)).unwrap_or(0);
            self.say(&format!("the cluster is away at calls {from} to {to}"));
            self.simulation.partition(from..to);
        }
    }

    /// Another hand, or time.
    fn meddle(&mut self) {
        let environment = *self.dice.pick(&ENVIRONMENTS).unwrap_or(&"dev");
        let module = module(&mut self.dice);
        let which = self.dice.below(8);
        let told = self.simulation.change(|things| {
            let host = format!("{module}.{environment}.example.org");
            let files = &mut things.machine.files;
            let path = match which {
                0 => format!("/etc/openg2p/nginx/sites/{host}.conf"),
                1 => format!("/etc/openg2p/pki/{host}.crt"),
                2 => format!("/etc/openg2p/pki/{host}.key"),
                3 => "/etc/openg2p/nginx/nginx.conf".to_owned(),
                _ => String::new(),
            };
            if files.has(&path) {
                if which == 3 {
                    files.put(&path, "http {}\n");
                    return format!("somebody writes {path}");
                }
                files.erase(&path);
                return format!("somebody removes {path}");
            }
            let (api_version, kind, name) = match which {
                4 => ("apps/v1", "Deployment", module.to_owned()),
                5 => ("batch/v1", "Job", format!("{module}-database")),
                6 => ("v1", "ConfigMap", "settings".to_owned()),
                _ => {
                    things.machine.facts.clock += 100 * 86_400;
                    return "a hundred days pass".to_owned();
                }
            };
            let place = ObjectRef {
                api_version: api_version.into(),
                kind: kind.into(),
                namespace: Some(environment.into()),
                name,
            };
            let Some(cluster) = &mut things.cluster else {
                return String::new();
            };
            let uid = cluster
                .get(&place)
                .and_then(|live| live["metadata"]["uid"].as_str())
                .map(str::to_owned);
            let Some(uid) = uid else { return String::new() };
            let _ = cluster.delete(&place, &uid, 0);
            format!("somebody deletes {place}")
        });
        self.say(&told);
    }

    /// One command, as an operator gives it.
    fn command(&mut self, destroyed: Option<&str>, count: &Count) -> Ended {
        self.runs += 1;
        let run = format!("run-{}", self.runs);
        let ended = match destroyed {
            Some(environment) => destroy(&self.simulation, Some(environment), &run),
            None => apply(&self.simulation, &tiny::wish(&self.shape), &run),
        };
        count.runs.fetch_add(1, Ordering::Relaxed);
        let counted = match &ended {
            Ended::Killed => Some(&count.killed),
            Ended::Failed(..) => Some(&count.failed),
            Ended::Refused(_) => Some(&count.refused),
            Ended::Nothing | Ended::Done(_) => None,
        };
        if let Some(counted) = counted {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        let command = format!("{} -> {ended:?}", self.shape);
        self.say(&command);
        ended
    }

    /// Secrets and volumes of what is wanted stay what they are.
    fn guard(&mut self) -> Result<(), String> {
        let things = self.simulation.things();
        let mut wanted = BTreeSet::new();
        for (environment, modules) in &self.shape.environments {
            for name in modules.iter().chain(&["store"]) {
                wanted.insert((*environment, *name));
            }
        }
        let mut now = BTreeMap::new();
        for (environment, name) in wanted {
            let secret = ObjectRef {
                api_version: "v1".into(),
                kind: "Secret".into(),
                namespace: Some(environment.into()),
                name: name.into(),
            };
            let live = things.cluster.as_ref().and_then(|objects| objects.get(&secret));
            if let Some(password) = live.and_then(|live| live["data"]["password"].as_str()) {
                now.insert(secret.to_string(), password.as_bytes().to_vec());
            }
            let path = format!("/var/lib/openg2p/volumes/{environment}_data-store-0/data");
            if let Some(Node::File { bytes, .. }) = things.machine.files.get(&path) {
                now.insert(path, bytes.to_vec());
            }
            for known in [
                secret.to_string(),
                format!("/var/lib/openg2p/volumes/{environment}_data-store-0/data"),
            ] {
                if let Some(before) = self.kept.get(&known)
                    && now.get(&known) != Some(before)
                {
                    return Err(format!("{known} was removed or made anew while it was wanted"));
                }
            }
        }
        self.kept = now;
        Ok(())
    }

    fn live(&mut self, count: &Count) -> Result<(), String> {
        for _ in 0..=self.dice.below(3) {
            let destroyed = self.edit();
            if self.dice.one_in(3) {
                self.meddle();
            }
            self.trouble();
            // what is no longer wanted is no longer guarded, from the moment on when somebody asks for that
            self.kept.retain(|name, _| {
                let of = |environment: &str| {
                    name.contains(&format!(" {environment}/")) || name.contains(&format!("/{environment}_"))
                };
                self.shape.environments.iter().any(|(environment, modules)| {
                    of(environment)
                        && (name.ends_with("/store")
                            || name.ends_with("/data")
                            || modules.iter().any(|module| name.ends_with(&format!("/{module}"))))
                })
            });
            self.command(destroyed, count);
            self.guard()?;
            // most people try again
            if self.dice.one_in(2) {
                self.command(None, count);
                self.guard()?;
            }
        }
        self.simulation.calm();
        self.simulation.interleave(0);
        let mut ends = Vec::new();
        while self.command(None, count) != Ended::Nothing {
            ends.push(());
            if ends.len() > 4 {
                return Err("no end of it".into());
            }
            self.guard()?;
        }
        self.simulation.change(plant);
        let goal = goal(&self.shape);
        let things = self.simulation.things();
        let found = differences(&goal.view, &things.view());
        if !found.is_empty() {
            return Err(format!("another world:\n{}", found.join("\n")));
        }
        let now = plain(&ledger(&self.simulation));
        if now != goal.ledger {
            return Err(format!(
                "another ledger: {:#?}",
                openg2p_plan::difference(&goal.ledger, &now)
            ));
        }
        let stale = things.machine.stale_units();
        if !stale.is_empty() {
            return Err(format!("units run with old inputs: {stale:?}"));
        }
        self.guard()
    }

    /// Everything that happened, line by line, and the bytes that it left.
    fn transcript(&self) -> String {
        let mut text = format!("seed {}\n{}", self.seed, self.told);
        for (number, call) in self.simulation.calls().iter().enumerate() {
            let _ = writeln!(text, "{number:5} {call}");
        }
        let things = self.simulation.things();
        let _ = writeln!(text, "world {}", things.view().hash());
        for (name, bytes) in &things.state {
            let _ = writeln!(text, "{name}\n{}", String::from_utf8_lossy(bytes));
        }
        text
    }
}

fn module(dice: &mut Dice) -> &'static str {
    // two of the six: what two do to each other, six do too, and there are fewer different ends
    dice.pick(&MODULES[..2]).copied().unwrap_or("spar")
}

static SMALL_GOAL: LazyLock<Goal> = LazyLock::new(|| {
    let simulation = whole::bare(3);
    apply(&simulation, &small::DEV, "install").well();
    Goal {
        view: simulation.things().view(),
        ledger: plain(&ledger(&simulation)),
    }
});

/// A bare host that becomes a small site through faults.
fn from_a_bare_host(seed: u64, count: &Count) -> Result<String, (String, String)> {
    let mut dice = Dice::new(seed);
    let simulation = Simulation::resume(whole::bare(3).things(), whole::bare(3).bundle().clone(), seed);
    let wish: &Wish = &small::DEV;
    let mut told = format!("seed {seed}: a small site on a bare host\n");
    for turn in 0..3 {
        simulation.interleave(dice.below(3));
        for _ in 0..dice.below(4) {
            let number = simulation.count() + usize::try_from(dice.below(700)).unwrap_or(0);
            let troubles = [
                Trouble::FailBefore,
                Trouble::AnswerLost,
                Trouble::KillAfter,
                Trouble::KillDuring,
            ];
            let trouble = *dice.pick(&troubles).unwrap_or(&Trouble::FailBefore);
            let _ = writeln!(told, "fault at call {number}: {trouble:?}");
            simulation.fault(Fault::at(number, trouble));
        }
        let ended = apply(&simulation, wish, &format!("run-{turn}"));
        count.runs.fetch_add(1, Ordering::Relaxed);
        if ended == Ended::Killed {
            count.killed.fetch_add(1, Ordering::Relaxed);
        }
        let _ = writeln!(told, "{ended:?}");
    }
    simulation.calm();
    simulation.interleave(0);
    for turn in 0..5 {
        let ended = apply(&simulation, wish, &format!("calm-{turn}"));
        let _ = writeln!(told, "{ended:?}");
        if ended == Ended::Nothing {
            break;
        }
        if turn == 4 {
            return Err(("no end of it".into(), told));
        }
    }
    let mut found = differences(&SMALL_GOAL.view, &simulation.things().view());
    if plain(&ledger(&simulation)) != SMALL_GOAL.ledger {
        found.push("another ledger".into());
    }
    found.extend(simulation.things().machine.stale_units());
    count.calls.fetch_add(simulation.count(), Ordering::Relaxed);
    if found.is_empty() {
        Ok(told)
    } else {
        Err((found.join("\n"), told))
    }
}

/// One life; its transcript where it is to be told or is wrong, and why it is wrong.
fn live(seed: u64, count: &Count, tell: bool) -> Result<String, (String, String)> {
    if seed % BARE_HOST == BARE_HOST - 1 {
        return from_a_bare_host(seed, count);
    }
    let mut life = Life::begin(seed);
    let result = catch_unwind(AssertUnwindSafe(|| life.live(count)));
    count.calls.fetch_add(life.simulation.count(), Ordering::Relaxed);
    match result {
        Ok(Ok(())) if tell => Ok(life.transcript()),
        Ok(Ok(())) => Ok(String::new()),
        Ok(Err(why)) => Err((why, life.transcript())),
        Err(_) => Err(("a panic, above".into(), life.transcript())),
    }
}

/// Does `work` for every number, on every processor. Gives what went wrong, by number.
pub(crate) fn everywhere<E: Send>(
    numbers: std::ops::Range<u64>,
    work: impl Fn(u64) -> Result<(), E> + Sync,
) -> Vec<(u64, E)> {
    let next = AtomicU64::new(numbers.start);
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end || wrong.lock().unwrap().len() >= 10 {
                        return;
                    }
                    if let Err(why) = work(number) {
                        wrong.lock().unwrap().push((number, why));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort_by_key(|(number, _)| *number);
    wrong
}

fn wanted() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("OPENG2P_SEED") {
        return seed..seed + 1;
    }
    let soak = std::env::var("OPENG2P_SOAK").is_ok();
    0..number("OPENG2P_SEEDS").unwrap_or(if soak { SOAK } else { LIVES })
}

#[test]
fn seeds_of_mixed_faults_converge() {
    let began = std::time::Instant::now();
    let count = Count::default();
    let seeds = wanted();
    let one = seeds.end - seeds.start == 1;
    let wrong = everywhere(seeds.clone(), |seed| {
        live(seed, &count, one).map(|transcript| {
            if one {
                eprintln!("{transcript}");
            }
        })
    });
    let of = |number: &AtomicUsize| number.load(Ordering::Relaxed);
    eprintln!(
        "{} seeds: {} runs, {} killed, {} failed, {} refused, {} calls, {:.1?}",
        seeds.end - seeds.start,
        of(&count.runs),
        of(&count.killed),
        of(&count.failed),
        of(&count.refused),
        of(&count.calls),
        began.elapsed()
    );
    let told: Vec<String> = wrong
        .iter()
        .map(|(seed, (why, transcript))| {
            let transcript = if one { transcript.as_str() } else { "" };
            format!(
                "seed {seed}: {why}\n  again: OPENG2P_SEED={seed} cargo test -p openg2p-sim seeds_of -- --nocapture\n{transcript}"
            )
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_seed_is_lived_again_byte_for_byte() {
    for seed in (0..400).step_by(7) {
        let first = live(seed, &Count::default(), true);
        let second = live(seed, &Count::default(), true);
        assert!(first == second, "seed {seed} is not the same twice");
    }
}
