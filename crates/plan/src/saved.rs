//! The plan: a contract. It names everything that it was made from, and holds while all of that holds.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Action, Fingerprint, Mark, Presence, Resource, ResourceId, Risk, Step};

/// What a plan was made from, beside the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// SHA-256 of the site file as it is understood, with its profile and every default.
    pub site: Fingerprint,
    /// SHA-256 of the bundle's index; empty where none is needed.
    pub bundle: String,
    /// The ledger's generation; 0 where there is none yet.
    pub ledger_generation: u64,
    /// Version of the program.
    pub engine: String,
}

/// A thing that is as it should be: the plan has no step for it and still rests on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// What was looked at.
    pub resource: ResourceId,
    /// As it was.
    pub seen: Mark,
    /// Fingerprint of what it should be.
    pub wanted: Fingerprint,
    /// What it should be, where the ledger does not record the same. Without it nobody could look again in the same way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub desired: Option<Value>,
}

/// The complete ordered list of steps, with all that they rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Always `openg2p.org/plan/v2`.
    pub api_version: String,
    /// The site's name.
    pub site: String,
    /// What it was made from.
    pub inputs: Inputs,
    /// What the machine was like, by name: `debian release`, `memory`. Empty for a plan that no machine was asked for.
    pub host: BTreeMap<String, String>,
    /// In an order that respects every need.
    pub steps: Vec<Step>,
    /// How many resources are as they should be.
    pub unchanged: usize,
    /// Those, each as it was seen.
    pub facts: Vec<Fact>,
    /// What a person should know first.
    pub warnings: Vec<String>,
}

/// One thing that moved between a saved plan and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// What moved: a resource id or an input's name.
    pub what: String,
    /// As it was planned.
    pub planned: String,
    /// As it is now.
    pub now: String,
    /// Who moved it, where that can be known: a run, a field manager of Kubernetes, a file's owner with the time.
    pub by: Option<String>,
}

impl Moved {
    /// `what` is `now` and was planned as `planned`.
    pub fn new(what: impl Into<String>, planned: impl Into<String>, now: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            planned: planned.into(),
            now: now.into(),
            by: None,
        }
    }

    /// In words: `host-file/…: planned absent, now present (by root at …)`.
    pub fn words(&self) -> String {
        let by = self
            .by
            .as_ref()
            .map_or_else(String::new, |by| format!(" (by {by})"));
        format!("{}: planned {}, now {}{by}", self.what, self.planned, self.now)
    }
}

impl Plan {
    /// The format that this program writes and reads.
    pub const API_VERSION: &'static str = "openg2p.org/plan/v2";

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many steps do this.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    /// The steps of this risk.
    pub fn of_risk(&self, risk: Risk) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.risk == risk)
    }

    /// What differs between the inputs of this plan and those of now.
    pub fn inputs_moved(&self, site: &str, now: &Inputs) -> Vec<Moved> {
        let pairs = [
            ("site name", self.site.clone(), site.to_owned()),
            (
                "site file",
                self.inputs.site.short().to_owned(),
                now.site.short().to_owned(),
            ),
            ("bundle", self.inputs.bundle.clone(), now.bundle.clone()),
            ("openg2p version", self.inputs.engine.clone(), now.engine.clone()),
        ];
        pairs
            .into_iter()
            .filter(|(_, planned, now)| planned != now)
            .map(|(what, planned, now)| Moved::new(what, planned, now))
            .collect()
    }

    /// What differs between the desired states that this plan leads to and those of `resources`. Looks at no machine.
    pub fn wishes_moved(&self, resources: &[Resource]) -> Vec<Moved> {
        let mut planned: BTreeMap<&ResourceId, &Fingerprint> = self
            .facts
            .iter()
            .map(|fact| (&fact.resource, &fact.wanted))
            .collect();
        let removed: BTreeSet<&ResourceId> = self
            .steps
            .iter()
            .filter(|step| step.action == Action::Remove)
            .map(|step| &step.resource)
            .collect();
        for step in self.steps.iter().filter(|step| step.action != Action::Remove) {
            planned.insert(&step.resource, &step.after.fingerprint);
        }
        let mut moved = Vec::new();
        for resource in resources {
            let wanted = resource.fingerprint();
            let name = resource.id.to_string();
            match planned.remove(&resource.id) {
                Some(before) if *before == wanted => {}
                Some(before) => moved.push(Moved::new(
                    name,
                    format!("wanted as {}", before.short()),
                    format!("wanted as {}", wanted.short()),
                )),
                None if removed.contains(&resource.id) => {
                    moved.push(Moved::new(name, "to be removed", "wanted"));
                }
                None => moved.push(Moved::new(name, "not wanted", "wanted")),
            }
        }
        moved.extend(
            planned
                .into_keys()
                .map(|id| Moved::new(id.to_string(), "wanted", "not wanted any more")),
        );
        moved.sort_by(|a, b| a.what.cmp(&b.what));
        moved
    }

    /// Everything that was looked at while the plan was made: the resource, as it was seen, and what it should be (absent
    /// where the ledger records it).
    pub fn looked_at(&self) -> impl Iterator<Item = (&ResourceId, &Mark, Option<&Value>)> {
        let steps = self
            .steps
            .iter()
            .map(|step| (&step.resource, &step.before, Some(&step.desired)));
        let facts = self
            .facts
            .iter()
            .map(|fact| (&fact.resource, &fact.seen, fact.desired.as_ref()));
        steps.chain(facts)
    }

    /// Whether the plan is what it says: a file that somebody edited must not be performed. Gives the first fault.
    pub fn fault(&self) -> Option<String> {
        if self.unchanged != self.facts.len() {
            return Some(format!(
                "it tells of {} unchanged resources and lists {}",
                self.unchanged,
                self.facts.len()
            ));
        }
        let mut seen: BTreeSet<&ResourceId> = self.facts.iter().map(|fact| &fact.resource).collect();
        if seen.len() != self.facts.len() {
            return Some("it lists a resource twice".into());
        }
        for (place, step) in self.steps.iter().enumerate() {
            let what = format!("step {place}, {}", step.resource);
            if step.number != place {
                return Some(format!("{what}: its number is {}", step.number));
            }
            if step.kind != step.resource.kind() {
                return Some(format!("{what}: its kind is `{}`", step.kind));
            }
            if step.needs.iter().chain(&step.follows).any(|need| *need >= place) {
                return Some(format!("{what}: it comes before what it needs"));
            }
            let leaves = match step.action {
                Action::Remove => Presence::Absent,
                _ => Presence::Present,
            };
            if step.after.is != leaves
                || (leaves == Presence::Present && step.after.fingerprint != Fingerprint::of(&step.desired))
            {
                return Some(format!("{what}: it does not leave what it says"));
            }
            if !seen.insert(&step.resource) {
                return Some(format!("{what}: the resource is in the plan twice"));
            }
            if !step.estimate.seconds.is_finite() {
                return Some(format!("{what}: its estimate is no number"));
            }
        }
        None
    }
}

