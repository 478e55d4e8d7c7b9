//! The provisioner's session: a login with exactly the rights that are needed, and one run at a time.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::arguments::{Provisioner, Server};
use crate::catalogue::{self, Role};
use crate::credential::{Credential, read_secret, read_value};
use crate::deadline::Deadline;
use crate::error::InitError;
use crate::name::Name;
use crate::session::{Limits, Place, Session, login_until};
use openg2p_json_log::Log;

/// All runs on one server take turns: roles and databases are shared by the whole server, and so is this number.
/// ("openg2pi" in ASCII.)
const LOCK: i64 = 0x6f70_656e_6732_7069;

/// Logs in as the provisioner, checks that it has the rights it needs and no more, and takes the lock.
pub(crate) async fn enter(
    server: &Server,
    provisioner: &Provisioner,
    module_role: &Name,
    deadline: Deadline,
    log: &Log,
) -> Result<Session, InitError> {
    let credential = Credential {
        username: read_value("name of the provisioner", &provisioner.provisioner_username_file)?,
        password: read_secret(
            "password of the provisioner",
            &provisioner.provisioner_password_file,
        )?,
    };
    if credential.username == module_role.as_str() {
        return Err(InitError::ProvisionerIsTheRole {
            role: credential.username,
        });
    }
    let place = Place {
        host: server.host.clone(),
        port: server.port,
        database: provisioner.maintenance_database.as_str().to_owned(),
        username: credential.username.clone(),
    };
    let limits = Limits {
        statement: Some(provisioner.statement_timeout),
        lock: Some(provisioner.lock_timeout),
    };
    let session = login_until(
        &place,
        &credential,
        limits,
        deadline,
        server.refused_deadline,
        log,
    )
    .await?;
    let client = &session.client;
    let split = catalogue::has_split_membership(client).await?;
    if let Some(role) = catalogue::role(client, &name_of(&credential.username)?, split).await? {
        check_provisioner(&credential.username, &role)?;
    }
    if split {
        // Only what this session creates: the server's own setting may be empty.
        statement(
            client,
            "setting createrole_self_grant",
            "SET createrole_self_grant = 'set, inherit'",
        )
        .await?;
    }
    take_lock(client, provisioner, deadline, log).await?;
    Ok(session)
}

fn name_of(text: &str) -> Result<Name, InitError> {
    text.parse().map_err(|why: String| InitError::File {
        what: "name of the provisioner",
        path: "(its content)".into(),
        why,
    })
}

fn check_provisioner(name: &str, role: &Role) -> Result<(), InitError> {
    if role.superuser {
        return Err(InitError::ProvisionerTooPowerful {
            role: name.to_owned(),
        });
    }
    let missing: Vec<&str> = [(role.createdb, "CREATEDB"), (role.createrole, "CREATEROLE")]
        .iter()
        .filter_map(|(has, right)| (!has).then_some(*right))
        .collect();
    if !missing.is_empty() {
        return Err(InitError::ProvisionerLacksRights {
            role: name.to_owned(),
            missing: missing.join(" "),
        });
    }
    Ok(())
}

/// Waits for the lock until the deadline. The lock belongs to the session and goes with it, also when this process is
/// killed.
async fn take_lock(
    client: &Client,
    provisioner: &Provisioner,
    deadline: Deadline,
    log: &Log,
) -> Result<(), InitError> {
    let failed = |why: &tokio_postgres::Error| InitError::statement("taking the lock of openg2p-init", why);
    let row = client
        .query_one("select pg_try_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(|why| failed(&why))?;
    if row.get(0) {
        return Ok(());
    }
    log.info("waiting", "waiting for another run on this server to end", &[]);
    let left = deadline.left().as_millis().max(1);
    let wait = format!("SET statement_timeout = 0; SET lock_timeout = {left}");
    statement(client, "setting the time to wait for the lock", &wait).await?;
    if let Err(why) = client.query_one("select pg_advisory_lock($1)", &[&LOCK]).await {
        if why.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            return Err(InitError::LockTaken {
                lock: LOCK,
                deadline: deadline.whole(),
            });
        }
        return Err(failed(&why));
    }
    let normal = format!(
        "SET statement_timeout = {}; SET lock_timeout = {}",
        provisioner.statement_timeout.as_millis(),
        provisioner.lock_timeout.as_millis()
    );
    statement(client, "setting the limits again", &normal).await
}

/// Runs statements that return nothing.
pub(crate) async fn statement(client: &Client, what: &str, sql: &str) -> Result<(), InitError> {
    client
        .batch_execute(sql)
        .await
        .map_err(|why| InitError::statement(what, &why))
}
