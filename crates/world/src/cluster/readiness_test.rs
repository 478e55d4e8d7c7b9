use serde_json::{Value, json};

use super::*;

fn ready(object: &Value) -> bool {
    of_object(object) == Readiness::Ready
}

fn waits_for(object: &Value) -> String {
    match of_object(object) {
        Readiness::Waiting(waiting) => waiting.0,
        other => panic!("{other:?}"),
    }
}

fn stuck_by(object: &Value) -> String {
    match of_object(object) {
        Readiness::Stuck(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rollout_is_ready_only_when_the_new_pods_are() {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}});
    assert_eq!(waits_for(&object), "its controller to see the change");
    object["status"]["observedGeneration"] = json!(2);
    assert!(ready(&object));
    object["status"]["replicas"] = json!(2);
    assert_eq!(waits_for(&object), "1 old pods to end");
    object["status"]["conditions"] = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "exceeded quota: small"}]);
    assert_eq!(
        stuck_by(&object),
        "its pods cannot be made: exceeded quota: small (FailedCreate)"
    );
}

#[test]
fn a_rollout_that_nobody_has_seen_yet_is_not_ready() {
    let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {"replicas": 0}});
    assert_eq!(waits_for(&object), "its controller to see the change");
}

#[test]
fn a_stateful_set_updates_down_to_its_partition_only() {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1},
        "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        "status": {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 0}});
    assert_eq!(waits_for(&object), "0 of 1 pods made anew");
    object["status"]["updatedReplicas"] = json!(1);
    assert!(ready(&object));
}

#[test]
fn a_job_is_ready_when_it_is_complete() {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {}, "status": {"failed": 2}});
    assert_eq!(waits_for(&job), "the job to complete (2 attempts failed)");
    job["status"]["conditions"] =
        json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]);
    assert_eq!(stuck_by(&job), "the job failed: BackoffLimitExceeded");
    job["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
    assert!(ready(&job));
}

#[test]
fn claims_definitions_and_namespaces() {
    let claim = |phase: &str| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": phase}});
    assert!(ready(&claim("Bound")));
    assert_eq!(waits_for(&claim("Pending")), "a volume");
    assert_eq!(stuck_by(&claim("Lost")), "its volume is gone");
    let definition = |kind: &str, status: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "status": {"conditions": [{"type": kind, "status": status, "message": "x is taken"}]}})
    };
    assert!(ready(&definition("Established", "True")));
    assert_eq!(
        stuck_by(&definition("NamesAccepted", "False")),
        "its names are taken: x is taken"
    );
    assert_eq!(
        waits_for(&definition("Other", "True")),
        "Established: not reported yet"
    );
    assert!(!ready(
        &json!({"apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Terminating"}})
    ));
}

#[test]
fn istio_and_gateways_say_what_is_wrong() {
    let mut rule = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"});
    assert!(ready(&rule));
    rule["status"] = json!({"validationMessages": [{"level": "ERROR", "type": {"name": "ReferencedResourceNotFound", "code": "IST0101"}}]});
    assert_eq!(
        stuck_by(&rule),
        "Istio refuses it: ReferencedResourceNotFound IST0101"
    );
    rule["status"] = json!({"conditions": [{"type": "Reconciled", "status": "False", "message": "1/2 proxies up to date"}]});
    assert_eq!(
        waits_for(&rule),
        "the proxies to take it over: 1/2 proxies up to date"
    );
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "status": {"parents": [
        {"parentRef": {"name": "edge"}, "conditions": [{"type": "Accepted", "status": "False", "reason": "NoMatchingParent"}]}]}});
    assert_eq!(
        stuck_by(&route),
        "gateway edge does not accept it: NoMatchingParent"
    );
}

#[test]
fn a_custom_resource_is_judged_by_the_conditions_that_kstatus_knows() {
    let custom = |conditions: Value| {
        json!({"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic", "metadata": {"generation": 3},
            "status": {"observedGeneration": 3, "conditions": conditions}})
    };
    assert!(ready(&custom(json!([]))));
    assert!(ready(&custom(json!([{"type": "Ready", "status": "True"}]))));
    assert_eq!(
        waits_for(&custom(
            json!([{"type": "Ready", "status": "False", "message": "no broker"}])
        )),
        "Ready: no broker"
    );
    assert_eq!(
        stuck_by(&custom(
            json!([{"type": "Stalled", "status": "True", "reason": "BadSpec"}])
        )),
        "BadSpec"
    );
    let mut stale = custom(json!([{"type": "Ready", "status": "True"}]));
    stale["status"]["observedGeneration"] = json!(2);
    assert!(!ready(&stale));
}

#[test]
fn an_annotation_names_another_condition() {
    let wish = |wish: &str| {
        json!({"apiVersion": "x.example.org/v1", "kind": "Thing", "metadata": {"annotations": {READY_WHEN: wish}},
            "status": {"phase": "Starting", "conditions": [{"type": "Available", "status": "True"}]}})
    };
    assert!(ready(&wish("Available")));
    assert!(ready(&wish("exists")));
    assert_eq!(
        waits_for(&wish("status.phase=Running")),
        "status.phase to be Running, it is Starting"
    );
    assert!(ready(&wish("status.phase=Starting")));
}
