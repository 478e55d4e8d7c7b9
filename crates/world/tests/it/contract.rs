//! One suite for both: what the simulated world answers, the real adapter answers. Where the real thing cannot run on every machine
//! that runs tests (systemd, apt, containerd), the slice in the lab is the proof.

use std::path::Path;
use std::sync::Arc;

use openg2p_ports::{FileContent, FileState, Host, PortError, State};
use openg2p_sim::{Dice, SimBundle, Simulation, Things};
use openg2p_world::{BundleDirectory, LocalHost, StateDirectory};

use crate::programs::{Network, is_root, must, nginx};

/// What a call told, in a form that both sides can be compared by.
fn told<T: std::fmt::Debug>(result: Result<T, PortError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        // adapters name the place in their own words; code and cause are the contract
        Err(error) => format!("{}: {}", error.code, error.why),
    }
}

fn simulated(things: Things) -> Simulation {
    Simulation::resume(Arc::new(things), Arc::new(SimBundle::new([])), 1)
}

fn real_host(root: &Path) -> LocalHost {
    let bundle = Arc::new(BundleDirectory::open_or_empty(&root.join("bundle")));
    LocalHost::new("box1", bundle, root.join("apt"))
}

fn path(dice: &mut Dice, root: &str) -> String {
    let names = ["a", "b", "c"];
    let mut path = root.to_owned();
    for _ in 0..=dice.below(3) {
        path.push('/');
        path.push_str(dice.pick(&names).unwrap());
    }
    path
}

/// One call, drawn from the dice; the same dice draw the same call.
async fn call(host: &dyn Host, dice: &mut Dice, root: &str) -> (String, String) {
    let at = path(dice, root);
    let mode = if dice.one_in(2) { 0o644 } else { 0o600 };
    match dice.below(11) {
        0..=2 => {
            let content = [dice.next().to_string(), String::new()];
            let content = dice.pick(&content).unwrap().as_bytes();
            let result = host.write(&at, FileContent::Bytes(content), mode).await;
            (format!("write {at}"), told(result))
        }
        3 => (format!("link {at}"), told(host.link(&at, "/nowhere/else").await)),
        4 => (format!("remove {at}"), told(host.remove(&at).await)),
        5 | 6 => (
            format!("make_directory {at}"),
            told(host.make_directory(&at, mode | 0o111).await),
        ),
        7 => {
            let whole = dice.one_in(2);
            let result = host.remove_directory(&at, whole).await;
            (format!("remove_directory {at} {whole}"), told(result))
        }
        8 => (format!("list {at}"), told(host.list(&at).await)),
        9 => (format!("stat {at}"), told(host.stat(&at).await)),
        _ => (format!("read {at}"), told(host.read(&at).await)),
    }
}

#[test]
fn files_answer_alike() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut calls = 0;
    for seed in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let mut things = Things::bare("box1");
        things.machine.files.directories(root);
        let simulation = simulated(things);
        let simulated = simulation.world();
        let real = real_host(folder.path());
        let (mut one, mut other) = (Dice::new(seed), Dice::new(seed));
        let mut story = Vec::new();
        for _ in 0..120 {
            let (what, expected) = simulation
                .drive(call(simulated.host.as_ref(), &mut one, root))
                .unwrap();
            let (_, answered) = runtime.block_on(call(&real, &mut other, root));
            story.push(format!("{what} -> {answered}"));
            assert_eq!(
                expected,
                answered,
                "seed {seed}: the simulation differs:\n{}",
                story.join("\n")
            );
            calls += 1;
        }
    }
    eprintln!("{calls} calls answered alike");
}

async fn remember(state: &dyn State, dice: &mut Dice) -> (String, String) {
    let folder = *dice.pick(&["ledger", "journal"]).unwrap();
    let name = format!("{folder}/{}", dice.below(3));
    let bytes = dice.next().to_string();
    match dice.below(6) {
        0 | 1 => (
            format!("replace {name}"),
            told(state.replace(&name, bytes.as_bytes()).await),
        ),
        2 => (
            format!("append {name}"),
            told(state.append(&name, bytes.as_bytes()).await),
        ),
        3 => (format!("read {name}"), told(state.read(&name).await)),
        4 => (format!("remove {name}"), told(state.remove(&name).await)),
        _ => (format!("list {folder}"), told(state.list(folder).await)),
    }
}

#[test]
fn the_engines_storage_answers_alike() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for seed in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let simulation = simulated(Things::bare("box1"));
        let simulated = simulation.state();
        let real = StateDirectory::new(folder.path());
        let (mut one, mut other) = (Dice::new(seed), Dice::new(seed));
        for _ in 0..80 {
            let (what, expected) = simulation.drive(remember(simulated.as_ref(), &mut one)).unwrap();
            let (_, answered) = runtime.block_on(remember(&real, &mut other));
            assert_eq!(expected, answered, "seed {seed}: {what}");
        }
    }
}

/// What a write that was cut off leaves beside a file goes with the file, and never stands in the way of its folder.
async fn after_a_cut_write(host: &dyn Host, root: &str) -> Vec<String> {
    let folder = format!("{root}/folder");
    let file = format!("{folder}/file");
    vec![
        told(host.list(&folder).await),
        told(host.remove(&file).await),
        told(host.stat(&format!("{file}.openg2p-new")).await),
        told(host.remove_directory(&folder, false).await),
        told(host.stat(&folder).await),
    ]
}

