//! Version constraints such as `>=1.2 <2 || ^3.1-0`.

use std::cmp::Ordering;
use std::sync::OnceLock;

use regex::Regex;

use super::semver::{Version, compare_prerelease};
use crate::template::format;

/// Alternatives, each a list of conditions that must all hold.
pub(super) struct Constraints {
    alternatives: Vec<Vec<Condition>>,
}

struct Condition {
    operator: String,
    version: Version,
    /// Some part of the version was left open.
    open: bool,
    minor_open: bool,
    patch_open: bool,
}

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const VERSION: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

struct Patterns {
    range: Regex,
    valid: Regex,
    each: Regex,
    one: Regex,
}

fn patterns() -> Option<&'static Patterns> {
    static PATTERNS: OnceLock<Option<Patterns>> = OnceLock::new();
    PATTERNS
        .get_or_init(|| {
            let build = |pattern: String| regex::RegexBuilder::new(&pattern).unicode(false).build().ok();
            Some(Patterns {
                range: build(format!(r"\s*({VERSION})\s+-\s+({VERSION})\s*"))?,
                valid: build(format!(
                    r"^(\s*({OPERATORS})\s*({VERSION})\s*)((?:\s+|,\s*)({OPERATORS})\s*({VERSION})\s*)*$"
                ))?,
                each: build(format!(r"({OPERATORS})\s*({VERSION})"))?,
                one: build(format!(r"^\s*({OPERATORS})\s*({VERSION})\s*$"))?,
            })
        })
        .as_ref()
}

impl Constraints {
    /// Reads constraints; the error is in the words of the Go library.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 512 {
            return Err("constraint string is too long (max 512 bytes)".to_owned());
        }
        let patterns = patterns().ok_or("constraint parser error")?;
        let text = patterns.range.replace_all(text, |found: &regex::Captures<'_>| {
            let part = |index: usize| found.get(index).map_or("", |part| part.as_str());
            format!(">={},<={} ", part(1), part(11))
        });
        let alternatives = text
            .split("||")
            .map(|alternative| {
                if !patterns.valid.is_match(alternative) {
                    return Err(format!("improper constraint: {}", format::quote(alternative)));
                }
                patterns
                    .each
                    .find_iter(alternative)
                    .map(|found| Condition::parse(found.as_str(), patterns))
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether the version satisfies one of the alternatives.
    pub(super) fn allow(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|conditions| {
            let prereleases = conditions
                .iter()
                .any(|condition| !condition.version.prerelease.is_empty());
            conditions
                .iter()
                .all(|condition| (prereleases || version.prerelease.is_empty()) && condition.allows(version))
        })
    }
}

impl Condition {
    fn parse(text: &str, patterns: &Patterns) -> Result<Self, String> {
        let improper = || format!("improper constraint: {}", format::quote(text));
        let found = patterns.one.captures(text).ok_or_else(improper)?;
        let part = |index: usize| found.get(index).map_or("", |part| part.as_str());
        let open = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, prerelease) = (part(3), part(4), part(5), part(6));
        let (version, open, minor_open, patch_open) = if open(major) {
            (format!("0.0.0{prerelease}"), true, false, false)
        } else if open(minor) {
            (format!("{major}.0.0{prerelease}"), true, true, false)
        } else if open(patch) {
            (format!("{major}{minor}.0{prerelease}"), true, false, true)
        } else {
            (part(2).to_owned(), false, false, false)
        };
        let version = Version::parse(&version).map_err(|_| "constraint parser error".to_owned())?;
        Ok(Self {
            operator: part(1).to_owned(),
            version,
            open,
            minor_open,
            patch_open,
        })
    }

    fn allows(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let order = version.compare(wanted);
        match self.operator.as_str() {
            "" | "=" if self.open => self.tilde(version, order),
            "" | "=" => order == Ordering::Equal,
            "!=" => self.differs(version, order),
            ">" => self.exceeds(version, order),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => {
                if !self.open {
                    return order != Ordering::Greater;
                }
                version.major <= wanted.major
                    && !(version.major == wanted.major && version.minor > wanted.minor && !self.minor_open)
            }
            "~" | "~>" => self.tilde(version, order),
            "^" => self.caret(version, order),
            _ => false,
        }
    }

    fn differs(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if self.open {
            if wanted.major != version.major {
                return true;
            }
            if wanted.minor != version.minor && !self.minor_open {
                return true;
            }
            if self.minor_open {
                return false;
            }
            if wanted.patch != version.patch && !self.patch_open {
                return true;
            }
            if self.patch_open {
                return (!version.prerelease.is_empty() || !wanted.prerelease.is_empty())
                    && compare_prerelease(&version.prerelease, &wanted.prerelease) != Ordering::Equal;
            }
        }
        order != Ordering::Equal
    }

    fn exceeds(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if !self.open {
            return order == Ordering::Greater;
        }
        match version.major.cmp(&wanted.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.minor_open => false,
            Ordering::Equal if self.patch_open => version.minor > wanted.minor,
            Ordering::Equal => order == Ordering::Greater,
        }
    }

    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if order == Ordering::Less {
            return false;
        }
        let any = wanted.major == 0 && wanted.minor == 0 && wanted.patch == 0;
        if any && !self.minor_open && !self.patch_open {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.minor_open)
    }

    fn caret(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if order == Ordering::Less {
            return false;
        }
        if wanted.major > 0 || self.minor_open {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_open {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}
