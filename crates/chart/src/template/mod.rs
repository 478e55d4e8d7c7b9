//! Go's `text/template`, as far as Helm uses it.

mod constants;
pub(crate) mod eval;
pub(crate) mod exec;
pub(crate) mod fault;
pub(crate) mod float;
pub(crate) mod format;
mod lexer;
pub(crate) mod object;
pub(crate) mod parser;
mod pipelines;
mod print;
mod printf;
pub(crate) mod signature;
pub(crate) mod syntax;
pub(crate) mod value;
