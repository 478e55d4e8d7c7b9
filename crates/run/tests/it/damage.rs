//! Every file of the records, cut off at every byte and with every bit flipped: always found, and never the ledger of another
//! moment taken for the newest without a word.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::executor::block_on;
use openg2p_ports::State;
use openg2p_run::Memory;
use serde_json::Value;

use crate::storage::{InMemory, files, memory};
use crate::{intend, open, read, run, thing};

/// Two runs that ended, and a third.
fn records() -> BTreeMap<String, Vec<u8>> {
    let state = memory();
    run(&state, "r1", 0..1);
    run(&state, "r2", 1..2);
    run(&state, "r3", 2..3);
    files(&state)
}

/// Every damage of `bytes` that is tried.
fn damages(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let cut = (0..bytes.len()).map(|length| (format!("cut off at {length}"), bytes[..length].to_vec()));
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit} flipped"), altered)
    });
    cut.chain(flipped)
}

#[test]
fn every_truncation_and_every_flipped_bit_of_every_file_is_found_and_the_newest_ledger_survives() {
    let whole = records();
    let (ledger, warnings) = read(&(InMemory::new(whole.clone()) as Arc<dyn State>)).unwrap();
    assert_eq!(warnings, [""; 0]);
    let mut told = Vec::new();
    for (name, bytes) in &whole {
        let (mut tried, mut warned) = (0, 0);
        for (what, damaged) in damages(bytes) {
            let mut files = whole.clone();
            files.insert(name.clone(), damaged);
            let state: Arc<dyn State> = InMemory::new(files);
            let (found, warnings) = read(&state).unwrap_or_else(|error| panic!("{name} {what}: {error}"));
            assert_eq!(found, ledger, "{name} {what}");
            // what the newest state does not rest on is found by the audit
            let told = if warnings.is_empty() {
                block_on(Memory::audit(state.as_ref())).unwrap()
            } else {
                warnings.clone()
            };
            assert!(!told.is_empty(), "{name} {what} was not found");
            assert!(
                told.iter().any(|text| text.contains(name.as_str())),
                "{name} {what} is not named: {told:?}"
            );
            tried += 1;
            warned += usize::from(!warnings.is_empty());
        }
        told.push(format!(
            "{name}: {tried} damages, {warned} of them matter and warn"
        ));
    }
    assert!(told.iter().any(|line| line.contains("journal")), "{told:?}");
    eprintln!("{}", told.join("\n"));
}

#[test]
fn the_first_run_of_all_survives_the_loss_of_its_whole_ledger() {
    let state = memory();
    run(&state, "r1", 0..2);
    let (ledger, _) = read(&state).unwrap();
    block_on(state.replace("ledger/000000000000.r1", b"")).unwrap();
    let (found, warnings) = read(&state).unwrap();
    assert_eq!(found, ledger);
    assert!(warnings[0].contains("ledger/000000000000.r1"), "{warnings:?}");
}

#[test]
fn a_file_that_is_gone_is_found() {
    let whole = records();
    let (ledger, _) = read(&(InMemory::new(whole.clone()) as Arc<dyn State>)).unwrap();
    for name in whole.keys().filter(|name| name.contains("r3")) {
        let mut files = whole.clone();
        files.remove(name);
        let state: Arc<dyn State> = InMemory::new(files);
        let (found, _) = read(&state).unwrap();
        // without its whole ledger and with its log the third run is still known by its journal
        if name.starts_with("journal/")
            || std::path::Path::new(name)
                .extension()
                .is_some_and(|end| end == "log")
        {
            assert_eq!(found, ledger, "{name}");
        }
        let warned = block_on(Memory::open(state.clone(), crate::info("r4")))
            .unwrap()
            .1;
        assert!(!warned.is_empty(), "{name}");
    }
}

#[test]
fn two_files_damaged_at_once_are_a_loss_that_is_told_or_no_loss() {
    let whole = records();
    let (ledger, _) = read(&(InMemory::new(whole.clone()) as Arc<dyn State>)).unwrap();
    let names: Vec<&String> = whole.keys().collect();
    let mut lost = 0;
    for first in &names {
        for second in &names {
            let mut files = whole.clone();
            for name in [first, second] {
                let bytes = files.get_mut(*name).unwrap();
                bytes.truncate(bytes.len() / 2);
            }
            let state: Arc<dyn State> = InMemory::new(files);
            match read(&state) {
                Ok((found, _)) if found == ledger => {}
                Ok((_, warnings)) => {
                    lost += 1;
                    assert!(
                        !warnings.is_empty(),
                        "{first} {second}: an older ledger without a word"
                    );
                }
                Err(_) => lost += 1,
            }
        }
    }
    assert!(lost > 0, "this proves nothing");
}

#[test]
fn a_disk_that_fills_up_at_every_byte_leaves_a_readable_ledger_and_the_run_can_go_on() {
    let mut stopped = 0;
    for room in 0..3000 {
        let storage = InMemory::new(BTreeMap::new());
        let state: Arc<dyn State> = storage.clone();
        run(&state, "r1", 0..1);
        storage.room(room);
        let (memory, _) = open(&state, "r2");
        let mut known = Vec::new();
        block_on(async {
            for number in 1..3 {
                if intend(&memory, &thing(number, 5)).await.is_ok() {
                    known.push(thing(number, 5).resource);
                } else {
                    stopped += 1;
                }
            }
            storage.room(usize::MAX);
            intend(&memory, &thing(9, 5)).await.unwrap();
            memory.present(&thing(9, 5).resource, Value::Null).await.unwrap();
            memory.close("failed").await.unwrap();
        });
        let (found, _) = read(&state).unwrap_or_else(|error| panic!("room {room}: {error}"));
        // whatever an effect may have followed is in the ledger
        for resource in known.iter().chain([&thing(9, 5).resource]) {
            assert!(
                found.entries.contains_key(resource),
                "room {room}: {resource} is not known"
            );
        }
    }
    assert!(stopped > 1000, "{stopped}");
}
