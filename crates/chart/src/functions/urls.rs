//! URLs, by Go's `net/url`.

use super::arguments::{map, text};
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("urlParse", &[Ty::Str], url_parse),
    fixed("urlJoin", &[Ty::Map], url_join),
];

/// Go's `QueryEscape`.
pub(super) fn query_escape(text: &[u8]) -> String {
    escape(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
    })
    .replace("%20", "+")
}

fn escape(text: &[u8], keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for byte in text.iter().copied() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str, whole: &str) -> Result<String, Fault> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = bytes
                .get(at + 1..at + 3)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                out.push(byte);
            } else {
                let end = (at + 3).min(bytes.len());
                let part = String::from_utf8_lossy(&bytes[at..end]).into_owned();
                return Err(broken(
                    whole,
                    &format!("invalid URL escape {}", format::quote(&part)),
                ));
            }
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn broken(whole: &str, reason: &str) -> Fault {
    Fault::new(format!(
        "unable to parse url: parse {}: {reason}",
        format::quote(whole)
    ))
}

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<String>,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

fn parse(whole: &str) -> Result<Url, Fault> {
    if whole.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(broken(whole, "net/url: invalid control character in URL"));
    }
    let mut url = Url::default();
    let (rest, fragment) = whole.split_once('#').unwrap_or((whole, ""));
    url.fragment = unescape(fragment, whole)?;
    let mut rest = rest;
    let scheme_end =
        rest.find(|character: char| !(character.is_ascii_alphanumeric() || "+-.".contains(character)));
    match scheme_end {
        Some(0) if rest.starts_with(':') => return Err(broken(whole, "missing protocol scheme")),
        Some(end) if rest[end..].starts_with(':') && rest.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            url.scheme = rest[..end].to_ascii_lowercase();
            rest = &rest[end + 1..];
        }
        _ => {}
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    query.clone_into(&mut url.query);
    rest = before;
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest
            .split('/')
            .next()
            .is_some_and(|segment| segment.contains(':'))
        {
            return Err(broken(whole, "first path segment in URL cannot contain colon"));
        }
    }
    if let Some(authority) = rest.strip_prefix("//") {
        let slash = authority.find('/').unwrap_or(authority.len());
        rest = &authority[slash..];
        let authority = &authority[..slash];
        let host = match authority.rsplit_once('@') {
            Some((user, host)) => {
                url.user = Some(user.to_owned());
                host
            }
            None => authority,
        };
        if host.starts_with('[') && !host.contains(']') {
            return Err(broken(whole, "missing ']' in host"));
        }
        let allowed = |character: char| {
            !character.is_ascii()
                || character.is_ascii_alphanumeric()
                || "!$&'()*+,;=:[]<>\"-_.~%".contains(character)
        };
        if let Some(found) = host.chars().find(|character| !allowed(*character)) {
            let found = crate::template::format::quote(&found.to_string());
            return Err(broken(whole, &format!("invalid character {found} in host name")));
        }
        url.host = unescape(host, whole)?;
        let port = host
            .rsplit_once(':')
            .filter(|_| !host.ends_with(']'))
            .map(|(_, port)| port);
        if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
            let port = format::quote(&format!(":{}", port.unwrap_or_default()));
            return Err(broken(whole, &format!("invalid port {port} after host")));
        }
    }
    url.path = unescape(rest, whole)?;
    Ok(url)
}

fn hostname(host: &str) -> &str {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    host.split(':').next().unwrap_or(host)
}

fn url_parse(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let url = parse(&text(args, 0))?;
    let entries = [
        ("scheme", url.scheme.clone()),
        ("host", url.host.clone()),
        ("hostname", hostname(&url.host).to_owned()),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", url.user.unwrap_or_default()),
    ];
    Ok(Value::map(
        entries
            .into_iter()
            .map(|(key, value)| (key.into(), Value::from(value)))
            .collect(),
    ))
}

fn url_join(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let dict = map(args, 0);
    let get = |key: &str| -> Result<String, Fault> {
        match dict.get(key) {
            None => Ok(String::new()),
            Some(Value::Str(text)) => Ok(text.to_string()),
            Some(other) => Err(Fault::new(format!(
                "unable to parse {key} key, must be of type string, but {} found",
                other.kind_name()
            ))),
        }
    };
    let (scheme, host, path) = (get("scheme")?, get("host")?, get("path")?);
    let (query, opaque, fragment, user) = (get("query")?, get("opaque")?, get("fragment")?, get("userinfo")?);
    let path_keeps = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!*'()".contains(&byte);
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !scheme.is_empty() || !host.is_empty() || !user.is_empty() {
            if !host.is_empty() || !path.is_empty() || !user.is_empty() {
                out.push_str("//");
            }
            if !user.is_empty() {
                out.push_str(&user);
                out.push('@');
            }
            out.push_str(&host);
        }
        let path = escape(path.as_bytes(), path_keeps);
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty()
            && path
                .split('/')
                .next()
                .is_some_and(|segment| segment.contains(':'))
        {
            out.push_str("./");
        }
        out.push_str(&path);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=?@!*'()".contains(&byte);
        out.push_str(&escape(fragment.as_bytes(), keep));
    }
    Ok(out.into())
}
