//! How long things take: as long as last time on this machine, or as long as they took on a small one.

use std::time::Duration;

use crate::cache::Cache;

/// Seconds on a machine with two cores whose own caches are cold, by the start of the name. The first match counts.
const COLD: &[(&str, u64)] = &[
    ("go/kubernetes", 460),
    ("go/", 90),
    ("base/debian", 45),
    ("base/", 60),
    ("cargo/", 90),
    ("debian packages", 15),
    ("image/", 20),
];

/// A guess for one thing; `None` if it takes no time worth telling.
pub(crate) fn of(what: &str, cache: &Cache) -> Option<Duration> {
    cache.took(what).or_else(|| {
        let (_, seconds) = COLD.iter().find(|(start, _)| what.starts_with(start))?;
        Some(Duration::from_secs(*seconds))
    })
}

/// A guess for several things that `jobs` hands work on.
pub(crate) fn together(each: &[Duration], jobs: usize) -> Option<Duration> {
    let sum: Duration = each.iter().sum();
    let longest = each.iter().max()?;
    let shared = sum / u32::try_from(jobs.max(1)).unwrap_or(1);
    Some(shared.max(*longest)).filter(|guess| !guess.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_here_beats_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(of("go/kubernetes", &cache), Some(Duration::from_secs(460)));
        cache.set_took("go/kubernetes", Duration::from_millis(1500));
        assert_eq!(of("go/kubernetes", &cache), Some(Duration::from_millis(1500)));
        assert_eq!(of("chart/spar", &cache), None);
    }

    #[test]
    fn several_hands_help_but_not_with_one_long_thing() {
        let seconds = |all: &[u64]| {
            all.iter()
                .map(|&one| Duration::from_secs(one))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            together(&seconds(&[10, 10, 20]), 2),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            together(&seconds(&[10, 10, 100]), 2),
            Some(Duration::from_secs(100))
        );
        assert_eq!(together(&[], 2), None);
    }
}
