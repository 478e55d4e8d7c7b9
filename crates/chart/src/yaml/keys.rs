//! The order in which go-yaml writes keys: letters after other characters, digits by their number.

use std::cmp::Ordering;
use std::sync::Arc;

/// An entry of a mapping.
type Entry<'y, V> = (&'y Arc<str>, &'y V);

/// The entries in go-yaml's order of their keys. That is none in the strict sense: of some keys each comes before the next one and the last
/// before the first, where the sorts of the standard library may panic. This one ends with some order of theirs, as Go's does.
pub(super) fn sorted<'y, V>(mut entries: Vec<Entry<'y, V>>) -> Vec<Entry<'y, V>> {
    let behind = |left: &Entry<'y, V>, right: &Entry<'y, V>| compare(left.0, right.0) == Ordering::Greater;
    // most mappings are in order already
    if !entries.windows(2).any(|pair| behind(&pair[0], &pair[1])) {
        return entries;
    }
    let mut width = 1;
    while width < entries.len() {
        let mut merged = Vec::with_capacity(entries.len());
        for run in entries.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
                if behind(first, second) {
                    merged.push(*second);
                    right = right_rest;
                } else {
                    merged.push(*first);
                    left = left_rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        entries = merged;
        width *= 2;
    }
    entries
}

/// Compares two keys like go-yaml's `keyList`.
fn compare(left: &str, right: &str) -> Ordering {
    if less(left, right) {
        Ordering::Less
    } else if less(right, left) {
        Ordering::Greater
    } else {
        left.cmp(right)
    }
}

fn less(left: &str, right: &str) -> bool {
    let same = left
        .chars()
        .zip(right.chars())
        .take_while(|(left, right)| left == right)
        .map(|(character, _)| character.len_utf8())
        .sum();
    let ((before, a_rest), (_, b_rest)) = (left.split_at(same), right.split_at(same));
    let (Some(a), Some(b)) = (a_rest.chars().next(), b_rest.chars().next()) else {
        return a_rest.is_empty() && !b_rest.is_empty();
    };
    let (a_letter, b_letter) = (a.is_alphabetic(), b.is_alphabetic());
    if a_letter && b_letter {
        return a < b;
    }
    if a_letter || b_letter {
        return b_letter;
    }
    let start = i64::from(
        (a == '0' || b == '0')
            && before
                .chars()
                .rev()
                .take_while(char::is_ascii_digit)
                .any(|digit| digit != '0'),
    );
    let (a_number, a_length) = number(a_rest, start);
    let (b_number, b_length) = number(b_rest, start);
    if a_number != b_number {
        return a_number < b_number;
    }
    if a_length != b_length {
        return a_length < b_length;
    }
    a < b
}

/// The number that a text begins with, behind the digit that it may go on from, and how many digits it has.
fn number(text: &str, start: i64) -> (i64, usize) {
    text.chars()
        .map_while(|character| character.to_digit(10))
        .fold((start, 0), |(number, length), digit| {
            let number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
            (number, length + 1)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(keys: &[Arc<str>]) -> Vec<&str> {
        let entries = keys.iter().map(|key| (key, &())).collect();
        sorted(entries)
            .into_iter()
            .map(|(key, ())| key.as_ref())
            .collect()
    }

    #[test]
    fn keys_that_go_round_in_a_circle_are_all_written() {
        assert!(less("0q", "1") && less("1", "a") && less("a", "b"));
        let circle = ["10xA", "1e", "10", "011", "0q1", "1e3", "F1", "5e3", ".i- 1 -"];
        // enough of them that the standard library looks at what the comparison says
        let mut keys: Vec<Arc<str>> = Vec::new();
        for number in 0..20 {
            keys.extend(circle.map(|key| format!("{key}{number}").into()));
            keys.extend(circle.map(|key| format!("{}{key}", "1".repeat(number)).into()));
        }
        let mut written = names(&keys);
        assert_eq!(written.len(), keys.len());
        written.sort_unstable();
        let mut wanted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        wanted.sort_unstable();
        assert_eq!(written, wanted);
    }

    proptest! {
        #[test]
        fn where_the_order_is_one_it_is_kept(keys in prop::collection::btree_set("[a-z]{1,4}", 0..60)) {
            let mut keys: Vec<Arc<str>> = keys.into_iter().map(Into::into).collect();
            keys.reverse();
            let written = names(&keys);
            prop_assert!(written.is_sorted());
            prop_assert_eq!(written.len(), keys.len());
        }

        #[test]
        fn whatever_the_keys_are_none_is_lost(keys in prop::collection::btree_set("[0-9aF.e-]{1,6}", 0..80)) {
            let keys: Vec<Arc<str>> = keys.into_iter().map(Into::into).collect();
            let mut written = names(&keys);
            written.sort_unstable();
            let wanted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
            prop_assert_eq!(written, wanted);
        }
    }
}
