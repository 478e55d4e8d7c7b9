//! What in a namespace is not ours: neither made by us, nor by a controller for something of ours, nor by Kubernetes itself.

use openg2p_ports::{Object, PortError, World};
use serde_json::{Map, Value};

use crate::kubernetes_object::OWNER_LABEL;
use crate::partner_certificate::MANAGERS;

/// Kinds that people put into namespaces.
pub const KINDS_OF_PEOPLE: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("policy/v1", "PodDisruptionBudget"),
];

/// Whether an object in a namespace of ours is somebody's own.
fn is_foreign(kind: &str, object: &Object) -> bool {
    let name = object.metadata("name").unwrap_or_default();
    let owned = object.0["metadata"]["ownerReferences"]
        .as_array()
        .is_some_and(|owners| !owners.is_empty());
    let of_kubernetes = matches!(
        (kind, name),
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default")
    );
    // it bears no label of ours, for others may register partners in it; the last certificate leaves an empty one, in which nothing is lost
    let of_partners = kind == "ConfigMap"
        && (["data", "binaryData"]
            .iter()
            .all(|key| holds_nothing(&object.0[*key]))
            || holds_our_certificates_alone(object));
    !owned
        && !of_kubernetes
        && !of_partners
        && object.label(OWNER_LABEL).is_none()
        && !is_claim_of_set(kind, object)
}

fn holds_nothing(content: &Value) -> bool {
    content.as_object().is_none_or(Map::is_empty)
}

/// Whether nobody has written to it but we for our own partners.
fn holds_our_certificates_alone(object: &Object) -> bool {
    let history = object.0["metadata"]["managedFields"].as_array();
    history.is_some_and(|history| {
        !history.is_empty()
            && history.iter().all(|change| {
                let manager = change["manager"].as_str().unwrap_or_default();
                manager.starts_with(MANAGERS)
            })
    })
}

/// A claim that the controller made for a StatefulSet bears no owner; the controller's name is in its history.
fn is_claim_of_set(kind: &str, object: &Object) -> bool {
    if kind != "PersistentVolumeClaim" {
        return false;
    }
    let numbered = object
        .metadata("name")
        .and_then(|name| name.rsplit_once('-'))
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    let history = object.0["metadata"]["managedFields"].as_array();
    let by_controller = history.is_none_or(|history| {
        history
            .iter()
            .any(|change| change["manager"] == "kube-controller-manager")
    });
    numbered && by_controller
}

/// Names of what is somebody's own in `namespace`, such as `ConfigMap notes`, sorted.
pub async fn foreign(world: &World, namespace: &str) -> Result<Vec<String>, PortError> {
    if world.cluster.reachable().await?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (api_version, kind) in KINDS_OF_PEOPLE {
        for object in world
            .cluster
            .list(api_version, kind, Some(namespace), None)
            .await?
        {
            if is_foreign(kind, &object) {
                found.push(format!("{kind} {}", object.metadata("name").unwrap_or_default()));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ours_the_controllers_and_kubernetes_own_are_told_from_a_persons() {
        let object = |metadata: Value| Object(json!({"metadata": metadata, "data": {"a": "1"}}));
        let person = object(json!({"name": "notes"}));
        assert!(is_foreign("ConfigMap", &person) && is_foreign("Secret", &person));
        assert!(!is_foreign(
            "ConfigMap",
            &object(json!({"name": "kube-root-ca.crt"}))
        ));
        assert!(!is_foreign("ServiceAccount", &object(json!({"name": "default"}))));
        assert!(is_foreign("Secret", &object(json!({"name": "default"}))));
        assert!(!is_foreign(
            "ConfigMap",
            &Object(json!({"metadata": {"name": "notes"}}))
        ));
        assert!(!is_foreign(
            "Pod",
            &object(json!({"name": "a", "ownerReferences": [{"kind": "Job"}]}))
        ));
        let ours = object(json!({"name": "a", "labels": {OWNER_LABEL: "environment.dev"}}));
        assert!(!is_foreign("ConfigMap", &ours));
        let by = |managers: &[&str]| {
            let history: Vec<Value> = managers
                .iter()
                .map(|manager| json!({"manager": manager}))
                .collect();
            object(json!({"name": "partners", "managedFields": history}))
        };
        let our = "openg2p-partner-a-pem";
        assert!(!is_foreign("ConfigMap", &by(&[our, "openg2p-partner-b-pem"])));
        assert!(is_foreign("ConfigMap", &by(&[our, "kubectl-edit"])));
        assert!(is_foreign("ConfigMap", &by(&[])));
        assert!(is_foreign("Secret", &by(&[our])));
        let claim = |manager: &str, name: &str| {
            object(json!({"name": name, "managedFields": [{"manager": manager}]}))
        };
        let kind = "PersistentVolumeClaim";
        assert!(!is_foreign(
            kind,
            &claim("kube-controller-manager", "data-postgresql-0")
        ));
        assert!(is_foreign(kind, &claim("kubectl-create", "data-postgresql-0")));
        assert!(is_foreign(kind, &claim("kube-controller-manager", "data")));
    }
}
