//! One world, its counted calls, and runs on it.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use openg2p_ports::{PortError, World};

use crate::cluster::SimCluster;
use crate::dice::Dice;
use crate::fault::{Call, Fault, Moment, Trouble};
use crate::files::UNFINISHED;
use crate::host::SimHost;
use crate::state::{SimBundle, SimRandom, SimState};
use crate::things::Things;

/// Seconds that a slow call takes.
const SLOW: i64 = 600;

/// A world at one moment, to go on from later. Cheap to keep.
pub type SimulationState = Arc<Things>;

/// A simulated world. Clones are the same world.
#[derive(Clone)]
pub struct Simulation {
    inner: Arc<Mutex<Inner>>,
    bundle: Arc<SimBundle>,
    seed: u64,
}

struct Inner {
    things: Arc<Things>,
    calls: Vec<Call>,
    faults: Vec<Fault>,
    disk_full: Range<usize>,
    partition: Range<usize>,
    killed: bool,
    history: Option<Vec<Arc<Things>>>,
    dice: Dice,
    pauses: u64,
    holder: Option<String>,
    meanwhile: Vec<Meanwhile>,
}

/// What somebody else does at a moment of a run.
struct Meanwhile {
    moment: Moment,
    act: Box<dyn FnOnce() + Send>,
}

/// The lock of a run; it ends with its run, however that ends.
pub struct RunLock(Simulation);

impl Drop for RunLock {
    fn drop(&mut self) {
        self.0.lock().holder = None;
    }
}

impl Inner {
    /// Half of what was being written stands in the place of the whole.
    fn tear(&mut self, name: &str) {
        let things = Arc::make_mut(&mut self.things);
        if let Some(half) = things.state.remove(&format!("{name}{UNFINISHED}")) {
            things.state.insert(name.to_owned(), half);
        }
    }
}

enum Way {
    Go,
    Cut,
    /// As cut, and a failing disk keeps half of what replaces the whole.
    Tear,
    LoseAnswer,
    KillBehind,
}

/// Gives every other part of the run a turn.
pub(crate) async fn breathe() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn injected(code: &'static str, call: &Call, why: &str) -> PortError {
    PortError::new(code, call.name, call.place.clone(), why)
}

impl Simulation {
    /// A bare host with this bundle. The seed decides secrets.
    pub fn new(bundle: SimBundle, seed: u64) -> Self {
        Self::resume(Arc::new(Things::bare("box1")), Arc::new(bundle), seed)
    }

