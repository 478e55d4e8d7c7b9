//! Writes the records of one run: the ledger's log and the journal.
//!
//! Steps run side by side, and each waits until what it tells is on disk. A disk takes milliseconds for that, be it one line or a
//! hundred, so whoever finds the files free writes all that waits, its own and the others', with one call for the log and one for the
//! journal. Nothing is told to be on disk before it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openg2p_plan::{Chain, Ledger, LedgerChange};
use openg2p_ports::{PortError, State};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::generations::{Epoch, Read, Written, journal_anchor, journal_name};
use crate::{older, saved};

/// How many epochs of the ledger are kept.
const KEPT: usize = 3;

/// Log and journal of one run, and the ledger as it stands on disk.
pub(crate) struct Writer {
    state: Arc<dyn State>,
    run: String,
    fenced: bool,
    ledger: Mutex<Ledger>,
    queue: Mutex<Vec<Waiting>>,
    files: tokio::sync::Mutex<Files>,
}

/// What waits to be written.
struct Waiting {
    /// A change of the ledger; none for what the journal alone holds.
    change: Option<LedgerChange>,
    /// The journal's line.
    record: Value,
    /// Who waits for it; nobody for a note.
    answer: Option<oneshot::Sender<Result<(), PortError>>>,
}

impl Waiting {
    fn end(self, result: Result<(), PortError>) {
        if let Some(answer) = self.answer {
            // a step that is no more needs no answer
            let _ = answer.send(result);
        }
    }
}

struct Files {
    epochs: Vec<Epoch>,
    /// Generations of the version before, as long as they are there.
    older: Vec<u64>,
    /// A copy that was put back lies beside the ledger, for this run to go on from it.
    put_back: bool,
    /// The log of this run, once it has written; none again when a write of it failed, for a line may be cut off then.
    log: Option<(Epoch, Chain)>,
    journal: Journal,
}

struct Journal {
    part: usize,
    chain: Chain,
    /// A write failed: what follows goes into a part of its own.
    broken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// The writer of `run` behind what was read. `part` is the first part of its journal that is not there yet.
    pub(crate) fn new(state: Arc<dyn State>, run: &str, read: Read, part: usize) -> Self {
        Self {
            state,
            run: run.to_owned(),
            fenced: false,
            ledger: Mutex::new(read.ledger),
            queue: Mutex::default(),
            files: tokio::sync::Mutex::new(Files {
                epochs: read.epochs,
                older: read.older,
                put_back: read.put_back,
                log: None,
                journal: Journal {
                    part,
                    chain: Chain::begin(&journal_anchor(run, part)),
                    broken: false,
                },
            }),
        }
    }

    /// From now on every change of the ledger first makes sure that no later run has taken over, see [`crate::fence`].
    pub(crate) fn fence(&mut self) {
        self.fenced = true;
    }

