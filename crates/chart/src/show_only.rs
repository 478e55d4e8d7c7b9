//! `--show-only`: some templates' part of a manifest.

use crate::error::ChartError;
use crate::glob::file_match;
use crate::manifest;

/// The documents that templates with such names wrote, for each pattern in turn: `templates/*.yaml`,
/// `charts/*/templates/service.yaml`.
///
/// # Errors
///
/// [`ChartError::NoSuchTemplate`] where a pattern fits nothing that was rendered.
pub fn show_only(manifest: &str, patterns: &[String]) -> Result<String, ChartError> {
    let documents: Vec<(&str, &str)> = manifest::split(manifest)
        .into_iter()
        .filter_map(|document| Some((template_of(document)?, document)))
        .collect();
    let mut out = String::new();
    for pattern in patterns {
        let mut found = false;
        for (template, document) in &documents {
            if file_match(pattern, template).unwrap_or(false) {
                found = true;
                out.push_str(&format!("---\n{document}\n"));
            }
        }
        if !found {
            return Err(ChartError::NoSuchTemplate {
                pattern: pattern.clone(),
            });
        }
    }
    Ok(out)
}

/// The template's path below its chart, from the first comment that names one.
fn template_of(document: &str) -> Option<&str> {
    document.match_indices("# Source: ").find_map(|(at, found)| {
        let line = document[at + found.len()..].lines().next()?;
        let (chart, path) = line.split_once('/')?;
        (!chart.is_empty() && !path.is_empty()).then_some(path)
    })
}
