//! What the server's catalogue says about a role and a database. Reads only.

use tokio_postgres::Client;

use crate::error::InitError;
use crate::name::Name;

/// Version from which membership has the separate options SET and INHERIT, and CREATEROLE reaches only own roles.
const SPLIT_MEMBERSHIP: i32 = 160_000;

/// Facts about a role.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // they are the catalogue's own columns
pub(crate) struct Role {
    pub(crate) superuser: bool,
    pub(crate) login: bool,
    pub(crate) createdb: bool,
    pub(crate) createrole: bool,
    pub(crate) replication: bool,
    pub(crate) bypassrls: bool,
    pub(crate) password_expired: bool,
    pub(crate) connection_limit: i32,
    pub(crate) comment: Option<String>,
    /// Whether the session's role can act as this role.
    pub(crate) within_reach: bool,
    /// Roles whose rights this role has.
    pub(crate) member_of: Vec<String>,
}

/// Facts about a database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) owner: String,
    pub(crate) encoding: String,
    pub(crate) open: bool,
    pub(crate) comment: Option<String>,
    pub(crate) public_rights: bool,
    /// Roles other than the owner that were granted CONNECT.
    pub(crate) guests: Vec<String>,
}

/// Whether the server has PostgreSQL 16's rules of membership.
pub(crate) async fn has_split_membership(client: &Client) -> Result<bool, InitError> {
    let row = client
        .query_one("select current_setting('server_version_num')::int", &[])
        .await
        .map_err(|why| InitError::statement("reading the server's version", &why))?;
    Ok(row.get::<_, i32>(0) >= SPLIT_MEMBERSHIP)
}

/// Reads a role.
pub(crate) async fn role(client: &Client, name: &Name, split: bool) -> Result<Option<Role>, InitError> {
    let reach = if split {
        "pg_has_role(r.oid, 'USAGE') and pg_has_role(r.oid, 'SET')"
    } else {
        "pg_has_role(r.oid, 'USAGE') and pg_has_role(r.oid, 'MEMBER')"
    };
    let query = format!(
        "select r.rolsuper, r.rolcanlogin, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
                coalesce(r.rolvaliduntil <= now(), false), r.rolconnlimit, shobj_description(r.oid, 'pg_authid'),
                {reach},
                array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
                      where m.member = r.oid order by 1)
         from pg_roles r where r.rolname = $1"
    );
    let row = client
        .query_opt(&query, &[&name.as_str()])
        .await
        .map_err(|why| InitError::statement(format!("reading role {name}"), &why))?;
    Ok(row.map(|row| Role {
        superuser: row.get(0),
        login: row.get(1),
        createdb: row.get(2),
        createrole: row.get(3),
        replication: row.get(4),
        bypassrls: row.get(5),
        password_expired: row.get(6),
        connection_limit: row.get(7),
        comment: row.get(8),
        within_reach: row.get(9),
        member_of: row.get(10),
    }))
}

/// Reads a database.
pub(crate) async fn database(client: &Client, name: &Name) -> Result<Option<Database>, InitError> {
    let row = client
        .query_opt(
            "select pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text, d.datallowconn,
                    shobj_description(d.oid, 'pg_database'),
                    exists (select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                            where a.grantee = 0 and a.privilege_type in ('CONNECT', 'TEMPORARY')),
                    array(select pg_get_userbyid(a.grantee)::text
                          from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                          where a.grantee not in (0, d.datdba) and a.privilege_type = 'CONNECT' order by 1)
             from pg_database d where d.datname = $1",
            &[&name.as_str()],
        )
        .await
        .map_err(|why| InitError::statement(format!("reading database {name}"), &why))?;
    Ok(row.map(|row| Database {
        owner: row.get(0),
        encoding: row.get(1),
        open: row.get(2),
        comment: row.get(3),
        public_rights: row.get(4),
        guests: row.get(5),
    }))
}

/// Sessions on a database other than the one that asks.
pub(crate) async fn sessions(client: &Client, name: &Name) -> Result<Vec<String>, InitError> {
    let rows = client
        .query(
            "select coalesce(usename::text, '?') || ' (pid ' || pid || ')' from pg_stat_activity
             where datname = $1 and pid <> pg_backend_pid() order by backend_start, pid",
            &[&name.as_str()],
        )
        .await
        .map_err(|why| InitError::statement(format!("reading the sessions of {name}"), &why))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What, outside of `except`, depends on a role: databases that it owns and databases in which it owns or may use
/// something.
pub(crate) async fn uses_elsewhere(
    client: &Client,
    role: &Name,
    except: &Name,
) -> Result<Vec<String>, InitError> {
    let rows = client
        .query(
            "select distinct case
                 when s.dbid <> 0 then 'something in database ' || quote_ident(coalesce(d.datname, '?'))
                 when s.classid = 'pg_database'::regclass then
                     case s.deptype when 'o' then 'database ' else 'rights on database ' end
                     || quote_ident(coalesce(o.datname, '?'))
                 when s.classid = 'pg_tablespace'::regclass then 'a tablespace'
                 else 'an object shared by all databases' end
             from pg_shdepend s
             join pg_roles r on r.oid = s.refobjid and s.refclassid = 'pg_authid'::regclass
             left join pg_database d on d.oid = s.dbid
             left join pg_database o on o.oid = s.objid and s.classid = 'pg_database'::regclass
             where r.rolname = $1
               and s.classid <> 'pg_auth_members'::regclass
               and coalesce(d.datname, o.datname, '') <> $2
             order by 1",
            &[&role.as_str(), &except.as_str()],
        )
        .await
        .map_err(|why| InitError::statement(format!("reading what depends on role {role}"), &why))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
