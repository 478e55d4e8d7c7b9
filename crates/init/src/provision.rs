//! Makes a database and its role, or finds that both are as they should be.
//!
//! Order and atomicity: the role is made and marked in one transaction. The database is made *closed* (no
//! connections), then, in one transaction, taken from PUBLIC, marked and opened. So nobody ever connects to a database
//! that is not yet protected, and a run that was killed in between leaves something only this program leaves: a closed,
//! unmarked database that belongs to the role marked as ours. The next run goes on from there.

use tokio_postgres::Client;

use crate::arguments::Provision;
use crate::catalogue::{self, Database, Role};
use crate::credential::{Credential, read_secret};
use crate::deadline::Deadline;
use crate::error::{InitError, refuse_all};
use crate::mark::{self, judge_database, judge_role};
use crate::name::{Name, literal};
use crate::provisioner::{enter, statement};
use crate::session::{Limits, Place, Refusal, login, login_until};
use openg2p_json_log::Log;

/// Makes what is missing and says what it did.
pub(crate) async fn run(wanted: &Provision, log: &Log) -> Result<(), InitError> {
    let deadline = Deadline::begin(wanted.server.deadline);
    let password = read_secret("password of the module's role", &wanted.password_file)?;
    let module = Credential {
        username: wanted.username.as_str().to_owned(),
        password,
    };
    let session = enter(
        &wanted.server,
        &wanted.provisioner,
        &wanted.username,
        deadline,
        log,
    )
    .await?;
    let client = &session.client;
    let mut changes = Changes { log, count: 0 };

    let split = catalogue::has_split_membership(client).await?;
    let role = catalogue::role(client, &wanted.username, split).await?;
    let database = catalogue::database(client, &wanted.database).await?;
    refuse_all(judge(wanted, role.as_ref(), database.as_ref()), log)?;

    let role_is_new = role.is_none();
    match &role {
        None => create_role(client, wanted, &module, &mut changes).await?,
        Some(role) => correct_role(client, wanted, role, log, &mut changes).await?,
    }
    if !catalogue::role(client, &wanted.username, split)
        .await?
        .is_some_and(|role| role.within_reach)
    {
        reach_role(client, &wanted.username, split, &mut changes).await?;
    }
    if !role_is_new {
        correct_password(client, wanted, &module, role.as_ref(), deadline, &mut changes).await?;
    }

    match &database {
        None => {
            create_database(client, wanted, &mut changes).await?;
            open_database(client, wanted, &mut changes).await?;
        }
        Some(found) if is_half_made(found, wanted) => open_database(client, wanted, &mut changes).await?,
        Some(found) => correct_database(client, wanted, found, log, &mut changes).await?,
    }

    prove(wanted, &module, deadline, log, &mut changes).await?;
    let (event, message) = match changes.count {
        0 => (
            "unchanged",
            format!(
                "nothing to do: database {} and role {}",
                wanted.database, wanted.username
            ),
        ),
        count => (
            "provisioned",
            format!(
                "database {} and role {} are ready, {count} change(s)",
                wanted.database, wanted.username
            ),
        ),
    };
    log.info(
        event,
        &format!("{message}; a login works"),
        &[("took", &format!("{:.2?}", deadline.elapsed()))],
    );
    Ok(())
}

/// Counts and tells what is changed.
struct Changes<'a> {
    log: &'a Log,
    count: usize,
}

impl Changes<'_> {
    fn did(&mut self, what: &str) {
        self.count += 1;
        self.log.info("changed", what, &[]);
    }
}

/// Everything that forbids to touch what is there, all at once, before any effect.
fn judge(wanted: &Provision, role: Option<&Role>, database: Option<&Database>) -> Vec<InitError> {
    let mut refusals = Vec::new();
    if let Some(role) = role {
        let name = || wanted.username.as_str().to_owned();
        if let Some(refusal) = judge_role(&wanted.username, role, &wanted.owner) {
            refusals.push(refusal);
        }
        let attributes: Vec<&str> = [
            (role.superuser, "SUPERUSER"),
            (role.replication, "REPLICATION"),
            (role.bypassrls, "BYPASSRLS"),
        ]
        .iter()
        .filter_map(|(has, attribute)| has.then_some(*attribute))
        .collect();
        if !attributes.is_empty() {
            refusals.push(InitError::RoleTooPowerful {
                role: name(),
                attributes: attributes.join(" "),
            });
        }
    }
    if let Some(found) = database {
        let name = || wanted.database.as_str().to_owned();
        if found.owner != wanted.username.as_str() {
            refusals.push(InitError::DatabaseOfAnotherRole {
                database: name(),
                found: found.owner.clone(),
                role: wanted.username.as_str().to_owned(),
            });
        } else if !is_half_made(found, wanted) {
            if let Some(refusal) = judge_database(&wanted.database, found, &wanted.owner) {
                refusals.push(refusal);
            } else if !found.open {
                refusals.push(InitError::DatabaseClosed { database: name() });
            }
        }
        if found.encoding != "UTF8" {
            refusals.push(InitError::WrongEncoding {
                database: name(),
                found: found.encoding.clone(),
            });
        }
    }
    refusals
}

