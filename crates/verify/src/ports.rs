//! What the check needs from outside.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use crate::amount::Amount;

/// One request through the edge. Every request is a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRequest {
    /// Host name, as operators type it.
    pub host: String,
    /// Path, with its leading slash.
    pub path: String,
    /// Headers; `content-type` is among them.
    pub headers: Vec<(String, String)>,
    /// Body, to be sent byte by byte as it is: it is what the signature covers.
    pub body: Vec<u8>,
    /// Time after which no answer is expected any more.
    pub within: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// How a request failed before there was an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeFailure {
    /// The request has surely not been seen by a service: name unknown, connection refused, TLS failed.
    NotSent,
    /// Nobody knows whether the service has acted on it: the time ran out, the connection broke.
    Unknown,
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EdgeError {
    /// Whether the service may have acted on the request.
    pub failure: EdgeFailure,
    /// What happened.
    pub message: String,
}

/// The way in that users have: the HTTPS edge of the site.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Sends one request and waits for its answer.
    async fn call(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError>;
}

/// Whether a posting takes money from an account or gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostingSide {
    /// The account pays.
    Debit,
    /// The account is paid.
    Credit,
}

/// One line of the bank's accounting log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The disbursement that it belongs to.
    pub disbursement_id: String,
    /// The bank's own reference.
    pub reference: String,
    /// The account.
    pub account: String,
    /// Debit or credit.
    pub side: PostingSide,
    /// The amount; negative for a reversal.
    pub amount: Amount,
    /// The currency.
    pub currency: String,
}

/// An account as the bank has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The currency.
    pub currency: String,
    /// What is on the account.
    pub book: Amount,
    /// What of it can be spent.
    pub available: Amount,
}

/// The bank's books could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BooksError(pub String);

/// The bank's own books, read (never written) as the bank's own role.
#[async_trait]
pub trait Books: Send + Sync {
    /// All postings of these disbursements; [`POSTINGS_QUERY`] is the query for the Example Bank.
    async fn postings(&self, disbursement_ids: &[String]) -> Result<Vec<Posting>, BooksError>;
    /// These accounts, as far as they exist; [`BALANCES_QUERY`] is the query for the Example Bank.
    async fn balances(&self, accounts: &[String]) -> Result<Vec<Balance>, BooksError>;
}

/// The Example Bank's postings. Parameter 1 is an array of texts. Columns: disbursement id, reference, account,
/// `DEBIT` or `CREDIT`, amount (double precision, see [`Amount::from_number`]), currency.
pub const POSTINGS_QUERY: &str = "select customer_reference_no, reference_no, account_number, debit_credit::text, \
     transaction_amount, transaction_currency from accounting_logs where customer_reference_no = any($1) order by id";

/// The Example Bank's accounts. Parameter 1 is an array of texts. Columns: account, currency, book balance, available
/// balance (both double precision).
pub const BALANCES_QUERY: &str = "select account_number, account_currency, book_balance, available_balance \
     from accounts where account_number = any($1) order by id";

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day; only for what is written into messages and the report.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, which never jumps; for deadlines and durations.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, span: Duration);
}

/// Randomness.
pub trait Random: Send + Sync {
    /// Fills the bytes with the system's randomness.
    fn fill(&self, bytes: &mut [u8]);
}
