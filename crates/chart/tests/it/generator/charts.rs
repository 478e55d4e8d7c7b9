//! Random trees of charts: what they hand to one another, switch off, rename and import.

use std::collections::BTreeMap;

use super::random::Random;

const NAMES: &[&str] = &["s1", "s2", "s3"];
const KEYS: &[&str] = &[
    "a", "b", "c", "global", "s1", "s2", "al", "tags", "exports", "on", "data",
];
const LEAVES: &[&str] = &[
    "1", "x", "true", "false", "null", "[1, 2]", "[]", "{}", "'2'", "1.5", "~",
];

/// One value in flow style.
fn value(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.percent(35) {
        return random.pick(LEAVES).to_owned();
    }
    let entries: BTreeMap<&str, String> = (0..random.below(4))
        .map(|_| (random.pick(KEYS), value(random, depth - 1)))
        .collect();
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

/// A values file with the keys that matter between charts.
pub(crate) fn values(random: &mut Random) -> String {
    let entries: BTreeMap<&str, String> = (0..random.below(6))
        .map(|_| {
            let key = random.pick(KEYS);
            (key, value(random, 3))
        })
        .collect();
    if random.percent(5) {
        return random
            .pick(&["", "# nothing\n", "null\n", "[]\n", "x\n"])
            .to_owned();
    }
    entries
        .iter()
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect()
}

fn dependency(random: &mut Random, name: &str) -> String {
    let version = random.pick(&["0.1.0", "0.1.0", ">=0", "^0.1", "'*'", "2.0.0", "0.x"]);
    let mut out = format!("- name: {name}\n  version: {version}\n");
    if random.percent(30) {
        let condition = random.pick(&[
            "s1.on",
            "s2.on",
            "on",
            "a.on,on",
            "global.on",
            "data.on, on",
            "missing",
            "''",
            "al.on",
            "tags.x",
        ]);
        out.push_str(&format!("  condition: {condition}\n"));
    }
    if random.percent(25) {
        out.push_str(&format!(
            "  tags: [{}]\n",
            random.pick(&["a", "a, b", "on", "c", ""])
        ));
    }
    if random.percent(20) {
        out.push_str(&format!("  alias: {}\n", random.pick(&["al", "s9", "a", "s1"])));
    }
    if random.percent(30) {
        let import = random.pick(&[
            "[data]",
            "[a, b]",
            "[{child: a, parent: b}]",
            "[{child: data, parent: .}]",
            "[{child: exports.data, parent: imported}]",
            "[{child: global, parent: c}]",
            "[data, {child: a.b, parent: s2}]",
            "[{child: none, parent: x}]",
        ]);
        out.push_str(&format!("  import-values: {import}\n"));
    }
    out
}

/// The files of a chart and of those below it.
pub(crate) fn tree(
    random: &mut Random,
    depth: usize,
    folder: &str,
    name: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) {
    let mut put = |file: &str, text: String| {
        files.insert(format!("{folder}{file}"), text.into_bytes());
    };
    let library = depth < 2 && random.percent(7);
    let mut metadata = format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
    if library {
        metadata.push_str("type: library\n");
    }
    if random.percent(10) {
        metadata.push_str(&format!(
            "kubeVersion: '{}'\n",
            random.pick(&[">=1.30", ">=1.99", "^1", "1.x", "x", ">1.36.3-0"])
        ));
    }
    put("values.yaml", values(random));
    put(
        "templates/x.yaml",
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\nchart: {{ .Chart.Name }}\nvalues: {{ toJson .Values }}\n\
         subcharts: {{ keys .Subcharts | sortAlpha | toJson }}\nbase: {{ .Template.BasePath }}\n\
         dependencies: {{ len .Chart.Dependencies }}\n"
            .to_owned(),
    );
    if random.percent(20) {
        put(
            "templates/_h.tpl",
            format!("{{{{ define \"shared\" }}}}{name}{{{{ end }}}}\n"),
        );
        put(
            "templates/y.yaml",
            "kind: Secret\nmetadata: {name: '{{ include \"shared\" . }}'}\n".to_owned(),
        );
    }
    let mut dependencies = String::new();
    let mut below = Vec::new();
    if depth > 0 {
        for inner in NAMES {
            if random.percent(if depth == 2 { 60 } else { 35 }) {
                below.push(*inner);
                if random.percent(90) {
                    dependencies.push_str(&dependency(random, inner));
                }
            } else if random.percent(4) {
                dependencies.push_str(&dependency(random, inner));
            }
        }
    }
    if !dependencies.is_empty() {
        metadata.push_str("dependencies:\n");
        metadata.push_str(&dependencies);
    }
    files.insert(format!("{folder}Chart.yaml"), metadata.into_bytes());
    for inner in below {
        tree(
            random,
            depth - 1,
            &format!("{folder}charts/{inner}/"),
            inner,
            files,
        );
    }
}
