//! Why a pod will never run, as far as its status tells.

use serde_json::Value;

use super::readiness::{condition, number};

/// A container that will not start by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) reason: String,
    /// Its log is worth reading.
    pub(super) has_log: bool,
    /// The log of interest is that of the run before.
    pub(super) previous: bool,
    /// Another attempt would end the same: an init container said so ([`NEEDS_PERSON`]).
    pub(super) needs_person: bool,
    /// Seconds for which it must hold before it is taken for more than a delay.
    pub(super) patience: u64,
}

/// A pod that no node takes may wait for a taint to go or for a neighbour's memory.
const UNSCHEDULED: u64 = 60;
/// Time for a Secret or an image that another step is making to appear.
const BROKEN: u64 = 10;

/// Restarts after which a crashing program is taken for one that will not recover: three runs cover a dependency that
/// came up late, and their back-offs (10 s, 20 s) stay within half a minute.
const RESTARTS: i64 = 3;

/// With this status the programs of ours that make or await a database end when a person must act (crates/init, `Refusal::exit_code`).
const NEEDS_PERSON: i64 = 4;

/// What keeps a pod from running, if that is more than time.
pub(super) fn of_pod(pod: &Value) -> Option<Trouble> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if pod["metadata"].get("deletionTimestamp").is_some() {
        return None;
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled["status"] == "False"
        && scheduled["reason"] == "Unschedulable"
        // volumes are made on demand: until the deadline this is only slow
        && !scheduled["message"].as_str().unwrap_or_default().contains("PersistentVolumeClaims")
    {
        let message = scheduled["message"].as_str().unwrap_or_default();
        return Some(Trouble {
            pod: name,
            container: String::new(),
            reason: format!("no node takes it: {message}"),
            has_log: false,
            previous: false,
            needs_person: false,
            patience: UNSCHEDULED,
        });
    }
    let init = pod["status"]["initContainerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|status| (true, status));
    let main = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|status| (false, status));
    for (is_init, status) in init.chain(main) {
        let container = status["name"].as_str().unwrap_or_default().to_owned();
        let restarts = number(&status["restartCount"]);
        let wait = &status["state"]["waiting"];
        let reason = wait["reason"].as_str().unwrap_or_default();
        let message = wait["message"].as_str().unwrap_or_default();
        let terminated = [&status["state"]["terminated"], &status["lastState"]["terminated"]]
            .into_iter()
            .find(|state| state.is_object());
        let needs_person =
            is_init && terminated.is_some_and(|state| number(&state["exitCode"]) == NEEDS_PERSON);
        let trouble = |reason: String, has_log: bool, previous: bool| {
            Some(Trouble {
                pod: name.clone(),
                container: container.clone(),
                reason,
                has_log,
                previous,
                needs_person,
                patience: BROKEN,
            })
        };
        match reason {
            "ErrImageNeverPull" | "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName"
            | "ImageInspectError" => {
                return trouble(
                    format!("its image cannot be had ({reason}): {message}"),
                    false,
                    false,
                );
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                return trouble(
                    format!("it cannot be started ({reason}): {message}"),
                    false,
                    false,
                );
            }
            _ => {}
        }
        let failed = terminated.filter(|state| number(&state["exitCode"]) != 0);
        // an init container of ours waits until its own deadline before it fails: its first failure says it all; and a pod that is over
        // (restartPolicy Never, as Jobs have it) starts nothing again
        let enough = if is_init { 1 } else { RESTARTS };
        let over = pod["status"]["phase"] == "Failed";
        if let Some(state) = failed
            && (restarts >= enough || over || (is_init && status["state"]["terminated"].is_object()))
        {
            let cause = state["reason"].as_str().unwrap_or("Error");
            let code = number(&state["exitCode"]);
            let previous = !status["state"]["terminated"].is_object();
            let runs = if restarts > 0 {
                format!(", {restarts} restarts")
            } else {
                String::new()
            };
            return trouble(
                format!("it ends with status {code} ({cause}{runs})"),
                true,
                previous,
            );
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_image_is_named_at_once_and_a_crash_after_three_restarts() {
        let missing = json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
            {"name": "c", "restartCount": 0, "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}}]}});
        assert!(of_pod(&missing).unwrap().reason.contains("not present"));
        let mut crash = json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
            {"name": "c", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
             "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}});
        assert_eq!(of_pod(&crash), None);
        crash["status"]["containerStatuses"][0]["restartCount"] = json!(3);
        assert!(of_pod(&crash).unwrap().previous);
    }

    #[test]
    fn a_failed_init_container_is_named_at_its_first_failure() {
        let pod = json!({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [
            {"name": "wait", "restartCount": 0, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}});
        let trouble = of_pod(&pod).unwrap();
        assert!(trouble.has_log && !trouble.previous && !trouble.needs_person);
    }

    #[test]
    fn a_pod_that_is_over_is_told_with_its_log() {
        let mut pod = json!({"metadata": {"name": "p"}, "status": {"phase": "Failed", "containerStatuses": [
            {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": 4, "reason": "Error"}}}]}});
        let trouble = of_pod(&pod).unwrap();
        assert!(trouble.has_log && !trouble.previous, "{trouble:?}");
        pod["status"]["phase"] = json!("Running");
        assert_eq!(of_pod(&pod), None, "the kubelet starts it again");
    }

    #[test]
    fn a_refused_login_of_an_attempt_is_no_matter_for_another_attempt() {
        let pod = json!({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [
            {"name": "wait-for-database", "restartCount": 0, "state": {"terminated": {"exitCode": 4, "reason": "Error"}}}]}});
        assert!(of_pod(&pod).unwrap().needs_person);
    }
}
