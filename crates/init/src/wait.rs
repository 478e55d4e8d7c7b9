//! Holds a program back until it can log in on its own database and, if asked, until a table is there.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;

use crate::arguments::Wait;
use crate::credential::{Credential, read_secret};
use crate::deadline::Deadline;
use crate::error::InitError;
use crate::name::Table;
use crate::session::{Limits, Place, login_until};
use openg2p_json_log::Log;

const LOOK_AGAIN: Duration = Duration::from_millis(500);
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// Waits, and says for what.
pub(crate) async fn run(wanted: &Wait, log: &Log) -> Result<(), InitError> {
    let deadline = Deadline::begin(wanted.server.deadline);
    let credential = Credential {
        username: wanted.username.as_str().to_owned(),
        password: read_secret("password of the module's role", &wanted.password_file)?,
    };
    let place = Place {
        host: wanted.server.host.clone(),
        port: wanted.server.port,
        database: wanted.database.as_str().to_owned(),
        username: credential.username.clone(),
    };
    let limits = Limits {
        statement: Some(Duration::from_secs(5)),
        lock: None,
    };
    let mut told: Option<(String, Instant)> = None;
    loop {
        let session = login_until(
            &place,
            &credential,
            limits,
            deadline,
            wanted.server.refused_deadline,
            log,
        )
        .await?;
        loop {
            let missing = match first_missing(&session.client, &wanted.table).await {
                Ok(None) => {
                    let tables = match wanted.table.len() {
                        0 => String::new(),
                        count => format!(" and {count} table(s) are there"),
                    };
                    log.info(
                        "ready",
                        &format!(
                            "a login as {} on {} works{tables}",
                            wanted.username, wanted.database
                        ),
                        &[("took", &format!("{:.2?}", deadline.elapsed()))],
                    );
                    return Ok(());
                }
                Ok(Some(missing)) => missing,
                Err(why) if deadline.left().is_zero() => return Err(why),
                Err(why) => {
                    // The server went away under us: that is one more thing to wait for.
                    log.info(
                        "waiting",
                        &format!("{why}; logging in again"),
                        &[("reason", why.code())],
                    );
                    tokio::time::sleep(deadline.at_most(LOOK_AGAIN)).await;
                    break;
                }
            };
            if deadline.left().is_zero() {
                return Err(InitError::TableMissing {
                    table: missing,
                    place: Box::new(place),
                    waited: deadline.elapsed(),
                    deadline: deadline.whole(),
                });
            }
            if told
                .as_ref()
                .is_none_or(|(table, when)| *table != missing || when.elapsed() >= REPORT_AGAIN)
            {
                log.info(
                    "waiting",
                    &format!("waiting for table {missing} in database {}", wanted.database),
                    &[
                        ("reason", "init::table-missing"),
                        ("left", &format!("{:.0?}", deadline.left())),
                    ],
                );
                told = Some((missing, Instant::now()));
            }
            tokio::time::sleep(deadline.at_most(LOOK_AGAIN)).await;
        }
    }
}

async fn first_missing(client: &Client, tables: &[Table]) -> Result<Option<String>, InitError> {
    for wanted in tables {
        let row = client
            .query_one(
                "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f'))",
                &[&wanted.schema.as_str(), &wanted.table.as_str()],
            )
            .await
            .map_err(|why| InitError::statement(format!("looking for table {wanted}"), &why))?;
        if !row.get::<_, bool>(0) {
            return Ok(Some(wanted.to_string()));
        }
    }
    Ok(None)
}
