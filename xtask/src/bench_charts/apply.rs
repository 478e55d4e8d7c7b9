//! Applying, process beside process: Helm, kubectl and our engine bring the same objects to the same API server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openg2p_lab::{ApiServer, ApiServerPrograms, built_program};
use serde_json::{Value, json};

use super::Figure;
use crate::helm::Helm;
use crate::product::{self, cargo};
use crate::runner::Runner;

/// How many objects.
const OBJECTS: usize = 1000;
/// How often each program applies them, each time into a namespace that was not there. They take turns, so that a busy moment, and an API server
/// that has only just started, hit all of them.
const ROUNDS: usize = 3;
/// How long the API server may take until it answers.
const START: Duration = Duration::from_mins(2);

struct Bench<'a> {
    folder: &'a Path,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
    ours: PathBuf,
}

/// The figures of applying; none where the bundle's programs were not built on this machine.
pub(super) fn measure(
    runner: &Runner<'_>,
    checkout: &Path,
    helm: &Helm,
    cache: &Path,
) -> anyhow::Result<Vec<Figure>> {
    let work = runner.logs().join("apply");
    fs::create_dir_all(&work)?;
    let programs = work.join("programs");
    let found = ApiServerPrograms::from_cache(cache, &programs)?;
    let Some((server, kubectl)) = found.zip(built_program(cache, &programs, "kubectl")?) else {
        let note = "    note  etcd, kube-apiserver and kubectl are not built here (`cargo xtask try` builds them): applying is not measured";
        runner.printer.say(note);
        return Ok(Vec::new());
    };
    let ours = example(runner, checkout)?;
    let server_folder = work.join("server");
    let mut server = ApiServer::start(&server, &server_folder)?;
    let bench = Bench {
        folder: &work,
        kubeconfig: server.kubeconfig().to_owned(),
        kubectl,
        helm: helm.program.clone(),
        ours,
    };
    let figures = runner.step(
        "apply charts beside Helm and kubectl",
        Duration::from_mins(3),
        || {
            bench.answers(&mut server)?;
            bench.figures(&server)
        },
    );
    drop(server);
    // what etcd holds and the programs are large, and nobody needs them
    fs::remove_dir_all(&work)?;
    figures
}

/// The engine's parts as a program, built as it is given to people.
fn example(runner: &Runner<'_>, checkout: &Path) -> anyhow::Result<PathBuf> {
    let command = cargo(
        checkout,
        &[
            "build",
            "--release",
            "--workspace",
            "--example",
            "apply_objects",
            "--message-format=json",
        ],
    );
    let ran = runner.step("build the engine's bench", Duration::from_mins(5), || {
        let ran = runner.run("build-bench", command)?;
        ran.expect(0)?;
        Ok(ran)
    })?;
    product::executable(&ran.stdout, checkout, "apply_objects")
        .context("cargo names no program apply_objects")
}

