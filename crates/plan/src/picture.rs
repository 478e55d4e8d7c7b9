//! A plan as a picture: which step waits for which. DOT for Graphviz, SVG for a browser.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::{Action, Plan, Step};

/// Needs without those that follow from others: a step that needs two steps, one of which needs the other, is drawn under
/// the later one only. Soft order is kept apart.
fn drawn_needs(plan: &Plan) -> Vec<Vec<usize>> {
    // all steps before a step, as bits: plans that are worth a picture have few thousand steps
    let words = plan.steps.len().div_ceil(64);
    let mut before: Vec<Vec<u64>> = Vec::with_capacity(plan.steps.len());
    let mut drawn = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let mut all = vec![0_u64; words];
        let mut kept = Vec::new();
        // a later need is never before an earlier one, so that from the back each is either new or implied
        let mut needs = step.needs.clone();
        needs.sort_unstable();
        for need in needs.into_iter().rev() {
            if all[need / 64] >> (need % 64) & 1 == 1 {
                continue;
            }
            kept.push(need);
            all[need / 64] |= 1 << (need % 64);
            for (mine, theirs) in all.iter_mut().zip(&before[need]) {
                *mine |= theirs;
            }
        }
        kept.reverse();
        drawn.push(kept);
        before.push(all);
    }
    drawn
}

fn color(action: Action) -> &'static str {
    match action {
        Action::Create => "#1a7f37",
        Action::Update => "#9a6700",
        Action::Replace => "#8250df",
        Action::Remove => "#cf222e",
    }
}

fn label(step: &Step) -> String {
    format!("{} {}", step.action.sign(), step.resource)
}

/// Groups of steps: owner and part, in the order in which they first come.
fn groups(plan: &Plan) -> Vec<(String, Vec<usize>)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for step in &plan.steps {
        let name = format!("{}: {}", step.owner, step.part);
        let place = *places.entry(name.clone()).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(step.number);
    }
    groups
}

/// The plan in the language of Graphviz: `dot -Tsvg plan.dot`. Arrows go from a step to those that wait for it; dashed ones are
/// soft order.
pub fn dot(plan: &Plan) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::from(
        "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n",
    );
    for (place, (name, steps)) in groups(plan).into_iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{place} {{\n    label={};", quoted(&name));
        for number in steps {
            let step = &plan.steps[number];
            let _ = writeln!(
                out,
                "    s{number} [label={}, color=\"{}\", tooltip={}];",
                quoted(&label(step)),
                color(step.action),
                quoted(&step.why)
            );
        }
        out.push_str("  }\n");
    }
    for (step, needs) in plan.steps.iter().zip(drawn_needs(plan)) {
        for need in needs {
            let _ = writeln!(out, "  s{need} -> s{};", step.number);
        }
        for other in &step.follows {
            let _ = writeln!(out, "  s{other} -> s{} [style=dashed];", step.number);
        }
    }
    out.push_str("}\n");
    out
}

const ROW: usize = 22;
const BOX: usize = 16;
const GAP: usize = 90;
const MARGIN: usize = 20;
const LETTER: usize = 6;

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// Steps in layers: each one layer behind the last of what it waits for. Within a layer they stand near the middle of what they
/// wait for, so that lines are short.
fn layers(plan: &Plan) -> Vec<Vec<usize>> {
    let mut depth = vec![0_usize; plan.steps.len()];
    for (number, step) in plan.steps.iter().enumerate() {
        let before = step.needs.iter().chain(&step.follows);
        depth[number] = before.map(|need| depth[*need] + 1).max().unwrap_or(0);
    }
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth.iter().max().map_or(0, |most| most + 1)];
    for (number, depth) in depth.iter().enumerate() {
        layers[*depth].push(number);
    }
    let mut row = vec![0_usize; plan.steps.len()];
    for layer in &mut layers {
        layer.sort_by_key(|number| {
            let step = &plan.steps[*number];
            let before: Vec<usize> = step
                .needs
                .iter()
                .chain(&step.follows)
                .map(|need| row[*need])
                .collect();
            // in thousandths, so that no fraction decides differently on another machine
            let middle = before.iter().sum::<usize>() * 1000 / before.len().max(1);
            (middle, step.owner.clone(), step.part.clone(), *number)
        });
        for (place, number) in layer.iter().enumerate() {
            row[*number] = place;
        }
    }
    layers
}

/// The plan as SVG, drawn in layers from left to right. Every box tells more when the pointer rests on it.
pub fn svg(plan: &Plan) -> String {
    let layers = layers(plan);
    let mut left = vec![(0_usize, 0_usize, 0_usize); plan.steps.len()];
    let mut x = MARGIN;
    let mut height = 2 * MARGIN + ROW;
    for layer in &layers {
        let widest = layer
            .iter()
            .map(|number| label(&plan.steps[*number]).chars().count())
            .max()
            .unwrap_or(0);
        let width = widest * LETTER + 12;
        for (place, number) in layer.iter().enumerate() {
            left[*number] = (x, MARGIN + place * ROW, width);
        }
        height = height.max(2 * MARGIN + layer.len() * ROW + 2 * ROW);
        x += width + GAP;
    }
    let width = (x + MARGIN).saturating_sub(GAP).max(400);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"10\">\n\
         <title>Plan of site {}: {} steps</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escaped(&plan.site),
        plan.steps.len()
    );
    let mut line = |from: usize, to: usize, soft: bool| {
        let (from_x, from_y, from_width) = left[from];
        let (to_x, to_y, _) = left[to];
        let (x1, y1, y2) = (from_x + from_width, from_y + BOX / 2, to_y + BOX / 2);
        let bend = GAP / 2;
        let dash = if soft { " stroke-dasharray=\"3 3\"" } else { "" };
        let _ = writeln!(
            out,
            "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {to_x} {y2}\" fill=\"none\" stroke=\"#8c959f\"{dash}/>",
            x1 + bend,
            to_x.saturating_sub(bend)
        );
    };
    for (step, needs) in plan.steps.iter().zip(drawn_needs(plan)) {
        for need in needs {
            line(need, step.number, false);
        }
        for other in &step.follows {
            line(*other, step.number, true);
        }
    }
    for step in &plan.steps {
        let (x, y, width) = left[step.number];
        let more = format!(
            "step {}: {} {}\n{}\nof {} ({})\nrisk: {}; about {:.1} s\nundone by: {}",
            step.number,
            step.action.verb(),
            step.resource,
            step.why,
            step.part,
            step.owner,
            step.risk.word(),
            step.estimate.seconds,
            step.undo
        );
        let more: Vec<String> = more.lines().map(escaped).collect();
        let _ = writeln!(
            out,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"3\" fill=\"#f6f8fa\" \
             stroke=\"{}\"/><text x=\"{}\" y=\"{}\" fill=\"{}\">{}</text></g>",
            more.join("\n"),
            color(step.action),
            x + 6,
            y + 12,
            color(step.action),
            escaped(&label(step))
        );
    }
    let used: BTreeSet<Action> = plan.steps.iter().map(|step| step.action).collect();
    let mut x = MARGIN;
    for action in used {
        let text = format!("{} {} {}", action.sign(), plan.count(action), action.verb());
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" fill=\"{}\">{text}</text>",
            height - MARGIN / 2,
            color(action)
        );
        x += (text.chars().count() + 3) * LETTER;
    }
    out.push_str("</svg>\n");
    out
}
