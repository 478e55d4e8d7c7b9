//! Plays the scripts in `stories/` and compares what they print.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use openg2p_plan::{Owner, Plan};
use openg2p_ports::ObjectRef;
use openg2p_sim::{Fault, Simulation, Things, Trouble, View, differences};
use serde_json::{Value, json};

use crate::operator::{Ended, Wish, destroy, ledger, perform, plan};
use crate::pack::root;
use crate::whole::{Keys, bare, file, wish};

/// Longer lists are told by their sorts: a story is no inventory, and must not change with every chart.
const SHORT: usize = 16;

struct Story {
    simulation: Simulation,
    wish: Wish,
    saved: Option<Plan>,
    marked: View,
    runs: usize,
    /// How a second operator's command ended.
    told: Arc<Mutex<Option<Ended>>>,
    out: String,
}

fn place(kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "Job" => "batch/v1",
        _ => "v1",
    };
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace,
        name: name.into(),
    }
}

impl Story {
    fn new() -> Self {
        let simulation = bare(42);
        let marked = simulation.things().view();
        let wish = wish(&file(&[]), Keys::Real);
        Self {
            simulation,
            wish,
            saved: None,
            marked,
            runs: 0,
            told: Arc::default(),
            out: String::new(),
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "    {}", without_digests(line));
    }

    fn site(&mut self, text: &str) {
        let lists: Vec<(&str, Vec<&str>)> = text
            .split(';')
            .filter_map(|part| part.split_once(':'))
            .map(|(name, modules)| {
                (
                    name.trim(),
                    modules
                        .split(',')
                        .map(str::trim)
                        .filter(|name| !name.is_empty())
                        .collect(),
                )
            })
            .collect();
        let lists: Vec<(&str, &[&str])> = lists
            .iter()
            .map(|(name, modules)| (*name, modules.as_slice()))
            .collect();
        self.wish = wish(&file(&lists), Keys::Real);
    }

    fn make_plan(&self) -> Result<Plan, String> {
        self.simulation
            .drive(plan(&self.simulation, &self.wish))
            .unwrap()
            .map_err(|error| error.to_string())
    }