/// What stands between a saved plan and its seal.
const SEAL: &str = ",\n  \"seal\": \"";
/// What stands behind the seal, to the end of the file.
const END: &str = "\"\n}\n";

impl Plan {
    /// The text of a saved plan: JSON with a `seal` at its end, the SHA-256 of all bytes before it. It tells a torn or altered
    /// file from a whole one; it does not tell who wrote it.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let head = text.strip_suffix("\n}").unwrap_or(&text);
        let seal = Fingerprint::of_bytes(head.as_bytes());
        format!("{head}{SEAL}{}{END}", seal.as_str())
    }

    /// Reads a saved plan. Says in words what is wrong with a text that is not exactly what [`Plan::to_text`] gave.
    pub fn from_text(text: &str) -> Result<Self, String> {
        // the format first: another version's plan fails at some field or has no seal, and that would be no explanation
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Format {
            api_version: Option<String>,
        }
        let format: Format = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let format = format.api_version.unwrap_or_else(|| "none".into());
        if format != Self::API_VERSION {
            return Err(format!(
                "it is written in format `{format}`, and this program reads `{}`",
                Self::API_VERSION
            ));
        }
        let sealed = text
            .rsplit_once(SEAL)
            .and_then(|(head, seal)| Some((head, seal.strip_suffix(END)?)));
        let Some((head, seal)) = sealed else {
            return Err(
                "it has no seal at its end: it was not saved with `-o FILE`, or it was altered".into(),
            );
        };
        if Fingerprint::of_bytes(head.as_bytes()).as_str() != seal {
            return Err("it was altered: its seal does not fit".into());
        }
        let plan: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match plan.fault() {
            None => Ok(plan),
            Some(fault) => Err(format!("it is not whole: {fault}")),
        }
    }
}

/// JSON Schema (2020-12) of a plan, as `openg2p plan -o json` prints and `openg2p plan -o FILE` saves it.
pub fn plan_schema() -> Value {
    let mut schema = schemars::SchemaGenerator::new(schemars::generate::SchemaSettings::draft2020_12())
        .into_root_schema_for::<Plan>()
        .to_value();
    if let Value::Object(map) = &mut schema {
        map.insert(
            "$id".into(),
            "https://openg2p.org/schema/v1/plan.schema.json".into(),
        );
        map.insert("title".into(), "OpenG2P plan".into());
        if let Some(Value::Object(properties)) = map.get_mut("properties") {
            let seal = serde_json::json!({
                "type": "string",
                "description": "In a saved plan, at its end: SHA-256 of all bytes before `,` and this key.",
            });
            properties.insert("seal".into(), seal);
        }
    }
    schema
}

/// The text of `docs/reference/plan.schema.json`.
pub fn plan_schema_text() -> String {
    format!("{:#}\n", plan_schema())
}
