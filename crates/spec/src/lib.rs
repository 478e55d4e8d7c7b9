//! The site file: types, spans, and every error of a file at once.
//!
//! Text becomes a tree in which every value knows its place; the tree is checked against one declaration of all keys;
//! profiles are laid under it; and the result is [`model::Site`], which the rest of the engine reads. This crate reads no
//! files and knows no machines: it takes text and gives back values.

mod claims;
mod declaration;
mod diagnostic;
mod draft;
mod effective;
mod file;
mod known;
pub mod model;
mod network;
mod node;
mod profiles;
mod quote;
mod render;
mod resolve;
mod rule;
mod scalar;
mod schema;
mod secret;
mod semantics;
mod suggest;
mod walk;
mod yaml;

pub use declaration::API_VERSION;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Span};
pub use effective::{Effective, EffectiveLine, EffectiveValue, Origin};
pub use file::{Loaded, Parsed, load, parse};
pub use known::{KnownComponent, KnownComponents};
pub use model::Site;
pub use profiles::{Profiles, embedded_paths};
pub use rule::{Fault, Rule};
pub use schema::{ReferenceKey, reference, reference_table, site_schema, site_schema_text};
pub use yaml::LARGEST_FILE;

use serde_json::{Map, Value};

/// Values of one component in one environment, profile and site file merged. None when the environment does not have it.
pub fn component_values<'a>(
    site: &'a Site,
    environment: &str,
    component: &str,
) -> Option<&'a Map<String, Value>> {
    let environment = site.environments.get(environment)?;
    environment
        .modules
        .get(component)
        .or_else(|| environment.commons.get(component))
}
