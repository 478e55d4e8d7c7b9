//! What systemd knows and runs. Unit files are files; what is in memory is here.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_plan::Fingerprint;
use openg2p_ports::UnitState;

use crate::files::Node;
use crate::things::Machine;

const LOCAL: &str = "/etc/systemd/system";
const VENDOR: &str = "/usr/lib/systemd/system";

/// Units that run or failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    pub(crate) active: BTreeMap<String, Running>,
    pub(crate) failed: BTreeSet<String>,
}

/// A running unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// Unit file and drop-ins as systemd read them last.
    pub(crate) definition: String,
    /// Fingerprint of all that the program read.
    pub(crate) inputs: Fingerprint,
    pub(crate) oneshot: bool,
}

impl Machine {
    fn fragment(&self, unit: &str) -> Option<String> {
        [LOCAL, VENDOR]
            .iter()
            .map(|folder| format!("{folder}/{unit}"))
            .find(|path| self.files.has(path))
    }

    fn wants(unit: &str) -> String {
        format!("{LOCAL}/multi-user.target.wants/{unit}")
    }

    pub(crate) fn is_masked(&self, unit: &str) -> bool {
        let path = format!("{LOCAL}/{unit}");
        matches!(self.files.get(&path), Some(Node::Link(target)) if target == "/dev/null")
    }

    /// Unit file with drop-ins, as they are on disk.
    fn definition(&self, unit: &str) -> Option<String> {
        let mut text = self.files.text(&self.fragment(unit)?);
        for folder in [VENDOR, LOCAL] {
            let folder = format!("{folder}/{unit}.d");
            for name in self.files.list(&folder) {
                text.push('\n');
                text.push_str(&self.files.text(&format!("{folder}/{name}")));
            }
        }
        Some(text)
    }

    /// As `systemctl show`.
    pub(crate) fn unit_state(&self, unit: &str) -> UnitState {
        let running = self.units.active.get(unit);
        let (load, enabled) = match self.fragment(unit) {
            _ if self.is_masked(unit) => ("masked", "masked"),
            None if running.is_some() => ("loaded", ""),
            None => ("not-found", ""),
            Some(path) => {
                let installable = self.files.text(&path).contains("[Install]");
                let enabled = match (self.files.has(&Self::wants(unit)), installable) {
                    (true, _) => "enabled",
                    (false, true) => "disabled",
                    (false, false) => "static",
                };
                ("loaded", enabled)
            }
        };
        let (active, sub) = match running {
            Some(running) if running.oneshot => ("active", "exited"),
            Some(_) => ("active", "running"),
            None if self.units.failed.contains(unit) => ("failed", "failed"),
            None => ("inactive", "dead"),
        };
        UnitState {
            load: load.into(),
            active: active.into(),
            enabled: enabled.into(),
            sub: sub.into(),
        }
    }

    pub(crate) fn is_active(&self, unit: &str) -> bool {
        self.units.active.contains_key(unit)
    }

    pub(crate) fn daemon_reload(&mut self) {
        let names: Vec<String> = self.units.active.keys().cloned().collect();
        for name in names {
            if let (Some(definition), Some(running)) =
                (self.definition(&name), self.units.active.get_mut(&name))
            {
                running.definition = definition;
            }
        }
    }

    pub(crate) fn enable(&mut self, unit: &str) -> Result<(), String> {
        if self.is_masked(unit) {
            return Err(format!("Failed to enable unit: Unit {unit} is masked."));
        }
        let fragment = self
            .fragment(unit)
            .ok_or_else(|| format!("Failed to enable unit: Unit {unit} does not exist"))?;
        if self.files.text(&fragment).contains("[Install]") && !self.files.has(&Self::wants(unit)) {
            self.files.link(&Self::wants(unit), &fragment)?;
        }
        Ok(())
    }

