//! Every way a run can end badly: what failed, where, why, and what to do.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::session::{Place, Refusal};
use openg2p_json_log::Log;

/// A failed or refused run.
#[derive(Debug, Error)]
pub(crate) enum InitError {
    #[error("the file with the {what}, {}, cannot be used: {why}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        why: String,
    },

    #[error("no login as {:?} on database {:?} at {}: {refusal}; tried for {waited:.1?} of {deadline:?}", place.username, place.database, place.address())]
    Login {
        place: Box<Place>,
        refusal: Refusal,
        waited: Duration,
        deadline: Duration,
    },

    #[error("table {table} is not in database {:?} at {}; waited {waited:.1?} of {deadline:?}", place.database, place.address())]
    TableMissing {
        table: String,
        place: Box<Place>,
        waited: Duration,
        deadline: Duration,
    },

    #[error("{role:?} is a superuser; databases and roles are made by a role that may do only that")]
    ProvisionerTooPowerful { role: String },

    #[error("{role:?} lacks {missing}, so it cannot make databases and roles")]
    ProvisionerLacksRights { role: String, missing: String },

    #[error("{role:?} was given both as the role to make and as the role that makes it")]
    ProvisionerIsTheRole { role: String },

    #[error("role {role:?} exists already and bears no mark, so somebody else made it")]
    ForeignRole { role: String },

    #[error("role {role:?} belongs to owner {other:?}, not to {owner:?}")]
    RoleOfAnother {
        role: String,
        other: String,
        owner: String,
    },

    #[error("role {role:?} has {attributes}; a module's role must not")]
    RoleTooPowerful { role: String, attributes: String },

    #[error("database {database:?} exists already and belongs to role {found:?}, not to {role:?}")]
    DatabaseOfAnotherRole {
        database: String,
        found: String,
        role: String,
    },

    #[error("database {database:?} exists already and bears no mark, so somebody else made it")]
    ForeignDatabase { database: String },

    #[error("database {database:?} belongs to owner {other:?}, not to {owner:?}")]
    DatabaseOfAnother {
        database: String,
        other: String,
        owner: String,
    },

    #[error("database {database:?} is in encoding {found}, but modules need UTF8")]
    WrongEncoding { database: String, found: String },

    #[error("database {database:?} is marked as ours but somebody closed it (ALLOW_CONNECTIONS false)")]
    DatabaseClosed { database: String },

    #[error("another run has held the lock {lock:#x} for longer than the deadline of {deadline:?}")]
    LockTaken { lock: i64, deadline: Duration },

    #[error("database {database:?} has {count} open session(s): {sessions}")]
    SessionsOpen {
        database: String,
        count: usize,
        sessions: String,
    },

    #[error("role {role:?} still owns or may use other things: {what}")]
    RoleStillUsed { role: String, what: String },

    #[error("extension {extension:?} could not be created in database {database:?}: {why}")]
    Extension {
        extension: String,
        database: String,
        why: String,
    },

    #[error("{what} failed{}: {message}", sqlstate.as_deref().map(|s| format!(" with SQLSTATE {s}")).unwrap_or_default())]
    Statement {
        what: String,
        sqlstate: Option<String>,
        message: String,
    },

    #[error("a statement did not end within the deadline of {deadline:?}")]
    Deadline { deadline: Duration },

    #[error("the run was ended from outside: {what}")]
    Interrupted { what: String },

    #[error("everything was done, and yet {what}")]
    NotProven { what: String },
}

