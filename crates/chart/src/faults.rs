//! From the faults of templates to errors of charts.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::error::ChartError;
use crate::template::exec::Set;
use crate::template::fault::Fault;

/// Helm shows the place and the last part of a parse error.
pub(crate) fn parse_error(path: &str, fault: &Fault) -> ChartError {
    let line = fault.outer.as_ref().map_or(0, |location| location.line);
    let reason = fault.text.rsplit(": ").next().unwrap_or(&fault.text).to_owned();
    ChartError::Parse {
        template: path.to_owned(),
        line,
        reason,
    }
}

/// A failure of a running template.
pub(crate) fn run_error(path: &str, fault: &Fault, set: &Rc<Set>) -> ChartError {
    // what `template` calls may be of another file
    let (template, line, column) = fault.outer.as_ref().map_or((path.to_owned(), 0, 0), |location| {
        (location.file.to_string(), location.line, location.column)
    });
    if let Some(function) = fault.refused {
        let (template, line) = fault.inner.as_ref().map_or((template, line), |location| {
            (location.file.to_string(), location.line)
        });
        let values = mentioned_values(set, &template, line);
        return ChartError::Random {
            template,
            line,
            function: function.to_owned(),
            values,
        };
    }
    if let Some(message) = &fault.warning {
        return ChartError::Refusal {
            template,
            line,
            column,
            message: message.clone(),
        };
    }
    let origin = fault
        .inner
        .as_ref()
        .filter(|inner| Some(*inner) != fault.outer.as_ref())
        .map(|location| (location.file.to_string(), location.line));
    ChartError::Template {
        template,
        line,
        origin,
        reason: fault.text.clone(),
    }
}

/// The values named in the lines around a call, which are those that decide whether it is made.
fn mentioned_values(set: &Set, file: &str, line: usize) -> String {
    let source = set
        .templates
        .values()
        .find(|tree| &*tree.source.name == file)
        .map(|tree| &tree.source);
    let Some(source) = source else {
        return "see the chart's documentation".to_owned();
    };
    let lines: Vec<&str> = source.text.lines().collect();
    let from = line.saturating_sub(6);
    let to = (line + 1).min(lines.len());
    let mut names = BTreeSet::new();
    for text in lines.get(from..to).unwrap_or_default() {
        let mut rest = *text;
        while let Some(at) = rest.find(".Values.") {
            rest = &rest[at + ".Values.".len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('.');
            if !name.is_empty() {
                names.insert(name.to_owned());
            }
            rest = &rest[end..];
        }
    }
    if names.is_empty() {
        return "see the lines before the call".to_owned();
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}
