//! A plan field by field: what is, and what will be. Values of secrets are not in a plan, so they cannot be shown.

use openg2p_plan::{Action, FieldChange, Plan, Step};
use similar::{ChangeTag, TextDiff};

use super::color::{Paint, Painter};

/// Longest value on one line; what is longer, or has lines of its own, is shown below its field.
const SHORT: usize = 100;
/// Lines around a changed line of a text.
const AROUND: usize = 2;

/// Every step with its fields. `fields` gives what a thing that is made will be.
pub fn diff(plan: &Plan, painter: Painter, fields: impl Fn(&Step) -> Vec<FieldChange>) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let (sign, paint) = match step.action {
            Action::Create => ("+", Paint::Good),
            Action::Update => ("~", Paint::Warning),
            Action::Replace => ("±", Paint::Warning),
            Action::Remove => ("-", Paint::Bad),
        };
        let heading = format!("{sign} {} {}", step.action.verb(), step.resource);
        text.push_str(&painter.paint(paint, &heading));
        if !step.why.is_empty() {
            text.push_str(&painter.paint(Paint::Dim, &format!("  ({})", one_line(&step.why))));
        }
        text.push('\n');
        let own;
        let changes = match step.action {
            Action::Create => {
                own = fields(step);
                &own
            }
            _ => &step.changes,
        };
        for change in changes {
            field(&mut text, change, painter);
        }
        text.push('\n');
    }
    text
}

fn field(text: &mut String, change: &FieldChange, painter: Painter) {
    let path = one_line(&change.path);
    let long = |value: &Option<String>| {
        value
            .as_ref()
            .is_some_and(|value| value.contains('\n') || value.chars().count() > SHORT)
    };
    if long(&change.from) || long(&change.to) {
        text.push_str(&format!("    {path}:\n"));
        let (from, to) = (
            change.from.as_deref().unwrap_or(""),
            change.to.as_deref().unwrap_or(""),
        );
        let difference = TextDiff::from_lines(from, to);
        for (number, group) in difference.grouped_ops(AROUND).iter().enumerate() {
            if number > 0 {
                text.push_str("        …\n");
            }
            for line in group.iter().flat_map(|change| difference.iter_changes(change)) {
                let (sign, paint) = match line.tag() {
                    ChangeTag::Delete => ("-", Paint::Bad),
                    ChangeTag::Insert => ("+", Paint::Good),
                    ChangeTag::Equal => (" ", Paint::Dim),
                };
                let shown = format!("{sign} {}", one_line(line.value().trim_end_matches('\n')));
                text.push_str(&format!("        {}\n", painter.paint(paint, &shown)));
            }
        }
        return;
    }
    let line = match (&change.from, &change.to) {
        (None, Some(to)) => painter.paint(Paint::Good, &format!("+ {path}: {}", one_line(to))),
        (Some(from), None) => painter.paint(Paint::Bad, &format!("- {path}: {}", one_line(from))),
        (Some(from), Some(to)) if from == to => format!("~ {path}: {} changes", one_line(from)),
        (Some(from), Some(to)) => format!("~ {path}: {} -> {}", one_line(from), one_line(to)),
        (None, None) => format!("~ {path}"),
    };
    text.push_str(&format!("    {line}\n"));
}

/// Control characters would let data move the cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(from: Option<&str>, to: Option<&str>) -> String {
        let mut text = String::new();
        field(
            &mut text,
            &FieldChange::new("data.x", from, to),
            Painter::new(false),
        );
        text
    }

    #[test]
    fn short_values_stand_on_one_line() {
        assert_eq!(shown(Some("1"), Some("2")), "    ~ data.x: 1 -> 2\n");
        assert_eq!(shown(None, Some("2")), "    + data.x: 2\n");
        assert_eq!(shown(Some("1"), None), "    - data.x: 1\n");
        assert_eq!(
            shown(Some("(secret)"), Some("(secret)")),
            "    ~ data.x: (secret) changes\n"
        );
    }

    #[test]
    fn texts_are_compared_line_by_line() {
        let from = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let to = "a\nB\nc\nd\ne\nf\ng\nh\nI\n";
        assert_eq!(
            shown(Some(from), Some(to)),
            "    data.x:\n          a\n        - b\n        + B\n          c\n          d\n        …\n          g\n          h\n        - i\n        + I\n"
        );
    }

    #[test]
    fn no_value_moves_the_cursor() {
        assert_eq!(shown(None, Some("x\u{1b}[2J")), "    + data.x: x [2J\n");
    }
}
