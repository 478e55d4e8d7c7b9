//! A plan as people read it: warnings first, then what is done, grouped by owner and part, then the sum.

use std::time::Duration;

use openg2p_plan::{Action, Estimate, Plan, Risk, Step};

use super::color::Paint;
use super::printer::Printer;
use super::remaining::human_duration;

/// Longer lists of names in a warning are cut.
const NAMED: usize = 5;

/// One step in words.
pub fn label(step: &Step) -> String {
    format!("{} {}", step.action.verb(), step.resource)
}

/// `3 to create, 1 to update`.
fn counts(steps: &[&Step]) -> String {
    Action::ALL
        .into_iter()
        .filter_map(|action| {
            let count = steps.iter().filter(|step| step.action == action).count();
            (count > 0).then(|| format!("{count} to {}", action.verb()))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Seconds in words; a plan file may say anything.
fn words(seconds: f64) -> String {
    human_duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// `about 2 min 05 s (1 min 40 s to 3 min 10 s)`, or that it is a guess.
pub fn time(estimate: &Estimate) -> String {
    let range = format!("{} to {}", words(estimate.low), words(estimate.high));
    if estimate.learned_from == 0 {
        format!("about {} (a guess; {range})", words(estimate.seconds))
    } else {
        format!("about {} ({range})", words(estimate.seconds))
    }
}

/// `3 to create, 1 to update; 90 unchanged; at least about 2 min`.
pub fn summary(plan: &Plan) -> String {
    let counts = counts(&plan.steps.iter().collect::<Vec<_>>());
    let time = words(plan.critical_path());
    format!("{counts}; {} unchanged; at least {time}", plan.unchanged)
}

/// What a person should know before anything else.
pub fn warnings(plan: &Plan) -> Vec<String> {
    let mut told = plan.warnings.clone();
    for (risk, words) in [
        (Risk::Data, "data is removed"),
        (Risk::Downtime, "a service is away for a while"),
    ] {
        let names: Vec<String> = plan.of_risk(risk).map(label).collect();
        if names.is_empty() {
            continue;
        }
        let steps = if names.len() == 1 { "step" } else { "steps" };
        let more = if names.len() > NAMED {
            format!(" and {} more", names.len() - NAMED)
        } else {
            String::new()
        };
        let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        told.push(format!(
            "{words} by {} {steps}: {}{more}",
            names.len(),
            shown.join(", ")
        ));
    }
    told
}

fn paint(action: Action) -> Paint {
    match action {
        Action::Create => Paint::Good,
        Action::Update | Action::Replace => Paint::Warning,
        Action::Remove => Paint::Bad,
    }
}

/// Control characters would let data move the cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Shows a plan.
pub fn show(plan: &Plan, printer: &Printer) {
    for warning in warnings(plan) {
        printer.warning(&one_line(&warning));
    }
    if plan.is_empty() {
        printer.data(&format!(
            "Nothing to do: {} resources are as they should be.\n",
            plan.unchanged
        ));
        return;
    }
    let colors = printer.paint_out();
    let mut groups: Vec<(String, Vec<&Step>)> = Vec::new();
    for step in &plan.steps {
        let name = format!("{} / {}", step.owner, step.part);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, steps)) => steps.push(step),
            None => groups.push((name, vec![step])),
        }
    }
    for (name, steps) in groups {
        printer.data(&format!(
            "{}  {}",
            colors.paint(Paint::Bold, &one_line(&name)),
            counts(&steps)
        ));
        for step in steps {
            let risk = match step.risk {
                Risk::Harmless => String::new(),
                risk => format!("  ({})", risk.word()),
            };
            printer.data(&format!(
                "  {} {}{}",
                colors.paint(paint(step.action), step.action.sign()),
                one_line(step.resource.as_str()),
                colors.paint(Paint::Warning, &risk)
            ));
            for change in &step.changes {
                let from = change.from.as_deref().unwrap_or("(unset)");
                let to = change.to.as_deref().unwrap_or("(unset)");
                let line = format!("{}: {from} -> {to}", change.path);
                printer.data(&format!("      {}", one_line(&line)));
            }
            if step.action == Action::Replace {
                printer.data(&format!("      {}", one_line(&step.why)));
            }
        }
    }
    printer.data("");
    let all: Vec<&Step> = plan.steps.iter().collect();
    printer.note(&format!("{}; {} unchanged", counts(&all), plan.unchanged));
    let restarts = plan.of_risk(Risk::Restart).count();
    if restarts > 0 {
        let steps = if restarts == 1 {
            "step restarts"
        } else {
            "steps restart"
        };
        printer.note(&format!("{restarts} {steps} a process"));
    }
    printer.note(&format!("time: at least {}", time(&plan.time())));
}
