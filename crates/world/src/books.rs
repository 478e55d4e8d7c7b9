//! The Example Bank's books, read from its own database as its own role.

use async_trait::async_trait;
use openg2p_ports::PortError;
use openg2p_verify::{
    Amount, BALANCES_QUERY, Balance, Books, BooksError, Clock, POSTINGS_QUERY, Posting, PostingSide,
};
use tokio_postgres::{Client, Config, NoTls, Row};

/// A connection that reads the bank's tables.
pub struct BankBooks {
    client: Client,
}

impl BankBooks {
    /// Logs in to `database` on `address` (the Service's cluster address, which this host reaches itself).
    pub async fn open(address: &str, database: &str, user: &str, password: &[u8]) -> Result<Self, PortError> {
        let mut config = Config::new();
        config
            .host(address)
            .port(5432)
            .dbname(database)
            .user(user)
            .password(password)
            .application_name("openg2p verify")
            .options("-c default_transaction_read_only=on")
            .connect_timeout(std::time::Duration::from_secs(10));
        let (client, connection) = config.connect(NoTls).await.map_err(|error| {
            let why = error
                .as_db_error()
                .map_or_else(|| error.to_string(), ToString::to_string);
            PortError::new(
                "verify::books",
                "read the bank's books",
                format!("database {database} at {address}"),
                why,
            )
        })?;
        // ends when the client is dropped; its errors show at the next query
        tokio::spawn(connection);
        Ok(Self { client })
    }
}

fn amount(row: &Row, column: usize) -> Result<Amount, BooksError> {
    let number: f64 = row
        .try_get(column)
        .map_err(|error| BooksError(error.to_string()))?;
    Amount::from_number(number).map_err(|error| BooksError(error.to_string()))
}

fn text(row: &Row, column: usize) -> Result<String, BooksError> {
    let text: Option<String> = row
        .try_get(column)
        .map_err(|error| BooksError(error.to_string()))?;
    Ok(text.unwrap_or_default())
}

#[async_trait]
impl Books for BankBooks {
    async fn postings(&self, disbursement_ids: &[String]) -> Result<Vec<Posting>, BooksError> {
        let rows = self
            .client
            .query(POSTINGS_QUERY, &[&disbursement_ids])
            .await
            .map_err(|error| BooksError(error.to_string()))?;
        rows.iter()
            .map(|row| {
                Ok(Posting {
                    disbursement_id: text(row, 0)?,
                    reference: text(row, 1)?,
                    account: text(row, 2)?,
                    side: if text(row, 3)? == "DEBIT" {
                        PostingSide::Debit
                    } else {
                        PostingSide::Credit
                    },
                    amount: amount(row, 4)?,
                    currency: text(row, 5)?,
                })
            })
            .collect()
    }

    async fn balances(&self, accounts: &[String]) -> Result<Vec<Balance>, BooksError> {
        let rows = self
            .client
            .query(BALANCES_QUERY, &[&accounts])
            .await
            .map_err(|error| BooksError(error.to_string()))?;
        rows.iter()
            .map(|row| {
                Ok(Balance {
                    account: text(row, 0)?,
                    currency: text(row, 1)?,
                    book: amount(row, 2)?,
                    available: amount(row, 3)?,
                })
            })
            .collect()
    }
}

/// The system's clocks.
pub struct SystemClock(std::time::Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn monotonic(&self) -> std::time::Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, span: std::time::Duration) {
        tokio::time::sleep(span).await;
    }
}

impl openg2p_verify::Random for crate::state::SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        openg2p_ports::Random::fill(self, bytes);
    }
}
