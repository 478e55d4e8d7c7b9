//! Compares this crate with Helm, from recorded answers and, where the oracle was built, with Helm itself.
//!
//! The oracle is the Go program in `oracle/`: `cd crates/chart/oracle && go build -o ~/.cache/openg2p/chart-oracle .`
//! With `CHART_RECORD=1` the recorded answers are written anew from it.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests read fixtures, run the oracle, say what they skip and stop at the first surprise"
)]

mod case;
mod expressions;
mod fixtures;
mod library;
mod oracle;
mod properties;
mod shipped;
