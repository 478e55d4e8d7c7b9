//! A site of real things, and an operator's commands on it, in this process or in one that ends itself.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use openg2p_plan::{Entry, Fingerprint, Inputs, Ledger, Owner, Plan, Resource, ResourceId, removal, towards};
use openg2p_ports::{State, World};
use openg2p_run::{Memory, RunInfo, assess, entries_observed, execute};
use openg2p_world::{BundleDirectory, KubernetesApi, LocalHost, SharedBundle, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::host::{Counter, Death, FIREWALL, Ground, NGINX, TestHost, TestState};

pub(crate) const ENVIRONMENTS: [&str; 3] = ["dev", "prod", "qa"];

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// A site of this edition with these environments.
    Site(u8, Vec<String>),
    /// Nothing any more.
    Gone,
}

/// What a child process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) ground: Ground,
    pub(crate) wish: Wish,
    pub(crate) death: Death,
    pub(crate) run: String,
    /// Where it writes how it ended: not on a disk that may be full.
    pub(crate) told: std::path::PathBuf,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// With nothing to do.
    Nothing,
    /// Done, with that many effects.
    Done(usize),
    /// With failures or a refusal.
    Failed(String),
    /// It was killed.
    Killed,
}

/// Gathers resources.
#[derive(Default)]
pub(crate) struct Maker(pub(crate) Vec<Resource>);

impl Maker {
    pub(crate) fn add(
        &mut self,
        kind: &str,
        name: &str,
        owner: &Owner,
        desired: Value,
        needs: &[&ResourceId],
    ) -> ResourceId {
        let id = ResourceId::new(kind, name);
        self.0.push(Resource {
            id: id.clone(),
            owner: owner.clone(),
            desired,
            needs: needs.iter().map(|id| (*id).clone()).collect(),
            follows: std::collections::BTreeSet::new(),
            why: "a test wants it".into(),
            asked_by: String::new(),
            part: "real".into(),
        });
        id
    }
}

/// What a site of this edition asks for.
pub(crate) fn resources(ground: &Ground, edition: u8, environments: &[String]) -> Vec<Resource> {
    let mut make = Maker::default();
    let site = Owner::Site;
    let folder = |make: &mut Maker, name: &str, needs: &[&ResourceId]| {
        let path = ground.path(name);
        let desired = json!({"path": path, "mode": 0o755, "contents": "keep"});
        make.add("host-directory", &path, &Owner::Site, desired, needs)
    };
    let etc = folder(&mut make, "etc", &[]);
    let nginx = folder(&mut make, "etc/nginx", &[&etc]);
    let sites = folder(&mut make, "etc/nginx/sites", &[&nginx]);
    let pki = folder(&mut make, "etc/pki", &[&etc]);
    let authority =
        json!({"directory": ground.path("etc/pki"), "commonName": "Test", "domain": "example.org"});
    let authority = make.add("certificate-authority", "authority", &site, authority, &[&pki]);
    let (run, logs) = (ground.path("run"), ground.path("log"));
    let text = format!(
        "# edition {edition}\nuser root;\nworker_processes 1;\npid {run}/nginx.pid;\nerror_log {logs}/error.log;\n\
         events {{ worker_connections 64; }}\nhttp {{\n  access_log off;\n  client_body_temp_path {run}/body;\n  \
         proxy_temp_path {run}/proxy;\n  fastcgi_temp_path {run}/fastcgi;\n  uwsgi_temp_path {run}/uwsgi;\n  \
         scgi_temp_path {run}/scgi;\n  server {{ listen 127.0.0.1:{port} default_server; return 404; }}\n  \
         include {sites}/*.conf;\n}}\n",
        port = ground.port,
        sites = ground.path("etc/nginx/sites"),
    );
    let configuration = ground.configuration();
    let desired = json!({"path": configuration, "mode": 0o644, "text": text, "reload": NGINX});
    let main = make.add("host-file", &configuration, &site, desired, &[&nginx]);
    let desired = json!({"unit": NGINX, "state": "running", "restartOn": {"main": edition}});
    let edge = make.add("systemd-unit", NGINX, &site, desired, &[&main, &sites]);
    let rules = ground.path("etc/firewall.nft");
    let text = format!(
        "table inet openg2p\ndelete table inet openg2p\ntable inet openg2p {{\n  chain closed {{\n    type filter hook input priority filter;\n    \
         tcp dport {} drop\n  }}\n}}\n",
        6443 + u16::from(edition)
    );
    let desired = json!({"path": rules, "mode": 0o644, "text": text});
    let rules = make.add("host-file", &rules, &site, desired, &[&etc]);
    let desired = json!({"unit": FIREWALL, "state": "running", "restartOn": {"rules": edition}});
    make.add("systemd-unit", FIREWALL, &site, desired, &[&rules]);
    for name in environments {
        let owner = Owner::Environment(name.clone());
        let path = ground.path(&format!("etc/{name}.conf"));
        let desired = json!({"path": path, "mode": 0o600, "text": format!("edition {edition}\n")});
        make.add("host-file", &path, &owner, desired, &[&etc]);
        let host = format!("app.{name}.example.org");
        let path = ground.path(&format!("etc/pki/{host}"));
        let desired =
            json!({"path": path, "authority": ground.path("etc/pki"), "names": [host], "reload": NGINX});
        let certificate = make.add("certificate", &host, &owner, desired, &[&authority]);
        let text = format!(
            "server {{\n  listen 127.0.0.1:{};\n  server_name {host};\n  ssl_certificate {path}.crt;\n  \
             ssl_certificate_key {path}.key;\n  return 200 \"{name} {edition}\";\n}}\n",
            ground.port
        );
        let desired = json!({"path": ground.path(&format!("etc/nginx/sites/{host}.conf")), "text": text,
            "configuration": configuration, "unit": NGINX});
        make.add("nginx-site", &host, &owner, desired, &[&certificate, &edge]);
    }
    make.0
}

