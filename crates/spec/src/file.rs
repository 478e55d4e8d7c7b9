//! The way from text to site, in two steps ([`parse`], [`Parsed::resolve`]) or in one ([`load`]).

use std::fmt;

use crate::declaration::{API_VERSION, SITE_FILE};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::draft::Draft;
use crate::effective::Effective;
use crate::known::KnownComponents;
use crate::model::Site;
use crate::node::{Content, Node};
use crate::profiles::Profiles;
use crate::quote::quote;
use crate::yaml::LARGEST_FILE;
use crate::{resolve, semantics, walk, yaml};

/// A site file without errors, before the profiles' defaults.
#[derive(Clone)]
pub struct Parsed {
    name: String,
    text: String,
    root: Node,
    known: KnownComponents,
    warnings: Vec<Diagnostic>,
}

impl fmt::Debug for Parsed {
    /// Without the text, which may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Parsed")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Everything that a site file says, with its profiles.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The complete site.
    pub site: Site,
    /// Every value with its origin.
    pub effective: Effective,
    /// What is allowed but should be looked at.
    pub warnings: Diagnostics,
}

/// Reads a site file. `name` is the file's name as the person gave it.
///
/// All errors come together, except that a file which is not YAML or is written for another version has only that error.
pub fn parse(name: &str, text: &str, known: &KnownComponents) -> Result<Parsed, Diagnostics> {
    let (root, mut problems) = tree(name, text, known);
    if let Some(root) = &root {
        problems.extend(semantics::contradictions(&Draft::of(root), known, name));
    }
    let diagnostics = Diagnostics::new(name, shown(text), problems);
    match root {
        Some(root) if diagnostics.error_count() == 0 => Ok(Parsed {
            name: name.to_owned(),
            text: text.to_owned(),
            root,
            known: known.clone(),
            warnings: diagnostics.items().to_vec(),
        }),
        _ => Err(diagnostics),
    }
}

impl Parsed {
    /// The complete site.
    pub fn resolve(&self, profiles: &Profiles) -> Result<Site, Diagnostics> {
        self.load(profiles).map(|loaded| loaded.site)
    }

    /// The complete site with origins and warnings.
    pub fn load(&self, profiles: &Profiles) -> Result<Loaded, Diagnostics> {
        finish(
            &self.name,
            &self.text,
            &self.root,
            &self.known,
            profiles,
            self.warnings.clone(),
        )
    }
}

/// Reads and completes a site file: the errors of both steps come together.
pub fn load(
    name: &str,
    text: &str,
    known: &KnownComponents,
    profiles: &Profiles,
) -> Result<Loaded, Diagnostics> {
    match tree(name, text, known) {
        (Some(root), problems) => finish(name, text, &root, known, profiles, problems),
        (None, problems) => Err(Diagnostics::new(name, shown(text), problems)),
    }
}

/// The tree with the faults of its single values.
fn tree(name: &str, text: &str, known: &KnownComponents) -> (Option<Node>, Vec<Diagnostic>) {
    let (root, mut problems) = yaml::read(name, text);
    let Some(root) = root.filter(|root| root.content != Content::Null) else {
        if problems.is_empty() {
            let start = Span {
                file: name.to_owned(),
                line: 1,
                column: 1,
                bytes: 0..0,
            };
            let problem = Diagnostic::error("site::empty-file", "the file says nothing", start);
            problems.push(problem.help("`openg2p init` writes a first site file"));
        }
        return (None, problems);
    };
    if let Some(problem) = other_version(&root) {
        problems.push(problem);
        return (None, problems);
    }
    problems.extend(walk::walk(&root, &SITE_FILE, Some(known)));
    (Some(root), problems)
}

/// A file that is too large to be read is too large to be shown.
fn shown(text: &str) -> &str {
    if text.len() > LARGEST_FILE { "" } else { text }
}

/// A file for another version would only seem to be full of errors.
fn other_version(root: &Node) -> Option<Diagnostic> {
    let node = root.get("apiVersion")?;
    let version = node.text()?;
    let ours = version.strip_prefix("openg2p.org/")?;
    if version == API_VERSION
        || !ours
            .strip_prefix('v')?
            .starts_with(|first: char| first.is_ascii_digit())
    {
        return None;
    }
    let message = format!(
        "the file is written for {}, but this openg2p reads `{API_VERSION}`",
        quote(version)
    );
    let problem = Diagnostic::error("site::unsupported-version", message, node.span.clone());
    Some(problem.help("use the openg2p that belongs to the file, or write the file anew for this one"))
}

fn finish(
    name: &str,
    text: &str,
    root: &Node,
    known: &KnownComponents,
    profiles: &Profiles,
    mut problems: Vec<Diagnostic>,
) -> Result<Loaded, Diagnostics> {
    let merged = resolve::merged(root, profiles, known, &mut problems);
    let draft = Draft::of(&merged);
    problems.extend(semantics::contradictions(&draft, known, name));
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Diagnostics::new(name, text, problems));
    }
    problems.extend(semantics::doubts(&Draft::of(root), known));
    match resolve::site(&merged) {
        Ok(site) => {
            let warnings = Diagnostics::new(name, text, problems);
            Ok(Loaded {
                site,
                effective: Effective::new(merged, name),
                warnings,
            })
        }
        Err(missing) => {
            let message = format!("the profile gives no value for `{missing}`");
            let problem = Diagnostic::error("profile::incomplete", message, root.span.clone());
            let help =
                format!("write `{missing}` into the file; and report it, for a profile should be complete");
            problems.push(problem.help(help));
            Err(Diagnostics::new(name, text, problems))
        }
    }
}
