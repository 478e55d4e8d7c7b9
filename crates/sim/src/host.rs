//! The host.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use openg2p_ports::{
    Command, FileContent, FileOrigin, FileState, Host, HostFacts, Listener, Output, PortError, UnitState,
};

use crate::simulation::Simulation;
use crate::things::Things;

pub(crate) struct SimHost {
    pub(crate) name: String,
    pub(crate) simulation: Simulation,
}

impl SimHost {
    async fn file<T: Send>(
        &self,
        name: &'static str,
        path: &str,
        what: &str,
        act: impl FnOnce(&mut Things, bool) -> Result<T, String> + Send,
    ) -> Result<T, PortError> {
        self.simulation
            .touch(name, path, |things, cut| {
                act(things, cut).map_err(|why| failed(what, path, why))
            })
            .await
    }
}

fn failed(what: &str, path: &str, why: impl Into<String>) -> PortError {
    PortError::new("host::file", what, path, why)
}

#[async_trait]
impl Host for SimHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn facts(&self) -> Result<HostFacts, PortError> {
        self.simulation
            .look("host.facts", "", |things| Ok(things.machine.facts.clone()))
            .await
    }

    async fn listeners(&self) -> Result<Vec<Listener>, PortError> {
        self.simulation
            .look("host.listeners", "", |things| {
                let units = things.machine.listening().into_iter();
                let own = units.map(|(port, unit)| Listener {
                    port,
                    address: "0.0.0.0".into(),
                    process: Some(unit),
                });
                Ok(things.machine.listeners.iter().cloned().chain(own).collect())
            })
            .await
    }

    async fn origin(&self, path: &str) -> Result<Option<FileOrigin>, PortError> {
        // times and owners of files are not kept here
        self.simulation.look("host.origin", path, |_| Ok(None)).await
    }

    async fn stat(&self, path: &str) -> Result<FileState, PortError> {
        self.simulation
            .look("host.stat", path, |things| {
                if let Some(text) = things.machine.kernel.proc(path) {
                    let sha256 = openg2p_plan::Fingerprint::of_bytes(text.as_bytes())
                        .as_str()
                        .to_owned();
                    return Ok(FileState::File { sha256, mode: 0o644 });
                }
                if things.machine.kernel.proc_directory(path) {
                    return Ok(FileState::Directory { mode: 0o555 });
                }
                things
                    .machine
                    .files
                    .stat(path)
                    .map_err(|why| failed("look at a file", path, why))
            })
            .await
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.simulation
            .look("host.read", path, |things| {
                if path.starts_with("/proc/") {
                    return Ok(things.machine.kernel.proc(path).map(String::into_bytes));
                }
                things
                    .machine
                    .files
                    .read(path)
                    .map_err(|why| failed("read a file", path, why))
            })
            .await
    }

    async fn write(&self, path: &str, content: FileContent<'_>, mode: u32) -> Result<(), PortError> {
        let bytes: Arc<[u8]> = match content {
            FileContent::Bytes(bytes) => bytes.into(),
            FileContent::Blob(sha256) => self.simulation.bundle().bytes(sha256)?.into(),
        };
        self.file("host.write", path, "write a file", |things, cut| {
            things.machine.files.write(path, bytes, mode, cut)
        })
        .await
    }

    async fn link(&self, path: &str, target: &str) -> Result<(), PortError> {
        self.file("host.link", path, "make a link", |things, _| {
            things.machine.files.link(path, target)
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<(), PortError> {
        self.file("host.remove", path, "remove a file", |things, _| {
            things.machine.files.remove(path)
        })
        .await
    }

    async fn make_directory(&self, path: &str, mode: u32) -> Result<(), PortError> {
        self.file("host.make_directory", path, "make a directory", |things, _| {
            things.machine.files.make_directory(path, mode)
        })
        .await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, PortError> {
        self.simulation
            .look("host.list", path, |things| {
                things
                    .machine
                    .files
                    .listed(path)
                    .map_err(|why| failed("list a directory", path, why))
            })
            .await
    }

    async fn remove_directory(&self, path: &str, whole: bool) -> Result<(), PortError> {
        self.file(
            "host.remove_directory",
            path,
            "remove a directory",
            |things, _| things.machine.files.remove_directory(path, whole),
        )
        .await
    }

    async fn unit(&self, unit: &str) -> Result<UnitState, PortError> {
        self.simulation
            .look("host.unit", unit, |things| Ok(things.machine.unit_state(unit)))
            .await
    }

    async fn packages(&self, names: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        self.simulation
            .look("host.packages", "", |things| {
                let installed = things.machine.packages.iter();
                Ok(installed
                    .filter(|(name, _)| names.contains(name))
                    .map(|(name, version)| (name.clone(), version.clone()))
                    .collect())
            })
            .await
    }

    async fn install_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        self.simulation
            .touch("host.install_packages", "", |things, cut| {
                let most = if cut {
                    things.machine.packages_to_add(wanted).len() / 2
                } else {
                    usize::MAX
                };
                Ok(things.machine.install(wanted, most))
            })
            .await
    }

    async fn simulate_packages(&self, wanted: &[(String, String)]) -> Result<Vec<String>, PortError> {
        self.simulation
            .look("host.simulate_packages", "", |things| {
                Ok(things.machine.packages_to_add(wanted))
            })
            .await
    }

    async fn purge_packages(&self, names: &[String]) -> Result<(), PortError> {
        self.simulation
            .touch("host.purge_packages", "", |things, cut| {
                let most = if cut { names.len() / 2 } else { names.len() };
                things.machine.purge(&names[..most]);
                Ok(())
            })
            .await
    }

    async fn images(&self) -> Result<Option<BTreeMap<String, String>>, PortError> {
        self.simulation
            .look("host.images", "", |things| {
                Ok(things
                    .machine
                    .is_active("containerd.service")
                    .then(|| things.machine.images.clone()))
            })
            .await
    }

    async fn import_image(&self, reference: &str) -> Result<(), PortError> {
        let digest = self.simulation.bundle().image(reference)?;
        self.simulation
            .touch("host.import_image", reference, |things, _| {
                if !things.machine.is_active("containerd.service") {
                    return Err(PortError::new(
                        "host::images",
                        "import an image",
                        reference,
                        "containerd does not run",
                    ));
                }
                things.machine.images.insert(reference.into(), digest);
                things.settle();
                Ok(())
            })
            .await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), PortError> {
        self.simulation
            .touch("host.remove_image", reference, |things, _| {
                things.machine.images.remove(reference);
                Ok(())
            })
            .await
    }

    async fn run(&self, command: Command) -> Result<Output, PortError> {
        let shown = format!("{} {}", command.program, command.arguments.join(" "));
        self.simulation
            .touch("host.run", shown.trim_end(), |things, cut| {
                let output = things.execute(&command, cut).map_err(|why| {
                    PortError::new(
                        "host::command",
                        format!("run `{shown}`"),
                        &things.machine.name,
                        why,
                    )
                })?;
                things.settle();
                Ok(output)
            })
            .await
    }

    async fn run_into(&self, command: Command, path: &str) -> Result<(Output, u64), PortError> {
        let shown = format!("{} {} > {path}", command.program, command.arguments.join(" "));
        self.simulation
            .touch("host.run", shown.trim_end(), |things, cut| {
                let failed = |name: &str, why: String| {
                    PortError::new("host::command", format!("run `{shown}`"), name, why)
                };
                let name = things.machine.name.clone();
                if things.machine.files.has(path) {
                    return Err(failed(&name, "File exists (os error 17)".into()));
                }
                let mut output = things.execute(&command, cut).map_err(|why| failed(&name, why))?;
                let written = std::mem::take(&mut output.stdout);
                if output.status == Some(0) || cut {
                    let kept = if cut { written.len() / 2 } else { written.len() };
                    things.machine.files.put(path, &written.as_bytes()[..kept]);
                }
                Ok((output, written.len() as u64))
            })
            .await
    }
}