/// Made by a run that was killed before it could mark: closed, no comment, and (judged elsewhere) of our own role.
fn is_half_made(found: &Database, wanted: &Provision) -> bool {
    !found.open && found.comment.is_none() && found.owner == wanted.username.as_str()
}

async fn create_role(
    client: &Client,
    wanted: &Provision,
    module: &Credential,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let role = wanted.username.identifier();
    let sql = format!(
        "BEGIN;
         CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {};
         COMMENT ON ROLE {role} IS {};
         COMMIT",
        literal(&verifier(module)),
        literal(&mark::comment(&wanted.owner))
    );
    statement(client, &format!("creating role {}", wanted.username), &sql).await?;
    changes.did(&format!("created role {}", wanted.username));
    Ok(())
}

/// The clear password stays here: the server gets a SCRAM verifier with a salt made for it.
fn verifier(module: &Credential) -> String {
    postgres_protocol::password::scram_sha_256(module.password.reveal().as_bytes())
}

async fn correct_role(
    client: &Client,
    wanted: &Provision,
    role: &Role,
    log: &Log,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let attributes: Vec<&str> = [
        (!role.login, "LOGIN"),
        (role.createdb, "NOCREATEDB"),
        (role.createrole, "NOCREATEROLE"),
        (role.connection_limit == 0, "CONNECTION LIMIT -1"),
    ]
    .iter()
    .filter_map(|(wrong, attribute)| wrong.then_some(*attribute))
    .collect();
    if !attributes.is_empty() {
        let attributes = attributes.join(" ");
        let sql = format!("ALTER ROLE {} {attributes}", wanted.username.identifier());
        statement(client, &format!("correcting role {}", wanted.username), &sql).await?;
        changes.did(&format!("set {attributes} on role {}", wanted.username));
    }
    if !role.member_of.is_empty() {
        log.warning(
            "role-has-more-rights",
            &format!(
                "role {} also has the rights of {}",
                wanted.username,
                role.member_of.join(", ")
            ),
            &[("remedy", "if nobody meant this, revoke the membership")],
        );
    }
    Ok(())
}

/// Lets the provisioner act as the module's role, which creating a database for it needs.
async fn reach_role(
    client: &Client,
    role: &Name,
    split: bool,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let options = if split { " WITH INHERIT TRUE, SET TRUE" } else { "" };
    let sql = format!("GRANT {} TO CURRENT_USER{options}", role.identifier());
    statement(client, &format!("granting role {role} to the provisioner"), &sql).await?;
    changes.did(&format!("granted role {role} to the provisioner"));
    Ok(())
}

