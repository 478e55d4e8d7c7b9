//! The logic of `openg2p verify ENVIRONMENT`: pays test beneficiaries through SPAR, G2P Bridge and the bank, and
//! compares what was asked, what the bank has posted and what came back, to the cent.
//!
//! The crate does no I/O of its own. Everything outside comes through four ports: [`Edge`] (the HTTPS way in),
//! [`Books`] (the bank's own books), [`Clock`] and [`Random`]. [`verify`] always ends with a [`Report`]; an error is
//! returned only for wishes that make no sense, before anything was sent.
//!
//! It is not a load test and not a monitor: it runs one payment cycle, says what it saw and which component to look at,
//! and says so when it could not find out.

mod addresses;
mod amount;
mod calls;
mod compare;
mod diagnosis;
mod flow;
mod message;
mod options;
mod payment;
mod plan;
mod ports;
mod refusals;
mod report;
mod signing;
mod table;

pub use amount::{Amount, AmountError};
pub use flow::verify;
pub use options::{Hosts, Options, OptionsError, Sponsor};
pub use ports::{
    BALANCES_QUERY, Balance, Books, BooksError, Clock, Edge, EdgeError, EdgeFailure, EdgeRequest,
    EdgeResponse, POSTINGS_QUERY, Posting, PostingSide, Random,
};
pub use report::{
    Beneficiary, Check, Event, Overall, Phase, PhaseTime, Report, Totals, Verdict, report_schema,
};
pub use signing::{KeyError, Signer};
pub use table::table;
