//! The records of runs: what is written, what is found when it was damaged, and what it costs.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stderr, reason = "times and counts belong into a test's output")]

mod cost;
mod damage;
mod fenced;
mod older;
mod storage;
mod together;

use std::sync::{Arc, LazyLock};

use futures::executor::block_on;
use openg2p_plan::{Action, Entry, Ledger, Owner, ResourceId};
use openg2p_ports::{PortError, State};
use openg2p_run::{Intent, Memory, RunInfo};
use serde_json::{Value, json};

fn info(run: &str) -> RunInfo {
    RunInfo {
        id: run.into(),
        command: "apply".into(),
    }
}

/// Thing number `number`, whose desired state has `size` letters.
struct Thing {
    resource: ResourceId,
    desired: Value,
}

fn thing(number: usize, size: usize) -> Thing {
    Thing {
        resource: ResourceId::new("host-file", &format!("box1:/etc/openg2p/thing-{number}")),
        desired: json!({"path": number, "text": "x".repeat(size)}),
    }
}

static DEV: LazyLock<Owner> = LazyLock::new(|| Owner::Environment("dev".into()));

async fn intend(memory: &Memory, thing: &Thing) -> Result<(), PortError> {
    let intent = Intent {
        number: 0,
        resource: &thing.resource,
        owner: &DEV,
        part: "spar",
        action: Action::Create,
        desired: &thing.desired,
        needs: &[],
    };
    memory.intend_as(&intent, &Value::Null).await
}

fn open(state: &Arc<dyn State>, run: &str) -> (Memory, Vec<String>) {
    block_on(Memory::open(state.clone(), info(run))).unwrap()
}

/// What is known, and what was damaged; an error where nothing can be known.
fn read(state: &Arc<dyn State>) -> Result<(Ledger, Vec<String>), String> {
    block_on(Memory::read(state.as_ref())).map_err(|error| error.to_string())
}

/// A run that makes the things `from..to` and ends.
fn run(state: &Arc<dyn State>, name: &str, things: std::ops::Range<usize>) {
    let (memory, _) = open(state, name);
    let memory = memory.with_clock(Arc::new(|| 1_800_000_000));
    block_on(async {
        memory.claim("ministry").await.unwrap();
        for number in things {
            let thing = thing(number, 2);
            intend(&memory, &thing).await.unwrap();
            memory
                .present(&thing.resource, json!({"uid": number}))
                .await
                .unwrap();
        }
        memory.close("done").await.unwrap();
    });
}

fn entries(ledger: &Ledger) -> Vec<&Entry> {
    ledger.entries.values().collect()
}

#[test]
fn an_entry_tells_what_when_and_by_which_run() {
    let state = storage::memory();
    run(&state, "r1", 0..2);
    run(&state, "r2", 1..3);
    let (ledger, warnings) = read(&state).unwrap();
    assert_eq!(warnings, [""; 0]);
    let told: Vec<(String, String, i64, usize)> = entries(&ledger)
        .into_iter()
        .map(|entry| {
            (
                entry.created_by.clone(),
                entry.changed_by.clone(),
                entry.created_at,
                entry.fingerprint.len(),
            )
        })
        .collect();
    let wanted = [("r1", "r1"), ("r1", "r2"), ("r2", "r2")]
        .map(|(made, changed)| (made.to_owned(), changed.to_owned(), 1_800_000_000, 64));
    assert_eq!(told, wanted);
}

#[test]
fn opening_and_reading_write_nothing() {
    let state = storage::memory();
    run(&state, "r1", 0..2);
    let before = storage::files(&state);
    drop(open(&state, "r2"));
    read(&state).unwrap();
    assert_eq!(before, storage::files(&state));
}

#[test]
fn a_run_that_was_cut_off_is_named_with_what_it_left_open() {
    let state = storage::memory();
    let (memory, _) = open(&state, "r1");
    block_on(async {
        intend(&memory, &thing(1, 5)).await.unwrap();
        intend(&memory, &thing(2, 5)).await.unwrap();
        memory.present(&thing(1, 5).resource, Value::Null).await.unwrap();
    });
    let (_, warnings) = open(&state, "r2");
    assert_eq!(
        warnings,
        [
            "run r1 was cut off while it worked at host-file/box1:/etc/openg2p/thing-2; what is there is looked at anew"
        ]
    );
}

#[test]
fn a_run_of_the_same_id_does_not_write_into_the_journal_of_the_first() {
    let state = storage::memory();
    run(&state, "r1", 0..1);
    run(&state, "r1", 1..2);
    assert_eq!(read(&state).unwrap().1, [""; 0]);
    assert_eq!(block_on(Memory::audit(state.as_ref())).unwrap(), [""; 0]);
}
