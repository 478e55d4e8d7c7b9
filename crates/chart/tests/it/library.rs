//! What only the library has: archives, refusals, injected sources, images, speed.

use std::collections::BTreeMap;
use std::sync::Arc;

use openg2p_chart::{
    Capabilities, Chart, ChartError, HookEvent, Lookup, Release, RenderOptions, Rendered, Seeded,
    effective_values, function_names, render,
};
use serde_json::json;

fn chart(files: &[(&str, &str)]) -> Chart {
    let mut all: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    all.entry("Chart.yaml".to_owned())
        .or_insert_with(|| b"apiVersion: v2\nname: c\nversion: 0.1.0\n".to_vec());
    Chart::load(all).unwrap()
}

fn options() -> RenderOptions {
    RenderOptions::new(Release::new("r", "ns"))
}

fn rendered(template: &str) -> Result<Rendered, ChartError> {
    render(&chart(&[("templates/a.yaml", template)]), &options())
}

/// A gzipped tar of entries: name, kind, content.
fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        // The library refuses unsafe names; an attacker does not.
        let bytes = name.as_bytes();
        header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
        header.set_entry_type(*kind);
        header.set_size(if kind.is_file() { content.len() as u64 } else { 0 });
        header.set_mode(0o644);
        if !kind.is_file() {
            header.set_link_name("target").unwrap();
        }
        header.set_cksum();
        builder
            .append(&header, if kind.is_file() { *content } else { &[][..] })
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

const METADATA: (&str, tar::EntryType, &[u8]) = (
    "c/Chart.yaml",
    tar::EntryType::Regular,
    b"apiVersion: v2\nname: c\nversion: 0.1.0\n",
);

