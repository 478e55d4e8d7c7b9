//! Everything an installation needs, by digest: layout, lock, sources.
//!
//! A bundle is an OCI image layout directory plus `bundle.json`, the [`index`]. [`create::create`] fills one from the
//! sources that the catalogue's `bundle.yaml` files name, [`check::verify`] reads every byte of one. With the default
//! feature `sources` off, only the index is compiled, which is pure and small.
//!
//! Everything here blocks; call it from a thread that may. It prints nothing: [`progress::Progress`] takes the events.

pub mod index;

#[cfg(feature = "sources")]
pub mod cache;
#[cfg(feature = "sources")]
pub mod check;
#[cfg(feature = "sources")]
mod command;
#[cfg(feature = "sources")]
pub mod create;
#[cfg(feature = "sources")]
pub mod error;
#[cfg(feature = "sources")]
mod estimate;
#[cfg(feature = "sources")]
pub mod layout;
#[cfg(feature = "sources")]
pub mod lock;
#[cfg(feature = "sources")]
pub mod mirrors;
#[cfg(feature = "sources")]
pub mod moves;
#[cfg(feature = "sources")]
pub mod progress;
#[cfg(feature = "sources")]
pub mod recipe;
#[cfg(feature = "sources")]
pub mod sources;
