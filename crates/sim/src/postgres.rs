//! A PostgreSQL server's shared catalogue by the rules of version 15: who may make, change, use and drop roles and databases, and what
//! stands in the way. A test plays the same statements to a real server and compares every answer.
//!
//! Not modelled: what is in databases (but for whether a role owns something there), tablespaces, templates, settings, and the rule of
//! version 16 that CREATEROLE reaches a role's own creations only.

use std::collections::{BTreeMap, BTreeSet};

/// What a server keeps of a name (`NAMEDATALEN` - 1); the rest is dropped silently.
const LONGEST_NAME: usize = 63;

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the catalogue's own columns"
)]
pub struct Role {
    /// May do everything.
    pub superuser: bool,
    /// May log in.
    pub login: bool,
    /// May make databases.
    pub create_database: bool,
    /// May make, change and drop roles that are no superusers.
    pub create_role: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Roles whose rights it has.
    pub member_of: BTreeSet<String>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Who owns it.
    pub owner: String,
    /// Whether it takes connections.
    pub open: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Whether everybody may connect.
    pub public: bool,
    /// Roles that were granted CONNECT by name.
    pub guests: BTreeSet<String>,
    /// Roles that own something in it.
    pub holders: BTreeSet<String>,
    /// Names of roles with an open session, one for each session.
    pub sessions: Vec<String>,
}

/// A statement, or a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `CREATE ROLE`.
    CreateRole {
        /// Its name.
        name: String,
        /// `LOGIN`.
        login: bool,
        /// `CREATEDB`.
        create_database: bool,
        /// `CREATEROLE`.
        create_role: bool,
    },
    /// `DROP ROLE`.
    DropRole(String),
    /// `COMMENT ON ROLE`.
    CommentRole(String, String),
    /// `GRANT role TO role`.
    GrantRole(String, String),
    /// `CREATE DATABASE … OWNER … TEMPLATE template0 ALLOW_CONNECTIONS …`.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Its owner.
        owner: String,
        /// Whether it takes connections from the beginning.
        open: bool,
    },
    /// `DROP DATABASE`.
    DropDatabase(String),
    /// `COMMENT ON DATABASE`.
    CommentDatabase(String, String),
    /// `ALTER DATABASE … ALLOW_CONNECTIONS`.
    Open(String, bool),
    /// `REVOKE ALL ON DATABASE … FROM PUBLIC`.
    RevokePublic(String),
    /// `GRANT CONNECT ON DATABASE … TO`.
    Admit(String, String),
    /// `REVOKE CONNECT ON DATABASE … FROM`.
    Dismiss(String, String),
    /// `CREATE TABLE IF NOT EXISTS` in the schema `public` of the session's database.
    MakeTable(String),
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Statement {
    /// As it is sent to a server.
    pub fn sql(&self) -> String {
        let not = |has: bool, word: &str| format!("{}{word}", if has { "" } else { "NO" });
        match self {
            Self::CreateRole {
                name,
                login,
                create_database,
                create_role,
            } => format!(
                "CREATE ROLE {} {} {} {}",
                identifier(name),
                not(*login, "LOGIN"),
                not(*create_database, "CREATEDB"),
                not(*create_role, "CREATEROLE")
            ),
            Self::DropRole(name) => format!("DROP ROLE {}", identifier(name)),
            Self::CommentRole(name, text) => {
                format!("COMMENT ON ROLE {} IS {}", identifier(name), literal(text))
            }
            Self::GrantRole(role, to) => format!("GRANT {} TO {}", identifier(role), identifier(to)),
            Self::CreateDatabase { name, owner, open } => format!(
                "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS {open}",
                identifier(name),
                identifier(owner)
            ),
            Self::DropDatabase(name) => format!("DROP DATABASE {}", identifier(name)),
            Self::CommentDatabase(name, text) => {
                format!("COMMENT ON DATABASE {} IS {}", identifier(name), literal(text))
            }
            Self::Open(name, open) => {
                format!("ALTER DATABASE {} ALLOW_CONNECTIONS {open}", identifier(name))
            }
            Self::RevokePublic(name) => format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", identifier(name)),
            Self::Admit(name, role) => {
                format!(
                    "GRANT CONNECT ON DATABASE {} TO {}",
                    identifier(name),
                    identifier(role)
                )
            }
            Self::Dismiss(name, role) => {
                format!(
                    "REVOKE CONNECT ON DATABASE {} FROM {}",
                    identifier(name),
                    identifier(role)
                )
            }
            Self::MakeTable(name) => {
                format!("CREATE TABLE IF NOT EXISTS public.{} (i int)", identifier(name))
            }
        }
    }
}

