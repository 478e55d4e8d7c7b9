//! Random charts over random values, rendered by both programs.
//!
//! `CHART_CASES`, `CHART_SECONDS` and `CHART_SEED` choose how many and which. What differs is made small and shown as the text of a
//! fixture; with `CHART_KEEP=FOLDER` it is written there too.

mod assignments;
mod charts;
mod grammar;
pub(crate) mod random;
mod shrink;
mod templates;
mod values;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::case::{Answer, Case};
use crate::fixtures;
use crate::oracle::{DIED, Oracle};
use random::Random;
use templates::Templates;

/// After so many differences a run has shown what it can; `CHART_ENOUGH` asks for another number.
const ENOUGH: u64 = 12;
/// So often is Helm asked the same before its answer counts as its only one. Go begins its walk of a small map at one of
/// eight places, so that a rare order shows up in one of eight answers or fewer.
const ASKED: usize = 100;
/// The same for what is tried while a case is made small, which is a thousand times.
const ASKED_AGAIN: usize = 12;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// The case of this number.
fn case(seed: u64, index: u64) -> Case {
    let mut random = Random::new(seed, index);
    match index % 10 {
        0..=4 => of_templates(&mut random),
        5 | 6 => of_yaml(&mut random),
        7 | 8 => of_charts(&mut random),
        _ => of_assignments(&mut random),
    }
}

fn put(case: &mut Case, name: &str, text: String) {
    let ended = if text.is_empty() || text.ends_with('\n') {
        text
    } else {
        format!("{text}\n")
    };
    case.files.insert(name.to_owned(), ended.into_bytes());
}

fn of_templates(random: &mut Random) -> Case {
    let mut case = Case::default().with_default_metadata();
    let defaults = values::table(random);
    put(&mut case, "values.yaml", defaults.text);
    if random.percent(25) {
        case.values = values::table(random).text;
    }
    let object = random.percent(30);
    let name = templates::scalar(random);
    let mut templates = Templates::new(random, defaults.paths);
    let helpers = templates.definitions();
    let mut notes = String::new();
    templates.block(3, &mut notes);
    if object {
        let (first, second) = (templates.pipeline(), templates.pipeline());
        let mut extra = String::new();
        templates.block(1, &mut extra);
        put(
            &mut case,
            "templates/x.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  first: {{{{ {first} | quote }}}}\n  second: {{{{- toYaml \
                 ({second}) | nindent 4 }}}}\n  third: {extra}\n"
            ),
        );
    }
    if !helpers.is_empty() {
        put(&mut case, "templates/_helpers.tpl", helpers);
    }
    put(&mut case, "templates/NOTES.txt", notes);
    case
}

fn of_yaml(random: &mut Random) -> Case {
    let mut case = Case::default().with_default_metadata();
    let document = values::document(random);
    match random.below(3) {
        0 => {
            put(&mut case, "values.yaml", document);
            put(
                &mut case,
                "templates/NOTES.txt",
                "{{ toYaml .Values }}\n{{ toJson .Values }}\n{{ range $k, $v := .Values }}{{ $k }} {{ typeOf $v }} {{ $v }}\n{{ end }}\n{{ toToml .Values }}\n"
                    .to_owned(),
            );
        }
        1 => {
            put(&mut case, "x.yaml", document);
            put(
                &mut case,
                "templates/NOTES.txt",
                "{{ $x := .Files.Get \"x.yaml\" }}{{ fromYaml $x | toJson }}\n{{ fromYamlArray $x | toYaml }}\n{{ fromYaml $x | toYamlPretty }}\n".to_owned(),
            );
        }
        _ => put(&mut case, "templates/x.yaml", document.replace("{{", "{ {")),
    }
    case
}

fn of_charts(random: &mut Random) -> Case {
    let mut case = Case::default();
    charts::tree(random, 2, "", "c", &mut case.files);
    if random.percent(70) {
        case.values = charts::values(random);
    }
    case
}

fn of_assignments(random: &mut Random) -> Case {
    let mut case = Case::default().with_default_metadata();
    if random.percent(50) {
        case.values
            .push_str("a: {b: 1, c: [x, {d: e}]}\nb: [1, [2]]\nc: text\n");
    }
    put(
        &mut case,
        "templates/NOTES.txt",
        "{{ toJson .Values }}{{ range $k, $v := .Values }} {{ $k }} {{ typeOf $v }}{{ if kindIs \"slice\" $v }}{{ range $v }} {{ typeOf . }}{{ end }}{{ end }}{{ end }}\n"
            .to_owned(),
    );
    case.set = assignments::lines(random);
    case
}

