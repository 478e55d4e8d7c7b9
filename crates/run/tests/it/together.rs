//! Steps that run side by side are written together: each is on disk when it is told so, and a write that fails is told to all whose
//! lines it held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::executor::block_on;
use futures::future::join_all;
use openg2p_plan::EntryState;
use openg2p_ports::{PortError, State};
use openg2p_run::Memory;
use serde_json::{Value, json};

use crate::storage::{InMemory, files};
use crate::{info, intend, open, read, thing};

const STEPS: usize = 16;

/// Storage that takes some turns of the other steps for every append.
struct Slow {
    inner: Arc<InMemory>,
    turns: usize,
    appends: AtomicUsize,
}

impl Slow {
    fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(std::collections::BTreeMap::new()),
            turns,
            appends: AtomicUsize::new(0),
        })
    }

    fn fast(&self) -> Arc<dyn State> {
        self.inner.clone()
    }
}

async fn wait(turns: usize) {
    let mut left = turns;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[async_trait]
impl State for Slow {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.inner.read(name).await
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.inner.replace(name, bytes).await
    }

    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        wait(self.turns).await;
        let result = self.inner.append(name, bytes).await;
        wait(self.turns).await;
        result
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError> {
        self.inner.list(folder).await
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.inner.remove(name).await
    }
}

/// What a step was told of its two changes.
type Told = [Option<Result<(), PortError>>; 2];

/// One step as the executor does it. Whatever is told to be on disk is looked up there at once.
async fn step(memory: &Memory, state: &Slow, number: usize) -> Told {
    let thing = thing(number, 20);
    let on_disk = async || {
        let (ledger, _) = Memory::read(state.fast().as_ref()).await.unwrap();
        ledger.entries.get(&thing.resource).map(|entry| entry.state)
    };
    let intended = intend(memory, &thing).await;
    if intended.is_err() {
        return [Some(intended), None];
    }
    assert_eq!(on_disk().await, Some(EntryState::Intended), "step {number}");
    wait(number % 5).await;
    let present = memory.present(&thing.resource, json!({"uid": number})).await;
    if present.is_ok() {
        assert_eq!(on_disk().await, Some(EntryState::Present), "step {number}");
    }
    [Some(intended), Some(present)]
}

fn all(memory: &Memory, state: &Slow) -> Vec<Told> {
    block_on(join_all((0..STEPS).map(|number| step(memory, state, number))))
}

#[test]
fn what_waits_is_written_with_one_call_and_nothing_is_told_before_it_is_on_disk() {
    for turns in 0..8 {
        let slow = Slow::new(turns);
        let (memory, _) = open(&(slow.clone() as Arc<dyn State>), "r1");
        let told = all(&memory, &slow);
        assert!(
            told.iter().flatten().all(|told| matches!(told, Some(Ok(())))),
            "{turns}"
        );
        block_on(memory.close("done")).unwrap();
        let state = slow.fast();
        let (ledger, warnings) = read(&state).unwrap();
        assert_eq!((ledger.entries.len(), warnings.len()), (STEPS, 0), "{turns}");
        assert_eq!(ledger.generation, 2 * STEPS as u64, "{turns}");
        assert_eq!(
            block_on(Memory::audit(state.as_ref())).unwrap(),
            [""; 0],
            "{turns}"
        );
        let appends = slow.appends.load(Ordering::Relaxed);
        // two files, two changes of each step, and the last line; alone each change is written by itself
        let alone = 2 * 2 * STEPS + 1;
        if turns == 0 {
            assert_eq!(appends, alone);
        } else {
            assert!(appends < alone / 2, "{turns}: {appends} of {alone}");
        }
    }
}

#[test]
fn a_disk_that_fills_up_at_any_byte_loses_nothing_that_was_told_to_be_there() {
    let whole = {
        let slow = Slow::new(2);
        let (memory, _) = open(&(slow.clone() as Arc<dyn State>), "r1");
        all(&memory, &slow);
        files(&slow.fast()).values().map(Vec::len).sum::<usize>()
    };
    let (mut failed, mut went_on) = (0, 0);
    for room in (0..whole).step_by(97) {
        let slow = Slow::new(2);
        let state: Arc<dyn State> = slow.clone();
        let (memory, _) = open(&state, "r1");
        slow.inner.room(room);
        let told = all(&memory, &slow);
        let refused = told
            .iter()
            .flatten()
            .flatten()
            .filter(|told| told.is_err())
            .count();
        assert!(refused > 0, "{room}");
        failed += refused;
        // somebody makes room, and the run goes on with other things
        slow.inner.room(usize::MAX);
        if block_on(intend(&memory, &thing(99, 5))).is_ok() {
            went_on += 1;
        }
        block_on(memory.close("failed")).unwrap();
        let (ledger, _) = read(&slow.fast()).unwrap_or_else(|error| panic!("{room}: {error}"));
        for (number, told) in told.iter().enumerate() {
            let entry = ledger.entries.get(&thing(number, 20).resource);
            match told {
                [Some(Ok(())), Some(Ok(()))] => {
                    assert_eq!(
                        entry.map(|entry| entry.state),
                        Some(EntryState::Present),
                        "{room}"
                    );
                }
                [Some(Ok(())), _] => assert!(entry.is_some(), "{room}: step {number}"),
                _ => {}
            }
        }
        assert_eq!(
            memory.ledger(),
            ledger,
            "{room}: what is known and what is on disk"
        );
    }
    assert!(failed > 100 && went_on > 20, "{failed} {went_on}");
}

#[test]
fn a_late_run_is_refused_with_all_that_waits() {
    use openg2p_run::fence::{Holder, take};
    let slow = Slow::new(3);
    let state: Arc<dyn State> = slow.clone();
    let who = |run: &str| Holder {
        run: run.into(),
        by: "asha@laptop".into(),
        since: 1_800_000_000,
        process: 7,
        started: 99,
        boot: "b".into(),
    };
    let memory = block_on(async {
        take(state.as_ref(), &who("r1")).await.unwrap();
        let opened = Memory::open(state.clone(), info("r1")).await.unwrap();
        opened.0.behind_fence()
    });
    block_on(take(state.as_ref(), &who("r2"))).unwrap();
    let told = all(&memory, &slow);
    assert!(
        told.iter()
            .all(|told| matches!(told, [Some(Err(error)), None] if error.code == "run::fenced"))
    );
    assert_eq!(files(&slow.fast()).len(), 0);
    let nothing: Value = json!(slow.appends.load(Ordering::Relaxed));
    assert_eq!(nothing, 0);
}
