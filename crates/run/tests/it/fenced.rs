//! A run that lost its place writes nothing any more.

use std::sync::Arc;

use futures::executor::block_on;
use openg2p_ports::State;
use openg2p_run::Memory;
use openg2p_run::fence::{Holder, holder, take};
use serde_json::Value;

use crate::storage::{InMemory, files, memory};
use crate::{info, intend, read, thing};

fn who(run: &str) -> Holder {
    Holder {
        run: run.into(),
        by: "asha@laptop".into(),
        since: 1_800_000_000,
        process: 7,
        started: 99,
        boot: "b".into(),
    }
}

fn fenced(state: &Arc<dyn State>, run: &str) -> Memory {
    block_on(async {
        take(state.as_ref(), &who(run)).await.unwrap();
        Memory::open(state.clone(), info(run))
            .await
            .unwrap()
            .0
            .behind_fence()
    })
}

#[test]
fn a_late_writer_is_refused_and_changes_nothing() {
    let state = memory();
    let first = fenced(&state, "r1");
    block_on(intend(&first, &thing(1, 5))).unwrap();
    let second = fenced(&state, "r2");
    block_on(intend(&second, &thing(2, 5))).unwrap();
    let before = files(&state);

    let error = block_on(intend(&first, &thing(3, 5))).unwrap_err();
    assert_eq!(error.code, "run::fenced");
    assert!(
        error.why.contains("r2") && error.why.contains("asha@laptop"),
        "{error}"
    );
    assert!(block_on(first.present(&thing(1, 5).resource, Value::Null)).is_err());
    assert!(block_on(first.removing(&thing(1, 5).resource)).is_err());
    assert!(block_on(first.removed(&thing(1, 5).resource)).is_err());
    assert_eq!(before, files(&state));

    block_on(second.present(&thing(2, 5).resource, Value::Null)).unwrap();
    assert_eq!(read(&state).unwrap().0.entries.len(), 2);
}

#[test]
fn a_fence_that_cannot_be_read_lets_nobody_write() {
    let state = memory();
    let memory = fenced(&state, "r1");
    let bytes = block_on(state.read("fence")).unwrap().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        block_on(state.replace("fence", &altered)).unwrap();
        assert!(block_on(holder(state.as_ref())).is_err(), "bit {bit}");
        assert!(block_on(intend(&memory, &thing(1, 5))).is_err(), "bit {bit}");
    }
    block_on(state.remove("fence")).unwrap();
    assert!(block_on(intend(&memory, &thing(1, 5))).is_err());
    assert_eq!(files(&state).len(), 0);
}

#[test]
fn what_a_late_writer_left_on_disk_is_not_read_as_newer() {
    // the check and the write are two calls: a write that was under way when the other took over lands in the old run's own log
    let storage = InMemory::new(std::collections::BTreeMap::new());
    let state: Arc<dyn State> = storage.clone();
    let first = block_on(Memory::open(state.clone(), info("r1"))).unwrap().0;
    block_on(intend(&first, &thing(1, 5))).unwrap();
    let second = block_on(Memory::open(state.clone(), info("r2"))).unwrap().0;
    block_on(intend(&second, &thing(2, 5))).unwrap();
    block_on(intend(&first, &thing(3, 5))).unwrap();
    let (ledger, _) = read(&state).unwrap();
    assert!(ledger.entries.contains_key(&thing(2, 5).resource));
    assert!(!ledger.entries.contains_key(&thing(3, 5).resource));
}
