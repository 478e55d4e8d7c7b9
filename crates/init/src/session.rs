//! Logging in: one attempt, and attempts until a deadline. Says exactly why a login was refused.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::credential::Credential;
use crate::deadline::Deadline;
use crate::error::InitError;
use openg2p_json_log::Log;

/// One attempt takes no longer than this; a server that accepts and then says nothing must not eat the deadline.
const ATTEMPT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// Where a login is tried and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
}

impl Place {
    /// Host and port as people write them.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Why a login did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("nothing answers there ({0})")]
    Unreachable(String),
    #[error("the server took the connection and gave no answer within {ATTEMPT:?}")]
    Silent,
    #[error("the server is starting or stopping ({0})")]
    Starting(String),
    #[error("the server has no free connection ({0})")]
    Full(String),
    #[error(
        "the password is wrong, or the role does not exist yet; the server tells the two apart only in its own log"
    )]
    WrongPassword,
    #[error("the server lets this role not log in this way ({0})")]
    NotAllowed(String),
    #[error("the database does not exist")]
    NoDatabase,
    #[error("the role may not connect to this database ({0})")]
    ConnectDenied(String),
    #[error("the database takes no connections at the moment ({0})")]
    Closed(String),
    #[error("the server answered {sqlstate}: {message}")]
    Other { sqlstate: String, message: String },
    #[error("what answers there does not speak PostgreSQL as expected ({0})")]
    Protocol(String),
}

impl Refusal {
    /// A stable word for this refusal.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "init::unreachable",
            Self::Silent => "init::no-answer",
            Self::Starting(_) => "init::server-starting",
            Self::Full(_) => "init::server-full",
            Self::WrongPassword => "init::wrong-password",
            Self::NotAllowed(_) => "init::login-not-allowed",
            Self::NoDatabase => "init::no-database",
            Self::ConnectDenied(_) => "init::connect-denied",
            Self::Closed(_) => "init::database-not-open",
            Self::Other { .. } => "init::login-refused",
            Self::Protocol(_) => "init::not-postgresql",
        }
    }

    /// What a person can do.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "check that PostgreSQL runs and that a NetworkPolicy lets this pod reach it; then host name and port"
            }
            Self::Silent => "look for a proxy or a firewall on the way, and at the load of the server",
            Self::Starting(_) => "look at the server's log: it has not finished its start",
            Self::Full(_) => "raise max_connections, or find the program that keeps so many connections",
            Self::WrongPassword => {
                "look at the postgres-init job of this module: it makes the role with the password of the same Secret"
            }
            Self::NotAllowed(_) => "compare pg_hba.conf and the role's LOGIN attribute with this login",
            Self::NoDatabase => "look at the postgres-init job of this module: it makes the database",
            Self::ConnectDenied(_) => {
                "let the owner of the database grant CONNECT, or use the database's own role"
            }
            Self::Closed(_) => "the database is being made, or somebody closed it (ALLOW_CONNECTIONS false)",
            Self::Other { .. } => "read the server's log at this time",
            Self::Protocol(_) => {
                "check host and port: is it PostgreSQL that listens there, and does it ask for SCRAM?"
            }
        }
    }

    /// Only a person can mend it, unless what is missing is being made at this moment.
    fn is_firm(&self) -> bool {
        matches!(
            self,
            Self::WrongPassword | Self::NotAllowed(_) | Self::ConnectDenied(_) | Self::Protocol(_)
        )
    }

    /// 3 when time may help, 4 when a person must.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_firm() { 4 } else { 3 }
    }
}

/// A login that worked.
pub(crate) struct Session {
    pub(crate) client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without the driver the socket closes, and the server ends the session and frees its locks.
        self.driver.abort();
    }
}

/// Limits that a session sets for itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) statement: Option<Duration>,
    pub(crate) lock: Option<Duration>,
}

