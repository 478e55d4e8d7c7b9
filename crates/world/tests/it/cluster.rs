//! What the port of the Kubernetes API promises. Each promise is asked of the simulation and of a real API server, so that the
//! simulation cannot drift away from what it stands for.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openg2p_ports::{Cluster, Object, ObjectRef, Ownership, PortError, Readiness, Trial};
use openg2p_sim::Simulation;
use serde_json::{Value, json};

type Promise = for<'a> fn(&'a dyn Cluster, &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        /// Every promise, by name. Each gets a namespace of its own.
        pub(crate) const PROMISES: &[(&str, Promise)] = &[
            $((stringify!($name), |cluster, namespace| Box::pin($name(cluster, namespace)))),*
        ];
    };
}

promises![
    what_is_not_there_is_absent,
    an_applied_object_is_found_again,
    the_same_again_writes_nothing,
    a_generation_counts_changes_of_the_specification,
    a_field_of_another_manager_is_refused_by_name,
    a_field_may_be_taken_on_purpose,
    what_is_no_longer_said_goes_and_what_others_said_stays,
    a_trial_changes_nothing,
    what_cannot_be_changed_in_place_is_told_from_what_is_wrong,
    only_the_object_with_that_uid_is_deleted,
    a_finalizer_is_waited_for,
    a_definition_makes_its_kind_known,
];

#[test]
fn the_simulation_keeps_its_promises() {
    for (name, promise) in PROMISES {
        eprintln!("{name}");
        let simulation = Simulation::with_cluster();
        let world = simulation.world();
        let kept = simulation.drive(async {
            prepare(world.cluster.as_ref(), name).await;
            promise(world.cluster.as_ref(), &namespace(name)).await;
        });
        assert!(kept.is_some(), "{name}");
    }
}

/// The namespace of a promise.
pub(crate) fn namespace(promise: &str) -> String {
    promise.replace('_', "-")
}

/// Makes the namespace.
pub(crate) async fn prepare(cluster: &dyn Cluster, promise: &str) {
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(promise)}});
    cluster
        .apply(&manifest, "test", Ownership::Respect)
        .await
        .unwrap();
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: Some(namespace.into()),
        name: name.into(),
    }
}

fn config(namespace: &str, name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": name, "namespace": namespace, "labels": {"promise": name}}})
}