    fn tell_plan(&mut self, plan: &Plan) {
        if plan.is_empty() {
            self.say("nothing to do");
        } else if plan.steps.len() <= SHORT {
            for step in &plan.steps {
                let fields: Vec<String> = step
                    .changes
                    .iter()
                    .map(|change| {
                        format!(
                            "{}: {} -> {}",
                            change.path,
                            or_none(change.from.as_deref()),
                            or_none(change.to.as_deref())
                        )
                    })
                    .collect();
                let fields = if fields.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", fields.join(", "))
                };
                self.say(&format!("{} {}{fields}", step.action.verb(), step.resource));
            }
        } else {
            let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for step in &plan.steps {
                parts.entry(step.action.verb()).or_default().insert(&step.part);
            }
            for (action, parts) in parts {
                let parts: Vec<&str> = parts.into_iter().collect();
                self.say(&format!("{action}: {}", parts.join(", ")));
            }
        }
    }

    fn tell_end(&mut self, ended: &Ended) {
        match ended {
            Ended::Nothing => self.say("nothing to do"),
            Ended::Done(steps) if *steps <= SHORT => self.say(&format!("done: {steps} steps")),
            Ended::Done(_) => self.say("done"),
            Ended::Failed(_, failures) => {
                for failure in failures {
                    self.say(&format!("failed: {failure}"));
                }
            }
            Ended::Refused(why) => self.refused(why),
            Ended::Killed => {
                let last = self
                    .simulation
                    .calls()
                    .last()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.say(&format!("killed at {last}"));
            }
        }
    }

    fn refused(&mut self, why: &str) {
        let (code, list) = why.split_once(": ").unwrap_or((why, ""));
        self.say(&format!("refused, {code}:"));
        let reasons: Vec<&str> = list.split("; ").filter(|reason| !reason.is_empty()).collect();
        let shown = if reasons.len() > SHORT { 3 } else { SHORT };
        for reason in reasons.iter().take(shown) {
            self.say(&format!("  {reason}"));
        }
        if reasons.len() > shown {
            self.say("  and more");
        }
    }

    fn apply(&mut self, saved: bool) {
        self.runs += 1;
        let run = format!("run-{}", self.runs);
        let simulation = self.simulation.clone();
        let wanted = self.wish.clone();
        let before = if saved { self.saved.clone() } else { None };
        let ended = simulation.drive(async {
            let Some(before) = before else {
                return match plan(&simulation, &wanted).await {
                    Ok(now) => perform(&simulation, &now, &run).await,
                    Err(error) => Ended::Refused(error.to_string()),
                };
            };
            // what the operator's program compares, then what the run itself looks at
            let mut moved = before.inputs_moved(&wanted.site, &wanted.inputs);
            moved.extend(before.wishes_moved(&wanted.resources));
            if moved.is_empty() {
                return perform(&simulation, &before, &run).await;
            }
            let words: Vec<String> = moved.iter().map(openg2p_plan::Moved::words).collect();
            Ended::Refused(format!("plan::moved: {}", words.join("; ")))
        });
        let second = self.told.lock().unwrap().take();
        if let Some(second) = second {
            self.say("the second operator:");
            self.tell_end(&second);
            self.say("the first operator:");
        }
        self.tell_end(&ended.unwrap_or(Ended::Killed));
    }

    fn tell_changes(&mut self) {
        let found = differences(&self.marked, &self.simulation.things().view());
        if found.is_empty() {
            self.say("no changes");
        } else if found.len() <= SHORT {
            for line in found {
                // sign, sort and name; digests say only that it differs
                let keep = if line.split_whitespace().nth(1) == Some("object") {
                    4
                } else {
                    3
                };
                let words: Vec<&str> = line.split_whitespace().take(keep).collect();
                self.say(&words.join(" "));
            }
        } else {
            let mut sorts: BTreeSet<String> = BTreeSet::new();
            for line in &found {
                sorts.insert(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
            }
            let sorts: Vec<String> = sorts.into_iter().collect();
            self.say(&sorts.join(", "));
        }
    }

    fn show(&mut self, words: &[&str]) {
        let things = self.simulation.things();
        match words {
            ["ledger"] => {
                let ledger = ledger(&self.simulation);
                let owners: BTreeSet<&Owner> = ledger.entries.values().map(|entry| &entry.owner).collect();
                let owners: Vec<String> = owners.into_iter().map(ToString::to_string).collect();
                let text = if owners.is_empty() {
                    "nothing".to_owned()
                } else {
                    owners.join(", ")
                };
                self.say(&format!("the ledger holds things of: {text}"));
            }
            [path] => {
                let text = match things.machine.files.get(path) {
                    Some(openg2p_sim::Node::File { bytes, .. }) => {
                        String::from_utf8_lossy(bytes).trim_end().to_owned()
                    }
                    Some(openg2p_sim::Node::Link(target)) => format!("-> {target}"),
                    Some(openg2p_sim::Node::Directory { .. }) => "a directory".into(),
                    None => "not there".into(),
                };
                for line in text.lines() {
                    self.say(line);
                }
            }
            [kind, name, pointer] => {
                let cluster = things.cluster.as_ref();
                let value =
                    cluster.and_then(|cluster| cluster.get(&place(kind, name))?.pointer(pointer).cloned());
                self.say(&value.map_or_else(|| "not there".to_owned(), |value| value.to_string()));
            }
            other => panic!("show {other:?}"),
        }
    }

    /// Another operator applies the same file at a moment of the next run. What they are told stands before what that run tells.
    fn second_operator(&mut self, call: &str, text: &str) {
        let call: &'static str = Box::leak(call.to_owned().into_boxed_str());
        let (simulation, wanted, told) = (self.simulation.clone(), self.wish.clone(), self.told.clone());
        self.simulation.meanwhile(call, text, move || {
            let ended = crate::operator::apply(&simulation, &wanted, "second-operator");
            *told.lock().unwrap() = Some(ended);
        });
    }

    fn fault(&mut self, call: &str, text: &str, trouble: Trouble) {
        // names live as long as the program in a fault; a story has few
        let call: &'static str = Box::leak(call.to_owned().into_boxed_str());
        self.simulation.fault(Fault::named(call, text, trouble));
    }

    fn play(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = |count: usize| words[count..].join(" ");
        match words.as_slice() {
            ["site", ..] => self.site(&rest(1)),
            ["plan"] => match self.make_plan() {
                Ok(plan) => self.tell_plan(&plan),
                Err(why) => self.refused(&why),
            },
            ["save"] => self.saved = Some(self.make_plan().unwrap()),
            ["apply"] => self.apply(false),
            ["apply", "saved"] => self.apply(true),
            ["destroy"] => {
                let ended = destroy(&self.simulation, None, "destroy");
                self.tell_end(&ended);
            }
            ["destroy", environment] => {
                let ended = destroy(&self.simulation, Some(environment), "destroy");
                self.tell_end(&ended);
            }
            ["kill", "before", call, ..] => self.fault(call, &rest(3), Trouble::KillBefore),
            ["kill", "after", call, ..] => self.fault(call, &rest(3), Trouble::KillAfter),
            ["kill", "during", call, ..] => self.fault(call, &rest(3), Trouble::KillDuring),
            ["tear", call, ..] => self.fault(call, &rest(2), Trouble::Torn),
            ["fail", call, ..] => self.fault(call, &rest(2), Trouble::FailBefore),
            ["lose", call, ..] => self.fault(call, &rest(2), Trouble::AnswerLost),
            ["meanwhile", call, words @ ..] => {
                let text = words.iter().take_while(|word| **word != "apply").copied();
                let text = text.collect::<Vec<_>>().join(" ");
                self.second_operator(call, &text);
            }
            ["somebody", deed, ..] => {
                let (deed, words) = ((*deed).to_owned(), words[2..].to_vec());
                self.simulation.change(|things| meddle(things, &deed, &words));
            }
            ["days", days] => {
                let days: u64 = days.parse().unwrap();
                self.simulation
                    .pass(std::time::Duration::from_secs(days * 86_400));
            }
            ["mark"] => self.marked = self.simulation.things().view(),
            ["changes"] => self.tell_changes(),
            ["show", ..] => self.show(&words[1..]),
            _ => panic!("the language of stories has no `{line}`; see stories/README.md"),
        }
    }
}

