//! What strangers may hand in: it ends with a plain error, soon, and without taking the machine's memory.
//!
//! The fuzz targets' own function is run over mutated inputs here, a bounded number of them; `make soak-charts` goes on
//! for longer, and looks where the code goes.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use openg2p_chart::{Chart, Release, RenderOptions, Rendered, Values, render};

use crate::generator::random::Random;

/// No single input takes longer than this, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs work that must end, and says what it was about if it does not.
fn ends<T: Send + 'static>(about: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    ended
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| panic!("{error}: {about}"))
}

fn chart_of(files: &[(&str, String)]) -> Result<Chart, String> {
    let mut all: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.clone().into_bytes()))
        .collect();
    if !files.iter().any(|(name, _)| *name == "Chart.yaml") {
        all.push((
            "Chart.yaml".to_owned(),
            b"apiVersion: v2\nname: c\nversion: 0.1.0\n".to_vec(),
        ));
    }
    Chart::load(all).map_err(|error| error.to_string())
}

fn outcome(files: &[(&str, String)], values: &str) -> Result<Rendered, String> {
    let chart = chart_of(files)?;
    let values = Values::read(values.as_bytes()).map_err(|error| error.to_string())?;
    render(
        &chart,
        &RenderOptions::new(Release::new("r", "n")).with_values(values),
    )
    .map_err(|error| {
        assert_ne!(error.code(), "chart::internal", "{error}");
        error.to_string()
    })
}

/// Ends with an error that has all these parts.
fn refused(about: &str, files: Vec<(&'static str, String)>, values: String, parts: &[&str]) {
    let start = Instant::now();
    let result = ends(about, move || outcome(&files, &values));
    let error = result.err().unwrap_or_else(|| panic!("{about} was rendered"));
    println!("{about}: {:?}", start.elapsed());
    for part in parts {
        let shown: String = error.chars().take(500).collect();
        assert!(error.contains(part), "{about}: no {part:?} in {shown}");
    }
}

fn template(text: impl Into<String>) -> Vec<(&'static str, String)> {
    vec![("templates/x.yaml", text.into())]
}

#[test]
fn what_never_ends_is_ended() {
    refused(
        "a template that includes itself",
        template("a: 1\nb: {{ include \"x\" . }}\n{{ define \"x\" }}{{ include \"x\" . }}{{ end }}"),
        String::new(),
        &["c/templates/x.yaml:2", "include"],
    );
    refused(
        "three templates in a circle",
        template(
            "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"c\" . }}{{ end }}\n\
             {{ define \"c\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
        ),
        String::new(),
        &["c/templates/x.yaml:2"],
    );
    refused(
        "a text that renders itself",
        template("{{ tpl .Values.t . }}"),
        "t: '{{ tpl .Values.t . }}'\n".to_owned(),
        &["c/templates/x.yaml:1"],
    );
    refused(
        "a loop in a loop in a loop",
        template(
            "{{ range until 5000 }}{{ range until 5000 }}{{ range until 5000 }}x{{ end }}{{ end }}{{ end }}",
        ),
        String::new(),
        &["c/templates/x.yaml:1"],
    );
    refused(
        "a text that doubles",
        template("{{ $x := \"a\" }}{{ range until 64 }}{{ $x = print $x $x }}{{ end }}{{ $x }}"),
        String::new(),
        &["c/templates/x.yaml:1", "MiB"],
    );
    refused(
        "a list that doubles",
        template("{{ $x := list 1 }}{{ range until 64 }}{{ $x = concat $x $x }}{{ end }}"),
        String::new(),
        &["c/templates/x.yaml:1"],
    );
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let many = 200_000;
    for (about, text) in [
        (
            "parentheses",
            format!("{{{{ {}1{} }}}}", "(".repeat(many), ")".repeat(many)),
        ),
        (
            "blocks",
            format!("{}x{}", "{{ if 1 }}".repeat(many), "{{ end }}".repeat(many)),
        ),
        (
            "else if",
            format!("{{{{ if 1 }}}}{}{{{{ end }}}}", "{{ else if 1 }}".repeat(many)),
        ),
    ] {
        refused(about, template(text), String::new(), &["c/templates/x.yaml:1"]);
    }
    for (about, text) in [
        ("lists in values", format!("a: {}\n", "[".repeat(many))),
        (
            "closed lists in values",
            format!("a: {}{}\n", "[".repeat(many), "]".repeat(many)),
        ),
        (
            "tables in values",
            format!("a: {}{}\n", "{a: ".repeat(many), "}".repeat(many)),
        ),
        ("dashes in values", format!("{}a\n", "- ".repeat(many))),
    ] {
        refused(about, template("{{ toYaml .Values }}"), text, &["yaml"]);
    }
    for (about, text) in [
        ("lists in a manifest", format!("a: {}\n", "[".repeat(many))),
        (
            "a JSON text",
            "{{ mustFromJson (print (repeat 200000 \"[\")) }}".to_owned(),
        ),
        (
            "a pattern",
            "{{ mustRegexMatch (repeat 100000 \"(\") \"a\" }}".to_owned(),
        ),
    ] {
        refused(about, template(text), String::new(), &["c/templates/x.yaml"]);
    }
}

#[test]
fn values_that_explode_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            below.trim_end_matches(", ")
        ));
    }
    refused(
        "a billion laughs",
        template("{{ toYaml .Values }}"),
        laughs.clone(),
        &["yaml", "aliasing"],
    );
    refused(
        "a billion laughs in a manifest",
        template(laughs),
        String::new(),
        &["c/templates/x.yaml", "aliasing"],
    );
    refused(
        "100 MB of values",
        template("{{ toYaml .Values }}"),
        "a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n".repeat(100_000_000 / 38),
        &["5242880"],
    );
    refused(
        "100 MB of one value",
        template("{{ toYaml .Values }}"),
        format!("a: {}\n", "x".repeat(100_000_000)),
        &["5242880"],
    );
    let dense = format!("a: [{}1]\n", "1,".repeat(2_500_000));
    let count = ends("2.5 million numbers", move || {
        outcome(&template("v: {{ len .Values.a }}\n"), &dense)
            .map(|rendered| rendered.objects[0].value()["v"].clone())
    });
    assert_eq!(count.unwrap(), 2_500_001);
}

