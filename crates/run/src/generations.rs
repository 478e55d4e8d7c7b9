//! The ledger's files, and how they are read.
//!
//! Each run that writes begins with the whole ledger, sealed (`ledger/<generation>.<run>`), and appends every change to a log
//! beside it (`….log`), one chained line each. The same changes stand in the run's journal. So a damaged log is made good from the
//! journal, a log that lost lines at its end is found by the journal, and a damaged whole ledger is computed anew from the
//! generation before it.

use openg2p_plan::{Chain, Fingerprint, Ledger, LedgerChange};
use openg2p_ports::{PortError, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{RecordError, older, saved};

/// One change with the generation that it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    pub(crate) generation: u64,
    pub(crate) change: LedgerChange,
}

/// What a run wrote of the ledger first, and behind what state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch {
    pub(crate) generation: u64,
    pub(crate) run: String,
}

impl Epoch {
    /// Name of the whole ledger.
    pub(crate) fn whole(&self) -> String {
        format!("ledger/{:012}.{}", self.generation, self.run)
    }

    /// Name of the log of changes behind it.
    pub(crate) fn log(&self) -> String {
        format!("{}.log", self.whole())
    }

    /// With what the log's chain begins: the state that it changes.
    pub(crate) fn anchor(&self, ledger: &Ledger) -> String {
        let digest = Fingerprint::of_bytes(&ledger.to_bytes());
        format!("ledger {} {} {digest}", self.generation, self.run)
    }

    /// The epoch of a file's name, be it the whole ledger or the log.
    fn of(name: &str) -> Option<Self> {
        let (generation, run) = name.strip_suffix(".log").unwrap_or(name).split_once('.')?;
        if run.is_empty() {
            return None;
        }
        Some(Self {
            generation: generation.parse().ok()?,
            run: run.to_owned(),
        })
    }
}

/// What was read.
pub(crate) struct Read {
    /// The newest state that is known.
    pub(crate) ledger: Ledger,
    /// All epochs, oldest first.
    pub(crate) epochs: Vec<Epoch>,
    /// What was damaged, and what was used instead.
    pub(crate) warnings: Vec<String>,
    /// Generations of the version before, to be removed once this one has written.
    pub(crate) older: Vec<u64>,
    /// Whether a copy that was put back lies there, to be removed likewise.
    pub(crate) put_back: bool,
}

impl Read {
    /// Whether there is no trace of a ledger.
    pub(crate) fn is_new(&self) -> bool {
        self.epochs.is_empty() && self.older.is_empty()
    }
}

/// All epochs of which a file is there, oldest first.
pub(crate) async fn epochs(state: &dyn State) -> Result<Vec<Epoch>, PortError> {
    Ok(epochs_of(&state.list("ledger").await?))
}

/// The epochs of these files of the ledger, oldest first.
fn epochs_of(names: &[String]) -> Vec<Epoch> {
    let mut epochs: Vec<Epoch> = names.iter().filter_map(|name| Epoch::of(name)).collect();
    epochs.sort();
    epochs.dedup();
    epochs
}

/// The latest generation that any file speaks of, be it damaged or not: what is older than that is not the newest state.
pub(crate) async fn known(state: &dyn State) -> Result<u64, PortError> {
    let names = state.list("ledger").await?;
    let mut known = names
        .iter()
        .filter_map(|name| older::generation(name))
        .max()
        .unwrap_or(0);
    let mut logs: Vec<String> = names
        .iter()
        .filter(|name| is_log(name))
        .map(|name| format!("ledger/{name}"))
        .collect();
    for epoch in epochs_of(&names) {
        known = known.max(epoch.generation);
        logs.push(journal_name(&epoch.run, 0));
    }
    for name in logs {
        let bytes = state.read(&name).await?.unwrap_or_default();
        let generations = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
            let line: Value = serde_json::from_slice(line).ok()?;
            line["record"]["generation"].as_u64()
        });
        known = known.max(generations.max().unwrap_or(0));
    }
    Ok(known)
}

/// Part number `part` of a run's journal.
pub(crate) fn journal_name(run: &str, part: usize) -> String {
    match part {
        0 => format!("journal/{run}"),
        part => format!("journal/{run}.{part}"),
    }
}