    /// Refuses when another run has taken over, if the fence is minded.
    pub(crate) async fn holds(&self) -> Result<(), PortError> {
        if self.fenced {
            crate::fence::holds(self.state.as_ref(), &self.run).await?;
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> &dyn State {
        self.state.as_ref()
    }

    /// The ledger as it stands on disk.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// A line of the journal that is on disk before anything that is written later, and that nobody waits for.
    pub(crate) fn note(&self, record: Value) {
        lock(&self.queue).push(Waiting {
            change: None,
            record,
            answer: None,
        });
    }

    /// Makes a change of the ledger, first in its log, then in the journal with `record`, each on disk before the next; without a change,
    /// in the journal alone. Only then the caller goes on to the effect.
    pub(crate) async fn write(&self, change: Option<LedgerChange>, record: Value) -> Result<(), PortError> {
        let (answer, mut answered) = oneshot::channel();
        lock(&self.queue).push(Waiting {
            change,
            record,
            answer: Some(answer),
        });
        let mut files = self.files.lock().await;
        if let Ok(result) = answered.try_recv() {
            // whoever had the files before wrote it along
            return result;
        }
        let waiting = std::mem::take(&mut *lock(&self.queue));
        self.write_all(&mut files, waiting).await;
        answered.try_recv().unwrap_or_else(|_| {
            let why = "it was not written";
            Err(PortError::new(
                "run::record",
                "write the records",
                self.run.clone(),
                why,
            ))
        })
    }

    async fn write_all(&self, files: &mut Files, waiting: Vec<Waiting>) {
        let changes: Vec<LedgerChange> = waiting.iter().filter_map(|one| one.change.clone()).collect();
        let logged = if changes.is_empty() {
            Ok(Vec::new())
        } else {
            self.append_log(files, changes).await
        };
        let (logged, refusal) = match logged {
            Ok(logged) => (logged, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut logged = logged.into_iter();
        let mut lines = Vec::with_capacity(waiting.len());
        for mut one in waiting {
            if one.change.is_some() {
                if let Some(error) = &refusal {
                    one.end(Err(error.clone()));
                    continue;
                }
                one.record = both(logged.next().unwrap_or_default(), one.record);
            }
            lines.push(one);
        }
        let result = self.append_journal(&mut files.journal, &lines).await;
        if result.is_err() {
            // what nobody waits for is tried again, before what was told behind it
            let (notes, rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.answer.is_none());
            lines = rest;
            lock(&self.queue).splice(0..0, notes);
        }
        for line in lines {
            line.end(result.clone());
        }
    }

    /// Writes the changes into the ledger's log, and makes them. Gives what stands there of each.
    async fn append_log(
        &self,
        files: &mut Files,
        changes: Vec<LedgerChange>,
    ) -> Result<Vec<Value>, PortError> {
        self.holds().await?;
        let (epoch, mut chain) = match files.log.take() {
            Some(log) => log,
            None => self.begin(files).await?,
        };
        let next = self.ledger().generation + 1;
        let written: Vec<Written> = (next..)
            .zip(changes)
            .map(|(generation, change)| Written { generation, change })
            .collect();
        let values: Vec<Value> = written.iter().map(|written| json!(written)).collect();
        let lines: Vec<Vec<u8>> = values.iter().map(|value| chain.line(value)).collect();
        self.state.append(&epoch.log(), &lines.concat()).await?;
        files.log = Some((epoch, chain));
        let mut ledger = self.ledger();
        for written in written {
            ledger.apply(written.change);
        }
        Ok(values)
    }

    /// Writes the whole ledger, behind which this run's log begins. Epochs beyond the last ones go; the journals stay.
    async fn begin(&self, files: &mut Files) -> Result<(Epoch, Chain), PortError> {
        let mut whole = self.ledger().clone();
        if files.epochs.is_empty() && !files.older.is_empty() {
            let epoch = older::epoch(&whole);
            self.state.replace(&epoch.whole(), &whole.to_bytes()).await?;
            files.epochs.push(epoch);
        }
        // the very first one is generation 0; behind a copy or an older version's ledger there is no such
        if !files.epochs.is_empty() || whole.generation > 0 {
            whole.generation += 1;
        }
        let epoch = Epoch {
            generation: whole.generation,
            run: self.run.clone(),
        };
        self.state.replace(&epoch.whole(), &whole.to_bytes()).await?;
        let chain = Chain::begin(&epoch.anchor(&whole));
        *self.ledger() = whole;
        files.epochs.push(epoch.clone());
        if files.put_back {
            self.state.remove(saved::PUT_BACK).await?;
            files.put_back = false;
        }
        while let Some(generation) = files.older.last() {
            self.state.remove(&older::name(*generation)).await?;
            files.older.pop();
        }
        while files.epochs.len() > KEPT {
            let old = files.epochs.remove(0);
            self.state.remove(&old.log()).await?;
            self.state.remove(&old.whole()).await?;
        }
        Ok((epoch, chain))
    }

    async fn append_journal(&self, journal: &mut Journal, waiting: &[Waiting]) -> Result<(), PortError> {
        if waiting.is_empty() {
            return Ok(());
        }
        if journal.broken {
            // the line before may be cut off; one behind it could not be told from an altered one
            journal.part += 1;
            journal.chain = Chain::begin(&journal_anchor(&self.run, journal.part));
            journal.broken = false;
        }
        let lines: Vec<Vec<u8>> = waiting
            .iter()
            .map(|waiting| journal.chain.line(&waiting.record))
            .collect();
        let name = journal_name(&self.run, journal.part);
        let appended = self.state.append(&name, &lines.concat()).await;
        journal.broken = appended.is_err();
        appended
    }
}

/// A line of the journal that holds a change as well.
fn both(mut change: Value, record: Value) -> Value {
    if let (Some(line), Value::Object(record)) = (change.as_object_mut(), record) {
        line.extend(record);
    }
    change
}
