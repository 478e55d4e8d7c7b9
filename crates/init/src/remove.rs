//! Drops a database and its role, if and only if this owner made them.

use std::time::{Duration, Instant};

use crate::arguments::Remove;
use crate::catalogue::{self, Database};
use crate::deadline::Deadline;
use crate::error::{InitError, refuse_all};
use crate::mark::{judge_database, judge_role};
use crate::name::Name;
use crate::provisioner::{enter, statement};
use openg2p_json_log::Log;
use tokio_postgres::Client;

/// How long a session may take to end whose program has ended already; `DROP DATABASE` itself waits as long (`CountOtherDBBackends`).
const ENDING: Duration = Duration::from_secs(5);
/// How often it is looked for.
const AGAIN: Duration = Duration::from_millis(100);

/// Drops what is ours and says so; what is already gone is no error.
pub(crate) async fn run(wanted: &Remove, log: &Log) -> Result<(), InitError> {
    let deadline = Deadline::begin(wanted.server.deadline);
    let session = enter(
        &wanted.server,
        &wanted.provisioner,
        &wanted.username,
        deadline,
        log,
    )
    .await?;
    let client = &session.client;
    let split = catalogue::has_split_membership(client).await?;
    let role = catalogue::role(client, &wanted.username, split).await?;
    let database = catalogue::database(client, &wanted.database).await?;

    let mut refusals = Vec::new();
    let role_is_ours = match &role {
        Some(found) => match judge_role(&wanted.username, found, &wanted.owner) {
            Some(refusal) => {
                refusals.push(refusal);
                false
            }
            None => true,
        },
        None => false,
    };
    if let Some(found) = &database {
        // A run of `provision` that was killed leaves a closed database of our own role, not marked yet.
        let half_made = role_is_ours && is_half_made(found, wanted);
        if !half_made && let Some(refusal) = judge_database(&wanted.database, found, &wanted.owner) {
            refusals.push(refusal);
        }
        if found.owner != wanted.username.as_str() {
            refusals.push(InitError::DatabaseOfAnotherRole {
                database: wanted.database.as_str().to_owned(),
                found: found.owner.clone(),
                role: wanted.username.as_str().to_owned(),
            });
        }
        let sessions = if wanted.terminate_sessions {
            Vec::new()
        } else {
            lasting_sessions(client, &wanted.database, deadline).await?
        };
        if !sessions.is_empty() {
            refusals.push(InitError::SessionsOpen {
                database: wanted.database.as_str().to_owned(),
                count: sessions.len(),
                sessions: shown(&sessions),
            });
        }
    }
    if role.is_some() {
        // Before the database goes, so that a role which cannot be dropped keeps its database.
        let uses = catalogue::uses_elsewhere(client, &wanted.username, &wanted.database).await?;
        if !uses.is_empty() {
            refusals.push(InitError::RoleStillUsed {
                role: wanted.username.as_str().to_owned(),
                what: shown(&uses),
            });
        }
    }
    refuse_all(refusals, log)?;

    let mut changes = 0;
    if database.is_some() {
        let force = if wanted.terminate_sessions {
            " WITH (FORCE)"
        } else {
            ""
        };
        let sql = format!("DROP DATABASE {}{force}", wanted.database.identifier());
        statement(client, &format!("dropping database {}", wanted.database), &sql).await?;
        log.info("changed", &format!("dropped database {}", wanted.database), &[]);
        changes += 1;
    }
    if role.is_some() {
        let sql = format!("DROP ROLE {}", wanted.username.identifier());
        statement(client, &format!("dropping role {}", wanted.username), &sql).await?;
        log.info("changed", &format!("dropped role {}", wanted.username), &[]);
        changes += 1;
    }
    let left = [
        catalogue::database(client, &wanted.database)
            .await?
            .map(|_| format!("database {} is still there", wanted.database)),
        catalogue::role(client, &wanted.username, split)
            .await?
            .map(|_| format!("role {} is still there", wanted.username)),
    ];
    // with the role all its grants are gone: PostgreSQL drops no role that is named in one
    if let Some(what) = left.into_iter().flatten().next() {
        return Err(InitError::NotProven { what });
    }
    let took = format!("{:.2?}", deadline.elapsed());
    if changes == 0 {
        let message = format!(
            "nothing to do: neither database {} nor role {}",
            wanted.database, wanted.username
        );
        log.info("unchanged", &message, &[("took", &took)]);
    } else {
        let message = format!(
            "database {} and role {} are gone",
            wanted.database, wanted.username
        );
        log.info("removed", &message, &[("took", &took)]);
    }
    Ok(())
}

/// The sessions on a database, without those that are about to end: a server notices late that a program is gone.
async fn lasting_sessions(
    client: &Client,
    database: &Name,
    deadline: Deadline,
) -> Result<Vec<String>, InitError> {
    let start = Instant::now();
    loop {
        let sessions = catalogue::sessions(client, database).await?;
        if sessions.is_empty() || start.elapsed() > ENDING {
            return Ok(sessions);
        }
        tokio::time::sleep(deadline.at_most(AGAIN)).await;
    }
}

fn is_half_made(found: &Database, wanted: &Remove) -> bool {
    !found.open && found.comment.is_none() && found.owner == wanted.username.as_str()
}

/// The first few of a list that can be long.
fn shown(all: &[String]) -> String {
    const FIRST: usize = 5;
    let first = all.iter().take(FIRST).cloned().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(FIRST) {
        None | Some(0) => first,
        Some(more) => format!("{first} and {more} more"),
    }
}
