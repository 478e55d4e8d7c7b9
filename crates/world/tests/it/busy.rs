//! What is asked of an API server, and how often: one list for a thousand objects that nobody changed, and again after an answer that says
//! "not now". The server here keeps what is applied, and does nothing else of one; what a real one does is asked in `cluster.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openg2p_kinds::{Subject, kind};
use openg2p_plan::{Action, Entry, Verdict};
use openg2p_ports::{Cluster as _, ObjectRef, Ownership, World};
use openg2p_sim::Simulation;
use openg2p_world::KubernetesApi;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::helm::make;

/// What is said instead of an answer.
#[derive(Clone, Copy)]
enum Trouble {
    /// This status, with the seconds after which it may be asked again.
    Status(u16, u32),
    /// A field that the schema does not have, as a real server answers it.
    Misspelt,
    /// The connection ends.
    Silence,
}

#[derive(Default)]
struct Kept {
    /// By path.
    objects: BTreeMap<String, Value>,
    /// What the next requests get, the last one first.
    troubles: Vec<Trouble>,
    /// Method and path, and when it came.
    asked: Vec<(String, Instant)>,
    version: u64,
}

struct Server {
    kept: Arc<Mutex<Kept>>,
    cluster: KubernetesApi,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.conf");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        Self {
            kept,
            cluster: KubernetesApi::new(path),
            folder,
        }
    }

    fn trouble(&self, troubles: &[Trouble]) {
        let mut kept = self.kept.lock().unwrap();
        kept.troubles = troubles.iter().rev().copied().collect();
        kept.asked.clear();
    }

    /// Requests since the last look.
    fn asked(&self) -> Vec<(String, Instant)> {
        std::mem::take(&mut self.kept.lock().unwrap().asked)
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Kept>>) {
    let mut bytes = Vec::new();
    loop {
        let Some((method, path, body, used)) = request(&bytes) else {
            let mut piece = [0; 16 * 1024];
            match stream.read(&mut piece).await {
                Ok(length) if length > 0 => bytes.extend_from_slice(&piece[..length]),
                _ => return,
            }
            continue;
        };
        bytes.drain(..used);
        let Some((status, answer)) = answer(&mut kept.lock().unwrap(), &method, &path, &body) else {
            return;
        };
        let text = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        if stream.write_all((head + &text).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Method, path without its query, body, and how many bytes that was; none while some are still to come.
fn request(bytes: &[u8]) -> Option<(String, String, Vec<u8>, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let body = bytes.get(end..end + length)?.to_vec();
    let path = target.split('?').next()?;
    Some((method.into(), path.into(), body, end + length))
}

fn status(code: u16, message: &str, seconds: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message,
        "reason": "Trouble", "details": {"retryAfterSeconds": seconds}, "metadata": {}})
}

/// None where the connection ends instead.
fn answer(kept: &mut Kept, method: &str, path: &str, body: &[u8]) -> Option<(u16, Value)> {
    kept.asked.push((format!("{method} {path}"), Instant::now()));
    match kept.troubles.pop() {
        Some(Trouble::Silence) => return None,
        Some(Trouble::Status(code, seconds)) => return Some((code, status(code, "not now", seconds))),
        Some(Trouble::Misspelt) => {
            let message = "failed to create typed patch object (it/a; /v1, Kind=ConfigMap): .datta: field not declared in schema";
            return Some((500, status(500, message, 0)));
        }
        None => {}
    }
    if path == "/version" {
        return Some((
            200,
            json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        ));
    }
    if method == "PATCH" {
        let mut object: Value = serde_json::from_slice(body).unwrap();
        kept.version += 1;
        object["metadata"]["uid"] = json!(path);
        object["metadata"]["resourceVersion"] = json!(kept.version.to_string());
        kept.objects.insert(path.into(), object.clone());
        return Some((200, object));
    }
    if let Some(object) = kept.objects.get(path) {
        return Some((200, object.clone()));
    }
    let below = format!("{path}/");
    let items: Vec<&Value> = kept
        .objects
        .iter()
        .filter(|(place, _)| place.starts_with(&below))
        .map(|(_, object)| object)
        .collect();
    if path.ends_with('s') {
        return Some((
            200,
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}),
        ));
    }
    Some((404, status(404, "not found", 0)))
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "it"},
        "data": {"greeting": "hello"}})
}

fn reference(name: &str) -> ObjectRef {
    ObjectRef::of(&config(name)).unwrap()
}

