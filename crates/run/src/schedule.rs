//! Which step begins next: needs, soft order, and how many steps may work on one host or one API at once. Pure.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_kinds::node;
use openg2p_plan::{Action, Plan, Step};

use crate::Outcome;

/// Steps that change one host at once. They are short, and a small machine gains nothing from more.
const PER_HOST: usize = 8;
/// Steps on one Kubernetes API at once. They mostly wait for pods; the API itself takes far more.
const PER_API: usize = 16;

/// What steps share, and how many at once may hold it.
pub(crate) fn lanes(step: &Step) -> Vec<(String, usize)> {
    let kind = step.resource.kind();
    if matches!(
        kind,
        "kubernetes-object" | "kubernetes-hook" | "kubernetes-secret" | "partner-certificate" | "helm-record"
    ) {
        return vec![("kubernetes".into(), PER_API)];
    }
    let host = node(&step.resource);
    // The package manager, Nginx and systemd take one change at a time; unpacking images keeps a disk and a processor
    // busy, and more than two at once only make each other late.
    let narrow = match kind {
        "host-packages" => Some(("dpkg", 1)),
        "nginx-site" | "certificate" => Some(("nginx", 1)),
        "systemd-unit" => Some(("systemd", 1)),
        "container-image" => Some(("images", 2)),
        _ => None,
    };
    let narrow = narrow.map(|(name, most)| (format!("host {host} {name}"), most));
    std::iter::once((format!("host {host}"), PER_HOST))
        .chain(narrow)
        .collect()
}

/// The steps of a plan on their way.
pub(crate) struct Schedule {
    /// How many steps must end before this one may begin.
    missing: Vec<usize>,
    /// Who waits for a step, and whether it needs it or only follows.
    waiting: Vec<Vec<(usize, bool)>>,
    /// Steps that will not begin because something that they need was not done.
    blocked: Vec<bool>,
    /// Lanes of each step, as places in `most` and `busy`.
    lanes: Vec<usize>,
    sets: Vec<Vec<usize>>,
    most: Vec<usize>,
    busy: Vec<usize>,
    /// Steps that may begin, by set of lanes, the most urgent first.
    ready: BTreeMap<usize, BTreeSet<(usize, usize)>>,
    /// Place of a step among all, by urgency.
    rank: Vec<usize>,
    /// Removals of what is no longer wanted begin when all that makes something has ended.
    makers_left: usize,
    removals: Vec<usize>,
    left: usize,
}

/// Seconds of work from the beginning of each step to the end of the longest chain that waits for it.
fn urgency(plan: &Plan) -> Vec<f64> {
    let mut urgency: Vec<f64> = plan.steps.iter().map(|step| step.estimate.seconds).collect();
    for (number, step) in plan.steps.iter().enumerate().rev() {
        let own = urgency[number];
        for need in step.needs.iter().chain(&step.follows) {
            urgency[*need] = urgency[*need].max(plan.steps[*need].estimate.seconds + own);
        }
    }
    urgency
}

impl Schedule {
    /// For a plan without fault: its steps are numbered, and none comes before what it needs.
    pub(crate) fn new(plan: &Plan) -> Self {
        let count = plan.steps.len();
        let urgency = urgency(plan);
        let mut by_urgency: Vec<usize> = (0..count).collect();
        // what most other work waits for goes first
        by_urgency.sort_by(|a, b| urgency[*b].total_cmp(&urgency[*a]).then(a.cmp(b)));
        let mut rank = vec![0; count];
        for (place, number) in by_urgency.into_iter().enumerate() {
            rank[number] = place;
        }
        let mut schedule = Self {
            missing: vec![0; count],
            waiting: vec![Vec::new(); count],
            blocked: vec![false; count],
            lanes: Vec::with_capacity(count),
            sets: Vec::new(),
            most: Vec::new(),
            busy: Vec::new(),
            ready: BTreeMap::new(),
            rank,
            makers_left: 0,
            removals: Vec::new(),
            left: count,
        };
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut sets: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for (number, step) in plan.steps.iter().enumerate() {
            for (others, hard) in [(&step.needs, true), (&step.follows, false)] {
                for other in others {
                    schedule.waiting[*other].push((number, hard));
                    schedule.missing[number] += 1;
                }
            }
            if step.action == Action::Remove {
                schedule.removals.push(number);
            } else {
                schedule.makers_left += 1;
            }
            let mut set = Vec::new();
            for (name, most) in lanes(step) {
                let lane = *names.entry(name).or_insert_with(|| {
                    schedule.most.push(most);
                    schedule.busy.push(0);
                    schedule.most.len() - 1
                });
                set.push(lane);
            }
            let next = sets.len();
            let place = *sets.entry(set.clone()).or_insert(next);
            if place == schedule.sets.len() {
                schedule.sets.push(set);
            }
            schedule.lanes.push(place);
        }
        if schedule.makers_left > 0 {
            for number in &schedule.removals {
                schedule.missing[*number] += 1;
            }
        } else {
            schedule.removals.clear();
        }
        for number in 0..count {
            schedule.look(number);
        }
        schedule
    }

    fn look(&mut self, number: usize) {
        if self.missing[number] == 0 {
            let set = self.ready.entry(self.lanes[number]).or_default();
            set.insert((self.rank[number], number));
        }
    }

    /// The most urgent step whose lanes have room, which are taken. A blocked one takes no room: it only ends.
    pub(crate) fn next(&mut self) -> Option<Next> {
        let room = |set: &usize| {
            let lanes = self.sets[*set].iter();
            lanes.into_iter().all(|lane| self.busy[*lane] < self.most[*lane])
        };
        let (set, first) = self
            .ready
            .iter()
            .filter(|(set, _)| room(set))
            .filter_map(|(set, steps)| Some((*set, *steps.first()?)))
            .min_by_key(|(_, first)| *first)?;
        if let Some(steps) = self.ready.get_mut(&set) {
            steps.remove(&first);
        }
        let number = first.1;
        if self.blocked[number] {
            return Some(Next::Skip(number));
        }
        for lane in &self.sets[set] {
            self.busy[*lane] += 1;
        }
        Some(Next::Begin(number))
    }

    /// The lanes of a step that had begun are free again.
    pub(crate) fn release(&mut self, number: usize) {
        for lane in &self.sets[self.lanes[number]] {
            self.busy[*lane] -= 1;
        }
    }

    /// A step has ended, or will never begin.
    pub(crate) fn ended(&mut self, number: usize, action: Action, outcome: Outcome) {
        self.left -= 1;
        for (other, hard) in std::mem::take(&mut self.waiting[number]) {
            self.missing[other] -= 1;
            self.blocked[other] |= hard && outcome != Outcome::Done;
            self.look(other);
        }
        if action != Action::Remove {
            self.makers_left -= 1;
            if self.makers_left == 0 {
                for other in std::mem::take(&mut self.removals) {
                    self.missing[other] -= 1;
                    self.look(other);
                }
            }
        }
    }

    /// Whether every step has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// What comes next.
pub(crate) enum Next {
    /// This step begins.
    Begin(usize),
    /// This step never begins: something that it needs was not done.
    Skip(usize),
}