/// Logs in once.
pub(crate) async fn login(
    place: &Place,
    credential: &Credential,
    limits: Limits,
    within: Duration,
) -> Result<Session, Refusal> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&place.host)
        .port(place.port)
        .dbname(&place.database)
        .user(&credential.username)
        .password(credential.password.reveal())
        .application_name("openg2p-init")
        // Inside a namespace the wire is the cluster's own; TLS to an outside server is not offered yet.
        .ssl_mode(SslMode::Disable)
        .keepalives_idle(Duration::from_secs(10));
    let mut options =
        String::from("-c client_min_messages=warning -c idle_in_transaction_session_timeout=60s");
    for (setting, value) in [
        ("statement_timeout", limits.statement),
        ("lock_timeout", limits.lock),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(options, " -c {setting}={}", value.as_millis());
        }
    }
    config.options(&options);
    let (client, connection) = match tokio::time::timeout(within.min(ATTEMPT), config.connect(NoTls)).await {
        Err(_) => return Err(Refusal::Silent),
        Ok(Err(why)) => return Err(refusal(&why)),
        Ok(Ok(pair)) => pair,
    };
    let driver = tokio::spawn(async move {
        // A broken connection shows in the statement that waits on it; here it would be told twice.
        let _ = connection.await;
    });
    Ok(Session { client, driver })
}

/// Logs in again and again until it works, the deadline has passed, or refusals that only a person can mend were the only answer for
/// `refused`; says what it waits for whenever the reason changes, and every ten seconds.
pub(crate) async fn login_until(
    place: &Place,
    credential: &Credential,
    limits: Limits,
    deadline: Deadline,
    refused: Duration,
    log: &Log,
) -> Result<Session, InitError> {
    let mut pause = FIRST_PAUSE;
    let mut told: Option<(&'static str, Instant)> = None;
    let mut firm_since: Option<Instant> = None;
    loop {
        // The last attempt, too, gets a fair time.
        let within = deadline.left().max(Duration::from_millis(250));
        let refusal = match login(place, credential, limits, within).await {
            Ok(session) => return Ok(session),
            Err(refusal) => refusal,
        };
        firm_since = refusal.is_firm().then(|| firm_since.unwrap_or_else(Instant::now));
        let held = firm_since.is_some_and(|since| since.elapsed() >= refused);
        if held || deadline.left().is_zero() {
            return Err(InitError::Login {
                place: Box::new(place.clone()),
                refusal,
                waited: deadline.elapsed(),
                deadline: deadline.whole(),
            });
        }
        let new = told.is_none_or(|(code, when)| code != refusal.code() || when.elapsed() >= REPORT_AGAIN);
        if new {
            told = Some((refusal.code(), Instant::now()));
            log.info(
                "waiting",
                &format!(
                    "waiting for a login as {:?} on database {:?} at {}: {refusal}",
                    place.username,
                    place.database,
                    place.address()
                ),
                &[
                    ("reason", refusal.code()),
                    ("left", &format!("{:.0?}", deadline.left())),
                ],
            );
        }
        tokio::time::sleep(deadline.at_most(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn refusal(why: &tokio_postgres::Error) -> Refusal {
    let Some(db) = why.as_db_error() else {
        let text = chain(why);
        let mut source = why.source();
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                // A name that cannot be resolved has no better kind either, but it fails before anything was said.
                let nonsense = matches!(
                    io.kind(),
                    std::io::ErrorKind::InvalidData
                        | std::io::ErrorKind::InvalidInput
                        | std::io::ErrorKind::Other
                ) && text.contains("communicating");
                return if nonsense {
                    Refusal::Protocol(text)
                } else {
                    Refusal::Unreachable(text)
                };
            }
            source = inner.source();
        }
        return if why.is_closed() {
            Refusal::Unreachable(text)
        } else {
            Refusal::Protocol(text)
        };
    };
    let message = db.message().to_owned();
    let code = db.code();
    if *code == SqlState::INVALID_PASSWORD {
        Refusal::WrongPassword
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        Refusal::NotAllowed(message)
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        Refusal::NoDatabase
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        Refusal::ConnectDenied(message)
    } else if *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
        Refusal::Closed(message)
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        Refusal::Full(message)
    } else if [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::OBJECT_IN_USE,
    ]
    .contains(code)
    {
        Refusal::Starting(message)
    } else {
        Refusal::Other {
            sqlstate: code.code().to_owned(),
            message,
        }
    }
}

/// An error and what caused it, without saying the same words twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
