//! `.helmignore`.

use crate::glob::file_match;

/// Patterns of files that belong to the folder but not to the chart.
pub(crate) struct Rules {
    patterns: Vec<Pattern>,
}

struct Pattern {
    text: String,
    negated: bool,
    folders_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            patterns: vec![Pattern {
                text: "templates/.?*".to_owned(),
                negated: false,
                folders_only: false,
            }],
        }
    }
}

impl Rules {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let rule = line.trim();
            if rule.is_empty() || rule.starts_with('#') {
                continue;
            }
            if rule.contains("**") {
                return Err("double-star (**) syntax is not supported".to_owned());
            }
            if file_match(rule, "abc").is_none() {
                return Err(format!("syntax error in pattern {rule:?}"));
            }
            let (negated, rule) = rule.strip_prefix('!').map_or((false, rule), |rest| (true, rest));
            let (folders_only, rule) = rule.strip_suffix('/').map_or((false, rule), |rest| (true, rest));
            patterns.push(Pattern {
                text: rule.to_owned(),
                negated,
                folders_only,
            });
        }
        let mut rules = Self { patterns };
        rules.patterns.extend(Self::default().patterns);
        Ok(rules)
    }

    /// Whether a file, or a folder that it lies in, is to be left out.
    pub(crate) fn ignores(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.into_iter().any(|folder| self.ignores_entry(folder, true)) || self.ignores_entry(path, false)
    }

    fn ignores_entry(&self, path: &str, folder: bool) -> bool {
        for pattern in &self.patterns {
            if pattern.negated {
                if (pattern.folders_only && !folder) || !pattern.matches(path) {
                    return true;
                }
                continue;
            }
            if pattern.folders_only && !folder {
                continue;
            }
            if pattern.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (pattern, path) = match self.text.strip_prefix('/') {
            Some(rooted) => (rooted, path),
            None if self.text.contains('/') => (self.text.as_str(), path),
            None => (self.text.as_str(), name),
        };
        file_match(pattern, path).unwrap_or(false)
    }
}