pub(crate) fn inputs(ledger: &Ledger) -> Inputs {
    Inputs {
        site: Fingerprint::of(&Value::Null),
        bundle: String::new(),
        ledger_generation: ledger.generation,
        engine: "test".into(),
    }
}

async fn plan(world: &World, ledger: &Ledger, ground: &Ground, wish: &Wish) -> Result<Plan, String> {
    match wish {
        Wish::Site(edition, environments) => {
            let situation = assess(world, resources(ground, *edition, environments), ledger).await;
            towards(
                "real",
                inputs(ledger),
                situation.assessed,
                situation.orphans,
                Vec::new(),
            )
            .map_err(|error| error.to_string())
        }
        Wish::Gone => {
            let entries: Vec<Entry> = ledger.entries.values().cloned().collect();
            let observed = entries_observed(world, entries).await;
            removal(ledger, inputs(ledger), observed, &[Owner::Site], Vec::new())
                .map_err(|error| error.to_string())
        }
    }
}

/// Plans and applies in this process.
pub(crate) fn perform(errand: &Errand) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ground = &errand.ground;
        let counter = Counter::new(errand.death);
        let bundle = Arc::new(BundleDirectory::open_or_empty(&ground.root.join("bundle")));
        let world = World {
            host: Box::new(TestHost {
                inner: LocalHost::new("box1", bundle.clone(), ground.root.join("apt")),
                ground: ground.clone(),
                counter: counter.clone(),
                jobs: tokio::sync::Mutex::default(),
            }),
            // there is no credential: no cluster, and no objects
            cluster: Box::new(KubernetesApi::new(ground.root.join("no-kubeconfig"))),
            bundle: Box::new(SharedBundle(bundle)),
            random: Box::new(SystemRandom),
        };
        let state: Arc<dyn State> = Arc::new(TestState::new(&ground.root, counter.clone()));
        let ledger = match Memory::read(state.as_ref()).await {
            Ok((ledger, _)) => ledger,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let plan = match plan(&world, &ledger, ground, &errand.wish).await {
            Ok(plan) if plan.is_empty() => return Ended::Nothing,
            Ok(plan) => plan,
            Err(why) => return Ended::Failed(why),
        };
        let info = RunInfo {
            id: errand.run.clone(),
            command: "apply".into(),
        };
        let memory = match Memory::open(state, info).await {
            Ok((memory, _)) => memory,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        if let Err(error) = memory.claim("real").await {
            return Ended::Failed(error.to_string());
        }
        let finished = execute(&world, &memory, &plan, &|_| {}, &AtomicBool::new(false)).await;
        if finished.failed.is_empty() {
            return Ended::Done(counter.count());
        }
        let told = finished
            .failed
            .iter()
            .map(|(number, failure)| format!("{}: {failure:?}", plan.steps[*number].resource));
        Ended::Failed(told.collect::<Vec<_>>().join("\n"))
    })
}

/// Name of the variable that makes the test below an errand.
const ERRAND: &str = "OPENG2P_TEST_ERRAND";

/// No test of its own: the engine in a process that can be killed.
#[test]
fn an_errand_of_another_test() {
    let Ok(text) = std::env::var(ERRAND) else {
        return;
    };
    let errand: Errand = serde_json::from_str(&text).unwrap();
    let ended = perform(&errand);
    std::fs::write(&errand.told, format!("{ended:?}")).unwrap();
}

