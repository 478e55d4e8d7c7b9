//! Version constraints such as `>=1.2 <2 || ^3.1-0`.

use std::borrow::Cow;
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

const VERSION: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

/// Longer ones come before those that they begin with.
const OPERATORS: &[&str] = &["!=", ">=", "=>", "<=", "=<", "~>", "=", ">", "<", "~", "^"];

/// `1.2 - 1.4`, which means `>=1.2,<=1.4`. Hardly anybody writes it, and a pattern takes long to build.
fn without_ranges(text: &str) -> Option<Cow<'_, str>> {
    static RANGE: OnceLock<Option<Regex>> = OnceLock::new();
    let has_range =
        |part: &[u8]| matches!(part, [before, b'-', after] if is_space(*before) && is_space(*after));
    if !text.as_bytes().windows(3).any(has_range) {
        return Some(Cow::Borrowed(text));
    }
    let build = || {
        regex::RegexBuilder::new(&format!(r"\s*({VERSION})\s+-\s+({VERSION})\s*"))
            .unicode(false)
            .build()
            .ok()
    };
    let range = RANGE.get_or_init(build).as_ref()?;
    Some(range.replace_all(text, |found: &regex::Captures<'_>| {
        let part = |index: usize| found.get(index).map_or("", |part| part.as_str());
        format!(">={},<={} ", part(1), part(11))
    }))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0B | 0x0C | b'\r' | b' ')
}

fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'x' | b'X' | b'*' | b'|')
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Reads the conditions of one alternative, from left to right; there is never a choice.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// A condition as it is written.
#[derive(Default)]
struct Written<'t> {
    operator: &'t str,
    version: &'t str,
    major: &'t str,
    /// With the point before it, as the next.
    minor: &'t str,
    patch: &'t str,
    /// With the dash before it.
    prerelease: &'t str,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Passes over bytes of a kind, all of them ASCII, and tells how many there were.
    fn run(&mut self, kind: fn(u8) -> bool) -> usize {
        let length = self.rest().bytes().take_while(|byte| kind(*byte)).count();
        self.at += length;
        length
    }

    /// A mark and a word behind it, or nothing of both.
    fn marked(&mut self, mark: char, kind: fn(u8) -> bool) -> bool {
        let before = self.at;
        if self.rest().starts_with(mark) {
            self.at += mark.len_utf8();
            if self.run(kind) > 0 {
                return true;
            }
        }
        self.at = before;
        false
    }

    /// The same, with more words that points divide.
    fn identifiers(&mut self, mark: char) {
        if self.marked(mark, is_identifier) {
            while self.marked('.', is_identifier) {}
        }
    }

    fn since(&self, from: usize) -> &'t str {
        &self.text[from..self.at]
    }

    fn condition(&mut self) -> Option<Written<'t>> {
        let mut written = Written::default();
        self.run(is_space);
        if let Some(operator) = OPERATORS
            .iter()
            .copied()
            .find(|operator| self.rest().starts_with(*operator))
        {
            written.operator = operator;
            self.at += operator.len();
        }
        self.run(is_space);
        let from = self.at;
        if self.rest().starts_with('v') {
            self.at += 1;
        }
        let mut before = self.at;
        if self.run(is_number) == 0 {
            return None;
        }
        written.major = self.since(before);
        before = self.at;
        if self.marked('.', is_number) {
            written.minor = self.since(before);
            before = self.at;
            if self.marked('.', is_number) {
                written.patch = self.since(before);
            }
        }
        before = self.at;
        self.identifiers('-');
        written.prerelease = self.since(before);
        self.identifiers('+');
        written.version = self.since(from);
        Some(written)
    }

    /// All conditions, with white space or a comma between them; nothing where there is anything else.
    fn conditions(&mut self) -> Option<Vec<Written<'t>>> {
        let mut found = vec![self.condition()?];
        loop {
            let spaces = self.run(is_space);
            if self.rest().is_empty() {
                return Some(found);
            }
            if self.rest().starts_with(',') {
                self.at += 1;
            } else if spaces == 0 {
                return None;
            }
            found.push(self.condition()?);
        }
    }
}

impl Constraints {
    /// Reads constraints; the error is in the words of the Go library.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 512 {
            return Err("constraint string is too long (max 512 bytes)".to_owned());
        }
        let text = without_ranges(text).ok_or("constraint parser error")?;
        let alternatives = text
            .split("||")
            .map(|alternative| {
                let mut reader = Reader {
                    text: alternative,
                    at: 0,
                };
                match reader.conditions() {
                    Some(conditions) => conditions.iter().map(Condition::new).collect(),
                    None => Err(format!("improper constraint: {}", format::quote(alternative))),
                }
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
    fn new(written: &Written<'_>) -> Result<Self, String> {
        let open = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let Written {
            major,
            minor,
            patch,
            prerelease,
            ..
        } = written;
        let (version, open, minor_open, patch_open) = if open(major) {
            (format!("0.0.0{prerelease}"), true, false, false)
        } else if open(minor) {
            (format!("{major}.0.0{prerelease}"), true, true, false)
        } else if open(patch) {
            (format!("{major}{minor}.0{prerelease}"), true, false, true)
        } else {
            (written.version.to_owned(), false, false, false)
        };
        let version = Version::parse(&version).map_err(|_| "constraint parser error".to_owned())?;
        Ok(Self {
            operator: written.operator.to_owned(),
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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// The patterns of the Go library, which decide what a constraint is: a whole one, each condition in it, one condition.
    static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
        [
            format!(r"^(\s*({OPERATORS})\s*({VERSION})\s*)((?:\s+|,\s*)({OPERATORS})\s*({VERSION})\s*)*$"),
            format!(r"({OPERATORS})\s*({VERSION})"),
            format!(r"^\s*({OPERATORS})\s*({VERSION})\s*$"),
        ]
        .map(|pattern| regex::RegexBuilder::new(&pattern).unicode(false).build().unwrap())
    });

    fn by_patterns(text: &str) -> Option<Vec<[String; 6]>> {
        let [whole, each, one] = &*PATTERNS;
        whole.is_match(text).then(|| {
            each.find_iter(text)
                .map(|found| {
                    let found = one.captures(found.as_str()).unwrap();
                    [1, 2, 3, 4, 5, 6]
                        .map(|index| found.get(index).map_or("", |part| part.as_str()).to_owned())
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn conditions_are_read_as_by_the_patterns(
            text in "(>=|=>|<=|=<|!=|~>|[=<>~^,.+\\-v| \t0-9xX*ab]|1\\.2|-rc\\.1|, ?| ){0,12}"
        ) {
            let read = Reader { text: &text, at: 0 }.conditions().map(|conditions| {
                conditions
                    .iter()
                    .map(|written| {
                        [
                            written.operator,
                            written.version,
                            written.major,
                            written.minor,
                            written.patch,
                            written.prerelease,
                        ]
                        .map(str::to_owned)
                    })
                    .collect::<Vec<_>>()
            });
            prop_assert_eq!(read, by_patterns(&text));
        }
    }
}