    pub(crate) fn disable(&mut self, unit: &str) -> Result<(), String> {
        if self.fragment(unit).is_none() {
            return Err(format!("Failed to disable unit: Unit {unit} does not exist"));
        }
        self.files.remove(&Self::wants(unit))
    }

    pub(crate) fn mask(&mut self, unit: &str) -> Result<(), String> {
        if self.is_masked(unit) {
            return Ok(());
        }
        let path = format!("{LOCAL}/{unit}");
        self.files
            .link(&path, "/dev/null")
            .map_err(|_| format!("Failed to mask unit: File {path} already exists."))
    }

    pub(crate) fn unmask(&mut self, unit: &str) -> Result<(), String> {
        if self.is_masked(unit) {
            self.files.remove(&format!("{LOCAL}/{unit}"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn stop(&mut self, unit: &str) {
        if let Some(running) = self.units.active.remove(unit) {
            for line in commands(&running.definition, "ExecStop") {
                let _ = self.execute_line(&line);
            }
        }
    }

    pub(crate) fn start(&mut self, unit: &str) -> Result<(), String> {
        if self.is_active(unit) {
            return Ok(());
        }
        self.start_as(unit, None)
    }

    pub(crate) fn restart(&mut self, unit: &str) -> Result<(), String> {
        // a unit that runs is started again from what systemd has in memory, not from what is on disk
        let known = self
            .units
            .active
            .get(unit)
            .map(|running| running.definition.clone());
        if self.is_masked(unit) {
            return Err(format!("Failed to restart {unit}: Unit {unit} is masked."));
        }
        self.stop(unit);
        self.start_as(unit, known)
    }

    fn start_as(&mut self, unit: &str, known: Option<String>) -> Result<(), String> {
        if self.is_masked(unit) {
            return Err(format!("Failed to start {unit}: Unit {unit} is masked."));
        }
        let Some(definition) = known.or_else(|| self.definition(unit)) else {
            return Err(format!("Failed to start {unit}: Unit {unit} not found."));
        };
        let oneshot = definition.contains("Type=oneshot");
        for line in commands(&definition, "ExecStartPre")
            .iter()
            .chain(&commands(&definition, "ExecStart"))
        {
            if let Err(why) = self.execute_line(line) {
                self.units.failed.insert(unit.into());
                return Err(format!(
                    "Job for {unit} failed because the control process exited with error code: {why}"
                ));
            }
        }
        for port in ports(&definition) {
            let by_unit = self.listening().into_iter().any(|(taken, _)| taken == port);
            if by_unit || self.listeners.iter().any(|listener| listener.port == port) {
                self.units.failed.insert(unit.into());
                return Err(format!(
                    "Job for {unit} failed: bind() to 0.0.0.0:{port} failed (98: Address already in use)"
                ));
            }
        }
        self.units.failed.remove(unit);
        let inputs = self.inputs(&definition);
        self.units.active.insert(
            unit.into(),
            Running {
                definition,
                inputs,
                oneshot,
            },
        );
        Ok(())
    }

    pub(crate) fn reload(&mut self, unit: &str) -> Result<(), String> {
        let Some(running) = self.units.active.get(unit) else {
            return Err(format!("Failed to reload {unit}: unit is not active."));
        };
        let definition = running.definition.clone();
        let lines = commands(&definition, "ExecReload");
        if lines.is_empty() {
            return Err(format!(
                "Failed to reload {unit}: Job type reload is not applicable for unit {unit}."
            ));
        }
        for line in lines {
            self.execute_line(&line)?;
        }
        let inputs = self.inputs(&definition);
        if let Some(running) = self.units.active.get_mut(unit) {
            running.inputs = inputs;
        }
        Ok(())
    }

    /// Ports with the unit that listens there.
    pub(crate) fn listening(&self) -> Vec<(u16, String)> {
        let units = self.units.active.iter();
        units
            .flat_map(|(name, running)| {
                ports(&running.definition)
                    .into_iter()
                    .map(move |port| (port, name.clone()))
            })
            .collect()
    }

    /// Fingerprint of all that a unit with this definition reads at its start.
    fn inputs(&self, definition: &str) -> Fingerprint {
        let mut text = definition.to_owned();
        for line in commands(definition, "ExecStart") {
            for word in line.split_whitespace() {
                if word.starts_with('/') {
                    text.push_str(&self.with_includes(word));
                }
            }
        }
        Fingerprint::of_bytes(text.as_bytes())
    }

    /// A file with the files that it names itself, as Nginx reads them.
    fn with_includes(&self, path: &str) -> String {
        let mut text = self.files.text(path);
        for included in nginx_includes(self, &text) {
            let inner = self.files.text(&included);
            for file in nginx_certificates(&inner) {
                text.push_str(&self.files.text(&file));
            }
            text.push_str(&inner);
        }
        text
    }

    /// Somebody runs systemctl: for setting a scene.
    ///
    /// # Panics
    /// When systemctl fails.
    pub fn systemctl(&mut self, words: &[&str]) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let output = self.execute("systemctl", &words);
        assert!(
            output.as_ref().is_ok_and(|output| output.status == Some(0)),
            "systemctl {words:?}: {output:?}"
        );
    }

    /// Units that run with other inputs than those on disk.
    pub fn stale_units(&self) -> Vec<String> {
        let stale = |running: &Running, name: &str| {
            self.definition(name).is_none_or(|definition| {
                definition != running.definition || self.inputs(&definition) != running.inputs
            })
        };
        self.units
            .active
            .iter()
            .filter(|(name, running)| stale(running, name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// As `nginx -t -c PATH`.
    pub(crate) fn test_nginx(&self, path: &str) -> Result<(), String> {
        if !self.files.has(path) {
            return Err(format!(
                "nginx: [emerg] open() \"{path}\" failed (2: No such file or directory)"
            ));
        }
        let text = self.files.text(path);
        if text.contains("/etc/nginx/mime.types") && !self.files.has("/etc/nginx/mime.types") {
            return Err(
                "nginx: [emerg] open() \"/etc/nginx/mime.types\" failed (2: No such file or directory)"
                    .into(),
            );
        }
        for included in nginx_includes(self, &text) {
            let inner = self.files.text(&included);
            if inner.matches('{').count() != inner.matches('}').count() {
                return Err(format!(
                    "nginx: [emerg] unexpected end of file, expecting \"}}\" in {included}"
                ));
            }
            for file in nginx_certificates(&inner) {
                if !self.files.has(&file) {
                    return Err(format!(
                        "nginx: [emerg] cannot load certificate \"{file}\": No such file or directory"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The values of a setting, an empty one taking back those before it.
fn commands(definition: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in definition.lines() {
        let Some(value) = line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) else {
            continue;
        };
        if value.is_empty() {
            found.clear();
        } else {
            found.push(value.to_owned());
        }
    }
    found
}

fn ports(definition: &str) -> Vec<u16> {
    let starts = commands(definition, "ExecStart");
    match starts.first().map(String::as_str) {
        Some(line) if line.starts_with("/usr/sbin/nginx -c") => vec![80, 443],
        Some("/usr/sbin/nginx") => vec![80],
        Some(line) => line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("--listen=")?.parse().ok())
            .into_iter()
            .collect(),
        None => Vec::new(),
    }
}

fn nginx_includes(machine: &Machine, text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("include ")?.strip_suffix("/*.conf;"))
        .flat_map(|folder| {
            machine
                .files
                .list(folder)
                .into_iter()
                // nginx globs by exact letters
                .filter(|name| name.strip_suffix(".conf").is_some())
                .map(move |name| format!("{folder}/{name}"))
        })
        .collect()
}

fn nginx_certificates(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("ssl_certificate_key ")
                .or_else(|| line.strip_prefix("ssl_certificate "))
        })
        .map(|path| path.trim_end_matches(';').to_owned())
        .collect()
}
