//! Making a lab.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::CgroupLayout;
use crate::down;
use crate::error::{LabError, Result};
use crate::image;
use crate::kernel::{self, Facts};
use crate::keys;
use crate::machine::{self, Files};
use crate::names;
use crate::network;
use crate::progress::{self, Event, Progress};
use crate::state::{HostState, LabState, Phase, ProcessId, Release, Store};
use crate::tools;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// Its name.
    pub name: String,
    /// What its hosts run.
    pub release: Release,
    /// Names of its hosts.
    pub hosts: Vec<String>,
}

/// The number of the first host's address; those below are for the bridge and for tests.
const FIRST_HOST: u8 = 11;
/// How many hosts the numbers of one subnet allow.
const MOST_HOSTS: usize = 200;
/// How long a host may take to let root in. It takes two seconds on an idle machine.
const LOGIN_DEADLINE: Duration = Duration::from_secs(90);

impl LabSpec {
    fn check(&self) -> Result<()> {
        names::check_lab(&self.name)?;
        if self.hosts.is_empty() || self.hosts.len() > MOST_HOSTS {
            return Err(LabError::HostCount {
                asked: self.hosts.len(),
            });
        }
        for (number, host) in self.hosts.iter().enumerate() {
            names::check_host(host)?;
            if self.hosts[..number].contains(host) {
                return Err(LabError::Name {
                    what: "host",
                    name: host.clone(),
                    why: "it stands there twice",
                });
            }
        }
        Ok(())
    }
}

/// Makes the lab. What a killed `up` of the same name left is removed first; what this one made is removed if it fails.
pub fn up(store: &Store, spec: &LabSpec, progress: &dyn Progress) -> Result<LabState> {
    spec.check()?;
    tools::require()?;
    let layout = CgroupLayout::detect()?;
    let _lock = down::lock_lab(&spec.name)?;
    if let Ok(Some(state)) = store.read(&spec.name)
        && state.is_alive()
    {
        return Err(LabError::AlreadyUp {
            name: spec.name.clone(),
        });
    }
    if down::runs_elsewhere(store, &layout, &spec.name) {
        return Err(LabError::Foreign {
            name: spec.name.clone(),
            cache: store.cache().to_path_buf(),
        });
    }
    if down::exists(store, &layout, &spec.name)? {
        progress.event(Event::Note(
            "an earlier start of this lab did not end well; removing what it left",
        ));
        down::remove(store, &layout, &spec.name)?;
    }
    for missing in kernel::prepare() {
        progress.event(Event::Note(&format!("the kernel lacks {missing}")));
    }
    let image = image::ensure(store, spec.release, progress)?;
    let made = make(store, spec, &layout, &image, progress);
    if made.is_err() {
        // The first failure is the one to tell; what stays is found by the next `up` or `down`.
        let _ = down::remove(store, &layout, &spec.name);
    }
    made
}

