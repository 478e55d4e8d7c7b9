//! `openg2p chart`, alone and beside Helm: the same arguments, the same bytes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Place;

const METADATA: &str = "apiVersion: v2\nname: small\nversion: 0.1.0\nappVersion: '1.0'\n";
const VALUES: &str = "image: example.org/app:1\nreplicas: 1\nlist: [a, b]\nnested: {deep: {x: 1}}\n";
const TEMPLATE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-app\n  namespace: {{ .Release.Namespace }}\n\
    spec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers:\n      \
    - name: app\n        image: {{ .Values.image }}\n        args: {{ toJson .Values.list }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: types}\n\
    data:\n  types: {{ printf \"%T %T\" .Values.replicas .Values.nested.deep.x | quote }}\n  kube: {{ .Capabilities.KubeVersion }}\n  \
    upgrade: \"{{ .Release.IsUpgrade }} {{ .Release.IsInstall }}\"\n  has: {{ .Capabilities.APIVersions.Has \"example.org/v1\" | quote }}\n  \
    helm: {{ .Capabilities.HelmVersion.Version }}\n  values: {{ toJson .Values | quote }}\n";
const HOOKS: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: before\n  annotations: {helm.sh/hook: pre-install}\n---\napiVersion: v1\nkind: Pod\n\
    metadata:\n  name: test\n  annotations: {helm.sh/hook: test}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: plain}\n";

fn small() -> Place {
    let place = Place::new();
    for folder in ["small/templates", "small/crds", "other/templates"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    place.write("small/Chart.yaml", METADATA);
    place.write("small/values.yaml", VALUES);
    place.write("small/templates/app.yaml", TEMPLATE);
    place.write("small/templates/hooks.yaml", HOOKS);
    place.write("small/templates/NOTES.txt", "Thank you\n");
    place.write("small/crds/x.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.org}\n");
    place.write("other/Chart.yaml", "apiVersion: v2\nname: other\nversion: 0.1.0\ndependencies: [{name: gone, version: '1', repository: ''}]\n");
    place.write("other/templates/a.yaml", "a: {{ .Values.missing.deep }}\n");
    place.write("one.yaml", "replicas: 2\nnested: {deep: {y: 2}}\n");
    place.write("two.yaml", "list: [c]\nnested: {deep: null}\n");
    place.write("note.txt", "a file\nof two lines\n");
    place
}

#[test]
fn objects_are_printed() {
    let place = small();
    let run = place
        .run(&["chart", "template", "r", "small", "--set", "replicas=3"])
        .succeeds();
    assert!(
        run.out.starts_with("---\n# Source: small/templates/app.yaml\n"),
        "{}",
        run.out
    );
    assert!(run.out.contains("  replicas: 3\n"));
    assert!(run.out.contains("types: \"int64 float64\""));
    assert_eq!(run.err, "");
    let objects = place
        .run(&["chart", "template", "small", "-o", "json", "--no-hooks"])
        .succeeds()
        .json();
    assert_eq!(objects.as_array().unwrap().len(), 3);
}

#[test]
fn images_and_values_are_listed() {
    let place = small();
    let run = place
        .run(&["chart", "images", "small", "--set", "image=b:2"])
        .succeeds();
    assert_eq!(run.out, "b:2\n");
    let run = place
        .run(&[
            "chart",
            "values",
            "small",
            "-f",
            "one.yaml,two.yaml",
            "--set-string",
            "nested=7",
        ])
        .succeeds();
    assert_eq!(
        run.out,
        "image: example.org/app:1\nlist:\n- c\nnested: \"7\"\nreplicas: 2\n"
    );
    let run = place.run(&["chart", "values", "small", "--defaults"]).succeeds();
    assert_eq!(run.out, VALUES);
}

#[test]
fn values_that_yaml_cannot_hold_are_told_and_printed_as_json() {
    let place = small();
    place.write("odd.yaml", "list: [\"a\\u008eb\"]\n");
    let arguments = ["chart", "values", "small", "-f", "odd.yaml"];
    let run = place.run(&arguments).ends_with(1);
    assert_eq!(run.out, "");
    for part in [
        "chart::values-unwritable",
        "control characters are not allowed",
        "-o json",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    let run = place.run(&[&arguments[..], &["-o", "json"]].concat()).succeeds();
    assert_eq!(run.json()["list"][0], "a\u{8e}b");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let place = small();
    let run = place.run(&["chart", "template", "nowhere"]).ends_with(1);
    assert!(
        run.err.contains("chart::unreadable") && run.err.contains("nowhere"),
        "{}",
        run.err
    );
    let run = place.run(&["chart", "template", "other"]).ends_with(1);
    assert!(
        run.err.contains("missing in charts/ directory: gone"),
        "{}",
        run.err
    );
    place.write(
        "small/templates/bad.yaml",
        "a: 1\nb: {{ .Values.nested.none.x }}\n",
    );
    let run = place.run(&["chart", "template", "small"]).ends_with(1);
    assert!(run.err.contains("small/templates/bad.yaml:2"), "{}", run.err);
    place.write("small/templates/bad.yaml", "a: {{ randAlphaNum 5 }}\n");
    let run = place.run(&["chart", "template", "small"]).ends_with(1);
    assert!(run.err.contains("--seed"), "{}", run.err);
    let seeded = |seed: &str| {
        place
            .run(&["chart", "template", "small", "--seed", seed])
            .succeeds()
            .out
    };
    assert_eq!(seeded("a"), seeded("a"));
    assert_ne!(seeded("a"), seeded("b"));
    assert_ne!(
        place
            .run(&["chart", "template", "small", "--draw"])
            .succeeds()
            .out,
        place
            .run(&["chart", "template", "small", "--draw"])
            .succeeds()
            .out
    );
}

#[test]
fn findings_are_printed() {
    let place = small();
    let run = place.run(&["chart", "lint", "small"]).succeeds();
    assert_eq!(
        run.out,
        "==> Linting small\n[INFO] Chart.yaml: icon is recommended\n\n1 chart(s) linted, 0 chart(s) failed\n"
    );
    let run = place.run(&["chart", "lint", "small", "other"]).ends_with(1);
    assert!(run.out.contains("[ERROR] templates/: "), "{}", run.out);
    assert!(
        run.err.contains("2 chart(s) linted, 1 chart(s) failed"),
        "{}",
        run.err
    );
}

/// No input takes the machine's memory: the whole program has 3 GiB of addresses here, half a GiB of which is stack.
#[test]
fn hostile_charts_end_in_little_memory() {
    let place = small();
    place.write(
        "big.yaml",
        "a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n".repeat(100_000_000 / 38),
    );
    std::fs::create_dir_all(place.path("loop/templates")).unwrap();
    place.write("loop/Chart.yaml", METADATA);
    place.write(
        "loop/templates/a.yaml",
        "{{ define \"a\" }}{{ $x := repeat 1000 \"x\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
    );
    std::os::unix::fs::symlink(place.path("circle"), place.path("small/templates/circle")).unwrap();
    std::os::unix::fs::symlink(place.path("small"), place.path("circle")).unwrap();
    for (arguments, part) in [
        (&["chart", "template", "loop", "-f", "big.yaml"][..], "5242880"),
        (&["chart", "template", "loop"], "small/templates/a.yaml:1"),
        (&["chart", "template", "small"], "circle"),
    ] {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "ulimit -v 3145728; exec \"$0\" \"$@\"",
                env!("CARGO_BIN_EXE_openg2p"),
            ])
            .args(arguments)
            .current_dir(place.folder.path())
            .stdin(Stdio::null());
        let run = place.finish(command).ends_with(1);
        assert!(run.err.contains(part), "{arguments:?}: {}", run.err);
    }
}

/// Helm, where `cargo xtask test` built it.
fn helm() -> PathBuf {
    std::env::var_os("CHART_HELM").map_or_else(
        || panic!("CHART_HELM names no Helm; `cargo xtask test charts` builds it and runs these tests"),
        PathBuf::from,
    )
}

/// What Helm says of files that are not there, and of its own usage: we say it in our words.
const OWN_WORDS: &[&str] = &[
    "open ",
    "failed parsing --set-file data: open ",
    "non-absolute urls",
    "file '",
    "\"helm ",
];

/// Secrets that a chart draws at random cannot be compared.
fn without_drawn_secrets(manifest: &str) -> String {
    let mut secret = false;
    let mut data = false;
    let mut out = String::new();
    for line in manifest.split_inclusive('\n') {
        if line.starts_with("---") {
            (secret, data) = (false, false);
        } else if !line.starts_with(' ') {
            secret |= line.starts_with("kind: Secret");
            data = line.starts_with("data:") || line.starts_with("stringData:");
        }
        match line.split_once(": ") {
            Some((key, _)) if secret && data && line.starts_with(' ') => {
                out.push_str(&format!("{key}: drawn\n"));
            }
            _ => out.push_str(line),
        }
    }
    out
}

struct Beside {
    place: Place,
    helm: PathBuf,
    count: usize,
    failures: Vec<String>,
}

impl Beside {
    fn new(place: Place) -> Self {
        Self {
            place,
            helm: helm(),
            count: 0,
            failures: Vec::new(),
        }
    }

    /// Both programs with the same arguments; ours below `chart`.
    fn compare(&mut self, arguments: &[&str]) {
        self.count += 1;
        let mut command = Command::new(&self.helm);
        command
            .args(arguments)
            .current_dir(self.place.folder.path())
            .env_clear()
            .env("HOME", self.place.folder.path())
            .stdin(Stdio::null());
        let theirs = self.place.finish(command);
        let seed: &[&str] = if arguments[0] == "template" {
            &["--seed", "x"]
        } else {
            &[]
        };
        let ours = self.place.run(&[&["chart"], arguments, seed].concat());
        let said = theirs
            .err
            .lines()
            .find_map(|line| line.strip_prefix("Error: "))
            .unwrap_or_default()
            .to_lowercase();
        let said_too =
            OWN_WORDS.iter().any(|words| said.starts_with(words)) || ours.err.to_lowercase().contains(&said);
        let out = without_drawn_secrets(&ours.out).replace("cannot load chart bad: values.yaml: ", "");
        let same =
            out == without_drawn_secrets(&theirs.out) && (ours.code == 0) == (theirs.code == 0) && said_too;
        if !same {
            let first = ours
                .out
                .lines()
                .zip(theirs.out.lines())
                .find(|(ours, theirs)| ours != theirs);
            self.failures.push(format!(
                "{arguments:?}: ends {} and {}\n  first difference: {first:?}\n  ours {}\n  Helm {}",
                ours.code, theirs.code, ours.err, theirs.err
            ));
        }
    }

    fn end(self, what: &str) {
        println!(
            "counted: {} calls of openg2p chart {what} beside helm {what}",
            self.count
        );
        assert!(
            self.failures.is_empty(),
            "{} of {} differ:\n{}",
            self.failures.len(),
            self.count,
            self.failures.join("\n")
        );
    }
}

/// The charts of this repository, with their value sets.
fn shipped() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts");
    let list = |folder: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        paths.sort();
        paths
    };
    list(&root)
        .into_iter()
        .filter(|chart| chart.join("Chart.yaml").exists())
        .map(|chart| {
            let sets = list(&chart.join("ci"))
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            (chart.display().to_string(), sets)
        })
        .collect()
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn template_prints_what_helm_prints() {
    let mut beside = Beside::new(small());
    let options: &[&[&str]] = &[
        &[],
        &["-f", "one.yaml"],
        &["--values", "one.yaml", "--values", "two.yaml"],
        &["-f", "one.yaml,two.yaml", "--set", "replicas=5"],
        &["-f", "missing.yaml"],
        &["--set", "list={x,y},nested.deep.z=0,nested.deep.s=00,image=null"],
        &["--set", "list[1]=z", "--set", "list[3].a=1"],
        &["--set", "replicas"],
        &["--set", "a[b]=1"],
        &["--set-string", "replicas=5,nested.deep.x=true"],
        &[
            "--set-json",
            "nested={\"deep\":{\"x\":[1,2.5]}}",
            "--set-json",
            "replicas=7",
        ],
        &["--set-json", "a={"],
        &["--set-file", "image=note.txt"],
        &["--set-file", "image=nothing.txt"],
        &["--set-literal", "image=a,b={c}\\d"],
        &[
            "--set",
            "replicas=-1",
            "--set-string",
            "replicas=x",
            "--set-json",
            "replicas=3",
        ],
        &["--namespace", "dev"],
        &["-n", "dev", "--is-upgrade"],
        &["--kube-version", "1.30"],
        &["--kube-version", "v1.29.3-gke.1"],
        &["--kube-version", "x"],
        &["--api-versions", "example.org/v1,example.org/v2"],
        &["-a", "example.org/v1", "-a", "b"],
        &["--include-crds"],
        &["--include-crds", "--no-hooks"],
        &["--no-hooks"],
        &["--skip-tests"],
        &["--show-only", "templates/app.yaml"],
        &["-s", "templates/h*.yaml", "-s", "templates/app.yaml"],
        &["--show-only", "templates/none.yaml"],
        &["--show-only", "crds/x.yaml", "--include-crds"],
        &["--skip-schema-validation"],
    ];
    for options in options {
        beside.compare(&[&["template", "name", "small"], *options].concat());
        beside.compare(&[&["template", "small"], *options].concat());
    }
    for name in ["Upper", "a_b", "-a", "a.b", &"x".repeat(53), &"x".repeat(54)] {
        beside.compare(&["template", name, "small"]);
    }
    for chart in ["other", "nowhere", "one.yaml"] {
        beside.compare(&["template", chart]);
    }
    let packed = Command::new(&beside.helm)
        .args(["package", "small"])
        .current_dir(beside.place.folder.path())
        .status()
        .unwrap();
    assert!(packed.success());
    beside.compare(&["template", "r", "small-0.1.0.tgz", "--include-crds"]);
    beside.compare(&[
        "template",
        "small-0.1.0.tgz",
        "-f",
        "one.yaml",
        "--set",
        "replicas=4",
    ]);
    for (chart, sets) in shipped() {
        beside.compare(&["template", &chart]);
        for values in &sets {
            beside.compare(&["template", "r", &chart, "-n", "dev", "-f", values]);
            beside.compare(&[
                "template",
                "r",
                &chart,
                "-n",
                "dev",
                "-f",
                values,
                "--is-upgrade",
                "--no-hooks",
                "--kube-version",
                "1.33.1",
            ]);
        }
    }
    beside.end("template");
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn lint_finds_what_helm_finds() {
    let mut beside = Beside::new(small());
    for chart in ["bad", "bad/templates"] {
        std::fs::create_dir_all(beside.place.path(chart)).unwrap();
    }
    let place = &beside.place;
    place.write(
        "bad/Chart.yaml",
        "apiVersion: v1\nname: bad\nversion: 1.0\nappVersion: 2\ntype: application\nicon: x\nsources: [x, 'http://a']\n\
         maintainers: [{name: a, email: b}]\n",
    );
    place.write(
        "bad/templates/a.yaml",
        " apiVersion: policy/v1beta1\n kind: PodDisruptionBudget\n metadata: {name: 'A_b'}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: 1a}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: 'a:b%c'}\n\
         ---\nkind: Namespace\nmetadata: {name: a.b}\n",
    );
    place.write("bad/templates/b.json", "{}\n");
    place.write(
        "bad/templates/c.tpl",
        "{{ .Release.Time }} helm.sh/hook: crd-install\n",
    );
    place.write("bad/values.yaml", "a: {{\n");
    for options in [
        &[][..],
        &["--quiet"],
        &["--strict"],
        &["--set", "a=1"],
        &["--kube-version", "1.20"],
        &["--with-subcharts"],
    ] {
        for chart in ["small", "other", "bad"] {
            beside.compare(&[&["lint", chart], options].concat());
        }
        beside.compare(&[&["lint", "small", "small"], options].concat());
    }
    for (chart, sets) in shipped() {
        beside.compare(&["lint", &chart]);
        beside.compare(&["lint", &chart, "--strict", "--with-subcharts"]);
        for values in &sets {
            beside.compare(&["lint", &chart, "-f", values]);
        }
    }
    beside.end("lint");
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn values_are_those_that_helm_shows() {
    let mut beside = Beside::new(small());
    for (chart, _) in shipped() {
        beside.count += 1;
        let theirs = Command::new(&beside.helm)
            .args(["show", "values", &chart])
            .output()
            .unwrap();
        let ours = beside.place.run(&["chart", "values", &chart, "--defaults"]).out;
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        // Helm ends the text with one more line end.
        if ours.trim_end() != theirs.trim_end() {
            beside.failures.push(chart);
        }
    }
    beside.end("values --defaults");
}
