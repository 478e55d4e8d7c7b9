//! The ledger of the version before: read as it is, taken over by the first run that writes, and refused by that version behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use openg2p_plan::{Ledger, ResourceId, seal};
use openg2p_ports::State;
use openg2p_run::Memory;
use serde_json::{Value, json};

use crate::storage::{InMemory, files};
use crate::{intend, open, read, thing};

fn entry(resource: &str, desired: &Value, needs: &[&str]) -> Value {
    json!({
        "resource": resource, "owner": {"environment": "dev"}, "part": "spar", "state": "present", "desired": desired,
        "details": {"uid": "1"}, "needs": needs, "createdBy": "old-1", "changedBy": "old-1",
    })
}

const JOB: &str = "kubernetes-object/batch/v1/Job/dev/spar-postgres-init-0123abcd";
const WORKLOAD: &str = "kubernetes-object/apps/v1/Deployment/dev/spar";

/// One file of that version, as it wrote it.
fn whole(generation: u64) -> Vec<u8> {
    let job = json!({"manifest": {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "spar-postgres-init-0123abcd", "namespace": "dev"},
        "spec": {"template": {"spec": {"containers": [
            {"name": "postgres-init", "args": ["provision", "--host=postgresql", "--database=dev_spar", "--username=dev_spar"]},
        ]}}},
    }});
    let ledger = json!({
        "site": "ministry", "generation": generation,
        "entries": {
            JOB: entry(JOB, &job, &[]),
            WORKLOAD: entry(WORKLOAD, &json!({"manifest": {"kind": "Deployment"}}), &[JOB]),
        },
    });
    seal(&serde_json::to_string_pretty(&ledger).unwrap())
}

fn name(generation: u64) -> String {
    format!("ledger/{generation:012}")
}

/// Its last three generations, and a journal.
fn records() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = (40..=42)
        .map(|generation| (name(generation), whole(generation)))
        .collect();
    let journal = "{\"record\":\"intent\",\"step\":0}\n{\"record\":\"present\",\"resource\":\"a/b\"}\n";
    files.insert("journal/old-1".into(), journal.into());
    files
}

fn state(files: BTreeMap<String, Vec<u8>>) -> Arc<dyn State> {
    InMemory::new(files)
}

fn ids(ledger: &Ledger) -> Vec<&str> {
    ledger.entries.keys().map(ResourceId::as_str).collect()
}

const TODAY: [&str; 2] = [WORKLOAD, "postgresql-database/dev/dev_spar"];

#[test]
fn it_is_read_with_the_ids_of_today_and_nothing_is_written_for_that() {
    let state = state(records());
    let before = files(&state);
    let (ledger, warnings) = read(&state).unwrap();
    assert_eq!((ledger.generation, ledger.site.as_str()), (42, "ministry"));
    assert_eq!(ids(&ledger), TODAY);
    let needs = &ledger.entries[&ResourceId::new("kubernetes-object", "apps/v1/Deployment/dev/spar")].needs;
    assert_eq!(
        needs.iter().map(ResourceId::as_str).collect::<Vec<_>>(),
        TODAY[1..]
    );
    assert_eq!(warnings, [""; 0]);
    let (_, warnings) = open(&state, "r1");
    assert_eq!(warnings, [""; 0]);
    assert_eq!(files(&state), before);
}

#[test]
fn the_first_run_takes_it_over_and_the_version_before_refuses_what_it_finds() {
    let state = state(records());
    let (memory, _) = open(&state, "r1");
    futures::executor::block_on(async {
        memory.claim("ministry").await.unwrap();
        intend(&memory, &thing(1, 2)).await.unwrap();
        memory.close("done").await.unwrap();
    });
    let found = files(&state);
    let names: Vec<&String> = found.keys().filter(|name| name.starts_with("ledger/")).collect();
    assert_eq!(
        names,
        [
            "ledger/000000000042.before",
            "ledger/000000000043.r1",
            "ledger/000000000043.r1.log"
        ]
    );
    for whole in &names[..2] {
        let text = String::from_utf8(found[*whole].clone()).unwrap();
        assert!(
            !text.contains("\"entries\""),
            "the version before would read {whole}"
        );
    }
    let (ledger, warnings) = read(&state).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!((ledger.generation, ledger.entries.len()), (44, 3));
    assert_eq!(
        futures::executor::block_on(Memory::audit(state.as_ref())).unwrap(),
        [""; 0]
    );
    // what was taken over heals the first whole ledger of this version
    let mut damaged = found.clone();
    damaged.insert("ledger/000000000043.r1".into(), Vec::new());
    let (healed, warnings) = read(&self::state(damaged)).unwrap();
    assert_eq!((healed, warnings.len()), (ledger, 1));
}

#[test]
fn a_torn_one_is_passed_over_with_a_word_and_no_whole_one_is_a_refusal() {
    let mut files = records();
    files.get_mut(&name(42)).unwrap().truncate(100);
    let (ledger, warnings) = read(&state(files.clone())).unwrap();
    assert_eq!(ledger.generation, 41);
    assert!(warnings[0].contains("ledger/000000000042"), "{warnings:?}");
    for generation in [40, 41] {
        files.get_mut(&name(generation)).unwrap().truncate(100);
    }
    let error = read(&state(files)).unwrap_err();
    assert!(error.starts_with("ledger::lost"), "{error}");
    // its first generation only claimed the site
    let first = BTreeMap::from([(name(1), whole(1)[..100].to_vec())]);
    let (ledger, warnings) = read(&state(first)).unwrap();
    assert_eq!((ledger, warnings.len()), (Ledger::default(), 1));
}

#[test]
fn a_disk_that_fills_up_while_it_is_taken_over_loses_nothing() {
    let mut stopped = 0;
    for room in (0..9000).step_by(7) {
        let storage = InMemory::new(records());
        let state: Arc<dyn State> = storage.clone();
        storage.room(room);
        let (memory, _) = open(&state, "r1");
        let done = futures::executor::block_on(intend(&memory, &thing(1, 2))).is_ok();
        stopped += usize::from(!done);
        storage.room(usize::MAX);
        let (ledger, _) = read(&state).unwrap_or_else(|error| panic!("room {room}: {error}"));
        assert!(ids(&ledger).ends_with(&TODAY), "room {room}: {:?}", ids(&ledger));
        // the next run goes on from there, and its change is known
        let (memory, _) = open(&state, "r2");
        futures::executor::block_on(intend(&memory, &thing(2, 2))).unwrap();
        let (ledger, _) = read(&state).unwrap_or_else(|error| panic!("room {room}: {error}"));
        // a change whose line in the log was written and whose line in the journal was not is known too
        let least = if done { 4 } else { 3 };
        assert!(
            (least..=4).contains(&ledger.entries.len()),
            "room {room}: {:?}",
            ids(&ledger)
        );
    }
    assert!(stopped > 100, "{stopped}");
}