    /// A world as it was at some moment, with no faults and no calls counted yet.
    pub fn resume(things: SimulationState, bundle: Arc<SimBundle>, seed: u64) -> Self {
        let inner = Inner {
            things,
            calls: Vec::new(),
            faults: Vec::new(),
            disk_full: 0..0,
            partition: 0..0,
            killed: false,
            history: None,
            dice: Dice::new(seed),
            pauses: 0,
            holder: None,
            meanwhile: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            bundle,
            seed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<SimBundle> {
        &self.bundle
    }

    /// Lets calls take up to `most` turns of the other steps, by the seed, so that runs interleave differently.
    pub fn interleave(&self, most: u64) {
        self.lock().pauses = most;
    }

    /// Adds something that will go wrong once.
    pub fn fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Takes the lock that keeps runs apart, as the kernel gives it: it is held as long as its holder lives. Who holds it, where it is
    /// taken.
    pub fn take_lock(&self, run: &str) -> Result<RunLock, String> {
        let mut inner = self.lock();
        if let Some(holder) = &inner.holder {
            return Err(holder.clone());
        }
        inner.holder = Some(run.to_owned());
        drop(inner);
        Ok(RunLock(self.clone()))
    }

    /// Somebody else does something just before the first call of that name whose place contains `text`. The run that makes the call
    /// knows nothing of it.
    pub fn meanwhile(&self, name: &'static str, text: &str, act: impl FnOnce() + Send + 'static) {
        self.lock().meanwhile.push(Meanwhile {
            moment: Moment::Named(name, text.to_owned()),
            act: Box::new(act),
        });
    }

    /// Takes back every fault that has not happened yet.
    pub fn calm(&self) {
        let mut inner = self.lock();
        inner.faults.clear();
        inner.disk_full = 0..0;
        inner.partition = 0..0;
    }

    /// What needs room on the disk (files, packages, images, the engine's storage) fails at calls of these numbers.
    pub fn disk_full(&self, calls: Range<usize>) {
        self.lock().disk_full = calls;
    }

    /// The Kubernetes API does not answer at calls of these numbers.
    pub fn partition(&self, calls: Range<usize>) {
        self.lock().partition = calls;
    }

    /// Keeps the state before every call from now on, for [`Simulation::history`].
    pub fn remember(&self) {
        self.lock().history = Some(Vec::new());
    }

    /// The state before each call, and the last one.
    pub fn history(&self) -> Vec<SimulationState> {
        let inner = self.lock();
        let mut states = inner.history.clone().unwrap_or_default();
        states.push(inner.things.clone());
        states
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.lock().calls.len()
    }

    /// Everything as it is now.
    pub fn things(&self) -> SimulationState {
        self.lock().things.clone()
    }

    /// Somebody else changes the world.
    pub fn change<T>(&self, change: impl FnOnce(&mut Things) -> T) -> T {
        let mut inner = self.lock();
        let things = Arc::make_mut(&mut inner.things);
        let result = change(things);
        things.settle();
        result
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let mut inner = self.lock();
        let clock = &mut Arc::make_mut(&mut inner.things).machine.facts.clock;
        *clock = clock.saturating_add(seconds);
    }

    /// The ports of this world.
    pub fn world(&self) -> World {
        World {
            host: Box::new(SimHost {
                name: self.things().machine.name.clone(),
                simulation: self.clone(),
            }),
            cluster: Box::new(SimCluster(self.clone())),
            bundle: Box::new(self.bundle.as_ref().clone()),
            random: Box::new(SimRandom(self.clone())),
        }
    }

    /// The engine's storage in this world.
    pub fn state(&self) -> Arc<SimState> {
        Arc::new(SimState(self.clone()))
    }

    /// Polls a run to its end; none when a fault killed it. Afterwards the world takes calls again: the next run may begin.
    ///
    /// # Panics
    /// When the run waits for something that nobody will ever do.
    pub fn drive<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        let mut run = pin!(run);
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            flag.0.store(false, Ordering::Relaxed);
            let polled = run.as_mut().poll(&mut context);
            let killed = std::mem::take(&mut self.lock().killed);
            match polled {
                _ if killed => return None,
                Poll::Ready(result) => return Some(result),
                Poll::Pending => assert!(
                    flag.0.load(Ordering::Relaxed),
                    "the run waits for nothing: {:?}",
                    self.calls().last()
                ),
            }
        }
    }

    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        let seed = self.seed;
        Arc::make_mut(&mut self.lock().things).draw(seed, buffer);
    }

    /// A call that only reads.
    pub(crate) async fn look<T: Send>(
        &self,
        name: &'static str,
        place: &str,
        act: impl FnOnce(&Things) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        self.call(name, place, |inner, _| act(&inner.things)).await
    }

    /// A call that changes something. The flag says that the run is cut off in the middle of it.
    pub(crate) async fn touch<T: Send>(
        &self,
        name: &'static str,
        place: &str,
        act: impl FnOnce(&mut Things, bool) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        self.call(name, place, |inner, cut| {
            act(Arc::make_mut(&mut inner.things), cut)
        })
        .await
    }

    async fn call<T: Send>(
        &self,
        name: &'static str,
        place: &str,
        act: impl FnOnce(&mut Inner, bool) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        let turns = {
            let mut inner = self.lock();
            let most = inner.pauses;
            inner.dice.below(most + 1)
        };
        for _ in 0..turns {
            breathe().await;
        }
        let call = Call {
            name,
            place: place.to_owned(),
        };
        let due = {
            let mut inner = self.lock();
            let number = inner.calls.len();
            let found = inner
                .meanwhile
                .iter()
                .position(|other| other.moment.meets(number, &call));
            found.map(|at| inner.meanwhile.remove(at))
        };
        if let Some(other) = due {
            (other.act)();
        }
        match self.begin(&call) {
            None => std::future::pending().await,
            Some(Err(error)) => Err(error),
            Some(Ok(way)) => {
                let result = act(&mut self.lock(), matches!(way, Way::Cut | Way::Tear));
                if matches!(way, Way::Tear) {
                    self.lock().tear(&call.place);
                }
                match way {
                    Way::Go => result,
                    Way::LoseAnswer => Err(injected(
                        "sim::answer-lost",
                        &call,
                        "the connection was closed before the answer",
                    )),
                    Way::Cut | Way::Tear | Way::KillBehind => {
                        self.lock().killed = true;
                        std::future::pending().await
                    }
                }
            }
        }
    }

    /// Counts a call and says how it goes; none when the run is over.
    fn begin(&self, call: &Call) -> Option<Result<Way, PortError>> {
        let mut inner = self.lock();
        if inner.killed {
            return None;
        }
        let number = inner.calls.len();
        inner.calls.push(call.clone());
        if inner.history.is_some() {
            let before = inner.things.clone();
            inner.history.get_or_insert_default().push(before);
        }
        if inner.partition.contains(&number) && call.name.starts_with("cluster.") {
            return Some(Err(injected(
                "kubernetes::unreachable",
                call,
                "no answer within 10 s",
            )));
        }
        if inner.disk_full.contains(&number) && call.needs_room() {
            return Some(Err(injected(
                "host::file",
                call,
                "No space left on device (os error 28)",
            )));
        }
        let due = inner.faults.iter().position(|fault| fault.meets(number, call));
        match due.map(|at| inner.faults.remove(at).trouble) {
            None => Some(Ok(Way::Go)),
            Some(Trouble::FailBefore) => {
                Some(Err(injected("sim::failed", call, "it failed as the test asked")))
            }
            Some(Trouble::Slow) => {
                Arc::make_mut(&mut inner.things).machine.facts.clock += SLOW;
                Some(Ok(Way::Go))
            }
            Some(Trouble::AnswerLost) => Some(Ok(Way::LoseAnswer)),
            Some(Trouble::KillAfter) => Some(Ok(Way::KillBehind)),
            Some(Trouble::KillDuring) => Some(Ok(Way::Cut)),
            Some(Trouble::Torn) => Some(Ok(if call.name == "state.replace" {
                Way::Tear
            } else {
                Way::Cut
            })),
            Some(Trouble::KillBefore) => {
                inner.killed = true;
                None
            }
        }
    }
}
