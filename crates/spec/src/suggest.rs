//! The key that was probably meant.

/// The candidate closest to `word`, if any is close enough to be meant.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = normal(word);
    let mut best: Option<(usize, bool, &str)> = None;
    for candidate in candidates {
        let wanted = normal(candidate);
        let distance = distance(&plain, &wanted);
        let allowed = (wanted.chars().count().max(plain.chars().count()) / 3).max(1);
        if distance > allowed {
            continue;
        }
        // Of two equally close, the one with the same first letter: few people misspell that.
        let other_start = plain.chars().next() != wanted.chars().next();
        if best.is_none_or(|(least, start, _)| (distance, other_start) < (least, start)) {
            best = Some((distance, other_start, candidate));
        }
    }
    best.map(|(_, _, candidate)| candidate)
}

/// `hostKey`, `host-key` and `host_key` are one word.
fn normal(word: &str) -> String {
    word.chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .take(100)
        .collect()
}

/// Edit distance in which swapped neighbours count once (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut cost = replaced.min(last[column + 1] + 1).min(now[column] + 1);
            let swapped = row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to;
            if swapped {
                cost = cost.min(before_last[column - 1] + 1);
            }
            now.push(cost);
        }
        before_last = std::mem::replace(&mut last, now);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("domian", "domain"), 1);
        assert_eq!(distance("name", "nam"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn what_was_meant() {
        let keys = ["name", "domain", "profile", "hostKey"];
        assert_eq!(closest("domian", keys), Some("domain"));
        assert_eq!(closest("host_key", keys), Some("hostKey"));
        assert_eq!(closest("HOSTKEY", keys), Some("hostKey"));
        assert_eq!(closest("wireguard", keys), None);
        assert_eq!(closest("x", keys), None);
    }
}
