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