/// With what the chain of that part begins.
pub(crate) fn journal_anchor(run: &str, part: usize) -> String {
    format!("journal {run} {part}")
}

/// All that can be read of a run's journal, part by part, and what is wrong with it.
pub(crate) async fn read_journal(
    state: &dyn State,
    run: &str,
) -> Result<(Vec<Value>, Option<String>), RecordError> {
    let mut records = Vec::new();
    let mut damage = None;
    for part in 0.. {
        let name = journal_name(run, part);
        let Some(bytes) = state.read(&name).await? else {
            break;
        };
        let lines = Chain::read(&journal_anchor(run, part), &bytes);
        records.extend(lines.records);
        if let Some(why) = lines.damage {
            damage = Some(format!("{name}: {why}"));
        }
    }
    Ok((records, damage))
}

/// The newest state of the ledger that can be known; an empty one where there never was one.
pub(crate) async fn read(state: &dyn State) -> Result<Read, RecordError> {
    let names = state.list("ledger").await?;
    let epochs = epochs_of(&names);
    let mut older: Vec<u64> = names.iter().filter_map(|name| older::generation(name)).collect();
    older.sort_unstable();
    let put_back = names
        .iter()
        .any(|name| saved::PUT_BACK.ends_with(&format!("/{name}")));
    let mut warnings = Vec::new();
    let mut damaged = Vec::new();
    let mut base = None;
    for (index, epoch) in epochs.iter().enumerate().rev() {
        let name = epoch.whole();
        let Some(bytes) = state.read(&name).await? else {
            damaged.push(format!("{name}: it is gone"));
            continue;
        };
        match Ledger::from_bytes(&bytes) {
            Ok(ledger) if ledger.generation == epoch.generation => {
                base = Some((index, ledger));
                break;
            }
            Ok(ledger) => damaged.push(format!("{name}: it holds generation {}", ledger.generation)),
            Err(error) => damaged.push(format!("{name}: {error}")),
        }
    }
    // the first run of all begins with nothing, which no damage can take away
    if base.is_none() && epochs.first().is_some_and(|epoch| epoch.generation == 0) {
        base = Some((0, Ledger::default()));
    }
    let Some((index, mut ledger)) = base else {
        // they are removed before the first change of this version is written
        if !older.is_empty() && names.iter().all(|name| !is_log(name)) {
            let (ledger, torn) = older::read(state, &older).await?;
            warnings.extend(
                torn.into_iter()
                    .map(|text| format!("{text}; the generation before it is used")),
            );
            return Ok(Read {
                ledger,
                epochs: Vec::new(),
                warnings,
                older,
                put_back,
            });
        }
        if damaged.is_empty() {
            return Ok(Read {
                ledger: Ledger::default(),
                epochs,
                warnings,
                older,
                put_back,
            });
        }
        return Err(RecordError::Lost(damaged.len(), damaged.join("; ")));
    };
    for (epoch, next) in epochs[index..]
        .iter()
        .zip(epochs[index..].iter().skip(1).map(Some).chain([None]))
    {
        if epoch.generation != ledger.generation {
            return Err(RecordError::Lost(
                damaged.len(),
                format!(
                    "{}; and what is left ends at generation {}",
                    damaged.join("; "),
                    ledger.generation
                ),
            ));
        }
        // a change whose answer was lost may stand in a log though the run went on without it: no further than the next epoch
        let last = next.map_or(u64::MAX, |next| next.generation - 1);
        follow(state, epoch, last, &mut ledger, &mut warnings).await?;
        if next.is_some() {
            // the beginning of the next epoch is a generation of its own
            ledger.generation += 1;
        }
    }
    for text in damaged {
        warnings.push(format!(
            "{text}; it was computed anew from the generation before it"
        ));
    }
    Ok(Read {
        ledger,
        epochs,
        warnings,
        older,
        put_back,
    })
}

/// Whether a file of the ledger is a log of changes.
fn is_log(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| end == "log")
}