/// Plans and applies in a process of its own; `kill_after`: it gets a SIGKILL from here.
pub(crate) fn send(errand: &Errand, kill_after: Option<Duration>) -> Ended {
    in_a_process(
        "engine::an_errand_of_another_test",
        (ERRAND, &serde_json::to_string(errand).unwrap()),
        &errand.told,
        kill_after.map_or(Killer::Nobody, Killer::Process),
    )
}

/// Who sends a SIGKILL to a process, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Killer {
    /// It may end itself.
    Nobody,
    /// It alone gets it after this time: what it started goes on.
    Process(Duration),
    /// All that it started gets it too.
    Group(Duration),
}

/// Runs one of these tests in a process of its own, with an errand in its environment. How it ended it writes to `told`.
pub(crate) fn in_a_process(
    name: &str,
    (variable, errand): (&str, &str),
    told: &Path,
    killer: Killer,
) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--quiet"])
        .env(variable, errand)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    if matches!(killer, Killer::Group(_)) {
        command.process_group(0);
    }
    let mut child = command.spawn().unwrap();
    match killer {
        Killer::Nobody => {}
        Killer::Process(delay) => {
            std::thread::sleep(delay);
            child.kill().unwrap();
        }
        Killer::Group(delay) => {
            std::thread::sleep(delay);
            // it may have ended by itself, and nobody of its group is left then
            let group = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
    child.wait().unwrap();
    let text = std::fs::read_to_string(told);
    let _ = std::fs::remove_file(told);
    match text {
        Err(_) => Ended::Killed,
        Ok(text) if text == "Nothing" => Ended::Nothing,
        Ok(text) => match text.strip_prefix("Done(").and_then(|rest| rest.strip_suffix(')')) {
            Some(count) => Ended::Done(count.parse().unwrap()),
            None => Ended::Failed(text),
        },
    }
}

/// What a client sees of one host name.
fn served(ground: &Ground, host: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", ground.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(if status == "200" { body.to_owned() } else { status })
    };
    ask().unwrap_or_else(|error| error.kind().to_string())
}

/// Files, folders and links below a folder, with their modes.
pub(crate) fn walk(folder: &Path, lines: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let text = if metadata.is_dir() {
            walk(&path, lines);
            "directory".to_owned()
        } else if metadata.is_symlink() {
            format!("link to {}", std::fs::read_link(&path).unwrap().display())
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            match text
                .split("-----BEGIN ")
                .nth(1)
                .and_then(|rest| rest.split("-----").next())
            {
                Some(kind) => kind.to_lowercase(),
                None => Fingerprint::of_bytes(&bytes).short().to_owned(),
            }
        };
        lines.insert(path.to_string_lossy().into_owned(), format!("{mode:o} {text}"));
    }
}

/// Everything that is there, by name: files, units, the kernel's rules, what clients are served, the ledger.
pub(crate) fn picture(ground: &Ground) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    walk(&ground.root.join("etc"), &mut lines);
    walk(&ground.root.join("units"), &mut lines);
    lines.insert("rules".into(), ground.table().unwrap_or_default());
    lines.insert("nginx".into(), ground.master().is_some().to_string());
    for name in ENVIRONMENTS {
        let host = format!("app.{name}.example.org");
        lines.insert(host.clone(), served(ground, &host));
    }
    let state = TestState::new(&ground.root, Counter::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (ledger, _) = runtime.block_on(Memory::read(&state)).unwrap();
    for (id, entry) in ledger.entries {
        let mut value = serde_json::to_value(&entry).unwrap();
        for name in ["createdBy", "changedBy"] {
            value.as_object_mut().unwrap().remove(name);
        }
        lines.insert(format!("ledger {id}"), Fingerprint::of(&value).short().to_owned());
    }
    lines
}

/// Waits until the picture is the wanted one: Nginx changes its workers behind a reload. Gives what still differs.
pub(crate) fn differs(ground: &Ground, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let began = Instant::now();
    loop {
        let now = picture(ground);
        if now == *wanted {
            return Vec::new();
        }
        if began.elapsed() > Duration::from_secs(5) {
            let names: std::collections::BTreeSet<&String> = wanted.keys().chain(now.keys()).collect();
            return names
                .into_iter()
                .filter(|name| wanted.get(*name) != now.get(*name))
                .map(|name| format!("{name}: {:?} instead of {:?}", now.get(name), wanted.get(name)))
                .collect();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
