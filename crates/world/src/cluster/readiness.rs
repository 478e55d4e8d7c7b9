//! How ready an object is: pure functions over what the API shows. Rules as kstatus and `kubectl rollout status` have them, and those
//! of Istio and the Gateway API.

use openg2p_ports::{Readiness, Waiting};
use serde_json::Value;

/// Says what an object waits for where its kind has no rule here: a condition (`Available`), a field with its value
/// (`status.phase=Running`), or `exists`.
const READY_WHEN: &str = "openg2p.org/ready-when";

pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// A condition with this status.
fn stands<'a>(object: &'a Value, kind: &str, status: &str) -> Option<&'a Value> {
    condition(object, kind).filter(|condition| condition["status"] == status)
}

fn holds(object: &Value, kind: &str) -> bool {
    stands(object, kind, "True").is_some()
}

/// What a condition says, in the words of the one who set it.
fn words(condition: &Value) -> String {
    let (reason, message) = (text(&condition["reason"]), text(&condition["message"]));
    match (reason, message) {
        ("", "") => "no reason given".into(),
        (reason, "") => reason.into(),
        ("", message) => message.into(),
        (reason, message) => format!("{message} ({reason})"),
    }
}

fn waiting(text: impl Into<String>) -> Readiness {
    Readiness::Waiting(Waiting(text.into()))
}

fn by_condition(object: &Value, kind: &str) -> Readiness {
    if holds(object, kind) {
        return Readiness::Ready;
    }
    let why = condition(object, kind)
        .and_then(|condition| condition["message"].as_str())
        .unwrap_or("not reported yet");
    waiting(format!("{kind}: {why}"))
}

/// What the object's own status says.
pub(super) fn of_object(object: &Value) -> Readiness {
    if object["metadata"].get("deletionTimestamp").is_some() {
        return waiting("its deletion to end");
    }
    if let Some(wish) = object["metadata"]["annotations"][READY_WHEN].as_str() {
        return as_wished(object, wish);
    }
    let status = &object["status"];
    let observed = status["observedGeneration"].as_i64();
    let generation = number(&object["metadata"]["generation"]);
    let kind = text(&object["kind"]);
    // these always say which change they have seen; others only may
    let counts = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet");
    if observed.unwrap_or(if counts { 0 } else { generation }) < generation {
        return waiting("its controller to see the change");
    }
    let group = text(&object["apiVersion"])
        .split_once('/')
        .map_or("", |(group, _)| group);
    match (group, kind) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
            failure(object)
                .unwrap_or_else(|| enough(number(&status["availableReplicas"]), wanted, "available"))
        }
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Node") => node(object),
        ("", "Namespace") => match text(&status["phase"]) {
            "Terminating" => waiting("its deletion to end"),
            _ => Readiness::Ready,
        },
        ("", "PersistentVolumeClaim") => match text(&status["phase"]) {
            "Bound" => Readiness::Ready,
            "Lost" => Readiness::Stuck("its volume is gone".into()),
            _ => waiting("a volume"),
        },
        ("", "PersistentVolume") => match text(&status["phase"]) {
            "Failed" => Readiness::Stuck(format!("the volume failed: {}", text(&status["message"]))),
            "Bound" | "Available" | "Released" => Readiness::Ready,
            _ => waiting("the volume to be made"),
        },
        // an address outside of the cluster may never come: a box has nobody who gives one
        ("", "Service") => match text(&object["spec"]["type"]) {
            "ExternalName" => Readiness::Ready,
            _ if object["spec"].get("clusterIP").is_none() => waiting("an address"),
            _ => Readiness::Ready,
        },
        ("apiextensions.k8s.io", _) => match stands(object, "NamesAccepted", "False") {
            Some(refused) => Readiness::Stuck(format!("its names are taken: {}", words(refused))),
            None => by_condition(object, "Established"),
        },
        ("apiregistration.k8s.io", _) => by_condition(object, "Available"),
        ("gateway.networking.k8s.io", _) => gateway(object),
        (group, _) if group == "istio.io" || group.ends_with(".istio.io") => istio(object),
        (group, _) if !group.contains('.') || group.ends_with(".k8s.io") => Readiness::Ready,
        _ => custom(object),
    }
}

fn enough(are: i64, wanted: i64, word: &str) -> Readiness {
    if are >= wanted {
        Readiness::Ready
    } else {
        waiting(format!("{are} of {wanted} pods {word}"))
    }
}

/// Pods that are not even made: a quota, a policy, an admission webhook.
fn failure(object: &Value) -> Option<Readiness> {
    let failed = stands(object, "ReplicaFailure", "True")?;
    Some(Readiness::Stuck(format!(
        "its pods cannot be made: {}",
        words(failed)
    )))
}

fn deployment(object: &Value) -> Readiness {
    let status = &object["status"];
    if let Some(failed) = failure(object) {
        return failed;
    }
    if let Some(late) =
        stands(object, "Progressing", "False").filter(|it| it["reason"] == "ProgressDeadlineExceeded")
    {
        return Readiness::Stuck(format!("its rollout came to a stop: {}", words(late)));
    }
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let updated = number(&status["updatedReplicas"]);
    let available = number(&status["availableReplicas"]);
    let all = number(&status["replicas"]);
    if updated >= wanted && available >= wanted && all > updated {
        return waiting(format!("{} old pods to end", all - updated));
    }
    enough(available.min(updated), wanted, "available")
}

