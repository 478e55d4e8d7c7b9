//! What the records cost with ten thousand entries. Times are printed, never asserted; bytes are.

use std::sync::Arc;
use std::time::Instant;

use futures::executor::block_on;
use openg2p_ports::State;
use openg2p_run::Memory;
use serde_json::json;

use crate::storage::Folder;
use crate::{info, intend, read, thing};

#[test]
fn a_change_costs_a_line_however_large_the_ledger_is() {
    let folder = tempfile::tempdir().unwrap();
    let state: Arc<dyn State> = Arc::new(Folder(folder.path().into()));
    let size = |path: &str| {
        let path = folder.path().join(path);
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    let many = if std::env::var_os("OPENG2P_SOAK").is_some() {
        10_000
    } else {
        1_000
    };
    let started = Instant::now();
    let (memory, _) = block_on(Memory::open(state.clone(), info("r1"))).unwrap();
    block_on(async {
        for number in 0..many {
            let thing = thing(number, 1_000);
            intend(&memory, &thing).await.unwrap();
            memory
                .present(&thing.resource, json!({"uid": number}))
                .await
                .unwrap();
        }
        memory.close("done").await.unwrap();
    });
    eprintln!(
        "{many} things, two changes each, every one on disk: {:.1?}",
        started.elapsed()
    );

    let started = Instant::now();
    let (ledger, warnings) = read(&state).unwrap();
    eprintln!("read again: {:.1?}", started.elapsed());
    assert_eq!((ledger.entries.len(), warnings.len()), (many, 0));

    let started = Instant::now();
    let (memory, _) = block_on(Memory::open(state.clone(), info("r2"))).unwrap();
    block_on(intend(&memory, &thing(0, 1_000))).unwrap();
    eprintln!("a later run's first change: {:.1?}", started.elapsed());
    let names = block_on(state.list("ledger")).unwrap();
    let log = names.iter().find(|name| name.ends_with("r2.log")).unwrap();
    let before = size(&format!("ledger/{log}"));
    let started = Instant::now();
    block_on(memory.present(&thing(0, 1_000).resource, json!(1))).unwrap();
    eprintln!("and its second: {:.1?}", started.elapsed());
    let cost = size(&format!("ledger/{log}")) - before;
    assert!(cost < 2_500, "a change wrote {cost} bytes");
}
