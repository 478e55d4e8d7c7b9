//! Everything that a real API server holds of one site, in words that stay the same however often a run was cut off: without uids, times and
//! what the server or a controller draws by lot.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_plan::Fingerprint;
use openg2p_ports::World;
use openg2p_run::{Memory, copy};
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::cluster_site::{GENERATED, Lane};
use crate::host::{Counter, TestState};

/// By name, one thing a line.
pub(crate) type Picture = BTreeMap<String, String>;

/// How long controllers may take until all is as it will be.
const SETTLES: Duration = Duration::from_secs(20);

/// Labels with a uid or a time.
const LABELS: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "controller-uid",
    "createdAt",
    "modifiedAt",
];
/// Beginnings of annotations in which controllers count or note what they drew.
const ANNOTATIONS: [&str; 4] = [
    "deployment.kubernetes.io/",
    "deprecated.daemonset.",
    "pv.kubernetes.io/",
    "volume.",
];
/// What comes and goes whatever anybody does.
const PASSING: [&str; 3] = ["Event", "Lease", "ComponentStatus"];

/// A kind that can be listed.
struct Listed {
    kind: String,
    /// `/apis/apps/v1`.
    root: String,
    plural: String,
    namespaced: bool,
}

/// Looks at one site.
pub(crate) struct Looker<'a> {
    lane: &'a Lane,
    /// Where its ledger is.
    folder: &'a Path,
    world: &'a World,
    api: Api,
    kinds: Vec<Listed>,
    runtime: tokio::runtime::Runtime,
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn kinds(api: &Api) -> Vec<Listed> {
    let groups = api.ask("GET", "/apis", None).await.unwrap();
    let groups = groups["groups"].as_array().into_iter().flatten();
    let roots = groups
        .map(|group| format!("/apis/{}", word(&group["preferredVersion"]["groupVersion"])))
        // kinds of other sites come and go
        .filter(|root| !root.contains("example.org"));
    let mut kinds = Vec::new();
    for root in std::iter::once("/api/v1".to_owned()).chain(roots) {
        let resources = api.ask("GET", &root, None).await.unwrap();
        for resource in resources["resources"].as_array().into_iter().flatten() {
            let (kind, plural) = (word(&resource["kind"]), word(&resource["name"]));
            let verbs = resource["verbs"].as_array().into_iter().flatten();
            let lists = verbs.into_iter().any(|verb| verb == "list");
            if lists && !plural.contains('/') && !PASSING.contains(&kind) {
                kinds.push(Listed {
                    kind: kind.to_owned(),
                    root: root.clone(),
                    plural: plural.to_owned(),
                    namespaced: resource["namespaced"] == true,
                });
            }
        }
    }
    kinds
}

