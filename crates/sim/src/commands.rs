//! Programs that kinds run. One that is not known here is an error.

use openg2p_ports::{Command, Output};

use crate::things::{Machine, Things};

fn done(stdout: String) -> Output {
    Output {
        status: Some(0),
        stdout,
        stderr: String::new(),
    }
}

fn outcome(result: Result<String, String>) -> Output {
    match result {
        Ok(stdout) => done(stdout),
        Err(stderr) => Output {
            status: Some(1),
            stdout: String::new(),
            stderr,
        },
    }
}

impl Things {
    /// Runs a program. The outer error says that it could not be started or that nobody taught it to this world.
    pub(crate) fn execute(&mut self, command: &Command, cut: bool) -> Result<Output, String> {
        if self.machine.program(&command.program).is_none() {
            return Err("No such file or directory (os error 2)".into());
        }
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        if command.program == "kubeadm" {
            return Ok(match words.as_slice() {
                ["init", "--config", path, ..] => outcome(self.kubeadm_init(path, cut)),
                ["reset", "--force", ..] => outcome(self.kubeadm_reset(cut)),
                _ => {
                    return Err(format!(
                        "the simulation does not know `kubeadm {}`",
                        words.join(" ")
                    ));
                }
            });
        }
        if command.program == "kubectl" {
            return match words.as_slice() {
                [
                    _,
                    _,
                    "exec",
                    namespace,
                    pod,
                    "--container=postgresql",
                    "--",
                    "pg_dump",
                    rest @ ..,
                ] => Ok(outcome(self.dump(namespace, pod, rest))),
                _ => Err(format!(
                    "the simulation does not know `kubectl {}`",
                    words.join(" ")
                )),
            };
        }
        self.machine.execute(&command.program, &command.arguments)
    }

    /// What `pg_dump` prints in the pod of a server.
    fn dump(&self, namespace: &str, pod: &str, arguments: &[&str]) -> Result<String, String> {
        let namespace = namespace.trim_start_matches("--namespace=");
        let server = pod.rsplit_once('-').map_or(pod, |(name, _)| name);
        let database = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("--dbname="))
            .unwrap_or_default();
        let known = self
            .servers
            .get(&format!("{namespace}/{server}"))
            .ok_or_else(|| format!("Error from server (NotFound): pods \"{pod}\" not found"))?;
        if known.databases.contains_key(database) {
            Ok(format!("PGDMP {database}"))
        } else {
            Err(format!(
                "pg_dump: error: connection to server on socket failed: FATAL:  database \"{database}\" does not exist"
            ))
        }
    }
}