/// A role that exists keeps its password if a login with the wanted one works, so that a second run changes nothing.
async fn correct_password(
    client: &Client,
    wanted: &Provision,
    module: &Credential,
    role: Option<&Role>,
    deadline: Deadline,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let expired = role.is_some_and(|role| role.password_expired);
    if !expired {
        let place = module_place(wanted);
        match login(&place, module, Limits::default(), deadline.left()).await {
            Err(Refusal::WrongPassword) => {}
            // It works; or the answer says nothing about it, and the proof at the end tells whether it matters.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
    let until = if expired { " VALID UNTIL 'infinity'" } else { "" };
    let sql = format!(
        "ALTER ROLE {} PASSWORD {}{until}",
        wanted.username.identifier(),
        literal(&verifier(module))
    );
    statement(
        client,
        &format!("setting the password of role {}", wanted.username),
        &sql,
    )
    .await?;
    changes.did(&format!(
        "set the password of role {}: it was another one or had expired",
        wanted.username
    ));
    Ok(())
}

async fn create_database(
    client: &Client,
    wanted: &Provision,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    // template0: nobody can be connected to it, which would make CREATE DATABASE fail, and nobody has changed it.
    let sql = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false",
        wanted.database.identifier(),
        wanted.username.identifier()
    );
    statement(client, &format!("creating database {}", wanted.database), &sql).await?;
    changes.did(&format!("created database {}", wanted.database));
    Ok(())
}

async fn open_database(
    client: &Client,
    wanted: &Provision,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let database = wanted.database.identifier();
    let sql = format!(
        "BEGIN;
         REVOKE ALL ON DATABASE {database} FROM PUBLIC;
         COMMENT ON DATABASE {database} IS {};
         ALTER DATABASE {database} ALLOW_CONNECTIONS true;
         COMMIT",
        literal(&mark::comment(&wanted.owner))
    );
    statement(
        client,
        &format!("protecting, marking and opening database {}", wanted.database),
        &sql,
    )
    .await?;
    changes.did(&format!(
        "protected, marked and opened database {}",
        wanted.database
    ));
    Ok(())
}

async fn correct_database(
    client: &Client,
    wanted: &Provision,
    found: &Database,
    log: &Log,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    if found.public_rights {
        let sql = format!(
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            wanted.database.identifier()
        );
        statement(
            client,
            &format!("taking database {} from PUBLIC", wanted.database),
            &sql,
        )
        .await?;
        changes.did(&format!("took database {} from PUBLIC", wanted.database));
    }
    if !found.guests.is_empty() {
        log.warning(
            "database-has-guests",
            &format!(
                "roles other than the owner may connect to {}: {}",
                wanted.database,
                found.guests.join(", ")
            ),
            &[("remedy", "if nobody meant this, revoke CONNECT from them")],
        );
    }
    Ok(())
}

/// Logs in as the module does. What belongs inside the database is done by its owner, not by the provisioner.
async fn prove(
    wanted: &Provision,
    module: &Credential,
    deadline: Deadline,
    log: &Log,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let limits = Limits {
        statement: Some(wanted.provisioner.statement_timeout),
        lock: Some(wanted.provisioner.lock_timeout),
    };
    let refused = wanted.server.refused_deadline;
    let session = login_until(&module_place(wanted), module, limits, deadline, refused, log).await?;
    let client = &session.client;
    if public_may_create(client).await? {
        let what = format!(
            "taking CREATE on schema public of {} from PUBLIC",
            wanted.database
        );
        statement(client, &what, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await?;
        changes.did(&what);
    }
    for extension in wanted.extensions.iter().filter(|name| !name.is_empty()) {
        create_extension(client, wanted, extension, changes).await?;
    }
    let row = client
        .query_one(
            "select current_user = $1 and current_database() = $2 and session_user = $1
                    and (select datdba = (select oid from pg_roles where rolname = $1)
                         from pg_database where datname = $2)",
            &[&wanted.username.as_str(), &wanted.database.as_str()],
        )
        .await
        .map_err(|why| InitError::statement("checking the module's own login", &why))?;
    if !row.get::<_, bool>(0) {
        return Err(InitError::NotProven {
            what: format!(
                "a login as {} on {} is not its owner's",
                wanted.username, wanted.database
            ),
        });
    }
    if public_may_create(client).await? {
        return Err(InitError::NotProven {
            what: format!("PUBLIC may still create in schema public of {}", wanted.database),
        });
    }
    Ok(())
}

async fn public_may_create(client: &Client) -> Result<bool, InitError> {
    let row = client
        .query_one(
            "select exists (select from pg_namespace n,
                                   aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
                            where n.nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE')",
            &[],
        )
        .await
        .map_err(|why| InitError::statement("reading the rights on schema public", &why))?;
    Ok(row.get(0))
}

async fn create_extension(
    client: &Client,
    wanted: &Provision,
    extension: &str,
    changes: &mut Changes<'_>,
) -> Result<(), InitError> {
    let wrong = |why: String| InitError::Extension {
        extension: extension.to_owned(),
        database: wanted.database.as_str().to_owned(),
        why,
    };
    let name: Name = extension.parse().map_err(wrong)?;
    let row = client
        .query_one(
            "select exists (select from pg_extension where extname = $1)",
            &[&name.as_str()],
        )
        .await
        .map_err(|why| InitError::statement("reading the extensions", &why))?;
    if row.get(0) {
        return Ok(());
    }
    client
        .batch_execute(&format!("CREATE EXTENSION {}", name.identifier()))
        .await
        .map_err(|why| {
            wrong(
                why.as_db_error()
                    .map_or_else(|| crate::session::chain(&why), |db| db.message().to_owned()),
            )
        })?;
    changes.did(&format!(
        "created extension {name} in database {}",
        wanted.database
    ));
    Ok(())
}

fn module_place(wanted: &Provision) -> Place {
    Place {
        host: wanted.server.host.clone(),
        port: wanted.server.port,
        database: wanted.database.as_str().to_owned(),
        username: wanted.username.as_str().to_owned(),
    }
}