#[test]
fn archive_is_loaded() {
    let inner = archive(&[
        (
            "s/Chart.yaml",
            tar::EntryType::Regular,
            b"apiVersion: v2\nname: s\nversion: 0.2.0\n",
        ),
        ("s/templates/b.yaml", tar::EntryType::Regular, b"kind: B\n"),
    ]);
    let bytes = archive(&[
        METADATA,
        (
            "c/templates/a.yaml",
            tar::EntryType::Regular,
            b"\xEF\xBB\xBFkind: A\n",
        ),
        ("c/charts/s-0.2.0.tgz", tar::EntryType::Regular, &inner),
    ]);
    let chart = Chart::from_tgz(&bytes).unwrap();
    assert_eq!(chart.name(), "c");
    assert_eq!(chart.dependencies()[0].metadata().version, "0.2.0");
    let kinds: Vec<String> = render(&chart, &options())
        .unwrap()
        .objects
        .iter()
        .map(|object| object.value()["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["A", "B"]);
}

#[test]
fn unsafe_archives_are_refused() {
    let refused = |entries: &[(&str, tar::EntryType, &[u8])]| match Chart::from_tgz(&archive(entries)) {
        Err(error @ ChartError::Archive { .. }) => {
            assert_eq!(error.code(), "chart::archive");
            error.to_string()
        }
        other => panic!("not refused: {other:?}"),
    };
    let file = tar::EntryType::Regular;
    assert!(refused(&[METADATA, ("c/../../etc/passwd", file, b"x")]).contains("parent directory"));
    assert!(refused(&[METADATA, ("c//etc/passwd", file, b"x")]).contains("absolute"));
    assert!(refused(&[METADATA, ("c/c:/x", file, b"x")]).contains("illegally named"));
    assert!(refused(&[METADATA, ("c/link", tar::EntryType::Symlink, b"")]).contains("regular file"));
    assert!(refused(&[METADATA, ("c/link", tar::EntryType::Link, b"")]).contains("regular file"));
    assert!(refused(&[METADATA, ("c/pipe", tar::EntryType::Fifo, b"")]).contains("regular file"));
    assert!(refused(&[("Chart.yaml", file, b"name: c")]).contains("base directory"));
    assert!(refused(&[]).contains("no files"));
    assert!(refused(&[METADATA, ("c/big", file, &vec![0; 6 << 20])]).contains("maximum file size"));
    assert!(Chart::from_tgz(b"not gzip").is_err());
    let whole = archive(&[METADATA, ("c/a", file, &vec![7; 100_000])]);
    assert!(Chart::from_tgz(&whole[..whole.len() / 2]).is_err());
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let four = vec![0_u8; 4 << 20];
    let names: Vec<String> = (0..30).map(|index| format!("c/f{index}")).collect();
    let mut entries = vec![METADATA];
    entries.extend(
        names
            .iter()
            .map(|name| (name.as_str(), tar::EntryType::Regular, four.as_slice())),
    );
    let error = Chart::from_tgz(&archive(&entries)).unwrap_err();
    assert!(error.to_string().contains("larger than the maximum"), "{error}");
}

#[test]
fn folders_obey_helmignore() {
    let chart = chart(&[
        (".helmignore", "*.bak\n/secret\nci/\n# comment\n"),
        (
            "templates/a.yaml",
            "v: {{ keys (fromYaml .Files.AsConfig) | sortAlpha | join \",\" }}\n",
        ),
        ("templates/.hidden.yaml", "never: 1\n"),
        ("templates/b.yaml.bak", "never: 1\n"),
        ("secret", "x"),
        ("ci/values.yaml", "x"),
        ("kept", "x"),
    ]);
    let rendered = render(&chart, &options()).unwrap();
    assert_eq!(rendered.objects.len(), 1);
    assert_eq!(rendered.objects[0].value()["v"], ".helmignore,kept");
}

#[test]
fn random_values_are_refused_without_a_source() {
    let error = render(
        &chart(&[(
            "templates/secret.yaml",
            "{{- if not .Values.existingSecret }}\nkind: Secret\ndata: {{ randAlphaNum 8 }}\n{{- end }}\n",
        )]),
        &options(),
    )
    .unwrap_err();
    assert_eq!(error.code(), "chart::random-without-source");
    assert_eq!(error.location(), Some(("c/templates/secret.yaml", 3)));
    assert!(error.to_string().contains("existingSecret"), "{error}");
    for call in [
        "uuidv4",
        "now",
        "randBytes 1",
        "genCA \"x\" 1",
        "htpasswd \"u\" \"p\"",
        "shuffle \"ab\"",
        "randInt 1 5",
    ] {
        let error = rendered(&format!("v: {{{{ {call} }}}}")).unwrap_err();
        assert_eq!(error.code(), "chart::random-without-source", "{call}");
    }
}

#[test]
fn a_seed_makes_random_values_repeatable() {
    let chart = chart(&[(
        "templates/a.yaml",
        "a: {{ randAlphaNum 20 }}\nb: {{ uuidv4 }}\nc: {{ now | date \"2006-01-02\" }}\nd: {{ randNumeric 5 | quote }}\n\
         e: {{ htpasswd \"u\" \"p\" }}\nf: {{ encryptAES \"k\" \"text\" | decryptAES \"k\" }}\ng: {{ randInt 3 9 }}\n",
    )]);
    let run = |seed: &[u8]| {
        let options = options().with_random(Arc::new(Seeded::new(seed, 1_700_000_000)));
        render(&chart, &options).unwrap().objects[0].value().clone()
    };
    let value = run(b"one");
    assert_eq!(value, run(b"one"));
    assert_ne!(value, run(b"two"));
    assert_eq!(value["c"], "2023-11-14");
    assert_eq!(value["f"], "text");
    assert_eq!(value["a"].as_str().unwrap().len(), 20);
    assert!(value["e"].as_str().unwrap().starts_with("u:$2a$10$"));
    assert_eq!(value["b"].as_str().unwrap().as_bytes()[14], b'4');
}

#[test]
fn certificates_are_signed_by_their_authority() {
    let template = r#"{{- $ca := genCAWithKey "my-ca" 365 (genPrivateKey "ecdsa") }}
{{- $cert := genSignedCertWithKey "host" (list "10.0.0.1") (list "host.example" "b.example") 30 $ca (genPrivateKey "ed25519") }}
{{- $self := genSelfSignedCertWithKey "self" nil nil 1 (genPrivateKey "ecdsa") }}
ca: {{ $ca.Cert | quote }}
cert: {{ $cert.Cert | quote }}
key: {{ $cert.Key | quote }}
self: {{ $self.Cert | quote }}
custom: {{ (buildCustomCert ($ca.Cert | b64enc) ($ca.Key | b64enc)).Cert | quote }}
"#;
    let chart = chart(&[("templates/a.yaml", template)]);
    let run = || {
        let options = options().with_random(Arc::new(Seeded::new(b"seed", 1_700_000_000)));
        render(&chart, &options).unwrap().objects[0].value().clone()
    };
    let value = run();
    assert_eq!(value, run(), "the same seed gives the same certificates");
    assert_eq!(value["ca"], value["custom"]);
    for name in ["ca", "cert", "self"] {
        assert!(
            value[name]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE-----\n")
        );
    }
    assert!(
        value["key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
}

struct Snapshot;

impl Lookup for Snapshot {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<serde_json::Value> {
        (api_version == "v1" && kind == "Secret" && namespace == "ns" && name == "s")
            .then(|| json!({"data": {"k": "dg=="}, "metadata": {"generation": 3}}))
    }
}

#[test]
fn lookup_answers_from_the_snapshot() {
    let chart = chart(&[(
        "templates/a.yaml",
        "v: {{ (lookup \"v1\" \"Secret\" .Release.Namespace \"s\").data.k }}\nw: {{ lookup \"v1\" \"Secret\" \"ns\" \"t\" | empty }}\n",
    )]);
    let rendered = render(&chart, &options().with_lookup(Arc::new(Snapshot))).unwrap();
    assert_eq!(*rendered.objects[0].value(), json!({"v": "dg==", "w": true}));
}

#[test]
fn objects_hooks_and_images_are_told_apart() {
    let chart = chart(&[
        (
            "templates/a.yaml",
            "kind: Deployment\nspec: {template: {spec: {containers: [{image: \"b:1\"}], initContainers: [{image: \"a:1\"}]}}}\n\
             ---\nkind: ServiceAccount\n---\nkind: Job\nmetadata:\n  annotations: {helm.sh/hook: \"pre-install,test\", \
             helm.sh/hook-weight: \"-3\", helm.sh/hook-delete-policy: hook-succeeded}\n\
             spec: {template: {spec: {containers: [{image: \"c:1\"}, {image: \"b:1\"}]}}}\n",
        ),
        ("templates/NOTES.txt", "Thank you\n"),
        ("crds/a.yaml", "kind: X\n---\nkind: Y\n"),
    ]);
    let rendered = render(&chart, &options()).unwrap();
    let kinds: Vec<&str> = rendered
        .objects
        .iter()
        .map(|object| object.value()["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ServiceAccount", "Deployment", "Job"]);
    let hook = rendered.objects[2].hook.as_ref().unwrap();
    assert_eq!(hook.events, [HookEvent::PreInstall, HookEvent::Test]);
    assert_eq!(
        (hook.weight, hook.delete_policies.as_slice()),
        (-3, &["hook-succeeded".to_owned()][..])
    );
    assert_eq!(rendered.images(), ["a:1", "b:1", "c:1"]);
    assert_eq!(rendered.notes.as_deref(), Some("Thank you\n"));
    assert_eq!(rendered.crds[0].objects.len(), 2);
}

#[test]
fn errors_point_at_file_and_line() {
    let chart = chart(&[
        ("templates/a.yaml", "a: 1\nb: {{ include \"deep\" . }}\n"),
        (
            "templates/_h.tpl",
            "{{ define \"deep\" }}\n\n{{ .Values.x.y }}\n{{ end }}",
        ),
    ]);
    let error = render(&chart, &options()).unwrap_err();
    assert_eq!(error.code(), "chart::template");
    assert_eq!(error.location(), Some(("c/templates/a.yaml", 2)));
    let ChartError::Template { origin, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(origin, &Some(("c/templates/_h.tpl".to_owned(), 3)));
}

#[test]
fn runaway_templates_end() {
    for template in [
        "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
        "{{ define \"a\" }}{{ tpl \"{{ include \\\"a\\\" . }}\" . }}{{ end }}{{ include \"a\" . }}",
        "{{ $d := dict }}{{ $_ := set $d \"self\" $d }}{{ toYaml $d }}{{ $d }}{{ toJson $d }}{{ deepCopy $d }}",
        "{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}",
        "{{ until 2000000 }}",
        "{{ $l := list 1 }}{{ range until 100 }}{{ $l = concat $l $l }}{{ end }}",
        "{{ repeat 1000000000 \"abc\" }}",
        "{{ printf \"%999999999d\" 1 }}{{ fail \"\" }}",
        "{{ $x := \"a\" }}{{ range until 100 }}{{ $x = print $x $x }}{{ end }}",
    ] {
        assert!(rendered(template).is_err(), "{template}");
    }
}

#[test]
fn effective_values_are_shown() {
    let chart = chart(&[("values.yaml", "a: 1\nb: {c: 2, d: 3}\n")]);
    let values = effective_values(
        &chart,
        &options().with_values(json!({"b": {"c": null, "e": 5}}).try_into().unwrap()),
    )
    .unwrap();
    assert_eq!(values, json!({"a": 1, "b": {"d": 3, "e": 5}}));
    assert_eq!(chart.default_values(), json!({"a": 1, "b": {"c": 2, "d": 3}}));
}

#[test]
fn every_function_of_helm_is_there() {
    // What `helm` 3.22 offers: text/template, Sprig without env and expandenv, and its own.
    let wanted = include_str!("functions.txt");
    let ours = function_names();
    let missing: Vec<&str> = wanted
        .split_whitespace()
        .filter(|name| !ours.contains(name))
        .collect();
    let foreign: Vec<&&str> = ours
        .iter()
        .filter(|name| !wanted.split_whitespace().any(|known| known == **name))
        .collect();
    assert!(
        missing.is_empty() && foreign.is_empty(),
        "missing {missing:?}, unknown to Helm {foreign:?}"
    );
}

#[test]
fn fifty_templates_render_quickly() {
    let template = "{{- range $i := until 5 }}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ include \
         \"name\" $ }}-{{ $i }}\n  labels: {{- include \"labels\" $ | nindent 4 }}\nspec:\n  values: {{- toYaml \
         $.Values | nindent 4 }}\n{{- end }}\n";
    let names: Vec<String> = (0..50).map(|index| format!("templates/t{index}.yaml")).collect();
    let mut files = vec![
        (
            "values.yaml",
            "image: {repository: a/b, tag: \"1\"}\nresources: {limits: {cpu: 100m, memory: 1Gi}}\n",
        ),
        (
            "templates/_h.tpl",
            "{{ define \"name\" }}{{ printf \"%s-%s\" .Release.Name .Chart.Name | trunc 63 | trimSuffix \"-\" }}{{ end }}\
             {{ define \"labels\" }}app: {{ include \"name\" . }}\nver: {{ .Chart.Version | quote }}{{ end }}",
        ),
    ];
    files.extend(names.iter().map(|name| (name.as_str(), template)));
    let chart = chart(&files);
    let start = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(render(&chart, &options()).unwrap().objects.len(), 250);
    }
    // Printed, not asserted: a busy machine must not fail a test.
    eprintln!("50 templates, 250 objects: {:?} each", start.elapsed() / 5);
    let _ = Capabilities::default();
}
