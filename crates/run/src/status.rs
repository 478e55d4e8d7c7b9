//! How each part of the site stands: a verdict, its causes in words, and the command that helps.

use std::collections::BTreeMap;

use futures::future::join_all;
use openg2p_plan::{Ledger, Observed, Verdict};
use openg2p_ports::{Cluster, ObjectRef, Readiness};
use serde::{Deserialize, Serialize};

use crate::{Situation, waits_for_readiness};

/// Causes beyond so many are counted only.
const CAUSES: usize = 5;

/// One workload's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Owner in words.
    pub owner: String,
    /// Component or part.
    pub part: String,
    /// e.g. `Deployment dev/spar-mapper`.
    pub object: String,
    /// `ready`, `waiting`, `stuck`, `absent`, `unknown`.
    pub state: String,
    /// The cause in words.
    pub why: String,
}

/// How a part stands, from well to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As the site file says, and everything runs.
    Good,
    /// As the site file says, and some of it is still on its way.
    Starting,
    /// The site file does not ask for it any more, and it is still there.
    LeftOver,
    /// Nothing of it is there yet.
    Absent,
    /// Something is not as the site file says.
    Drifted,
    /// Something is there that is not ours, or was changed in a way that is never overwritten.
    Refused,
    /// Something cannot be read.
    Unknown,
    /// Something will not run without a change.
    Failing,
}

impl Standing {
    /// The word people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Starting => "starting",
            Self::LeftOver => "left over",
            Self::Absent => "absent",
            Self::Drifted => "drifted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Failing => "failing",
        }
    }

    /// The command that helps.
    fn next(self, cause: Option<&Cause>) -> String {
        match self {
            Self::Good => String::new(),
            Self::Starting => "openg2p status".into(),
            Self::LeftOver | Self::Absent | Self::Drifted => "openg2p plan".into(),
            Self::Refused => cause.map_or_else(
                || "openg2p plan".into(),
                |cause| format!("openg2p explain {}", cause.what),
            ),
            Self::Unknown | Self::Failing => "openg2p doctor".into(),
        }
    }
}

/// Why a part does not stand well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// A resource or a workload.
    pub what: String,
    /// In words.
    pub why: String,
}

/// How one part of one owner stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartStatus {
    /// Owner in words: `site`, `environment dev`.
    pub owner: String,
    /// Component or part.
    pub part: String,
    /// The verdict.
    pub standing: Standing,
    /// How many resources it has.
    pub resources: usize,
    /// The causes of the verdict, and of nothing milder.
    pub causes: Vec<Cause>,
    /// How many causes there are in all.
    pub causes_in_all: usize,
    /// The next command; empty when all is well.
    pub next: String,
}

#[derive(Default)]
struct Gathered {
    resources: usize,
    absent: usize,
    causes: Vec<(Standing, Cause)>,
}

