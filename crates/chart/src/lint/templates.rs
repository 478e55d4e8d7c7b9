//! Rules about templates and what they make.

use super::names;
use super::{Files, Findings, Severity};
use crate::functions::semver::Version;
use crate::load::Chart;
use crate::render::{self, RenderOptions};
use crate::yaml::{self, Yaml};

/// Objects that Kubernetes means to drop: `API-VERSION KIND DEPRECATED-IN GONE-IN [INSTEAD]`.
const DEPRECATED: &str = include_str!("deprecated.txt");

pub(super) fn look(files: &Files, options: &RenderOptions, findings: &mut Findings) {
    const FOLDER: &str = "templates/";
    if files.get("templates").is_some() {
        findings.rule(Severity::Warning, FOLDER, Err("not a directory".to_owned()));
        return;
    }
    let chart = match files.load() {
        Ok(chart) => chart,
        Err(error) => {
            findings.rule(Severity::Error, FOLDER, Err(error.to_string()));
            return;
        }
    };
    let rendered = match render::rendered_for_lint(&chart, options) {
        Ok(Some(rendered)) => rendered,
        // What is wrong with the values is told elsewhere.
        Ok(None) => return,
        Err(error) => {
            findings.rule(Severity::Error, FOLDER, Err(error.to_string()));
            return;
        }
    };
    let kubernetes = Version::parse(&options.capabilities.kube_version).ok();
    for (name, source) in sources(&chart) {
        findings.rule(Severity::Error, name, extension(name));
        findings.rule(Severity::Warning, name, no_definition_hook(source));
        findings.rule(Severity::Error, name, no_release_time(source));
        let text = rendered.get(&format!("{}/{name}", chart.name()));
        let (true, Some(text)) = (extension_of(name) == ".yaml", text) else {
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        findings.rule(Severity::Warning, name, top_indent(text));
        for document in documents(text) {
            let value = match yaml::read(document.as_bytes()) {
                Ok(value) => value,
                Err(error) => {
                    let message = format!("unable to parse YAML: error converting YAML to JSON: {error}");
                    findings.rule(Severity::Error, name, Err(message));
                    return;
                }
            };
            if let Yaml::Map(_) = value {
                object(&value, text, name, kubernetes.as_ref(), findings);
            }
        }
    }
}

fn object(value: &Yaml, text: &str, file: &str, kubernetes: Option<&Version>, findings: &mut Findings) {
    let member = |from: &Yaml, key: &str| from.get(key).and_then(Yaml::as_text).unwrap_or_default();
    let (api_version, kind) = (member(value, "apiVersion"), member(value, "kind"));
    let name = value
        .get("metadata")
        .map(|metadata| member(metadata, "name"))
        .unwrap_or_default();
    findings.rule(Severity::Warning, file, names::check(&kind, &name));
    findings.rule(
        Severity::Warning,
        file,
        not_deprecated(&api_version, &kind, kubernetes),
    );
    let selects = text.contains("matchLabels") || text.contains("matchExpressions");
    let needs_selector = matches!(
        kind.as_str(),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet"
    );
    let selector = if needs_selector && !selects {
        Err(format!(
            "a {kind} must contain matchLabels or matchExpressions, and {} does not",
            crate::template::format::quote(&name)
        ))
    } else {
        Ok(())
    };
    findings.rule(Severity::Error, file, selector);
    findings.rule(Severity::Error, file, list_annotations(&kind, value));
}

/// Helm reads the whole chart's templates in the order of their names.
fn sources(chart: &Chart) -> impl Iterator<Item = (&str, &[u8])> {
    chart
        .templates
        .iter()
        .map(|file| (file.name.as_str(), file.data.as_slice()))
}

fn extension_of(name: &str) -> &str {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    base.rfind('.').map_or("", |at| &base[at..])
}

fn extension(name: &str) -> Result<(), String> {
    let extension = extension_of(name);
    if matches!(extension, ".yaml" | ".yml" | ".tpl" | ".txt") {
        return Ok(());
    }
    Err(format!(
        "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"
    ))
}

fn no_definition_hook(source: &[u8]) -> Result<(), String> {
    let source = String::from_utf8_lossy(source);
    let found = source.match_indices("helm.sh/hook").any(|(at, found)| {
        let rest = &source[at + found.len()..];
        let rest = rest.strip_prefix('"').unwrap_or(rest);
        rest.strip_prefix(':').is_some_and(|rest| {
            let word = rest.trim_start_matches(['\t', '\n', '\x0C', '\r', ' ']);
            word.len() < rest.len() && word.starts_with("crd-install")
        })
    });
    if found {
        return Err(
            "manifest is a crd-install hook. This hook is no longer supported in v3 and all CRDs should also exist the crds/ \
             directory at the top level of the chart"
                .to_owned(),
        );
    }
    Ok(())
}

fn no_release_time(source: &[u8]) -> Result<(), String> {
    if String::from_utf8_lossy(source).contains(".Release.Time") {
        return Err(
            ".Release.Time has been removed in v3, please replace with the `now` function in your templates"
                .to_owned(),
        );
    }
    Ok(())
}

fn top_indent(text: &str) -> Result<(), String> {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if first.starts_with([' ', '\t']) {
        return Err(format!(
            "document starts with an illegal indent: {}, which may cause parsing problems",
            crate::template::format::quote(first)
        ));
    }
    Ok(())
}

/// Divided at lines that are `---` with nothing but space behind it.
fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") && line[3..].trim().is_empty() {
            documents.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents.retain(|document| !document.trim().is_empty());
    documents
}

fn not_deprecated(api_version: &str, kind: &str, kubernetes: Option<&Version>) -> Result<(), String> {
    let Some(kubernetes) = kubernetes else {
        return Ok(());
    };
    let number = |text: &str| -> (u64, u64) {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
    };
    for line in DEPRECATED.lines() {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().unwrap_or_default();
        if (word(), word()) != (api_version, kind) {
            continue;
        }
        let (since, gone, instead) = (word(), word(), word());
        if number(since) > (kubernetes.major, kubernetes.minor) {
            return Ok(());
        }
        let mut message = format!("{api_version} {kind} is deprecated in v{since}+");
        if gone != "-" {
            message.push_str(&format!(", unavailable in v{gone}+"));
        }
        if !instead.is_empty() {
            message.push_str(&format!("; use {instead}"));
        }
        return Err(message);
    }
    Ok(())
}

fn list_annotations(kind: &str, value: &Yaml) -> Result<(), String> {
    let Some(Yaml::Seq(items)) = value.get("items").filter(|_| kind == "List") else {
        return Ok(());
    };
    let kept = |item: &Yaml| {
        let annotations = item
            .get("metadata")
            .and_then(|metadata| metadata.get("annotations"));
        annotations.is_some_and(|annotations| annotations.get("helm.sh/resource-policy").is_some())
    };
    if items.iter().any(kept) {
        return Err("Annotation 'helm.sh/resource-policy' within List objects are ignored".to_owned());
    }
    Ok(())
}