/// Whether both say the same, but for what differs on purpose.
pub(crate) fn same(ours: &Answer, theirs: &Answer) -> bool {
    // Helm takes the time of the machine where a date is none.
    if ours.error.contains("whose result differs at every rendering") {
        return true;
    }
    // Behind the end of a list Go shows what it had reserved.
    if ours
        .error
        .contains("reflect.Value.Slice: slice index out of bounds")
    {
        return true;
    }
    // What is wrong with TOML is told in the words of another library.
    let toml =
        |answer: &Answer| format!("{}{}{}", answer.manifest, answer.notes, answer.error).contains("toml: ");
    if toml(ours) && toml(theirs) {
        return true;
    }
    if theirs.error.is_empty() || ours.error.is_empty() {
        return ours == theirs;
    }
    ours.error.contains(&theirs.error) || fixtures::differ_on_purpose(&ours.error, &theirs.error)
}

/// Whether Helm always answers so. Where Go walks a map in its random order, Helm has more than one answer.
fn is_only_answer(oracle: &mut Oracle, case: &Case, answer: &Answer, times: usize) -> bool {
    (0..times).all(|_| oracle.ask(case) == *answer)
}

#[test]
#[ignore = "needs Helm: `cargo xtask test` builds and names it"]
fn random_charts_render_as_helm_renders_them() {
    let (cases, seed) = (number("CHART_CASES", 20_000), number("CHART_SEED", 1));
    let next = AtomicU64::new(number("CHART_FIRST", 0));
    let enough = usize::try_from(number("CHART_ENOUGH", ENOUGH)).unwrap();
    let (asked, rendered, undecided, died) = <(AtomicU64, AtomicU64, AtomicU64, AtomicU64)>::default();
    let (start, time) = (
        Instant::now(),
        Duration::from_secs(number("CHART_SECONDS", 3_600)),
    );
    let kinds: [[AtomicU64; 2]; 10] = Default::default();
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut oracle = Oracle::start();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let stop = failures.lock().unwrap().len() >= enough || start.elapsed() >= time;
                    if index >= cases || stop {
                        break;
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    let case = case(seed, index);
                    let (ours, theirs) = (case.ours(), oracle.ask(&case));
                    if theirs.error.is_empty() {
                        rendered.fetch_add(1, Ordering::Relaxed);
                    }
                    let kind = usize::try_from(index % 10).unwrap();
                    kinds[kind][usize::from(theirs.error.is_empty())].fetch_add(1, Ordering::Relaxed);
                    if theirs.error == DIED {
                        // Ours came to an end, which is all that can be asked: a value that holds itself has no text.
                        died.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    if same(&ours, &theirs) {
                        continue;
                    }
                    if !is_only_answer(&mut oracle, &case, &theirs, ASKED) {
                        undecided.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let small = shrink::shrink(case, |case| {
                        let theirs = oracle.ask(case);
                        !same(&case.ours(), &theirs)
                            && is_only_answer(&mut oracle, case, &theirs, ASKED_AGAIN)
                    });
                    let text = fixtures::text_of(&small, &oracle.ask(&small));
                    let ours = small.ours();
                    keep(seed, index, &text);
                    failures.lock().unwrap().push(format!(
                        "case {index} of seed {seed}:\n{text}-- ours --\n{}{}{}",
                        ours.manifest, ours.notes, ours.error
                    ));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("refused and rendered, by kind: {kinds:?}");
    let (asked, rendered, undecided) = (asked.into_inner(), rendered.into_inner(), undecided.into_inner());
    println!("{} cases kill Helm", died.into_inner());
    println!(
        "counted: {asked} random charts from seed {seed}: {rendered} that Helm renders, {} that it refuses, {undecided} \
         on which it has several answers",
        asked - rendered
    );
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn keep(seed: u64, index: u64, text: &str) {
    if let Some(folder) = std::env::var_os("CHART_KEEP") {
        let folder = std::path::PathBuf::from(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("seed_{seed}_case_{index}.txt")), text).unwrap();
    }
}
