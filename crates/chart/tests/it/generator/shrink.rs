//! Makes a failing case small: fewer files, fewer assignments, shorter texts, as long as it fails.

use crate::case::Case;

/// A failing case is asked about at most so often.
const TRIES: usize = 1_200;

/// The smallest case found for which `fails` holds.
pub(crate) fn shrink(mut case: Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut tries = 0;
    let mut still = |candidate: &Case| {
        tries += 1;
        tries <= TRIES && fails(candidate)
    };
    let names: Vec<String> = case.files.keys().cloned().collect();
    for name in names {
        let mut candidate = case.clone();
        candidate.files.remove(&name);
        if still(&candidate) {
            case = candidate;
        }
    }
    let mut index = 0;
    while index < case.set.len() {
        let mut candidate = case.clone();
        candidate.set.remove(index);
        if still(&candidate) {
            case = candidate;
        } else {
            index += 1;
        }
    }
    let names: Vec<String> = case.files.keys().cloned().collect();
    for name in names {
        // Another name or version would only blur what differs.
        if name.ends_with("Chart.yaml") {
            continue;
        }
        let text = String::from_utf8_lossy(&case.files[&name]).into_owned();
        let mut with = |text: &str| {
            let mut candidate = case.clone();
            candidate.files.insert(name.clone(), text.as_bytes().to_vec());
            still(&candidate)
        };
        let short = shorten(&text, true, &mut with);
        case.files.insert(name, short.into_bytes());
    }
    let short = shorten(&case.values.clone(), true, &mut |text| {
        still(&Case {
            values: text.to_owned(),
            ..case.clone()
        })
    });
    case.values = short;
    for index in 0..case.set.len() {
        let line = case.set[index].1.clone();
        let short = shorten(&line, false, &mut |text| {
            let mut candidate = case.clone();
            text.clone_into(&mut candidate.set[index].1);
            still(&candidate)
        });
        case.set[index].1 = short;
    }
    case
}

/// Takes away halves, quarters and at last single characters. A file keeps its last line end, as fixtures need it.
fn shorten(text: &str, ended: bool, fails: &mut impl FnMut(&str) -> bool) -> String {
    let mut kept: Vec<char> = text.chars().collect();
    let mut size = kept.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < kept.len() {
            let end = (start + size).min(kept.len());
            let candidate: String = kept[..start].iter().chain(&kept[end..]).collect();
            let fits = !ended || candidate.is_empty() || candidate.ends_with('\n');
            if fits && fails(&candidate) {
                kept.drain(start..end);
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    kept.into_iter().collect()
}
