//! The order in which go-yaml writes keys: letters after other characters, digits by their number.

use std::cmp::Ordering;

/// Compares two keys like go-yaml's `keyList`.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    if less(left, right) {
        Ordering::Less
    } else if less(right, left) {
        Ordering::Greater
    } else {
        left.cmp(right)
    }
}

fn less(left: &str, right: &str) -> bool {
    let a: Vec<char> = left.chars().collect();
    let b: Vec<char> = right.chars().collect();
    for index in 0..a.len().min(b.len()) {
        if a[index] == b[index] {
            continue;
        }
        let (a_letter, b_letter) = (a[index].is_alphabetic(), b[index].is_alphabetic());
        if a_letter && b_letter {
            return a[index] < b[index];
        }
        if a_letter || b_letter {
            return b_letter;
        }
        let start = i64::from(
            (a[index] == '0' || b[index] == '0')
                && a[..index]
                    .iter()
                    .rev()
                    .take_while(|digit| digit.is_ascii_digit())
                    .any(|digit| *digit != '0'),
        );
        let (a_number, a_end) = number(&a, index, start);
        let (b_number, b_end) = number(&b, index, start);
        if a_number != b_number {
            return a_number < b_number;
        }
        if a_end != b_end {
            return a_end < b_end;
        }
        return a[index] < b[index];
    }
    a.len() < b.len()
}

fn number(text: &[char], from: usize, start: i64) -> (i64, usize) {
    let mut number = start;
    let mut at = from;
    while let Some(digit) = text.get(at).and_then(|digit| digit.to_digit(10)) {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    (number, at)
}