impl InitError {
    /// A stable word for scripts and for searching.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "init::unusable-file",
            Self::Login { refusal, .. } => refusal.code(),
            Self::TableMissing { .. } => "init::table-missing",
            Self::ProvisionerTooPowerful { .. } => "init::provisioner-too-powerful",
            Self::ProvisionerLacksRights { .. } => "init::provisioner-lacks-rights",
            Self::ProvisionerIsTheRole { .. } => "init::provisioner-is-the-role",
            Self::ForeignRole { .. } => "init::foreign-role",
            Self::RoleOfAnother { .. } => "init::role-of-another",
            Self::RoleTooPowerful { .. } => "init::role-too-powerful",
            Self::DatabaseOfAnotherRole { .. } => "init::database-of-another-role",
            Self::ForeignDatabase { .. } => "init::foreign-database",
            Self::DatabaseOfAnother { .. } => "init::database-of-another",
            Self::WrongEncoding { .. } => "init::wrong-encoding",
            Self::DatabaseClosed { .. } => "init::database-closed",
            Self::LockTaken { .. } => "init::lock-taken",
            Self::SessionsOpen { .. } => "init::sessions-open",
            Self::RoleStillUsed { .. } => "init::role-still-used",
            Self::Extension { .. } => "init::extension",
            Self::Statement { .. } => "init::statement",
            Self::Deadline { .. } => "init::deadline",
            Self::Interrupted { .. } => "init::interrupted",
            Self::NotProven { .. } => "init::not-proven",
        }
    }

    /// 1 bad input, 2 refused because it is not ours, 3 failed and can be run again, 4 needs a person.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::ProvisionerIsTheRole { .. } => 1,
            Self::ForeignRole { .. }
            | Self::RoleOfAnother { .. }
            | Self::RoleTooPowerful { .. }
            | Self::DatabaseOfAnotherRole { .. }
            | Self::ForeignDatabase { .. }
            | Self::DatabaseOfAnother { .. }
            | Self::WrongEncoding { .. }
            | Self::SessionsOpen { .. }
            | Self::RoleStillUsed { .. } => 2,
            Self::Login { refusal, .. } => refusal.exit_code(),
            Self::TableMissing { .. }
            | Self::LockTaken { .. }
            | Self::Statement { .. }
            | Self::Deadline { .. }
            | Self::Interrupted { .. } => 3,
            Self::ProvisionerTooPowerful { .. }
            | Self::ProvisionerLacksRights { .. }
            | Self::DatabaseClosed { .. }
            | Self::Extension { .. }
            | Self::NotProven { .. } => 4,
        }
    }

    /// What a person can do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::File { .. } => {
                "mount the Secret so that this file holds exactly one value and this user can read it".into()
            }
            Self::Login { refusal, .. } => refusal.remedy().into(),
            Self::TableMissing { .. } => {
                "look at the migration of this module: it makes the table, and it has not done so yet".into()
            }
            Self::ProvisionerTooPowerful { role } => format!(
                "give a role with LOGIN CREATEDB CREATEROLE instead of {role:?}; the superuser stays on the server's own socket"
            ),
            Self::ProvisionerLacksRights { role, missing } => {
                format!("as a superuser: ALTER ROLE with {missing} on {role:?}")
            }
            Self::ProvisionerIsTheRole { .. } => "name the module's own role in --username".into(),
            Self::ForeignRole { role } | Self::RoleOfAnother { role, .. } => {
                format!("choose another role name, or, if {role:?} is a leftover, let its owner drop it")
            }
            Self::RoleTooPowerful { role, attributes } => {
                format!("as a superuser, find out who gave {role:?} the right and take it back: {attributes}")
            }
            Self::DatabaseOfAnotherRole { database, .. }
            | Self::ForeignDatabase { database }
            | Self::DatabaseOfAnother { database, .. } => {
                format!(
                    "choose another database name, or, if {database:?} is a leftover, let its owner drop it"
                )
            }
            Self::WrongEncoding { database, .. } => {
                format!(
                    "dump {database:?}, drop it, and let it be made again; this program never converts data"
                )
            }
            Self::DatabaseClosed { database } => {
                format!(
                    "find out who closed {database:?} and why; then ALTER DATABASE .. ALLOW_CONNECTIONS true"
                )
            }
            Self::LockTaken { .. } => {
                "look in pg_locks (locktype advisory) for the run that holds it; run again when it has ended"
                    .into()
            }
            Self::SessionsOpen { .. } => {
                "stop the module first, or add --terminate-sessions to end its sessions".into()
            }
            Self::RoleStillUsed { role, .. } => {
                format!(
                    "nothing was dropped; give what is listed to another role (REASSIGN OWNED BY {role:?}) or drop it"
                )
            }
            Self::Extension { extension, .. } => format!(
                "only trusted extensions can be created by a module's own role; let a superuser create {extension:?}, or install its files on the server"
            ),
            Self::Statement { .. } => {
                "read the server's log at this time; the run can be repeated, it goes on where it stopped"
                    .into()
            }
            Self::Deadline { .. } => {
                "look at the load of the server and at its locks; the run can be repeated".into()
            }
            Self::Interrupted { .. } => "run it again: it goes on where it stopped".into(),
            Self::NotProven { .. } => "look who else changes this server's roles and databases".into(),
        }
    }

    /// A statement that the server refused or that got no answer.
    pub(crate) fn statement(what: impl Into<String>, why: &tokio_postgres::Error) -> Self {
        let (sqlstate, message) = match why.as_db_error() {
            Some(db) => {
                let detail = db.detail().map(|d| format!(" ({d})")).unwrap_or_default();
                (
                    Some(db.code().code().to_owned()),
                    format!("{}{detail}", db.message()),
                )
            }
            None => (None, crate::session::chain(why)),
        };
        Self::Statement {
            what: what.into(),
            sqlstate,
            message,
        }
    }
}

/// Logs every refusal and ends with the first.
pub(crate) fn refuse_all(mut refusals: Vec<InitError>, log: &Log) -> Result<(), InitError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let first = refusals.remove(0);
    for other in refusals {
        log.error(other.code(), &other.to_string(), &other.remedy());
    }
    Err(first)
}
