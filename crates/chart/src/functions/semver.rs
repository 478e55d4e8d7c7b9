//! Versions and constraints, by the rules of the semver library that Helm uses.

use std::cmp::Ordering;
use std::rc::Rc;

use super::arguments::text;
use super::constraints::Constraints;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::object::{Method, MethodRun, Object};
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::{IntKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("semver", &[Ty::Str], |_, args| {
        let version = Version::parse(&text(args, 0)).map_err(Fault::new)?;
        Ok(Value::Object(Rc::new(version)))
    }),
    fixed("semverCompare", &[Ty::Str, Ty::Str], |_, args| {
        let constraints = Constraints::parse(&text(args, 0)).map_err(Fault::new)?;
        let version = Version::parse(&text(args, 1)).map_err(Fault::new)?;
        Ok(constraints.allow(&version).into())
    }),
];

/// Whether a version lies in a range; what cannot be read does not.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (Constraints::parse(range), Version::parse(version)) {
        (Ok(constraints), Ok(version)) => constraints.allow(&version),
        _ => false,
    }
}

/// A semantic version, read loosely: `v1`, `1.2` and `01.2.3` are accepted.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

const INVALID: &str = "invalid semantic version";

impl Version {
    /// Reads a version; the error is in the words of the Go library.
    pub(crate) fn parse(whole: &str) -> Result<Self, String> {
        if whole.len() > 256 {
            return Err("version string is too long (max 256 bytes)".to_owned());
        }
        let rest = whole.strip_prefix('v').unwrap_or(whole);
        let (rest, metadata) = match rest.split_once('+') {
            Some((rest, metadata)) => (rest, Some(metadata)),
            None => (rest, None),
        };
        let (numbers, prerelease) = match rest.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (rest, None),
        };
        let identifiers = |text: &str| {
            text.split('.').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
        };
        let segments: Vec<&str> = numbers.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if segments.len() > 3
            || !segments.iter().all(digits)
            || prerelease.is_some_and(|text| !identifiers(text))
            || metadata.is_some_and(|text| !identifiers(text))
        {
            return Err(INVALID.to_owned());
        }
        let number = |index: usize| -> Result<u64, String> {
            segments.get(index).map_or(Ok(0), |part| {
                part.parse().map_err(|_| {
                    let quoted = format::quote(part);
                    format!("error parsing version segment: strconv.ParseUint: parsing {quoted}: value out of range")
                })
            })
        };
        let prerelease = prerelease.unwrap_or_default();
        if prerelease.split('.').any(|part| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            return Err("version segment starts with 0".to_owned());
        }
        Ok(Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            prerelease: prerelease.to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: whole.to_owned(),
        })
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.major
            .cmp(&other.major)
            .then(self.minor.cmp(&other.minor))
            .then(self.patch.cmp(&other.patch))
            .then_with(
                || match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => compare_prerelease(&self.prerelease, &other.prerelease),
                },
            )
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(out, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(out, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Compares prereleases part by part: numbers before words, fewer parts before more.
pub(super) fn compare_prerelease(left: &str, right: &str) -> Ordering {
    let (left, right): (Vec<&str>, Vec<&str>) = (left.split('.').collect(), right.split('.').collect());
    for index in 0..left.len().max(right.len()) {
        let order = match (left.get(index), right.get(index)) {
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(a), Some(b)) if a == b => Ordering::Equal,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

impl Object for Version {
    fn type_name(&self) -> &'static str {
        "*semver.Version"
    }

    fn kind_name(&self) -> &'static str {
        "ptr"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        method(name)
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        self.to_string().into()
    }

    fn version(&self) -> Option<&Version> {
        Some(self)
    }
}

fn unsigned(number: u64) -> Value {
    Value::Int(number.cast_signed(), IntKind::Uint64)
}

fn of(value: &Value) -> Result<&Version, Fault> {
    match value {
        Value::Object(object) => object.version().ok_or_else(|| Fault::new("not a version")),
        _ => Err(Fault::new("not a version")),
    }
}

fn ordered(value: &Value, args: &[Value]) -> Result<Ordering, Fault> {
    Ok(of(value)?.compare(of(args.first().unwrap_or(&Value::Nil))?))
}

fn next(value: &Value, change: fn(&mut Version)) -> Result<Value, Fault> {
    let mut version = of(value)?.clone();
    let prefix = if version.original.starts_with('v') {
        "v"
    } else {
        ""
    };
    change(&mut version);
    version.original = format!("{prefix}{version}");
    Ok(Value::Object(Rc::new(version)))
}

fn clear(version: &mut Version) {
    version.prerelease.clear();
    version.metadata.clear();
}

fn method(name: &str) -> Option<Method> {
    const PEER: &[Ty] = &[Ty::Version];
    let (params, run): (&'static [Ty], MethodRun) = match name {
        "Major" => (&[], |value, _| Ok(unsigned(of(value)?.major))),
        "Minor" => (&[], |value, _| Ok(unsigned(of(value)?.minor))),
        "Patch" => (&[], |value, _| Ok(unsigned(of(value)?.patch))),
        "Prerelease" => (&[], |value, _| Ok(of(value)?.prerelease.as_str().into())),
        "Metadata" => (&[], |value, _| Ok(of(value)?.metadata.as_str().into())),
        "Original" => (&[], |value, _| Ok(of(value)?.original.as_str().into())),
        "String" => (&[], |value, _| Ok(of(value)?.to_string().into())),
        "Compare" => (PEER, |value, args| Ok(Value::int(ordered(value, args)? as i64))),
        "Equal" => (PEER, |value, args| {
            Ok((ordered(value, args)? == Ordering::Equal).into())
        }),
        "LessThan" => (PEER, |value, args| {
            Ok((ordered(value, args)? == Ordering::Less).into())
        }),
        "LessThanEqual" => (PEER, |value, args| {
            Ok((ordered(value, args)? != Ordering::Greater).into())
        }),
        "GreaterThan" => (PEER, |value, args| {
            Ok((ordered(value, args)? == Ordering::Greater).into())
        }),
        "GreaterThanEqual" => (PEER, |value, args| {
            Ok((ordered(value, args)? != Ordering::Less).into())
        }),
        "IncMajor" => (&[], |value, _| {
            next(value, |version| {
                clear(version);
                version.major = version.major.saturating_add(1);
                version.minor = 0;
                version.patch = 0;
            })
        }),
        "IncMinor" => (&[], |value, _| {
            next(value, |version| {
                clear(version);
                version.minor = version.minor.saturating_add(1);
                version.patch = 0;
            })
        }),
        "IncPatch" => (&[], |value, _| {
            next(value, |version| {
                // A prerelease of a patch comes before it, so that its number stays.
                if version.prerelease.is_empty() {
                    version.patch = version.patch.saturating_add(1);
                }
                clear(version);
            })
        }),
        _ => return None,
    };
    Some(Method { params, run })
}
