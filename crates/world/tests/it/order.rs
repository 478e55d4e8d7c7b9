//! One command of an operator, carried out as the engine of an installation does it: behind the fence, with the proof that the plan
//! holds, and with a copy of the ledger in the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use openg2p_plan::{Entry, Ledger, Owner, Plan, Resource, removal, towards};
use openg2p_ports::{State, World};
use openg2p_run::fence::{self, Holder};
use openg2p_run::{Engine, Memory, RunInfo, assess, copy, entries_observed};

use crate::engine::{Ended, inputs};
use crate::host::{Counter, TestState};

pub(crate) struct Order<'a> {
    /// The site's name.
    pub(crate) site: &'a str,
    pub(crate) run: &'a str,
    /// Where ledger and journal are.
    pub(crate) root: &'a Path,
    /// Whether a copy of the ledger is kept in the cluster.
    pub(crate) copy: bool,
    /// What the site shall be; none: it shall go.
    pub(crate) wanted: Option<Vec<Resource>>,
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Order<'_> {
    /// Plans and applies.
    pub(crate) async fn carry_out(self, world: &World, counter: &Counter) -> Ended {
        self.apply(world, counter).await.unwrap_or_else(Ended::Failed)
    }

    async fn apply(mut self, world: &World, counter: &Counter) -> Result<Ended, String> {
        let state: Arc<dyn State> = Arc::new(TestState::new(self.root, counter.clone()));
        let (ledger, _) = if self.copy {
            Memory::read_or_copy(world, state.as_ref()).await
        } else {
            Memory::read(state.as_ref()).await
        }
        .map_err(in_words)?;
        let wanted = self.wanted.take();
        let plan = self.plan(world, &ledger, wanted).await?;
        if plan.is_empty() {
            if self.copy && !copy::is_current(world, &ledger).await.map_err(in_words)? {
                copy::replicate(world, &ledger).await.map_err(in_words)?;
            }
            return Ok(Ended::Nothing);
        }
        let holder = Holder {
            run: self.run.into(),
            by: "a test".into(),
            since: 0,
            process: std::process::id(),
            started: 0,
            boot: String::new(),
        };
        fence::take(state.as_ref(), &holder).await.map_err(in_words)?;
        let info = RunInfo {
            id: self.run.into(),
            command: "apply".into(),
        };
        let (memory, _) = if self.copy {
            Memory::open_or_copy(world, state, info).await
        } else {
            Memory::open(state, info).await
        }
        .map_err(in_words)?;
        let memory = memory.behind_fence();
        let engine = Engine {
            version: plan.inputs.engine.clone(),
            host: None,
            bundle_is_to_come: false,
        };
        let never = AtomicBool::new(false);
        let finished = openg2p_run::perform(world, &memory, &plan, &engine, &|_| {}, &never)
            .await
            .map_err(in_words)?;
        if self.copy {
            memory.replicate(world).await.map_err(in_words)?;
        }
        if finished.failed.is_empty() {
            return Ok(Ended::Done(counter.count()));
        }
        let told = finished
            .failed
            .iter()
            .map(|(number, failure)| format!("{}: {failure:?}", plan.steps[*number].resource));
        Err(told.collect::<Vec<_>>().join("\n"))
    }

    async fn plan(
        &self,
        world: &World,
        ledger: &Ledger,
        wanted: Option<Vec<Resource>>,
    ) -> Result<Plan, String> {
        let Some(wanted) = wanted else {
            let entries: Vec<Entry> = ledger.entries.values().cloned().collect();
            let observed = entries_observed(world, entries).await;
            return removal(ledger, inputs(ledger), observed, &[Owner::Site], Vec::new()).map_err(in_words);
        };
        let situation = assess(world, wanted, ledger).await;
        let (assessed, orphans) = (situation.assessed, situation.orphans);
        towards(self.site, inputs(ledger), assessed, orphans, Vec::new()).map_err(in_words)
    }
}