/// Why the server does not do it: SQLSTATE.
pub type SqlState = &'static str;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
}

impl Default for Postgres {
    fn default() -> Self {
        let superuser = Role {
            superuser: true,
            login: true,
            create_database: true,
            create_role: true,
            ..Role::default()
        };
        let own = Database {
            owner: "postgres".into(),
            open: true,
            comment: Some("default administrative connection database".into()),
            public: true,
            guests: BTreeSet::new(),
            holders: BTreeSet::new(),
            sessions: Vec::new(),
        };
        Self {
            roles: BTreeMap::from([("postgres".to_owned(), superuser)]),
            databases: BTreeMap::from([("postgres".to_owned(), own)]),
        }
    }
}

fn cut(name: &str) -> String {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

impl Postgres {
    fn role(&self, name: &str) -> Result<&Role, SqlState> {
        self.roles.get(&cut(name)).ok_or("42704")
    }

    fn is_superuser(&self, who: &str) -> bool {
        self.roles.get(who).is_some_and(|role| role.superuser)
    }

    fn may_make_roles(&self, who: &str) -> bool {
        self.roles
            .get(who)
            .is_some_and(|role| role.superuser || role.create_role)
    }

    /// Whether `who` has the rights of `role`: by being it, by membership over any number of steps, or as superuser.
    fn has_rights_of(&self, who: &str, role: &str) -> bool {
        self.is_superuser(who) || self.is_member(who, role)
    }

    fn is_member(&self, who: &str, role: &str) -> bool {
        let mut open = vec![who];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if at == role {
                return true;
            }
            if seen.insert(at)
                && let Some(known) = self.roles.get(at)
            {
                open.extend(known.member_of.iter().map(String::as_str));
            }
        }
        false
    }

    fn owned(&self, who: &str, name: &str) -> Result<(), SqlState> {
        let database = self.databases.get(name).ok_or("3D000")?;
        if self.has_rights_of(who, &database.owner) {
            Ok(())
        } else {
            Err("42501")
        }
    }

    fn has_any_right(&self, who: &str, database: &Database) -> bool {
        database.public || database.guests.iter().any(|guest| self.has_rights_of(who, guest))
    }

    /// Whether `who` may open a session on `database`.
    pub fn connect(&self, who: &str, database: &str) -> Result<(), SqlState> {
        let role = self.roles.get(&cut(who)).ok_or("28000")?;
        if !role.login {
            return Err("28000");
        }
        let found = self.databases.get(&cut(database)).ok_or("3D000")?;
        if !found.open {
            return Err("55000");
        }
        let admitted = self.has_rights_of(&cut(who), &found.owner) || self.has_any_right(&cut(who), found);
        if admitted { Ok(()) } else { Err("42501") }
    }

    /// Runs a statement as `who` in a session on `at`.
    pub fn execute(&mut self, who: &str, at: &str, statement: &Statement) -> Result<(), SqlState> {
        match statement {
            Statement::CreateRole {
                name,
                login,
                create_database,
                create_role,
            } => {
                if !self.may_make_roles(who) {
                    return Err("42501");
                }
                let name = cut(name);
                if name.starts_with("pg_") || matches!(name.as_str(), "public" | "none") {
                    return Err("42939");
                }
                if self.roles.contains_key(&name) {
                    return Err("42710");
                }
                let role = Role {
                    login: *login,
                    create_database: *create_database,
                    create_role: *create_role,
                    ..Role::default()
                };
                self.roles.insert(name, role);
            }
            Statement::DropRole(name) => self.drop_role(who, &cut(name))?,
            Statement::CommentRole(name, text) => {
                let role = self.role(name)?;
                let allowed = if role.superuser {
                    self.is_superuser(who)
                } else {
                    self.may_make_roles(who)
                };
                if !allowed {
                    return Err("42501");
                }
                if let Some(role) = self.roles.get_mut(&cut(name)) {
                    role.comment = Some(text.clone()).filter(|text| !text.is_empty());
                }
            }
            Statement::GrantRole(role, to) => self.grant_role(who, &cut(role), &cut(to))?,
            Statement::CreateDatabase { name, owner, open } => {
                self.create_database(who, &cut(name), &cut(owner), *open)?;
            }
            Statement::DropDatabase(name) => {
                let name = cut(name);
                self.owned(who, &name)?;
                let busy = self
                    .databases
                    .get(&name)
                    .is_some_and(|database| !database.sessions.is_empty());
                if name == at || busy {
                    return Err("55006");
                }
                self.databases.remove(&name);
            }
            Statement::CommentDatabase(name, text) => {
                let name = cut(name);
                if self.databases.contains_key(&name) {
                    self.owned(who, &name)?;
                }
                // a database that is not there is only warned about
                if let Some(database) = self.databases.get_mut(&name) {
                    database.comment = Some(text.clone()).filter(|text| !text.is_empty());
                }
            }
            Statement::Open(name, open) => {
                let name = cut(name);
                self.owned(who, &name)?;
                if !open && name == at {
                    return Err("22023");
                }
                if let Some(database) = self.databases.get_mut(&name) {
                    database.open = *open;
                }
            }
            Statement::RevokePublic(name) => self.rights(who, name, None, |database| {
                database.public = false;
            })?,
            Statement::Admit(name, role) => self.rights(who, name, Some(role), |database| {
                database.guests.insert(cut(role));
            })?,
            Statement::Dismiss(name, role) => self.rights(who, name, Some(role), |database| {
                database.guests.remove(&cut(role));
            })?,
            Statement::MakeTable(_) => {
                let database = self.databases.get(at).ok_or("3D000")?;
                // the schema `public` belongs to the database's owner and to nobody else
                if !self.has_rights_of(who, &database.owner) {
                    return Err("42501");
                }
                if let Some(database) = self.databases.get_mut(at) {
                    database.holders.insert(who.to_owned());
                }
            }
        }
        Ok(())
    }

    fn drop_role(&mut self, who: &str, name: &str) -> Result<(), SqlState> {
        if !self.may_make_roles(who) {
            return Err("42501");
        }
        let role = self.role(name)?;
        if name == who {
            return Err("55006");
        }
        if role.superuser && !self.is_superuser(who) {
            return Err("42501");
        }
        let used = self.databases.values().any(|database| {
            database.owner == name || database.guests.contains(name) || database.holders.contains(name)
        });
        if used {
            return Err("2BP01");
        }
        self.roles.remove(name);
        for role in self.roles.values_mut() {
            role.member_of.remove(name);
        }
        Ok(())
    }

    fn grant_role(&mut self, who: &str, role: &str, to: &str) -> Result<(), SqlState> {
        self.role(to)?;
        let granted = self.role(role)?;
        let allowed = if granted.superuser {
            self.is_superuser(who)
        } else {
            // a role has no say over itself
            self.may_make_roles(who)
        };
        if !allowed {
            return Err("42501");
        }
        if self.is_member(role, to) {
            return Err("0LP01");
        }
        if let Some(member) = self.roles.get_mut(to) {
            member.member_of.insert(role.to_owned());
        }
        Ok(())
    }

    fn create_database(&mut self, who: &str, name: &str, owner: &str, open: bool) -> Result<(), SqlState> {
        self.role(owner)?;
        let may = self
            .roles
            .get(who)
            .is_some_and(|role| role.superuser || role.create_database);
        if !may || !self.has_rights_of(who, owner) {
            return Err("42501");
        }
        if self.databases.contains_key(name) || matches!(name, "template0" | "template1") {
            return Err("42P04");
        }
        let database = Database {
            owner: owner.into(),
            open,
            comment: None,
            public: true,
            guests: BTreeSet::new(),
            holders: BTreeSet::new(),
            sessions: Vec::new(),
        };
        self.databases.insert(name.into(), database);
        Ok(())
    }

    /// Grants and revokes on a database. Who is not its owner but has some right on it is only warned.
    fn rights(
        &mut self,
        who: &str,
        name: &str,
        role: Option<&str>,
        change: impl FnOnce(&mut Database),
    ) -> Result<(), SqlState> {
        let name = cut(name);
        let database = self.databases.get(&name).ok_or("3D000")?;
        if let Some(role) = role {
            self.role(role)?;
        }
        if !self.has_rights_of(who, &database.owner) {
            return if self.has_any_right(who, database) {
                Ok(())
            } else {
                Err("42501")
            };
        }
        if let Some(database) = self.databases.get_mut(&name) {
            change(database);
        }
        Ok(())
    }
}
