//! What Kubernetes accepts as the name of an object, and its words for what it does not.

use crate::template::format::quote;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
     and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with \
     an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
     and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
     '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// The name fits an object of this kind.
pub(super) fn check(kind: &str, name: &str) -> Result<(), String> {
    let faults = match kind.to_ascii_lowercase().as_str() {
        "service" => label(name, OLD_LABEL, |first| first.is_ascii_lowercase()),
        "namespace" => label(name, LABEL, |first| {
            first.is_ascii_lowercase() || first.is_ascii_digit()
        }),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    };
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| format!("metadata.name: Invalid value: {}: {fault}", quote(name)))
        .collect();
    let text = match faults.as_slice() {
        [] => return Ok(()),
        [fault] => fault.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(format!(
        "object name does not conform to Kubernetes naming requirements: {}: {text}",
        quote(name)
    ))
}

fn is_label(part: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    ends(part.bytes().next())
        && ends(part.bytes().next_back())
        && part
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn subdomain(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > 253 {
        faults.push("must be no more than 253 bytes".to_owned());
    }
    if !name.split('.').all(is_label) {
        faults.push(SUBDOMAIN.to_owned());
    }
    faults
}

fn label(name: &str, words: &str, first: impl Fn(u8) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > 63 {
        faults.push("must be no more than 63 bytes".to_owned());
    }
    if !is_label(name) || !name.bytes().next().is_some_and(first) {
        faults.push(words.replace(",  or ", ", or "));
    }
    faults
}

fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|part| name.contains(**part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}