fn deployment(namespace: &str, replicas: i64, label: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "namespace": namespace, "labels": {"label": label}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

async fn apply(cluster: &dyn Cluster, manifest: &Value, manager: &str) -> Result<Object, PortError> {
    cluster.apply(manifest, manager, Ownership::Respect).await
}

async fn what_is_not_there_is_absent(cluster: &dyn Cluster, namespace: &str) {
    assert!(cluster.reachable().await.unwrap().is_some());
    assert_eq!(
        cluster
            .get(&object("v1", "ConfigMap", namespace, "none"))
            .await
            .unwrap(),
        None
    );
    let unknown = cluster
        .list("nowhere.example.org/v1", "Thing", Some(namespace), None)
        .await;
    assert_eq!(unknown.unwrap(), []);
    let unknown = object("nowhere.example.org/v1", "Thing", namespace, "none");
    assert_eq!(cluster.get(&unknown).await.unwrap(), None);
    cluster
        .delete(
            &object("v1", "ConfigMap", namespace, "none"),
            "no-uid",
            Duration::from_secs(1),
        )
        .await
        .unwrap();
}

async fn an_applied_object_is_found_again(cluster: &dyn Cluster, namespace: &str) {
    let made = apply(cluster, &config(namespace, "one", json!({"a": "1"})), "test")
        .await
        .unwrap();
    apply(cluster, &config(namespace, "two", json!({"a": "2"})), "test")
        .await
        .unwrap();
    let place = object("v1", "ConfigMap", namespace, "one");
    let found = cluster.get(&place).await.unwrap().unwrap();
    assert_eq!(ObjectRef::of(&found.0), Some(place.clone()));
    assert_eq!(found.0["data"]["a"], "1");
    for key in ["uid", "resourceVersion"] {
        assert!(made.metadata(key).is_some_and(|value| !value.is_empty()), "{key}");
        assert_eq!(made.metadata(key), found.metadata(key));
    }
    let list = cluster
        .list("v1", "ConfigMap", Some(namespace), Some("promise=one"))
        .await
        .unwrap();
    let places: Vec<_> = list
        .iter()
        .filter_map(|object| ObjectRef::of(&object.0))
        .collect();
    assert_eq!(places, std::slice::from_ref(&place));
    let everywhere = cluster.list("v1", "ConfigMap", None, None).await.unwrap();
    assert!(
        everywhere
            .iter()
            .any(|object| ObjectRef::of(&object.0) == Some(place.clone()))
    );
    assert_eq!(cluster.readiness(&place).await.unwrap(), Readiness::Ready);
}

async fn the_same_again_writes_nothing(cluster: &dyn Cluster, namespace: &str) {
    let manifest = config(namespace, "one", json!({"a": "1"}));
    let first = apply(cluster, &manifest, "test").await.unwrap();
    let second = apply(cluster, &manifest, "test").await.unwrap();
    assert_eq!(
        first.metadata("resourceVersion"),
        second.metadata("resourceVersion")
    );
}

async fn a_generation_counts_changes_of_the_specification(cluster: &dyn Cluster, namespace: &str) {
    assert_eq!(
        apply(cluster, &deployment(namespace, 1, "a"), "test")
            .await
            .unwrap()
            .generation(),
        1
    );
    assert_eq!(
        apply(cluster, &deployment(namespace, 1, "b"), "test")
            .await
            .unwrap()
            .generation(),
        1
    );
    assert_eq!(
        apply(cluster, &deployment(namespace, 2, "b"), "test")
            .await
            .unwrap()
            .generation(),
        2
    );
    let map = apply(cluster, &config(namespace, "one", json!({})), "test")
        .await
        .unwrap();
    assert_eq!(map.generation(), 0);
}

async fn a_field_of_another_manager_is_refused_by_name(cluster: &dyn Cluster, namespace: &str) {
    apply(
        cluster,
        &config(namespace, "one", json!({"a": "theirs", "b": "theirs"})),
        "neighbour",
    )
    .await
    .unwrap();
    let ours = config(namespace, "one", json!({"a": "ours"}));
    let error = apply(cluster, &ours, "test").await.unwrap_err();
    assert_eq!(error.code, "kubernetes::conflict");
    assert!(error.why.contains("`neighbour` manages .data.a"), "{}", error.why);
    assert!(!error.why.contains(".data.b"), "{}", error.why);
    let place = object("v1", "ConfigMap", namespace, "one");
    assert_eq!(
        cluster.get(&place).await.unwrap().unwrap().0["data"]["a"],
        "theirs"
    );
    // the same value may be said by both
    let same = config(namespace, "one", json!({"a": "theirs"}));
    apply(cluster, &same, "test").await.unwrap();
}

async fn a_field_may_be_taken_on_purpose(cluster: &dyn Cluster, namespace: &str) {
    let theirs = config(namespace, "one", json!({"a": "theirs"}));
    apply(cluster, &theirs, "neighbour").await.unwrap();
    let ours = config(namespace, "one", json!({"a": "ours"}));
    let taken = cluster.apply(&ours, "test", Ownership::Take).await.unwrap();
    assert_eq!(taken.0["data"]["a"], "ours");
    let error = apply(cluster, &theirs, "neighbour").await.unwrap_err();
    assert!(error.why.contains("`test` manages .data.a"), "{}", error.why);
}

async fn what_is_no_longer_said_goes_and_what_others_said_stays(cluster: &dyn Cluster, namespace: &str) {
    apply(
        cluster,
        &config(namespace, "one", json!({"a": "1", "b": "2"})),
        "test",
    )
    .await
    .unwrap();
    apply(cluster, &config(namespace, "one", json!({"c": "3"})), "neighbour")
        .await
        .unwrap();
    let now = apply(cluster, &config(namespace, "one", json!({"a": "1"})), "test")
        .await
        .unwrap();
    assert_eq!(now.0["data"], json!({"a": "1", "c": "3"}));
}

async fn a_trial_changes_nothing(cluster: &dyn Cluster, namespace: &str) {
    let first = apply(cluster, &config(namespace, "one", json!({"a": "1"})), "neighbour")
        .await
        .unwrap();
    let other = config(namespace, "one", json!({"a": "2"}));
    match cluster
        .try_apply(&other, "test", Ownership::Respect)
        .await
        .unwrap()
    {
        Trial::Conflict(fields) => {
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            assert_eq!(fields, ["`neighbour` manages .data.a"]);
        }
        other => panic!("{other:?}"),
    }
    match cluster.try_apply(&other, "test", Ownership::Take).await.unwrap() {
        Trial::Accepted(object) => assert_eq!(object.0["data"]["a"], "2"),
        other => panic!("{other:?}"),
    }
    let place = object("v1", "ConfigMap", namespace, "one");
    let now = cluster.get(&place).await.unwrap().unwrap();
    assert_eq!(now.metadata("resourceVersion"), first.metadata("resourceVersion"));
    let elsewhere = config("there-is-no-such-namespace", "one", json!({}));
    let trial = cluster
        .try_apply(&elsewhere, "test", Ownership::Respect)
        .await
        .unwrap();
    assert!(matches!(trial, Trial::Impossible(_)), "{trial:?}");
}

async fn what_cannot_be_changed_in_place_is_told_from_what_is_wrong(cluster: &dyn Cluster, namespace: &str) {
    let mut manifest = deployment(namespace, 1, "a");
    apply(cluster, &manifest, "test").await.unwrap();
    manifest["spec"]["selector"]["matchLabels"]["app"] = json!("b");
    manifest["spec"]["template"]["metadata"]["labels"]["app"] = json!("b");
    let trial = cluster
        .try_apply(&manifest, "test", Ownership::Respect)
        .await
        .unwrap();
    assert!(matches!(trial, Trial::Immutable(_)), "{trial:?}");
    let job = |image: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": namespace},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}}}})
    };
    apply(cluster, &job("one"), "test").await.unwrap();
    let trial = cluster
        .try_apply(&job("two"), "test", Ownership::Respect)
        .await
        .unwrap();
    assert!(matches!(trial, Trial::Immutable(_)), "{trial:?}");
}