fn stateful_set(object: &Value) -> Readiness {
    let (spec, status) = (&object["spec"], &object["status"]);
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let ready = number(&status["readyReplicas"]);
    if ready < wanted || text(&spec["updateStrategy"]["type"]) == "OnDelete" {
        return enough(ready, wanted, "ready");
    }
    let partition = number(&spec["updateStrategy"]["rollingUpdate"]["partition"]);
    let due = (wanted - partition).max(0);
    let updated = number(&status["updatedReplicas"]);
    if updated < due {
        waiting(format!("{updated} of {due} pods made anew"))
    } else {
        Readiness::Ready
    }
}

fn daemon_set(object: &Value) -> Readiness {
    let status = &object["status"];
    let wanted = number(&status["desiredNumberScheduled"]);
    let ready = number(&status["numberReady"]);
    let updated = number(&status["updatedNumberScheduled"]);
    if wanted == 0 {
        return waiting("a node that takes its pods");
    }
    if text(&object["spec"]["updateStrategy"]["type"]) == "OnDelete" {
        return enough(ready, wanted, "ready");
    }
    enough(ready.min(updated), wanted, "ready")
}

fn job(object: &Value) -> Readiness {
    if holds(object, "Complete") {
        return Readiness::Ready;
    }
    if let Some(failed) = stands(object, "Failed", "True") {
        return Readiness::Stuck(format!("the job failed: {}", words(failed)));
    }
    if object["spec"]["suspend"] == true {
        return waiting("somebody to resume it: the job is suspended");
    }
    let attempts = number(&object["status"]["failed"]);
    waiting(if attempts == 0 {
        "the job to complete".into()
    } else {
        format!("the job to complete ({attempts} attempts failed)")
    })
}

fn pod(object: &Value) -> Readiness {
    match text(&object["status"]["phase"]) {
        "Succeeded" => Readiness::Ready,
        "Failed" => Readiness::Stuck(format!("the pod failed: {}", words(&object["status"]))),
        _ => by_condition(object, "Ready"),
    }
}

/// The scheduler goes by the taint, which its controller takes away a moment after the condition.
fn node(object: &Value) -> Readiness {
    let mut taints = object["spec"]["taints"].as_array().into_iter().flatten();
    let taint = taints.find(|taint| text(&taint["key"]).starts_with("node.kubernetes.io/"));
    match taint {
        Some(taint) if holds(object, "Ready") => waiting(format!("taint {} to be taken away", taint["key"])),
        _ => by_condition(object, "Ready"),
    }
}

/// Istio reports what it thinks of its own configuration, where that is switched on.
fn istio(object: &Value) -> Readiness {
    let mut messages = object["status"]["validationMessages"]
        .as_array()
        .into_iter()
        .flatten();
    let error = messages.find(|message| text(&message["level"]).to_uppercase() == "ERROR");
    if let Some(error) = error {
        let code = text(&error["type"]["code"]);
        return Readiness::Stuck(format!(
            "Istio refuses it: {} {code}",
            text(&error["type"]["name"])
        ));
    }
    match stands(object, "Reconciled", "False") {
        Some(pending) => waiting(format!("the proxies to take it over: {}", words(pending))),
        None => custom(object),
    }
}

fn gateway(object: &Value) -> Readiness {
    for kind in ["Accepted", "Programmed"] {
        if let Some(refused) = stands(object, kind, "False") {
            return if kind == "Accepted" {
                Readiness::Stuck(format!("it is not accepted: {}", words(refused)))
            } else {
                waiting(words(refused))
            };
        }
    }
    // routes are judged by each gateway that they ask for
    let parents = object["status"]["parents"].as_array().into_iter().flatten();
    for parent in parents {
        let conditions = parent["conditions"].as_array().into_iter().flatten();
        for condition in conditions {
            if condition["type"] == "Accepted" && condition["status"] == "False" {
                let name = text(&parent["parentRef"]["name"]);
                return Readiness::Stuck(format!("gateway {name} does not accept it: {}", words(condition)));
            }
        }
    }
    Readiness::Ready
}

/// The conditions that kstatus asks of every controller.
fn custom(object: &Value) -> Readiness {
    if let Some(stalled) = stands(object, "Stalled", "True") {
        return Readiness::Stuck(words(stalled));
    }
    if let Some(busy) = stands(object, "Reconciling", "True") {
        return waiting(words(busy));
    }
    match condition(object, "Ready") {
        Some(ready) if ready["status"] != "True" => waiting(format!("Ready: {}", words(ready))),
        _ => Readiness::Ready,
    }
}

fn as_wished(object: &Value, wish: &str) -> Readiness {
    let Some((path, wanted)) = wish.split_once('=') else {
        return if wish == "exists" {
            Readiness::Ready
        } else {
            by_condition(object, wish)
        };
    };
    let field = path.split('.').fold(object, |inner, key| &inner[key]);
    let is = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
    if is == wanted {
        Readiness::Ready
    } else {
        waiting(format!("{path} to be {wanted}, it is {is}"))
    }
}

#[cfg(test)]
#[path = "readiness_test.rs"]
mod tests;
