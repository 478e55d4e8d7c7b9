//! Rules about `Chart.yaml`.

use super::{Files, Findings, Severity};
use crate::functions::semver::Version;
use crate::metadata::Metadata;
use crate::template::format::quote;
use crate::yaml::{self, Yaml};

const FILE: &str = "Chart.yaml";

pub(super) fn look(files: &Files, findings: &mut Findings) {
    let text = files.get(FILE).unwrap_or_default();
    let mut metadata = Metadata::default();
    let read = metadata
        .read(text)
        .map_err(|reason| format!("unable to parse YAML\n\t{reason}"));
    if !findings.rule(Severity::Error, FILE, read) {
        return;
    }
    let document = yaml::read(text).unwrap_or(Yaml::Null);
    let mut error = |result| findings.rule(Severity::Error, FILE, result);
    error(name(&metadata));
    error(api_version(&metadata));
    error(is_text(&document, "version"));
    error(version(&metadata));
    error(is_text(&document, "appVersion"));
    error(maintainers(&metadata));
    error(sources(&metadata));
    let icon = metadata.icon.as_str();
    let recommended = if icon.is_empty() {
        Err("icon is recommended".to_owned())
    } else {
        Ok(())
    };
    findings.rule(Severity::Info, FILE, recommended);
    let mut error = |result| findings.rule(Severity::Error, FILE, result);
    error(unless(
        !icon.is_empty() && !is_request_url(icon),
        format!("invalid icon URL '{icon}'"),
    ));
    let second = metadata.api_version == "v2";
    error(unless(
        !metadata.kind.is_empty() && !second,
        format!(
            "chart type is not valid in apiVersion '{}'. It is valid in apiVersion 'v2'",
            metadata.api_version
        ),
    ));
    error(unless(
        !metadata.dependencies.is_empty() && !second,
        format!(
            "dependencies are not valid in the Chart file with apiVersion '{}'. They are valid in apiVersion 'v2'",
            metadata.api_version
        ),
    ));
}

fn unless(wrong: bool, message: impl Into<String>) -> Result<(), String> {
    if wrong { Err(message.into()) } else { Ok(()) }
}

fn name(metadata: &Metadata) -> Result<(), String> {
    let name = &metadata.name;
    unless(name.is_empty(), "name is required")?;
    unless(
        crate::functions::base_path(name) != *name,
        format!("chart name {} is invalid", quote(name)),
    )
}

fn api_version(metadata: &Metadata) -> Result<(), String> {
    match metadata.api_version.as_str() {
        "" => Err("apiVersion is required. The value must be either \"v1\" or \"v2\"".to_owned()),
        "v1" | "v2" => Ok(()),
        other => Err(format!(
            "apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\""
        )),
    }
}

/// What should be a text is one, with the name of Go's type for what it is.
fn is_text(document: &Yaml, key: &str) -> Result<(), String> {
    let found = match document.get(key) {
        None | Some(Yaml::Str(_)) => return Ok(()),
        Some(Yaml::Null) => "<nil>",
        Some(Yaml::Bool(_)) => "bool",
        Some(Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_)) => "float64",
        Some(Yaml::Seq(_)) => "[]interface {}",
        Some(Yaml::Map(_)) => "map[string]interface {}",
    };
    Err(format!("{key} should be of type string but it's of type {found}"))
}

fn version(metadata: &Metadata) -> Result<(), String> {
    let text = &metadata.version;
    unless(text.is_empty(), "version is required")?;
    let Ok(version) = Version::parse(text) else {
        return Err(format!("version '{text}' is not a valid SemVer"));
    };
    let lowest = Version::parse("0.0.0-0")?;
    unless(
        version.compare(&lowest) != std::cmp::Ordering::Greater,
        format!("version {text} is less than or equal to 0.0.0-0"),
    )
}

fn maintainers(metadata: &Metadata) -> Result<(), String> {
    for maintainer in &metadata.maintainers {
        let (name, email, url) = (&maintainer.name, &maintainer.email, &maintainer.url);
        unless(name.is_empty(), "each maintainer requires a name")?;
        if !email.is_empty() {
            unless(
                !is_email(email),
                format!("invalid email '{email}' for maintainer '{name}'"),
            )?;
        } else if !url.is_empty() {
            unless(
                !is_url(url),
                format!("invalid url '{url}' for maintainer '{name}'"),
            )?;
        }
    }
    Ok(())
}

fn sources(metadata: &Metadata) -> Result<(), String> {
    let wrong = metadata.sources.iter().find(|source| !is_request_url(source));
    match wrong {
        Some(source) => Err(format!("invalid source URL '{source}'")),
        None => Ok(()),
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_part =
        |character: char| character.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(character);
    let dots = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    !local.is_empty()
        && local.chars().all(local_part)
        && dots(local)
        && domain.contains('.')
        && dots(domain)
        && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|character| character.is_alphanumeric() || character == '-' || character == '_')
}

/// The scheme of an address and what follows it.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let fits = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    fits.then_some((scheme, rest))
}

/// What a request may be sent to: any address with a scheme.
fn is_request_url(text: &str) -> bool {
    let plain = !text
        .chars()
        .any(|character| character.is_control() || character == ' ');
    plain && scheme(text).is_some_and(|(_, rest)| rest.starts_with('/') || !rest.is_empty())
}

/// An address of a host, whose scheme may be left out.
fn is_url(text: &str) -> bool {
    if text.len() < 3 || text.starts_with('.') || text.contains(char::is_whitespace) {
        return false;
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest)) => {
            if !matches!(scheme, "ftp" | "tcp" | "udp" | "wss" | "ws" | "http" | "https") {
                return false;
            }
            rest
        }
        None => text,
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => name,
        Some(_) => return false,
        None => host,
    };
    (host == "localhost" || host.contains('.')) && host.split('.').all(is_label)
}