#[test]
fn a_chart_whose_values_would_hold_themselves_is_refused() {
    let chart = |name: &str, alias: &str| {
        format!(
            "apiVersion: v2\nname: {name}\nversion: 0.1.0\ndependencies:\n- name: s\n  version: '*'\n  alias: {alias}\n"
        )
    };
    refused(
        "dependencies called `global`",
        vec![
            ("Chart.yaml", chart("c", "global")),
            ("charts/s/Chart.yaml", chart("s", "global")),
            (
                "charts/s/charts/s/Chart.yaml",
                "apiVersion: v2\nname: s\nversion: 0.1.0\n".to_owned(),
            ),
            ("templates/x.yaml", "a: {{ toJson .Values }}\n".to_owned()),
        ],
        String::new(),
        &["global"],
    );
}

/// Helm's process dies of most of these.
#[test]
fn values_that_hold_themselves_end() {
    const ONE: &[&str] = &[
        "toYaml",
        "toYamlPretty",
        "toJson",
        "toPrettyJson",
        "toToml",
        "toString",
        "deepCopy",
        "deepEqual 1",
    ];
    const TWO: &[&str] = &["deepEqual", "merge"];
    let mut expressions: Vec<String> = ONE.iter().map(|name| format!("$.Values | {name}")).collect();
    for name in TWO {
        expressions.push(format!("{name} $.Values $other"));
    }
    for expression in expressions {
        // Nothing here holds itself, but everything is there 2^64 times.
        let twice = format!(
            "{{{{ $x := dict \"a\" 1 }}}}{{{{ $other := dict \"a\" 1 }}}}{{{{ range until 64 }}}}{{{{ $x = dict \"b\" $x \"l\" (list $x) }}}}\
             {{{{ $other = dict \"b\" $other \"l\" (list $other) }}}}{{{{ end }}}}\n\
             a: {{{{ {} | toString | len }}}}\n",
            expression.replace("$.Values", "$x")
        );
        let about = format!("{expression}, twice");
        let ended = ends(&about, move || outcome(&template(twice), "a: 1\n").map(drop));
        println!("{about}: {:.200}", ended.err().unwrap_or_default());
        let text = format!(
            "{{{{ $_ := set $.Values \"b\" $.Values }}}}{{{{ $_ := set $.Values \"l\" (list $.Values) }}}}\
             {{{{ $other := dict \"a\" 1 }}}}{{{{ $_ := set $other \"b\" $other }}}}{{{{ $_ := set $other \"l\" (list $other) }}}}\
             a: {{{{ {expression} | toString | len }}}}\n"
        );
        let about = expression.clone();
        let ended = ends(&about, move || outcome(&template(text), "a: 1\n").map(drop));
        println!("{expression}: {:.200}", ended.err().unwrap_or_default());
    }
}

