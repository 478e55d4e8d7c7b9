//! How long steps took on this machine, kept beside the ledger.

use openg2p_plan::{Experience, Plan};
use openg2p_ports::{PortError, State};

use crate::Finished;

/// Where it lies.
const NAME: &str = "experience.json";

/// What earlier runs took. What cannot be read is as good as nothing: estimates are guesses then.
pub async fn experience(state: &dyn State) -> Experience {
    match state.read(NAME).await {
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
        _ => Experience::default(),
    }
}

/// Adds what the steps of a run took.
pub async fn learn(state: &dyn State, plan: &Plan, finished: &Finished) -> Result<(), PortError> {
    if finished.seconds.is_empty() {
        return Ok(());
    }
    let mut known = experience(state).await;
    for (number, seconds) in &finished.seconds {
        if let Some(step) = plan.steps.get(*number) {
            known.learn(step, step.guess, *seconds);
        }
    }
    let bytes = serde_json::to_vec(&known).unwrap_or_default();
    state.replace(NAME, &bytes).await
}