/// The verdict on every part, the site's own parts first. Pure.
pub fn judge(situation: &Situation, workloads: &[Workload]) -> Vec<PartStatus> {
    let mut parts: BTreeMap<(String, String), Gathered> = BTreeMap::new();
    let mut add = |owner: String, part: &str, count: usize, found: Option<(Standing, Cause)>| {
        let gathered = parts.entry((owner, part.to_owned())).or_default();
        gathered.resources += count;
        if let Some((standing, cause)) = found {
            gathered.absent += usize::from(standing == Standing::Absent);
            gathered.causes.push((standing, cause));
        }
    };
    for item in &situation.assessed {
        let found = match &item.verdict {
            Verdict::Same => None,
            Verdict::Create => Some((Standing::Absent, "it is not there".to_owned())),
            Verdict::Update(changes) => {
                let fields: Vec<String> = changes
                    .iter()
                    .take(3)
                    .map(|change| {
                        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "(unset)".into());
                        format!(
                            "{} is {} and should be {}",
                            change.path,
                            word(&change.from),
                            word(&change.to)
                        )
                    })
                    .collect();
                let why = if fields.is_empty() {
                    "it differs from the site file".to_owned()
                } else {
                    fields.join("; ")
                };
                Some((Standing::Drifted, why))
            }
            Verdict::Replace(why) => Some((Standing::Drifted, why.clone())),
            Verdict::Conflict(why) => Some((Standing::Refused, why.clone())),
            Verdict::Unknown(why) => Some((Standing::Unknown, why.clone())),
        };
        let what = item.resource.id.to_string();
        let found = found.map(|(standing, why)| (standing, Cause { what, why }));
        add(item.resource.owner.to_string(), &item.resource.part, 1, found);
    }
    for owned in &situation.orphans {
        if owned.observed == Observed::Absent {
            continue;
        }
        let cause = Cause {
            what: owned.entry.resource.to_string(),
            why: "the site file does not ask for it any more".into(),
        };
        let found = Some((Standing::LeftOver, cause));
        add(owned.entry.owner.to_string(), &owned.entry.part, 1, found);
    }
    for workload in workloads {
        let standing = match workload.state.as_str() {
            // what is absent is told by its resource
            "ready" | "absent" => continue,
            "waiting" => Standing::Starting,
            "stuck" => Standing::Failing,
            _ => Standing::Unknown,
        };
        let cause = Cause {
            what: workload.object.clone(),
            why: workload.why.clone(),
        };
        add(workload.owner.clone(), &workload.part, 0, Some((standing, cause)));
    }
    let mut all: Vec<PartStatus> = parts
        .into_iter()
        .map(|((owner, part), gathered)| verdict(owner, part, gathered))
        .collect();
    all.sort_by_key(|part| (part.owner != "site", part.owner.clone(), part.part.clone()));
    all
}

fn verdict(owner: String, part: String, gathered: Gathered) -> PartStatus {
    // one thing that is missing beside others that are there is drift; a part of which nothing is there was never made
    let whole = gathered.absent == gathered.resources;
    let weigh = |standing: Standing| {
        if standing == Standing::Absent && !whole {
            Standing::Drifted
        } else {
            standing
        }
    };
    let standing = gathered
        .causes
        .iter()
        .map(|(standing, _)| weigh(*standing))
        .max()
        .unwrap_or(Standing::Good);
    let mut causes: Vec<Cause> = gathered
        .causes
        .into_iter()
        .filter(|(own, _)| weigh(*own) == standing)
        .map(|(_, cause)| cause)
        .collect();
    let causes_in_all = causes.len();
    let next = standing.next(causes.first());
    causes.truncate(CAUSES);
    PartStatus {
        owner,
        part,
        standing,
        resources: gathered.resources,
        causes,
        causes_in_all,
        next,
    }
}

/// Workloads that the ledger holds, with their state.
pub async fn workloads(cluster: &dyn Cluster, ledger: &Ledger) -> Vec<Workload> {
    let entries = ledger.entries.values().filter_map(|entry| {
        let manifest = entry.desired.get("manifest")?;
        let object = ObjectRef::of(manifest)?;
        // a hook has done its work once, whatever became of it
        let stays = entry.resource.kind() == "kubernetes-object";
        (stays && waits_for_readiness(manifest)).then_some((entry, object))
    });
    let looks = entries.map(|(entry, object)| async move {
        let (state, why) = match cluster.get(&object).await {
            Ok(None) => ("absent", "it is not there".to_owned()),
            Err(error) => ("unknown", error.to_string()),
            Ok(Some(_)) => match cluster.readiness(&object).await {
                Ok(Readiness::Ready) => ("ready", String::new()),
                Ok(Readiness::Waiting(waiting)) => ("waiting", waiting.0),
                Ok(Readiness::Stuck(why)) => ("stuck", why),
                Err(error) => ("unknown", error.to_string()),
            },
        };
        Workload {
            owner: entry.owner.to_string(),
            part: entry.part.clone(),
            object: object.to_string(),
            state: state.into(),
            why,
        }
    });
    let mut all = join_all(looks).await;
    all.sort_by(|a, b| (&a.owner, &a.part, &a.object).cmp(&(&b.owner, &b.part, &b.object)));
    all
}
