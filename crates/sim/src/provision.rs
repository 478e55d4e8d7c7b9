//! What the Jobs of openg2p-init do to the PostgreSQL server of an environment: make a database with its role, or drop both.
//!
//! A server is there as long as a volume of its StatefulSet is. The program's own rules (marks, order, refusals) are written here once more,
//! over the server's rules in [`crate::Postgres`]; the program itself is tested on real servers.

use openg2p_ports::ObjectRef;
use serde_json::Value;

use crate::postgres::{Postgres, Role, Statement};
use crate::things::Things;

const CONTAINER: &str = "postgres-init";
const PROVISIONER: &str = "openg2p_provisioner";
const MAINTENANCE: &str = "postgres";

/// What such a Job wants.
struct Wanted<'a> {
    verb: &'a str,
    server: String,
    database: &'a str,
    role: &'a str,
    mark: String,
}

fn wanted<'a>(place: &ObjectRef, job: &'a Value) -> Option<Wanted<'a>> {
    let container = &job.pointer("/spec/template/spec/containers/0")?;
    if container["name"] != CONTAINER {
        return None;
    }
    let arguments = container["args"].as_array()?;
    let argument = |name: &str| {
        let mut texts = arguments.iter().filter_map(Value::as_str);
        texts.find_map(|text| text.strip_prefix(name)?.strip_prefix('='))
    };
    let host = argument("--host")?;
    // a short name is of the pod's own namespace
    let own = place.namespace.as_deref().unwrap_or_default();
    let (name, namespace) = host.split_once('.').unwrap_or((host, own));
    Some(Wanted {
        verb: arguments.first()?.as_str()?,
        server: format!("{namespace}/{name}"),
        database: argument("--database")?,
        role: argument("--username")?,
        mark: format!("openg2p.org/owner={}", argument("--owner")?),
    })
}

fn made() -> Postgres {
    let mut server = Postgres::default();
    let provisioner = Role {
        login: true,
        create_database: true,
        create_role: true,
        ..Role::default()
    };
    server.roles.insert(PROVISIONER.into(), provisioner);
    server
}

fn sql(server: &mut Postgres, statement: &Statement) -> Result<(), String> {
    server
        .execute(PROVISIONER, MAINTENANCE, statement)
        .map_err(|code| format!("{}: SQLSTATE {code}", statement.sql()))
}

fn provision(server: &mut Postgres, wanted: &Wanted<'_>) -> Result<(), String> {
    let (role, database) = (wanted.role.to_owned(), wanted.database.to_owned());
    match server.roles.get(&role) {
        Some(known) if known.comment.as_ref() != Some(&wanted.mark) => {
            return Err(format!("init::foreign-role: {role}"));
        }
        Some(_) => {}
        None => {
            let create = Statement::CreateRole {
                name: role.clone(),
                login: true,
                create_database: false,
                create_role: false,
            };
            sql(server, &create)?;
            sql(server, &Statement::CommentRole(role.clone(), wanted.mark.clone()))?;
        }
    }
    sql(server, &Statement::GrantRole(role.clone(), PROVISIONER.into()))?;
    let half_made = match server.databases.get(&database) {
        Some(known) if known.owner != role => {
            return Err(format!("init::database-of-another-role: {database}"));
        }
        Some(known) if known.comment.is_none() && !known.open => true,
        Some(known) if known.comment.as_ref() != Some(&wanted.mark) => {
            return Err(format!("init::foreign-database: {database}"));
        }
        Some(_) => false,
        None => {
            let create = Statement::CreateDatabase {
                name: database.clone(),
                owner: role,
                open: false,
            };
            sql(server, &create)?;
            true
        }
    };
    if half_made {
        sql(server, &Statement::RevokePublic(database.clone()))?;
        sql(
            server,
            &Statement::CommentDatabase(database.clone(), wanted.mark.clone()),
        )?;
        sql(server, &Statement::Open(database, true))?;
    }
    Ok(())
}

fn remove(server: &mut Postgres, wanted: &Wanted<'_>) -> Result<(), String> {
    let marked = |comment: Option<&String>| comment == Some(&wanted.mark);
    if server
        .roles
        .get(wanted.role)
        .is_some_and(|role| !marked(role.comment.as_ref()))
    {
        return Err(format!("init::foreign-role: {}", wanted.role));
    }
    if let Some(found) = server.databases.get_mut(wanted.database) {
        if !marked(found.comment.as_ref()) && (found.open || found.comment.is_some()) {
            return Err(format!("init::foreign-database: {}", wanted.database));
        }
        // --terminate-sessions
        found.sessions.clear();
        sql(server, &Statement::DropDatabase(wanted.database.into()))?;
    }
    if server.roles.contains_key(wanted.role) {
        sql(server, &Statement::DropRole(wanted.role.into()))?;
    }
    Ok(())
}

impl Things {
    /// Whether the program of a Job can do its work; why not, in its own words. None for other Jobs.
    pub(crate) fn database_obstacle(&self, place: &ObjectRef, job: &Value) -> Option<String> {
        let wanted = wanted(place, job)?;
        let mut server = self.servers.get(&wanted.server).cloned().unwrap_or_else(made);
        act(&mut server, &wanted).err()
    }

    /// A Job has run to its end: its work on the server is done.
    pub(crate) fn work_on_database(&mut self, place: &ObjectRef, job: &Value) {
        let Some(wanted) = wanted(place, job) else {
            return;
        };
        let server = self.servers.entry(wanted.server.clone()).or_insert_with(made);
        // it could be done, or the Job would not have come to its end
        let _ = act(server, &wanted);
    }

    /// A server's data go with the volume of its StatefulSet.
    pub(crate) fn forget_servers(&mut self) {
        let Some(objects) = &self.cluster else {
            self.servers.clear();
            return;
        };
        self.servers.retain(|server, _| {
            let (namespace, name) = server.split_once('/').unwrap_or_default();
            let own = format!("-{name}-0");
            objects.all().any(|(place, _)| {
                place.kind == "PersistentVolumeClaim"
                    && place.namespace.as_deref() == Some(namespace)
                    && place.name.ends_with(&own)
            })
        });
    }
}

fn act(server: &mut Postgres, wanted: &Wanted<'_>) -> Result<(), String> {
    match wanted.verb {
        "provision" => provision(server, wanted),
        "remove" => remove(server, wanted),
        _ => Ok(()),
    }
}
