//! `.helmignore`.

use crate::error::ChartError;
use crate::glob::{FilePattern, file_match};

/// The patterns of a `.helmignore`: files that lie in a chart's folder but do not belong to the chart.
///
/// [`Chart::load`](crate::Chart::load) obeys them by itself. A caller that reads a folder uses them to leave out files that
/// are large, or that it may not read.
#[derive(Debug)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// Nothing where it was malformed, and fits no name.
    glob: Option<FilePattern>,
    /// It is compared with the whole path instead of its last part.
    whole: bool,
    negated: bool,
    folders_only: bool,
}

impl Default for IgnoreRules {
    /// What is left out even without a `.helmignore`.
    fn default() -> Self {
        Self {
            patterns: vec![Pattern::new("templates/.?*")],
        }
    }
}

impl IgnoreRules {
    /// Reads the text of a `.helmignore`.
    ///
    /// # Errors
    ///
    /// [`ChartError::File`] where a pattern cannot be read.
    pub fn read(text: &[u8]) -> Result<Self, ChartError> {
        Self::parse(&String::from_utf8_lossy(text)).map_err(|reason| ChartError::File {
            chart: ".".to_owned(),
            file: ".helmignore".to_owned(),
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
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
                negated,
                folders_only,
                ..Pattern::new(rule)
            });
        }
        let mut rules = Self { patterns };
        rules.patterns.extend(Self::default().patterns);
        Ok(rules)
    }

    /// Whether a file is to be left out, or a folder that it lies in; the path is relative to the chart's folder.
    pub fn ignores(&self, path: &str) -> bool {
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
    fn new(text: &str) -> Self {
        let rooted = text.strip_prefix('/');
        Self {
            glob: FilePattern::compile(rooted.unwrap_or(text)),
            whole: text.contains('/'),
            negated: false,
            folders_only: false,
        }
    }

    fn matches(&self, path: &str) -> bool {
        let name = if self.whole {
            path
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        self.glob.as_ref().is_some_and(|glob| glob.matches(name))
    }
}
