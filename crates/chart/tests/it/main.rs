//! Compares this crate with Helm, from recorded answers and, where the oracle was built, with Helm itself.
//!
//! Helm's answers are recorded, so that the ordinary tests need no Helm. The tests that are ignored by default ask Helm
//! itself: `cargo xtask test charts` builds the oracle in `oracle/` and runs them. With `CHART_RECORD=1` they write the
//! recorded answers anew.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests read fixtures, run the oracle, say what they skip and stop at the first surprise"
)]

mod carried;
mod case;
mod expressions;
mod fixtures;
mod foreign;
mod generator;
mod hostile;
mod library;
mod oracle;
mod properties;
mod shipped;