impl Bench<'_> {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.folder)
            .stdin(Stdio::null());
        command
    }

    fn answers(&self, server: &mut ApiServer) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            server.check()?;
            let output = self
                .command(&self.kubectl, &["get", "--raw", "/readyz"])
                .output()?;
            if output.status.success() {
                return Ok(());
            }
            ensure!(start.elapsed() < START, "the API server does not answer");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// The same objects in a namespace of their own.
    fn objects(namespace: &str) -> Vec<Value> {
        let made = (0..OBJECTS).map(|number| {
            json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": format!("settings-{number:04}"), "namespace": namespace, "labels": {"app.kubernetes.io/name": "bench"}},
                "data": {"number": number.to_string(), "settings.yaml": "level: info\nreplicas: 2\nhost: app.dev.example.org\n"}})
        });
        made.collect()
    }

    fn timed(&self, program: &Path, arguments: &[&str]) -> anyhow::Result<(Duration, String)> {
        let mut command = self.command(program, arguments);
        let start = Instant::now();
        let output = command.output()?;
        let took = start.elapsed();
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok((took, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// First and second time with Helm.
    fn with_helm(&self, round: usize) -> anyhow::Result<[Duration; 2]> {
        let namespace = format!("with-helm-{round}");
        let chart = self.folder.join(format!("chart-{round}"));
        fs::create_dir_all(chart.join("templates"))?;
        fs::write(
            chart.join("Chart.yaml"),
            "apiVersion: v2\nname: bench\nversion: 1.0.0\n",
        )?;
        let text: String = Self::objects(&namespace)
            .iter()
            .map(|object| format!("---\n{object}\n"))
            .collect();
        fs::write(chart.join("templates/objects.yaml"), text)?;
        let chart = chart.display().to_string();
        let arguments = [
            "upgrade",
            "--install",
            "bench",
            &chart,
            "--namespace",
            &namespace,
            "--create-namespace",
        ];
        let first = self.timed(&self.helm, &arguments)?.0;
        Ok([first, self.timed(&self.helm, &arguments)?.0])
    }

    /// First and second time with kubectl.
    fn with_kubectl(&self, round: usize) -> anyhow::Result<[Duration; 2]> {
        let path = self.list(&format!("with-kubectl-{round}"))?;
        let arguments = ["apply", "--server-side", "-f", &path];
        let first = self.timed(&self.kubectl, &arguments)?.0;
        Ok([first, self.timed(&self.kubectl, &arguments)?.0])
    }

    fn list(&self, namespace: &str) -> anyhow::Result<String> {
        let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let items: Vec<Value> = std::iter::once(own).chain(Self::objects(namespace)).collect();
        let path = self.folder.join(format!("{namespace}.json"));
        fs::write(
            &path,
            json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string(),
        )?;
        Ok(path.display().to_string())
    }

    /// First and second time with ours, and what it said of the first.
    fn with_ours(&self, round: usize) -> anyhow::Result<([Duration; 2], Value)> {
        let namespace = format!("with-openg2p-{round}");
        let state = self.folder.join(format!("state-{round}"));
        fs::create_dir_all(&state)?;
        let state = state.display().to_string();
        let (first, said) = self.applied(&namespace, &[&state])?;
        let before = self.versions(&namespace)?;
        let (again, second) = self.applied(&namespace, &[&state])?;
        ensure!(
            second["steps"] == 0,
            "the second apply has {} steps",
            second["steps"]
        );
        ensure!(
            before == self.versions(&namespace)?,
            "the second apply wrote to the API server"
        );
        Ok(([first, again], said))
    }

    /// The requests of such an apply and nothing else: what the API server itself takes for them here.
    fn requests_alone(&self, round: usize) -> anyhow::Result<Duration> {
        Ok(self.applied(&format!("requests-alone-{round}"), &[])?.0)
    }

    fn applied(&self, namespace: &str, more: &[&str]) -> anyhow::Result<(Duration, Value)> {
        let path = self.list(namespace)?;
        let kubeconfig = self.kubeconfig.display().to_string();
        let (took, said) = self.timed(&self.ours, &[&[kubeconfig.as_str(), &path], more].concat())?;
        let said: Value = serde_json::from_str(&said)?;
        ensure!(
            said["failed"] == json!([]),
            "objects were not applied: {}",
            said["failed"]
        );
        Ok((took, said))
    }

    fn versions(&self, namespace: &str) -> anyhow::Result<String> {
        let arguments = ["get", "configmaps", "--namespace", namespace, "-o", "json"];
        let (_, text) = self.timed(&self.kubectl, &arguments)?;
        let list: Value = serde_json::from_str(&text)?;
        let versions = list["items"].as_array().into_iter().flatten();
        Ok(versions
            .map(|item| item["metadata"]["resourceVersion"].to_string())
            .collect())
    }

    fn figures(&self, server: &ApiServer) -> anyhow::Result<Vec<Figure>> {
        let (mut times, mut applied, mut peak) = (Times::default(), Vec::new(), 0);
        let mut work = Vec::new();
        for round in 0..ROUNDS {
            let (ours, said) = self.with_ours(round)?;
            let seconds = said["apply"].as_f64().context("it tells no time")?;
            applied.push(seconds);
            peak = peak.max(said["peak"].as_u64().context("it tells no memory")?);
            times.add("ours", ours);
            times.add("helm", self.with_helm(round)?);
            times.add("kubectl", self.with_kubectl(round)?);
            let before = server.processor_time()?;
            times.add("alone", [self.requests_alone(round)?; 2]);
            work.push(server.processor_time()?.saturating_sub(before));
        }
        applied.sort_by(f64::total_cmp);
        let processors = thread::available_parallelism()?;
        let [ours, helm, kubectl, alone] = ["ours", "helm", "kubectl", "alone"].map(|who| times.medians(who));
        let figure = |what: &str, measured: String, target: &str| Figure {
            what: what.to_owned(),
            measured,
            target: target.to_owned(),
        };
        let seconds = |took: Duration| format!("{:.1} s", took.as_secs_f64());
        let faster =
            |other: Duration, ours: Duration| format!("{:.1}", other.as_secs_f64() / ours.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a thousand fits")]
        let rate = OBJECTS as f64 / applied[ROUNDS / 2];
        Ok(vec![
            figure("apply 1,000 objects, openg2p", seconds(ours[0]), ""),
            figure("  objects a second", format!("{rate:.0}"), "at least 150"),
            figure(
                "apply 1,000 objects, helm upgrade --install",
                seconds(helm[0]),
                "",
            ),
            figure("  times faster", faster(helm[0], ours[0]), "at least 5"),
            figure(
                "apply 1,000 objects, kubectl apply --server-side",
                seconds(kubectl[0]),
                "",
            ),
            figure("  times faster", faster(kubectl[0], ours[0]), "at least 5"),
            figure(
                "its requests alone, without looks and records",
                seconds(alone[0]),
                "",
            ),
            figure(
                "  times faster than Helm, than kubectl",
                format!("{}, {}", faster(helm[0], alone[0]), faster(kubectl[0], alone[0])),
                "the most on this machine",
            ),
            figure(
                "  processor time of API server and etcd for them",
                seconds(super::median(&mut work)),
                &format!("of {processors} processors"),
            ),
            figure("a second apply, openg2p", seconds(ours[1]), "under 2 s, no write"),
            figure("a second apply, helm upgrade --install", seconds(helm[1]), ""),
            figure(
                "a second apply, kubectl apply --server-side",
                seconds(kubectl[1]),
                "",
            ),
            figure("memory of openg2p", format!("{peak} MiB"), "under 150 MiB"),
        ])
    }
}

/// First and second times of each program.
#[derive(Default)]
struct Times(BTreeMap<&'static str, [Vec<Duration>; 2]>);

impl Times {
    fn add(&mut self, who: &'static str, times: [Duration; 2]) {
        let known = self.0.entry(who).or_default();
        for (all, time) in known.iter_mut().zip(times) {
            all.push(time);
        }
    }

    fn medians(&mut self, who: &'static str) -> [Duration; 2] {
        self.0.get_mut(who).map_or([Duration::ZERO; 2], |times| {
            times.each_mut().map(|times| super::median(times))
        })
    }
}