#[test]
fn what_a_write_that_was_cut_off_left_goes_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let leftover = format!("{root}/folder/file.openg2p-new");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(&leftover, "ha").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answered = runtime.block_on(after_a_cut_write(&real_host(folder.path()), root));
    let mut things = Things::bare("box1");
    things.machine.files.put(&leftover, "ha");
    let simulation = simulated(things);
    let expected = simulation
        .drive(after_a_cut_write(simulation.world().host.as_ref(), root))
        .unwrap();
    assert_eq!(expected, answered);
    assert_eq!(answered[4], format!("{:?}", FileState::Absent));
}

/// A main file, files that it includes by name, and whether Nginx takes them.
type Configuration = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    bool,
);

const CONFIGURATIONS: &[Configuration] = &[
    ("nothing included", "", &[], true),
    (
        "one site",
        "",
        &[("a.conf", "server {\n  listen 127.0.0.1:1;\n}\n")],
        true,
    ),
    (
        "a brace is missing",
        "",
        &[("a.conf", "server {\n  listen 127.0.0.1:1;\n")],
        false,
    ),
    (
        "its certificate is missing",
        "",
        &[(
            "a.conf",
            "server {\n  listen 127.0.0.1:1 ssl;\n  ssl_certificate /nowhere/a.crt;\n  ssl_certificate_key /nowhere/a.key;\n}\n",
        )],
        false,
    ),
    (
        "another ending is not read",
        "",
        &[("a.conf.old", "server {\n")],
        true,
    ),
    (
        "a half-written file is not read",
        "",
        &[("a.conf.openg2p-new", "server {\n")],
        true,
    ),
    (
        "a needed file is missing",
        "  include /etc/nginx/mime.types;\n",
        &[],
        false,
    ),
];

#[test]
fn nginx_judges_alike() {
    let program = nginx();
    if Path::new("/etc/nginx/mime.types").exists() {
        eprintln!("Nginx is installed here: the case of its missing file is left out");
    }
    for (what, more, files, good) in CONFIGURATIONS {
        if !more.is_empty() && Path::new("/etc/nginx/mime.types").exists() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let text = format!(
            "pid {root}/nginx.pid;\nerror_log {root}/error.log;\nevents {{\n}}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path {root}/t;\n  proxy_temp_path {root}/t;\n  fastcgi_temp_path {root}/t;\n  \
             uwsgi_temp_path {root}/t;\n  scgi_temp_path {root}/t;\n{more}  include {root}/sites/*.conf;\n}}\n"
        );
        let mut things = Things::bare("box1");
        let machine = &mut things.machine;
        machine.files.put("/usr/sbin/nginx", "Debian\n");
        machine.files.put(&format!("{root}/nginx.conf"), &text);
        std::fs::write(folder.path().join("nginx.conf"), &text).unwrap();
        std::fs::create_dir(folder.path().join("sites")).unwrap();
        for (name, content) in *files {
            machine.files.put(&format!("{root}/sites/{name}"), content);
            std::fs::write(folder.path().join("sites").join(name), content).unwrap();
        }
        let real = std::process::Command::new(&program)
            .args(["-t", "-q", "-c"])
            .arg(folder.path().join("nginx.conf"))
            .output()
            .unwrap();
        let simulation = simulated(things);
        let world = simulation.world();
        let configuration = format!("{root}/nginx.conf");
        let command = openg2p_ports::Command::new("nginx", ["-t", "-q", "-c", &configuration]);
        let fake = simulation.drive(world.host.run(command)).unwrap().unwrap();
        assert_eq!(
            real.status.success(),
            *good,
            "{what}: {}",
            String::from_utf8_lossy(&real.stderr)
        );
        assert_eq!(fake.status == Some(0), *good, "{what}: {fake:?}");
    }
}

#[test]
fn nftables_answer_alike() {
    if !is_root() {
        eprintln!("not root: nftables cannot be tried");
        return;
    }
    let network = Network::new("contract");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.nft");
    let text =
        "table inet openg2p\ndelete table inet openg2p\ntable inet openg2p {\n}\ntable ip other {\n}\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let mut things = Things::bare("box1");
    things.machine.apt_install("nftables");
    things.machine.kernel.tables.clear();
    things.machine.files.put(file, text);
    let simulation = simulated(things);
    let world = simulation.world();
    let steps: &[&[&str]] = &[
        &["list", "tables"],
        &["delete", "table", "inet", "openg2p"],
        &["-f", file],
        &["list", "tables"],
        &["-f", file],
        &["list", "tables"],
        &["delete", "table", "inet", "openg2p"],
        &["delete", "table", "inet", "openg2p"],
        &["list", "tables"],
        &["list", "table", "inet", "openg2p"],
        &["list", "table", "ip", "other"],
        &["-f", "/nowhere.nft"],
    ];
    for words in steps {
        let real = std::process::Command::new("ip")
            .args(["netns", "exec", &network.0, "nft"])
            .args(*words)
            .output()
            .unwrap();
        let command = openg2p_ports::Command::new("nft", words.iter().copied());
        let fake = simulation.drive(world.host.run(command)).unwrap().unwrap();
        assert_eq!(fake.status, real.status.code(), "{words:?}: {real:?}");
        if words[1..].iter().all(|word| *word == "tables") {
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(
                sorted(&fake.stdout),
                sorted(&String::from_utf8_lossy(&real.stdout)),
                "{words:?}"
            );
        }
    }
    // nothing of it reached this machine's own tables
    let own = must(std::process::Command::new("nft").args(["list", "tables"]));
    assert!(!own.contains("ip other"), "{own}");
}