impl<'a> Looker<'a> {
    pub(crate) fn new(lane: &'a Lane, folder: &'a Path, world: &'a World, kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (api, mut kinds) = runtime.block_on(async {
            let api = Api::connect(kubeconfig).await;
            let kinds = kinds(&api).await;
            (api, kinds)
        });
        assert!(kinds.len() > 30, "the server names {} kinds", kinds.len());
        kinds.push(Listed {
            kind: "Ox".into(),
            root: format!("/apis/{}.example.org/v1", lane.name),
            plural: "oxen".into(),
            namespaced: true,
        });
        Self {
            lane,
            folder,
            world,
            api,
            kinds,
            runtime,
        }
    }

    /// Everything there is now.
    pub(crate) fn picture(&self) -> Picture {
        self.runtime.block_on(async {
            let mut lines = Picture::new();
            let lists = self.kinds.iter().map(|listed| async move {
                let place = if listed.namespaced {
                    format!("/namespaces/{}", self.lane.name)
                } else {
                    String::new()
                };
                let path = format!("{}{place}/{}", listed.root, listed.plural);
                (listed, self.api.list(&path).await.unwrap())
            });
            for (listed, objects) in futures::future::join_all(lists).await {
                for object in objects {
                    if listed.namespaced || self.is_of_lane(&object) {
                        describe(&listed.kind, &object, &mut lines);
                    }
                }
            }
            self.ledger(&mut lines).await;
            self.neighbour(&mut lines).await;
            lines
        })
    }

    fn is_of_lane(&self, object: &Value) -> bool {
        let name = word(&object["metadata"]["name"]);
        let claim = &object["spec"]["claimRef"]["namespace"];
        name == self.lane.name
            || name.ends_with(&format!(".{}.example.org", self.lane.name))
            || claim == &self.lane.name
    }

    async fn ledger(&self, lines: &mut Picture) {
        let state = TestState::new(self.folder, Counter::default());
        let (ledger, _) = Memory::read(&state).await.unwrap();
        for (id, entry) in &ledger.entries {
            let mut value = serde_json::to_value(entry).unwrap();
            let fields = value.as_object_mut().unwrap();
            for name in ["createdBy", "changedBy"] {
                fields.remove(name);
            }
            if let Some(details) = value["details"].as_object_mut() {
                for name in ["uid", "generation", "resourceVersion"] {
                    details.remove(name);
                }
            }
            lines.insert(format!("ledger {id}"), Fingerprint::of(&value).short().to_owned());
        }
        if self.lane.copy {
            let copy = copy::find(self.world).await.unwrap();
            let wanted = Some(ledger).filter(|ledger| !ledger.entries.is_empty());
            lines.insert(
                "the ledger's copy is the ledger".into(),
                (copy == wanted).to_string(),
            );
        }
    }

    /// Things of somebody else keep every byte, uid and revision.
    async fn neighbour(&self, lines: &mut Picture) {
        let path = format!("{}/settings", neighbour_path(self.lane));
        let now = self.api.ask("GET", &path, None).await.unwrap();
        lines.insert("the neighbour's".into(), now.to_string());
    }

    /// Waits until the picture is the wanted one. Gives what still differs.
    pub(crate) fn differs(&self, wanted: &Picture) -> Vec<String> {
        let began = Instant::now();
        loop {
            let now = self.picture();
            if now == *wanted {
                return Vec::new();
            }
            if began.elapsed() > SETTLES {
                let names: std::collections::BTreeSet<&String> = wanted.keys().chain(now.keys()).collect();
                return names
                    .into_iter()
                    .filter(|name| wanted.get(*name) != now.get(*name))
                    .map(|name| {
                        format!(
                            "{name}\n    is  {:?}\n    not {:?}",
                            now.get(name),
                            wanted.get(name)
                        )
                    })
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until nothing changes any more, and gives the picture.
    pub(crate) fn settled(&self) -> Picture {
        let mut last = self.picture();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = self.picture();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// The values that were made here, by Secret and key.
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        let path = format!("/api/v1/namespaces/{}/secrets", self.lane.name);
        let secrets = self.runtime.block_on(self.api.list(&path)).unwrap();
        let mut values = BTreeMap::new();
        for secret in secrets {
            let name = word(&secret["metadata"]["name"]);
            for (key, value) in secret["data"].as_object().into_iter().flatten() {
                // a user's name is given, and changes
                if GENERATED.contains(&name) && key != "username" {
                    values.insert(format!("{name} {key}"), word(value).to_owned());
                }
            }
        }
        values
    }

    /// Makes the neighbour: a namespace of somebody else with an object that looks like one of ours.
    pub(crate) fn plant(&self) {
        let name = format!("theirs-{}", self.lane.name);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"edition": "theirs"},
            "metadata": {"name": "settings", "labels": {"app.kubernetes.io/managed-by": "openg2p"}}});
        self.runtime.block_on(async {
            self.api
                .ask("POST", "/api/v1/namespaces", Some(&namespace))
                .await
                .unwrap();
            self.api
                .ask("POST", &neighbour_path(self.lane), Some(&object))
                .await
                .unwrap();
        });
    }
}