async fn apply(server: &Server) -> Result<(), String> {
    let applied = server
        .cluster
        .apply(&config("a"), "test", Ownership::Respect)
        .await;
    applied.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_server_that_is_busy_or_away_is_asked_again() {
    let server = Server::start().await;
    apply(&server).await.unwrap();
    for trouble in [
        Trouble::Status(429, 0),
        Trouble::Status(500, 0),
        Trouble::Status(502, 0),
        Trouble::Status(503, 0),
        Trouble::Status(504, 0),
        Trouble::Silence,
    ] {
        server.trouble(&[trouble, trouble]);
        apply(&server).await.unwrap();
        assert_eq!(server.asked().len(), 3);
        server.trouble(&[trouble]);
        assert!(server.cluster.get(&reference("a")).await.unwrap().is_some());
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_server_that_answers_is_not_asked_whether_it_is_there() {
    let server = Server::start().await;
    let asked = async |server: &Server| {
        for _ in 0..10 {
            let version = server.cluster.reachable().await.unwrap();
            assert_eq!(version.as_deref(), Some("v1.36.0"));
            server.cluster.get(&reference("a")).await.unwrap();
        }
        let asked = server.asked();
        asked.iter().filter(|(what, _)| what == "GET /version").count()
    };
    assert_eq!(asked(&server).await, 1);
    assert_eq!(asked(&server).await, 0);
    // behind a request without an answer another server may be there, though the next attempt got one
    server.trouble(&[Trouble::Silence]);
    assert_eq!(server.cluster.get(&reference("a")).await.unwrap(), None);
    assert_eq!(asked(&server).await, 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(asked(&server).await, 1);
}

/// A first start of the control plane that was cut off is cleared away, and the next one has an authority of its own.
#[tokio::test]
async fn a_cluster_that_is_made_anew_is_reached_with_its_own_credential() {
    let (first, second) = (Server::start().await, Server::start().await);
    apply(&first).await.unwrap();
    assert!(first.cluster.get(&reference("a")).await.unwrap().is_some());
    let path = |server: &Server| server.folder.path().join("admin.conf");
    std::fs::remove_file(path(&first)).unwrap();
    std::fs::copy(path(&second), path(&first)).unwrap();
    assert_eq!(first.cluster.get(&reference("a")).await.unwrap(), None);
    assert_eq!(second.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stays_the_same_is_asked_for_once() {
    let server = Server::start().await;
    apply(&server).await.unwrap();
    for code in [400, 401, 403, 404, 405, 409, 410, 413, 415, 422] {
        server.trouble(&[Trouble::Status(code, 0)]);
        assert!(apply(&server).await.is_err(), "{code}");
        assert_eq!(server.asked().len(), 1, "{code}");
    }
    server.trouble(&[Trouble::Misspelt]);
    let error = apply(&server).await.unwrap_err();
    assert!(error.contains("datta"), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_gets_one_from_every_request() {
    let server = Server::start().await;
    apply(&server).await.unwrap();
    server.trouble(&[Trouble::Status(429, 1)]);
    let started = Instant::now();
    server.cluster.get(&reference("a")).await.unwrap();
    // those that come after the wish wait for its end too
    assert!(started.elapsed() >= Duration::from_secs(1));
    server.trouble(&[Trouble::Status(429, 1)]);
    let one = reference("a");
    let (first, second) = tokio::join!(server.cluster.get(&one), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let all = (0..8).map(|_| server.cluster.get(&one));
        futures::future::join_all(all).await
    });
    first.unwrap();
    for one in second {
        one.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 10);
    let early = asked
        .iter()
        .skip(1)
        .filter(|(_, at)| at.duration_since(asked[0].1) < Duration::from_millis(950));
    assert_eq!(early.count(), 0, "a request did not wait");
}

#[tokio::test]
async fn a_thousand_objects_that_nobody_changed_cost_one_list_for_each_kind_and_no_write() {
    let server = Server::start().await;
    let kept = server.kept.clone();
    let mut world: World = Simulation::with_cluster().world();
    let objects = kind("kubernetes-object").unwrap();
    let mut all: Vec<(Value, Entry)> = Vec::new();
    world.cluster = Box::new(server.cluster);
    for number in 0..1000 {
        let kind = if number % 2 == 0 {
            "ConfigMap"
        } else {
            "ServiceAccount"
        };
        let desired = json!({"manifest": {"apiVersion": "v1", "kind": kind,
            "metadata": {"name": format!("n{number}"), "namespace": "it", "labels": {"openg2p.org/owner": "site"}}}});
        let entry = make(objects, &world, Action::Create, &desired, None).await;
        all.push((desired, entry));
    }
    kept.lock().unwrap().asked.clear();
    let subjects: Vec<Subject<'_>> = all
        .iter()
        .map(|(desired, entry)| Subject {
            desired,
            entry: Some(entry),
        })
        .collect();
    let observed = objects.observe(&world, &subjects).await;
    for (subject, observed) in subjects.iter().zip(&observed) {
        assert_eq!(objects.compare(*subject, observed), Verdict::Same);
    }
    let asked: Vec<String> = std::mem::take(&mut kept.lock().unwrap().asked)
        .into_iter()
        .map(|(request, _)| request)
        .filter(|request| request != "GET /version")
        .collect();
    let mut asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    asked.sort_unstable();
    assert_eq!(
        asked,
        [
            "GET /api/v1/namespaces/it/configmaps",
            "GET /api/v1/namespaces/it/serviceaccounts"
        ]
    );

    // One that somebody changed is asked about, and no other.
    if let Some(object) = kept
        .lock()
        .unwrap()
        .objects
        .get_mut("/api/v1/namespaces/it/configmaps/n8")
    {
        object["metadata"]["labels"]["openg2p.org/owner"] = json!("somebody");
        object["metadata"]["resourceVersion"] = json!("9999");
    }
    let observed = objects.observe(&world, &subjects).await;
    let differ = subjects
        .iter()
        .zip(&observed)
        .filter(|(subject, observed)| objects.compare(**subject, observed) != Verdict::Same);
    assert_eq!(differ.count(), 1);
    let tries = kept
        .lock()
        .unwrap()
        .asked
        .iter()
        .filter(|(request, _)| request.starts_with("PATCH"))
        .count();
    assert_eq!(tries, 1);
}
