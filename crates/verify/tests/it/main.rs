//! Stories of the check on an honest fake of SPAR, Bridge and bank, and one run against the real services.

// A test says what it needs by panicking.
#![allow(clippy::unwrap_used)]

mod fake;
mod live;
mod stories;