impl Machine {
    /// A line of a unit file: the program must be there; those with effects have them.
    pub(crate) fn execute_line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default().trim_start_matches('-');
        if !self.files.has(program) {
            return Err(format!("{program}: No such file or directory (status=203/EXEC)"));
        }
        let arguments: Vec<String> = words.map(str::to_owned).collect();
        match program.rsplit('/').next().unwrap_or_default() {
            name @ ("nft" | "nginx") => {
                let output = self.execute(name, &arguments)?;
                if output.status == Some(0) {
                    Ok(())
                } else {
                    Err(output.stderr)
                }
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn execute(&mut self, program: &str, arguments: &[String]) -> Result<Output, String> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let empty = |result: Result<(), String>| outcome(result.map(|()| String::new()));
        Ok(match (program, words.as_slice()) {
            ("systemctl", ["daemon-reload"]) => {
                self.daemon_reload();
                done(String::new())
            }
            ("systemctl", ["enable", unit]) => empty(self.enable(unit)),
            ("systemctl", ["disable", unit]) => empty(self.disable(unit)),
            ("systemctl", ["disable", "--now", unit]) => {
                let result = self.disable(unit);
                self.stop(unit);
                empty(result)
            }
            ("systemctl", ["mask", unit]) => empty(self.mask(unit)),
            ("systemctl", ["unmask", unit]) => empty(self.unmask(unit)),
            ("systemctl", ["start", unit]) => empty(self.start(unit)),
            ("systemctl", ["stop", unit]) => {
                self.stop(unit);
                done(String::new())
            }
            ("systemctl", ["restart", unit]) => empty(self.restart(unit)),
            ("systemctl", ["reload", unit]) => empty(self.reload(unit)),
            ("systemctl", ["reset-failed", unit]) => {
                self.units.failed.remove(*unit);
                done(String::new())
            }
            ("getent", ["ahosts", name]) => {
                let hosts = self.files.text("/etc/hosts");
                let found: Vec<String> = hosts
                    .lines()
                    .filter(|line| line.split_whitespace().skip(1).any(|known| known == *name))
                    .filter_map(|line| line.split_whitespace().next())
                    .map(|address| format!("{address} STREAM {name}\n"))
                    .collect();
                Output {
                    status: Some(if found.is_empty() { 2 } else { 0 }),
                    stdout: found.concat(),
                    stderr: String::new(),
                }
            }
            ("journalctl", ["--no-pager", "--lines=8", "--output=cat", "--unit", unit]) => {
                done(format!("{unit}: the log is not simulated\n"))
            }
            ("sysctl", ["--quiet", "--load", path]) => empty(self.load_settings(path)),
            ("sysctl", ["--quiet", "--write", assignment]) => empty(match assignment.split_once('=') {
                Some((name, value)) => self.kernel.set(name, value),
                None => Err(format!("sysctl: \"{assignment}\" must be of the form name=value")),
            }),
            ("modprobe", [module]) => empty(self.kernel.load(module)),
            ("nginx", ["-t", "-q", "-c", path]) => empty(self.test_nginx(path)),
            ("nginx", [] | ["-c" | "-s", ..]) => {
                let path = words.last().filter(|word| word.starts_with('/'));
                empty(path.map_or(Ok(()), |path| self.test_nginx(path)))
            }
            ("nft", ["-f", path]) => empty(self.load_tables(path)),
            ("nft", ["delete", "table", family, name]) => {
                let there = self.kernel.delete_table(family, name);
                empty(if there {
                    Ok(())
                } else {
                    Err("Error: No such file or directory".into())
                })
            }
            ("nft", ["list", "tables"]) => done(
                self.kernel
                    .tables
                    .iter()
                    .map(|table| format!("table {table}\n"))
                    .collect(),
            ),
            ("nft", ["list", "table", family, name]) => outcome(
                self.kernel
                    .show_table(family, name)
                    .ok_or_else(|| "Error: No such file or directory".into()),
            ),
            ("iptables-save", []) => done(self.kernel.saved("iptables")),
            ("ip6tables-save", []) => done(self.kernel.saved("ip6tables")),
            ("iptables" | "ip6tables", ["-w", _, ..]) => {
                empty(self.kernel.change_rules(program, &arguments[2..]))
            }
            (
                "find",
                [
                    "/sys/fs/cgroup",
                    "-depth",
                    "-type",
                    "d",
                    "-path",
                    "*/kubepods*",
                    "-exec",
                    "rmdir",
                    "{}",
                    ";",
                ],
            ) => {
                self.kernel.groups.retain(|group| !group.starts_with("kubepods"));
                done(String::new())
            }
            ("ip", ["link", "delete", name]) => {
                let there = self.kernel.links.remove(*name);
                empty(if there {
                    Ok(())
                } else {
                    Err(format!("Cannot find device \"{name}\""))
                })
            }
            // empty control groups are not modelled: there is nothing to find
            ("find", ["/sys/fs/cgroup", ..]) => empty(Ok(())),
            ("ipset", ["list", "-name"]) => {
                done(self.kernel.sets.iter().map(|name| format!("{name}\n")).collect())
            }
            ("ipset", ["destroy", name]) => {
                let there = self.kernel.sets.remove(*name);
                empty(if there {
                    Ok(())
                } else {
                    Err("The set with the given name does not exist".into())
                })
            }
            _ => {
                return Err(format!(
                    "the simulation does not know `{program} {}`",
                    words.join(" ")
                ));
            }
        })
    }

    fn load_settings(&mut self, path: &str) -> Result<(), String> {
        if !self.files.has(path) {
            return Err(format!(
                "sysctl: cannot open \"{path}\": No such file or directory"
            ));
        }
        for line in self
            .files
            .text(path)
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            self.kernel.set(name.trim(), value.trim())?;
        }
        Ok(())
    }

    fn load_tables(&mut self, path: &str) -> Result<(), String> {
        if !self.files.has(path) {
            return Err(format!(
                "Error: Could not open file \"{path}\": No such file or directory"
            ));
        }
        for line in self.files.text(path).lines() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["table", family, name] | ["table", family, name, "{"] => {
                    self.kernel.tables.insert(format!("{family} {name}"));
                }
                ["delete", "table", family, name] => {
                    self.kernel.delete_table(family, name);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