async fn only_the_object_with_that_uid_is_deleted(cluster: &dyn Cluster, namespace: &str) {
    let made = apply(cluster, &config(namespace, "one", json!({})), "test")
        .await
        .unwrap();
    let place = object("v1", "ConfigMap", namespace, "one");
    let deadline = Duration::from_secs(5);
    let other = "11111111-1111-4111-8111-111111111111";
    cluster.delete(&place, other, deadline).await.unwrap();
    assert!(cluster.get(&place).await.unwrap().is_some());
    cluster
        .delete(&place, made.metadata("uid").unwrap(), deadline)
        .await
        .unwrap();
    assert_eq!(cluster.get(&place).await.unwrap(), None);
    let again = apply(cluster, &config(namespace, "one", json!({})), "test")
        .await
        .unwrap();
    assert_ne!(again.metadata("uid"), made.metadata("uid"));
}

async fn a_finalizer_is_waited_for(cluster: &dyn Cluster, namespace: &str) {
    let mut manifest = config(namespace, "one", json!({}));
    manifest["metadata"]["finalizers"] = json!(["example.org/never"]);
    let made = apply(cluster, &manifest, "test").await.unwrap();
    let place = object("v1", "ConfigMap", namespace, "one");
    let uid = made.metadata("uid").unwrap().to_owned();
    let error = cluster
        .delete(&place, &uid, Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_eq!(error.code, "kubernetes::delete-deadline");
    let live = cluster.get(&place).await.unwrap().unwrap();
    assert!(live.metadata("deletionTimestamp").is_some());
}

async fn a_definition_makes_its_kind_known(cluster: &dyn Cluster, namespace: &str) {
    // a plural that no rule of English gives
    let mut definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "oxen.farm.example.org"},
        "spec": {"group": "farm.example.org", "scope": "Namespaced", "names": {"kind": "Ox", "plural": "oxen"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "properties": {"spec": {"type": "object", "properties": {"legs": {"type": "integer"}}}}}}}]}});
    apply(cluster, &definition, "test").await.unwrap();
    let place = ObjectRef {
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        namespace: None,
        name: "oxen.farm.example.org".into(),
    };
    cluster
        .wait(&place, Duration::from_secs(20), &|_| {})
        .await
        .unwrap();
    let ox = json!({"apiVersion": "farm.example.org/v1", "kind": "Ox", "metadata": {"name": "bo", "namespace": namespace},
        "spec": {"legs": 4}});
    apply(cluster, &ox, "test").await.unwrap();
    let found = cluster
        .list("farm.example.org/v1", "Ox", Some(namespace), None)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0["spec"]["legs"], 4);
    assert_eq!(found[0].0["kind"], "Ox");
    // what it does not declare is refused; a field that it gets is known to whatever is applied behind it
    let mut red = ox.clone();
    red["spec"]["colour"] = json!("red");
    let trial = cluster.try_apply(&red, "test", Ownership::Respect).await.unwrap();
    let Trial::Refused(why) = trial else {
        panic!("{trial:?}")
    };
    assert!(why.contains(".spec.colour"), "{why}");
    let versions = &mut definition["spec"]["versions"];
    versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["colour"] =
        json!({"type": "string"});
    apply(cluster, &definition, "test").await.unwrap();
    let red = apply(cluster, &red, "test").await.unwrap();
    assert_eq!(red.0["spec"], json!({"legs": 4, "colour": "red"}));
}