/// Digests and counters change with every chart and say nothing to a reader.
fn without_digests(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in line.chars().chain(std::iter::once('\n')) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        let digest = word.len() >= 8 && word.chars().all(|letter| letter.is_ascii_hexdigit());
        out.push_str(if digest { "…" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.trim_end().to_owned()
}

fn or_none(value: Option<&str>) -> &str {
    value.unwrap_or("none")
}

/// Another hand.
fn meddle(things: &mut Things, deed: &str, words: &[&str]) {
    let clock = things.machine.facts.clock;
    match (deed, words) {
        ("puts", [path, text @ ..]) => things.machine.files.put(path, text.join(" ") + "\n"),
        ("removes", [path]) => things.machine.files.erase(path),
        ("runs", ["systemctl", words @ ..]) => things.machine.systemctl(words),
        ("installs", [name]) => things.machine.apt_install(name),
        ("purges", [name]) => things.machine.apt_purge(name),
        ("sets", [name, value]) => {
            things
                .machine
                .kernel
                .settings
                .insert((*name).into(), (*value).into());
        }
        ("creates", [kind, name]) => {
            let place = place(kind, name);
            let manifest = json!({"apiVersion": place.api_version, "kind": place.kind,
                "metadata": {"name": place.name, "namespace": place.namespace}});
            let Things {
                cluster: Some(cluster),
                uids,
                ..
            } = things
            else {
                panic!("no cluster")
            };
            cluster.apply(&manifest, "kubectl", clock, uids).unwrap();
        }
        ("deletes", [kind, name]) => {
            let (place, cluster) = (place(kind, name), things.cluster.as_mut().unwrap());
            let uid = cluster.get(&place).unwrap()["metadata"]["uid"]
                .as_str()
                .unwrap()
                .to_owned();
            cluster.delete(&place, &uid, clock).unwrap();
        }
        ("edits", [kind, name, pointer, value @ ..]) => {
            let new: Value = serde_json::from_str(&value.join(" ")).unwrap();
            let cluster = things.cluster.as_mut().unwrap();
            cluster
                .edit(&place(kind, name), "kubectl-edit", |value| {
                    *value.pointer_mut(pointer).unwrap() = new;
                })
                .unwrap();
        }
        _ => panic!("somebody {deed} {words:?}"),
    }
}

fn tell(script: &str) -> String {
    let mut story = Story::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            let blank = if story.out.is_empty() { "" } else { "\n" };
            let _ = writeln!(story.out, "{blank}{line}");
        } else {
            let _ = writeln!(story.out, "> {line}");
            story.play(line);
        }
    }
    story.out
}

#[test]
fn stories_are_told_as_they_are_written_down() {
    let folder = root().join("stories");
    let mut scripts: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "{scripts:?}");
    let mut wrong = Vec::new();
    for path in scripts {
        let told = tell(&std::fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("expected");
        if std::env::var("OPENG2P_BLESS").is_ok() {
            std::fs::write(&expected, &told).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if told != wanted {
            let line = told
                .lines()
                .zip(wanted.lines())
                .position(|(told, wanted)| told != wanted);
            let line = line.unwrap_or_else(|| told.lines().count().min(wanted.lines().count()));
            let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
            wrong.push(format!(
                "{}:{}\n  told:     {}\n  expected: {}",
                expected.display(),
                line + 1,
                at(&told),
                at(&wanted)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nlook at it, then run with OPENG2P_BLESS=1",
        wrong.join("\n")
    );
}