fn make(
    store: &Store,
    spec: &LabSpec,
    layout: &CgroupLayout,
    image: &Path,
    progress: &dyn Progress,
) -> Result<LabState> {
    let mut state = plan(store, spec, layout)?;
    let login_key = make_keys(store, &mut state)?;
    let resolv_conf = resolv_conf(state.subnet.address(1), progress);
    let files = Files {
        image,
        login_key: &login_key,
        gateway: state.subnet.address(1),
        bits: state.subnet.bits(),
        resolv_conf: &resolv_conf,
        neighbours: &state.hosts,
        cgroups: state.cgroups,
    };
    let started: Vec<Result<HostState>> = thread::scope(|scope| {
        let threads: Vec<_> = state
            .hosts
            .iter()
            .map(|host| {
                let (files, state, key) = (
                    &files,
                    &state,
                    store.host(&state.name, &host.name).join("host_key"),
                );
                scope.spawn(move || bring_up(state, host, files, &key, layout, progress))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    state.hosts = started.into_iter().collect::<Result<_>>()?;
    state.phase = Phase::Up;
    store.write(&state)?;
    Ok(state)
}

/// Chooses addresses and names, notes all of them, and makes the network.
fn plan(store: &Store, spec: &LabSpec, layout: &CgroupLayout) -> Result<LabState> {
    let _network = network::lock()?;
    let noted: Vec<_> = store
        .names()
        .iter()
        .filter_map(|name| store.read(name).ok().flatten())
        .map(|lab| lab.subnet)
        .collect();
    let subnet = network::choose(&noted)?;
    let directory = store.lab(&spec.name);
    let hosts = spec
        .hosts
        .iter()
        .zip(FIRST_HOST..)
        .map(|(name, number)| HostState {
            name: name.clone(),
            address: subnet.address(number),
            machine: names::machine(&spec.name, name),
            cgroup: names::cgroup(&spec.name, name),
            host_key: String::new(),
            root: directory.join("hosts").join(name).join("root"),
            log: directory.join("hosts").join(name).join("console.log"),
            launcher: None,
            boot_milliseconds: None,
        });
    let state = LabState {
        name: spec.name.clone(),
        phase: Phase::Starting,
        release: spec.release,
        subnet,
        bridge: names::bridge(&spec.name),
        table: names::table(&spec.name),
        cgroups: layout.version,
        restrictions: Facts::detect(layout.version).restrictions(),
        ssh_key: directory.join("ssh_key"),
        known_hosts: directory.join("known_hosts"),
        hosts: hosts.collect(),
    };
    store.write(&state)?;
    network::up(&spec.name, subnet)?;
    Ok(state)
}

/// Makes the login key and every host's key; returns the line for `authorized_keys`.
fn make_keys(store: &Store, state: &mut LabState) -> Result<String> {
    let login_key = keys::generate(&state.ssh_key, &format!("lab {}", state.name))?;
    let mut known_hosts = String::new();
    for host in &mut state.hosts {
        let path = store.host(&state.name, &host.name).join("host_key");
        let directory = path.parent().unwrap_or(&path);
        fs::create_dir_all(directory).map_err(LabError::file("making a directory", directory))?;
        host.host_key = keys::generate(&path, &host.name)?;
        known_hosts.extend([
            &host.name,
            ",",
            &host.address.to_string(),
            " ",
            &host.host_key,
            "\n",
        ]);
    }
    fs::write(&state.known_hosts, known_hosts)
        .map_err(LabError::file("writing known hosts", &state.known_hosts))?;
    store.write(state)?;
    Ok(login_key + "\n")
}

fn bring_up(
    state: &LabState,
    host: &HostState,
    files: &Files<'_>,
    key: &Path,
    layout: &CgroupLayout,
    progress: &dyn Progress,
) -> Result<HostState> {
    let copy = format!("{}: copy the root file system", host.name);
    progress::step(progress, &copy, Duration::from_secs(3), || {
        machine::make_root(host, key, files)
    })?;
    let boot = format!("{}: boot to the first login", host.name);
    let start = Instant::now();
    let mut host = host.clone();
    progress::step(progress, &boot, Duration::from_secs(3), || {
        let mut child = machine::start(&host, &state.bridge, layout)?;
        host.launcher = i32::try_from(child.id()).ok().and_then(ProcessId::of);
        machine::wait_for_login(state, &host, &mut child, LOGIN_DEADLINE)
    })?;
    host.boot_milliseconds = u64::try_from(start.elapsed().as_millis()).ok();
    let settle = format!("{}: all units started", host.name);
    progress::step(progress, &settle, Duration::from_secs(3), || {
        machine::wait_for_system(state, &host, LOGIN_DEADLINE)
    })?;
    Ok(host)
}

/// The machine's nameservers, as far as hosts can reach them.
fn resolv_conf(gateway: Ipv4Addr, progress: &dyn Progress) -> String {
    // A local resolver writes the addresses that it asks itself to the second file.
    let servers = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .iter()
        .map(|path| network::reachable_nameservers(&fs::read_to_string(path).unwrap_or_default()))
        .find(|servers| !servers.is_empty());
    if servers.is_none() {
        progress.event(Event::Note(
            "the machine's nameserver answers on the loopback only: hosts resolve no names",
        ));
    }
    servers
        .unwrap_or_else(|| vec![gateway])
        .iter()
        .fold(String::new(), |text, it| format!("{text}nameserver {it}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(hosts: &[&str]) -> LabSpec {
        LabSpec {
            name: "dev".into(),
            release: Release::Trixie,
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }

    #[test]
    fn specifications_are_checked_before_any_effect() {
        spec(&["box1", "box2"]).check().unwrap();
        assert_eq!(spec(&[]).check().unwrap_err().code(), "lab::host-count");
        assert_eq!(spec(&["a", "a"]).check().unwrap_err().code(), "lab::bad-name");
        assert_eq!(spec(&["../x"]).check().unwrap_err().code(), "lab::bad-name");
        let many: Vec<String> = (0..=MOST_HOSTS).map(|number| format!("h{number}")).collect();
        assert_eq!(
            LabSpec {
                hosts: many,
                ..spec(&[])
            }
            .check()
            .unwrap_err()
            .code(),
            "lab::host-count"
        );
    }
}
