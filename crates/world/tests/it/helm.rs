//! Helm and we see the same releases: Helm reads the records that we write, a release of Helm's becomes ours when that is asked for, and a
//! release that Helm left half done is healed. Needs Helm itself (`CHART_HELM`) besides a real API server.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openg2p_kinds::{Kind, Subject, kind};
use openg2p_plan::{Action, Entry, EntryState, Observed, Owner, ResourceId, Verdict};
use openg2p_ports::{ObjectRef, World};
use openg2p_sim::Simulation;
use openg2p_world::KubernetesApi;
use serde_json::{Value, json};

const SILENT: openg2p_kinds::Progress<'static> = &|_: &str| {};

struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

impl Helm {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .env("HOME", &self.folder);
        command
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["-o", "json"]].concat())).unwrap()
    }

    /// A chart with one ConfigMap and, where it is wished, a hook that never ends.
    fn chart(&self, name: &str, hook: bool) -> String {
        let chart = self.folder.join(name);
        fs::create_dir_all(chart.join("templates")).unwrap();
        fs::write(
            chart.join("Chart.yaml"),
            format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\n"),
        )
        .unwrap();
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {greeting: hello}\n";
        fs::write(chart.join("templates/map.yaml"), map).unwrap();
        if hook {
            let hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: forever, annotations: {helm.sh/hook: pre-install}}\n\
                        spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n";
            fs::write(chart.join("templates/hook.yaml"), hook).unwrap();
        }
        chart.display().to_string()
    }

    fn history(&self, namespace: &str, release: &str) -> Vec<(u64, String)> {
        let list = self.json(&["history", release, "--namespace", namespace]);
        let revisions = list.as_array().unwrap().iter();
        revisions
            .map(|it| {
                (
                    it["revision"].as_u64().unwrap(),
                    it["status"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }
}

fn history(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter()
        .map(|(number, status)| (*number, (*status).to_owned()))
        .collect()
}

/// The record of a release with one ConfigMap, as `compose` packs it.
fn record(namespace: &str, release: &str, greeting: &str) -> Value {
    let content = json!({
        "name": release, "namespace": namespace, "info": {"notes": "thanks"},
        "chart": {"metadata": {"name": "shop", "version": "1.2.3", "apiVersion": "v2", "appVersion": "9"}, "templates": [], "values": {}},
        "config": {"greeting": greeting, "password": "(kept by openg2p)"},
        "manifest": format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {release}\ndata:\n  greeting: {greeting}\n"),
        "hooks": [],
    });
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(content.to_string().as_bytes()).unwrap();
    json!({
        "namespace": namespace, "release": release, "record": STANDARD.encode(packer.finish().unwrap()),
        "labels": {"openg2p.org/owner": "site"},
    })
}

async fn seen(kind: &dyn Kind, world: &World, desired: &Value, entry: Option<&Entry>) -> (Observed, Verdict) {
    let subject = Subject { desired, entry };
    let observed = kind.observe(world, &[subject]).await.remove(0);
    let verdict = kind.compare(subject, &observed);
    (observed, verdict)
}

/// Makes it so, and says what the ledger would hold then.
pub(crate) async fn make(
    kind: &dyn Kind,
    world: &World,
    action: Action,
    desired: &Value,
    entry: Option<&Entry>,
) -> Entry {
    let subject = Subject { desired, entry };
    let details = kind
        .change(world, action, subject, Value::Null, SILENT)
        .await
        .unwrap();
    Entry {
        resource: ResourceId::new(kind.name(), "x"),
        owner: Owner::Site,
        part: String::new(),
        state: EntryState::Present,
        desired: desired.clone(),
        details,
        needs: std::collections::BTreeSet::new(),
        created_by: String::new(),
        changed_by: String::new(),
        fingerprint: String::new(),
        created_at: 0,
        changed_at: 0,
    }
}

/// Everything that Helm and we promise each other.
pub(crate) async fn promises(program: &Path, kubeconfig: &Path, folder: &Path) {
    let helm = Helm {
        program: program.into(),
        kubeconfig: kubeconfig.into(),
        folder: folder.join("helm"),
    };
    fs::create_dir_all(&helm.folder).unwrap();
    let mut world = Simulation::with_cluster().world();
    world.cluster = Box::new(KubernetesApi::new(kubeconfig));
    for namespace in ["ours", "theirs", "stuck"] {
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        world
            .cluster
            .apply(&manifest, "test", openg2p_ports::Ownership::Respect)
            .await
            .unwrap();
    }
    eprintln!("helm_sees_our_releases");
    helm_sees_our_releases(&helm, &world).await;
    eprintln!("a_release_is_taken_over_when_it_is_asked_for");
    a_release_is_taken_over_when_it_is_asked_for(&helm, &world).await;
    eprintln!("a_release_that_is_stuck_is_healed");
    a_release_that_is_stuck_is_healed(&helm, &world).await;
}

async fn helm_sees_our_releases(helm: &Helm, world: &World) {
    let records = kind("helm-record").unwrap();
    let first = record("ours", "shop", "hello");
    assert_eq!(seen(records, world, &first, None).await.1, Verdict::Create);
    let entry = make(records, world, Action::Create, &first, None).await;
    assert_eq!(seen(records, world, &first, Some(&entry)).await.1, Verdict::Same);
    let second = record("ours", "shop", "good day");
    assert!(matches!(
        seen(records, world, &second, Some(&entry)).await.1,
        Verdict::Update(_)
    ));
    let entry = make(records, world, Action::Update, &second, Some(&entry)).await;
    let list = helm.json(&["list", "--all-namespaces"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list[0]["name"], "shop");
    assert_eq!(list[0]["status"], "deployed");
    assert_eq!(list[0]["chart"], "shop-1.2.3");
    assert_eq!(list[0]["app_version"], "9");
    assert_eq!(
        helm.history("ours", "shop"),
        history(&[(1, "superseded"), (2, "deployed")])
    );
    let values = helm.json(&["get", "values", "shop", "--namespace", "ours"]);
    assert_eq!(
        values,
        json!({"greeting": "good day", "password": "(kept by openg2p)"})
    );
    assert!(
        helm.says(&["get", "manifest", "shop", "--namespace", "ours"])
            .contains("greeting: good day")
    );
    let before = helm.says(&[
        "get",
        "manifest",
        "shop",
        "--namespace",
        "ours",
        "--revision",
        "1",
    ]);
    assert!(before.contains("greeting: hello"), "{before}");
    records.remove(world, &entry, SILENT).await.unwrap();
    assert_eq!(helm.json(&["list", "--all-namespaces"]), json!([]));
}

async fn a_release_is_taken_over_when_it_is_asked_for(helm: &Helm, world: &World) {
    let chart = helm.chart("map", false);
    helm.says(&["install", "theirs", &chart, "--namespace", "theirs"]);
    let objects = kind("kubernetes-object").unwrap();
    let records = kind("helm-record").unwrap();
    let mut object = json!({"manifest": {"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "theirs", "namespace": "theirs", "labels": {"openg2p.org/owner": "site"}},
        "data": {"greeting": "good day"}}});
    let mut release = record("theirs", "theirs", "good day");
    for (kind, desired) in [(objects, &object), (records, &release)] {
        let Verdict::Conflict(why) = seen(kind, world, desired, None).await.1 else {
            panic!("{} was taken unasked", kind.name())
        };
        assert!(why.contains("--take-over theirs/theirs"), "{why}");
    }
    for desired in [&mut object, &mut release] {
        desired["takeOver"] = json!(["theirs/theirs"]);
    }
    let Verdict::Update(changes) = seen(objects, world, &object, None).await.1 else {
        panic!("no plan")
    };
    let changes: Vec<String> = changes
        .iter()
        .map(|it| format!("{} {:?} {:?}", it.path, it.from.as_deref(), it.to.as_deref()))
        .collect();
    assert_eq!(
        changes[0],
        "owner Some(\"Helm release theirs/theirs\") Some(\"openg2p\")"
    );
    assert!(
        changes.contains(&"data.greeting Some(\"hello\") Some(\"good day\")".to_owned()),
        "{changes:?}"
    );
    let uid =
        |object: &Option<openg2p_ports::Object>| object.as_ref().unwrap().metadata("uid").unwrap().to_owned();
    let place = ObjectRef::of(&object["manifest"]).unwrap();
    let before = world.cluster.get(&place).await.unwrap();
    let entry = make(objects, world, Action::Update, &object, None).await;
    assert_eq!(seen(objects, world, &object, Some(&entry)).await.1, Verdict::Same);
    let after = world.cluster.get(&place).await.unwrap();
    assert_eq!(uid(&before), uid(&after), "it was made anew");
    assert_eq!(after.unwrap().0["data"]["greeting"], "good day");
    let entry = make(records, world, Action::Update, &release, None).await;
    assert_eq!(
        seen(records, world, &release, Some(&entry)).await.1,
        Verdict::Same
    );
    assert_eq!(
        helm.history("theirs", "theirs"),
        history(&[(1, "superseded"), (2, "deployed")])
    );
}

async fn a_release_that_is_stuck_is_healed(helm: &Helm, world: &World) {
    // nothing runs in this cluster: the hook waits for ever, and Helm is killed while it does
    let chart = helm.chart("stuck", true);
    let mut child = helm
        .command(&["install", "stuck", &chart, "--namespace", "stuck"])
        .spawn()
        .unwrap();
    let begin = Instant::now();
    loop {
        let list = helm.json(&["list", "--all", "--namespace", "stuck"]);
        if list[0]["status"] == "pending-install" {
            break;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "{list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = helm
        .command(&["upgrade", "stuck", &chart, "--namespace", "stuck"])
        .output()
        .unwrap();
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("another operation"), "{refused}");
    let records = kind("helm-record").unwrap();
    let mut release = record("stuck", "stuck", "hello");
    release["takeOver"] = json!(["stuck/stuck"]);
    let Verdict::Update(changes) = seen(records, world, &release, None).await.1 else {
        panic!("no plan")
    };
    assert!(
        changes.iter().any(|change| change.path == "revision 1"),
        "{changes:?}"
    );
    make(records, world, Action::Update, &release, None).await;
    assert_eq!(
        helm.history("stuck", "stuck"),
        history(&[(1, "failed"), (2, "deployed")])
    );
}