#[test]
fn schemas_that_run_away_are_ended() {
    for (about, schema) in [
        ("a schema that means itself", r##"{"$ref": "#"}"##.to_owned()),
        (
            "two schemas that mean each other",
            r##"{"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}"##
                .to_owned(),
        ),
        (
            "a pattern that tries everything",
            r#"{"properties": {"t": {"pattern": "^(a+)+(?=b)$"}}}"#.to_owned(),
        ),
        ("a deep schema", format!("{}true{}", r#"{"not":"#.repeat(100_000), "}".repeat(100_000))),
    ] {
        let files = vec![
            ("values.schema.json", schema),
            ("templates/x.yaml", "a: 1\n".to_owned()),
        ];
        let values = format!("t: {}\n", "a".repeat(60));
        // Rendered or refused: it ends.
        let _ = ends(about, move || outcome(&files, &values).is_ok());
    }
}

#[test]
fn a_newer_kubernetes_is_asked_for_in_words() {
    refused(
        "a newer Kubernetes",
        vec![(
            "Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 0.1.0\nkubeVersion: '>=1.99.0'\n".to_owned(),
        )],
        String::new(),
        &[">=1.99.0", "v1.36.3", "choose another chart version or cluster"],
    );
}

#[test]
fn charts_in_charts_without_end_are_refused() {
    let mut files = Vec::new();
    let mut path = String::new();
    for _ in 0..200 {
        files.push((
            format!("{path}Chart.yaml"),
            b"apiVersion: v2\nname: c\nversion: 0.1.0\n".to_vec(),
        ));
        path.push_str("charts/c/");
    }
    assert!(Chart::load(files).is_err());
    // The same with archives: each holds the next.
    let mut inner: Vec<u8> = Vec::new();
    for _ in 0..200 {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut add = |name: &str, data: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, data).unwrap();
        };
        add("c/Chart.yaml", b"apiVersion: v2\nname: c\nversion: 0.1.0\n");
        if !inner.is_empty() {
            add("c/charts/c-0.1.0.tgz", &inner);
        }
        inner = builder.into_inner().unwrap().finish().unwrap();
    }
    assert!(Chart::from_tgz(&inner).is_err());
}

#[test]
fn a_bomb_of_zeros_is_refused() {
    // 8 GiB of zeros in some megabytes, in one member and as mere padding.
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..512 {
        zip.write_all(&zeros).unwrap();
    }
    let bomb = zip.finish().unwrap();
    let error = ends("padding", move || Chart::from_tgz(&bomb).err()).unwrap();
    assert_eq!(error.code(), "chart::archive");
}

/// How often each target is asked.
const INPUTS: u64 = 4_000;

const TOKENS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "(",
    ")",
    "|",
    "$",
    ".",
    ":=",
    "range",
    "end",
    "define \"h\"",
    "include \"h\" .",
    "tpl",
    "\"",
    "`",
    "\\",
    "\n",
    "---\n",
    "- ",
    ": ",
    "&a ",
    "*a",
    "!!str ",
    "[",
    "]",
    "{",
    "}",
    "<<: ",
    "|\n",
    ">",
    "'",
    "#",
    "\t",
    "\r",
    "\u{feff}",
    "\u{0}",
    "é",
    "-- Chart.yaml --\n",
    "-- charts/x/Chart.yaml --\n",
    "99999999999999999999",
    "-1",
    "0x",
    "1e999",
    "%",
    "../",
    "/",
    "=",
    ",",
    "[0]",
    "toYaml",
    "until 9",
    "repeat 9",
    "printf \"%*d\"",
    "nil",
    "dict",
    "list",
];

fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 if at < input.len() => input[at] = u8::try_from(random.next() % 256).unwrap(),
            1 if at < input.len() => {
                let end = (at + 1 + random.below(20)).min(input.len());
                input.drain(at..end);
            }
            2 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(60)).min(other.len());
                let piece = other[from..to].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let end = (at + random.below(40)).min(input.len());
                let piece = input[at..end].repeat(1 + random.below(8));
                input.splice(at..at, piece);
            }
            _ => {
                let token = random.pick(TOKENS).bytes();
                input.splice(at..at, token);
            }
        }
    }
    input
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &Path| -> Vec<Vec<u8>> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| std::fs::read(path).unwrap())
            .collect()
    };
    let mut seeds = read(&root.join("fuzz/corpus").join(target));
    for feature in [
        "errors",
        "whitespace",
        "tpl",
        "values",
        "yaml-errors",
        "manifest",
        "dependencies",
    ] {
        seeds.extend(read(&root.join("tests/fixtures").join(feature)));
    }
    seeds.sort();
    seeds
}

fn mutate(target: &'static str, run: fn(&[u8])) {
    let seeds = seeds(target);
    let mut slowest = Duration::ZERO;
    for index in 0..INPUTS {
        let input = mutated(&mut Random::new(7, index), &seeds);
        let start = Instant::now();
        let shown = format!("input {index} of {target}: {:?}", String::from_utf8_lossy(&input));
        let ended = ends(&shown, move || std::panic::catch_unwind(|| run(&input)).is_ok());
        assert!(ended, "{shown}");
        slowest = slowest.max(start.elapsed());
    }
    println!("{INPUTS} inputs of {target}, the slowest took {slowest:?}");
}

#[test]
fn mutated_archives_and_charts_end() {
    mutate("loader", targets::loader);
}

#[test]
fn mutated_templates_end() {
    mutate("template", targets::template);
}

#[test]
fn mutated_values_end() {
    mutate("values", targets::values);
}
