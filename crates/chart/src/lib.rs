//! Helm charts rendered in Rust.
//!
//! See the README for what is covered. In short: a [`Chart`] is loaded from files or from the bytes of a `.tgz`, and
//! [`render()`] turns it into objects, hooks, notes and definitions of custom resources, as `helm template` would. The
//! crate reads and writes no files, asks no cluster and knows no clock: what a chart may learn of the world is given to
//! it in [`RenderOptions`].
//!
//! ```
//! use openg2p_chart::{Chart, Release, RenderOptions, render};
//!
//! let files = [
//!     ("Chart.yaml".to_owned(), b"apiVersion: v2\nname: hello\nversion: 1.0.0\n".to_vec()),
//!     ("templates/greeting.yaml".to_owned(), b"kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n".to_vec()),
//! ];
//! let chart = Chart::load(files)?;
//! let rendered = render(&chart, &RenderOptions::new(Release::new("demo", "default")))?;
//! assert_eq!(rendered.objects[0].value()["metadata"]["name"], "demo");
//! # Ok::<(), openg2p_chart::ChartError>(())
//! ```

mod archive;
mod assign;
mod capabilities;
mod coalesce;
mod dependencies;
mod error;
mod faults;
mod files;
mod functions;
mod glob;
mod hooks;
mod ignore;
mod images;
mod instance;
mod json;
mod kinds;
mod lint;
mod load;
mod manifest;
mod metadata;
mod random;
mod render;
mod rendered;
mod schema;
mod show_only;
mod template;
mod values;
mod yaml;

pub use capabilities::Capabilities;
pub use error::ChartError;
pub use hooks::{Hook, HookEvent};
pub use ignore::IgnoreRules;
pub use images::images_of;
pub use lint::{Finding, Severity, lint};
pub use load::{Chart, unpack};
pub use metadata::{Dependency, Maintainer, Metadata};
pub use random::{Randomness, Seeded};
pub use render::{Lookup, Release, RenderOptions, effective_values, render};
pub use rendered::{Crd, Parts, Rendered, RenderedObject};
pub use show_only::show_only;
pub use values::Values;

/// The names of all functions that templates can call, sorted.
pub fn function_names() -> Vec<&'static str> {
    functions::names()
}