fn neighbour_path(lane: &Lane) -> String {
    format!("/api/v1/namespaces/theirs-{}/configmaps", lane.name)
}

/// One line of an object; what controllers made under names by lot is counted.
fn describe(kind: &str, object: &Value, lines: &mut Picture) {
    let metadata = &object["metadata"];
    let owner = &metadata["ownerReferences"][0];
    let count = if owner["controller"] == true {
        format!("{kind} of {} {}", word(&owner["kind"]), word(&owner["name"]))
    } else if kind == "PersistentVolume" {
        format!("{kind} of {}", word(&object["spec"]["claimRef"]["name"]))
    } else {
        let name = format!("{kind} {}", word(&metadata["name"]));
        lines.insert(name, plain(kind, object).to_string());
        return;
    };
    let ends = if metadata.get("deletionTimestamp").is_some() {
        ", at its end"
    } else {
        ""
    };
    let line = lines.entry(format!("{count}{ends}")).or_default();
    line.push('|');
}

/// What lasts of an object.
fn plain(kind: &str, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let kept = |fields: &Value, goes: &dyn Fn(&str) -> bool| -> Value {
        let fields = fields.as_object().into_iter().flatten();
        let kept: Map<String, Value> = fields
            .filter(|(name, _)| !goes(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Value::Object(kept)
    };
    let mut plain = kept(object, &|name| matches!(name, "metadata" | "status"));
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let owners: Vec<String> = owners
        .map(|owner| format!("{} {}", word(&owner["kind"]), word(&owner["name"])))
        .collect();
    let mut managers: Vec<String> = metadata["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|manager| word(&manager["manager"]).starts_with("openg2p"))
        .map(|manager| format!("{}: {}", word(&manager["manager"]), manager["fieldsV1"]))
        .collect();
    managers.sort();
    plain["metadata"] = json!({
        "labels": kept(&metadata["labels"], &|name| LABELS.contains(&name)),
        "annotations": kept(&metadata["annotations"], &|name| ANNOTATIONS.iter().any(|it| name.starts_with(it))),
        "finalizers": metadata["finalizers"],
        "owners": owners,
        "managers": managers,
        "goes": metadata.get("deletionTimestamp").is_some(),
    });
    let status = &object["status"];
    plain["status"] =
        json!({"phase": status["phase"], "ready": status["readyReplicas"], "succeeded": status["succeeded"]});
    let given: &[&str] = match kind {
        "Service" => &["clusterIP", "clusterIPs"],
        "PersistentVolumeClaim" => &["volumeName"],
        // with the Job's own uid
        "Job" => &["selector"],
        _ => &[],
    };
    for name in given {
        if let Some(spec) = plain["spec"].as_object_mut() {
            spec.remove(*name);
        }
    }
    if kind == "Job" {
        let labels = &plain["spec"]["template"]["metadata"]["labels"];
        plain["spec"]["template"]["metadata"]["labels"] = kept(labels, &|name| LABELS.contains(&name));
    }
    for (key, value) in plain["data"].as_object_mut().into_iter().flatten() {
        *value = content(word(&metadata["name"]), key, word(value));
    }
    plain
}

/// What counts of a value of a Secret or ConfigMap.
fn content(name: &str, key: &str, value: &str) -> Value {
    if GENERATED.contains(&name) && key != "username" {
        return json!(format!("{} characters", value.len() / 100 * 100));
    }
    if value.starts_with("-----BEGIN CERTIFICATE") {
        return json!("a certificate");
    }
    if key != "release" {
        return json!(value);
    }
    // a release of Helm's: packed, and packed once more as all that is in a Secret
    let packed = STANDARD.decode(STANDARD.decode(value).unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let mut release: Value = serde_json::from_str(&text).unwrap();
    for time in ["first_deployed", "last_deployed"] {
        release["info"][time] = json!("a time");
    }
    release
}