/// Makes the changes of an epoch's log, and those of the journal that the log lacks.
async fn follow(
    state: &dyn State,
    epoch: &Epoch,
    last: u64,
    ledger: &mut Ledger,
    warnings: &mut Vec<String>,
) -> Result<(), RecordError> {
    let name = epoch.log();
    let bytes = state.read(&name).await?;
    let lines = Chain::read(&epoch.anchor(ledger), bytes.as_deref().unwrap_or_default());
    for record in lines.records {
        let Ok(written) = serde_json::from_value::<Written>(record) else {
            warnings.push(format!("{name}: a line is not of this version"));
            break;
        };
        if ledger.generation == last {
            break;
        }
        if written.generation != ledger.generation + 1 {
            warnings.push(format!("{name}: generation {} is missing", ledger.generation + 1));
            break;
        }
        ledger.apply(written.change);
    }
    let from_log = ledger.generation;
    let mut known = epoch.generation;
    let (records, damage) = read_journal(state, &epoch.run).await?;
    for record in records {
        let Ok(written) = serde_json::from_value::<Written>(record) else {
            continue;
        };
        known = known.max(written.generation);
        if written.generation == ledger.generation + 1 && ledger.generation < last {
            ledger.apply(written.change);
        }
    }
    let healed = ledger.generation - from_log;
    if let Some(why) = lines.damage {
        let made_good = match healed {
            0 => "nothing was lost that the journal knows".to_owned(),
            count => format!("{count} changes were taken from the journal"),
        };
        warnings.push(format!("{name}: {why}; {made_good}"));
    } else if healed > 0 {
        warnings.push(format!(
            "{name}: lines at its end are missing; {healed} changes were taken from the journal"
        ));
    }
    if let Some(why) = damage {
        warnings.push(format!("{why}; the ledger does not need it"));
    } else if known < from_log {
        warnings.push(format!(
            "{}: it ends at generation {known} of the ledger, whose log goes on to {from_log}: the run was cut off there, or \
             lines are missing; the ledger does not need them",
            journal_name(&epoch.run, 0)
        ));
    }
    Ok(())
}

/// Reads every file of the records, also those that no run needs, and tells all that is damaged.
pub(crate) async fn audit(state: &dyn State) -> Result<Vec<String>, RecordError> {
    let (mut found, newest) = match read(state).await {
        Ok(read) => (read.warnings, read.ledger.generation),
        Err(error) => (vec![error.to_string()], u64::MAX),
    };
    let names = state.list("ledger").await?;
    let epochs = epochs_of(&names);
    for name in &names {
        let path = format!("ledger/{name}");
        let bytes = state.read(&path).await?.unwrap_or_default();
        if let Some(whole) = name.strip_suffix(".log") {
            let Some(epoch) = Epoch::of(whole) else {
                found.push(format!("{path}: its name is none of ours"));
                continue;
            };
            let before = state.read(&epoch.whole()).await?.unwrap_or_default();
            // without the whole ledger before it a log cannot be checked; that one is told by itself
            let Ok(ledger) = Ledger::from_bytes(&before) else {
                continue;
            };
            let lines = Chain::read(&epoch.anchor(&ledger), &bytes);
            let last = epoch.generation + lines.records.len() as u64;
            let next = epochs.iter().find(|other| other.generation > epoch.generation);
            if let Some(why) = lines.damage {
                found.push(format!("{path}: {why}"));
            } else if next.is_some_and(|next| last + 1 < next.generation) {
                found.push(format!("{path}: lines at its end are missing"));
            }
        } else if let Err(error) = Ledger::from_bytes(&bytes) {
            found.push(format!("{path}: {error}"));
        }
    }
    let mut runs: Vec<String> = state.list("journal").await?;
    runs.retain(|name| !name.contains('.'));
    for run in runs {
        let bytes = state.read(&journal_name(&run, 0)).await?.unwrap_or_default();
        if !bytes.is_empty() && older::is_journal(&bytes) {
            continue;
        }
        let (records, damage) = read_journal(state, &run).await?;
        let ended = records.last().is_some_and(|record| record["record"] == "end");
        let known = records
            .iter()
            .filter_map(|record| record["generation"].as_u64())
            .max();
        if known.is_some_and(|known| known > newest) {
            found.push(format!(
                "{}: it knows of changes that no file of the ledger holds",
                journal_name(&run, 0)
            ));
        }
        match damage {
            Some(why) => found.push(why),
            None if !ended => found.push(format!(
                "{}: it has no last line: the run goes on, was killed, or lines are missing",
                journal_name(&run, 0)
            )),
            None => {}
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
