//! Arguments and environment. Names may stand there; secrets never do, only the files that hold them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::deadline::parse_span;
use crate::name::{self, Name, Owner, Table};

/// Make a module's database and role, take them away, or wait until a login works
///
/// Every argument can come from the environment variable shown beside it. Passwords come from files only.
/// Output is one JSON object per line. Exit codes: 0 done or nothing to do, 1 bad input, 2 refused (not ours),
/// 3 failed and can be run again, 4 needs a person.
#[derive(Debug, Parser)]
#[command(name = "openg2p-init", version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the database and its role, or check that both are as they should be
    Provision(Provision),
    /// Drop the database and its role if both bear this owner's mark
    Remove(Remove),
    /// Wait until a login on the module's own database works
    Wait(Wait),
}

/// Where the server is and how long to try.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Host name or address of PostgreSQL
    #[arg(long, env = "OPENG2P_INIT_HOST")]
    pub(crate) host: String,
    /// Port of PostgreSQL
    #[arg(long, env = "OPENG2P_INIT_PORT", default_value_t = 5432, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// End of all waiting
    #[arg(long, env = "OPENG2P_INIT_DEADLINE", default_value = "120s", value_parser = parse_span)]
    pub(crate) deadline: Duration,
    /// How long a refusal that only a person can mend is tried again
    ///
    /// A wrong password, a login that is not allowed, a database that the role may not enter, something that is no PostgreSQL: they
    /// may be a role that is being made at this moment, and after this time without any other answer they are not.
    #[arg(long, env = "OPENG2P_INIT_REFUSED_DEADLINE", default_value = "20s", value_parser = parse_span)]
    pub(crate) refused_deadline: Duration,
}

/// The role that makes databases and roles.
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names)] // the field is the argument's name, and there it must say whose file it is
pub(crate) struct Provisioner {
    /// File with the name of the role that may create databases and roles
    #[arg(long, env = "OPENG2P_INIT_PROVISIONER_USERNAME_FILE", value_name = "FILE")]
    pub(crate) provisioner_username_file: PathBuf,
    /// File with that role's password
    #[arg(long, env = "OPENG2P_INIT_PROVISIONER_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) provisioner_password_file: PathBuf,
    /// Database on which that role logs in
    #[arg(
        long,
        env = "OPENG2P_INIT_MAINTENANCE_DATABASE",
        default_value = "postgres",
        value_name = "NAME"
    )]
    pub(crate) maintenance_database: Name,
    /// Longest time of one statement
    #[arg(long, env = "OPENG2P_INIT_STATEMENT_TIMEOUT", default_value = "30s", value_parser = parse_span, value_name = "SPAN")]
    pub(crate) statement_timeout: Duration,
    /// Longest wait of one statement for another's lock
    #[arg(long, env = "OPENG2P_INIT_LOCK_TIMEOUT", default_value = "10s", value_parser = parse_span, value_name = "SPAN")]
    pub(crate) lock_timeout: Duration,
}

/// Arguments of `provision`.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) provisioner: Provisioner,
    /// Database to make
    #[arg(long, env = "OPENG2P_INIT_DATABASE", value_parser = name::module_database, value_name = "NAME")]
    pub(crate) database: Name,
    /// Role to make, owner of the database
    #[arg(long, env = "OPENG2P_INIT_USERNAME", value_parser = name::module_role, value_name = "NAME")]
    pub(crate) username: Name,
    /// File with the password that the role shall have
    #[arg(long, env = "OPENG2P_INIT_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    /// Word that marks database and role as this owner's
    #[arg(long, env = "OPENG2P_INIT_OWNER")]
    pub(crate) owner: Owner,
    /// Trusted extensions to create in the database, separated by commas
    #[arg(
        long,
        env = "OPENG2P_INIT_EXTENSIONS",
        value_delimiter = ',',
        value_name = "NAME,.."
    )]
    pub(crate) extensions: Vec<String>,
}

/// Arguments of `remove`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) provisioner: Provisioner,
    /// Database to drop
    #[arg(long, env = "OPENG2P_INIT_DATABASE", value_parser = name::module_database, value_name = "NAME")]
    pub(crate) database: Name,
    /// Role to drop
    #[arg(long, env = "OPENG2P_INIT_USERNAME", value_parser = name::module_role, value_name = "NAME")]
    pub(crate) username: Name,
    /// Word that marks database and role as this owner's
    #[arg(long, env = "OPENG2P_INIT_OWNER")]
    pub(crate) owner: Owner,
    /// End sessions that are open on the database instead of refusing
    #[arg(long)]
    pub(crate) terminate_sessions: bool,
}

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Database to log in on
    #[arg(long, env = "OPENG2P_INIT_DATABASE", value_name = "NAME")]
    pub(crate) database: Name,
    /// Role to log in as
    #[arg(long, env = "OPENG2P_INIT_USERNAME", value_name = "NAME")]
    pub(crate) username: Name,
    /// File with the role's password
    #[arg(long, env = "OPENG2P_INIT_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    /// Table that must exist as well; can be repeated or separated by commas
    #[arg(
        long,
        env = "OPENG2P_INIT_TABLE",
        value_delimiter = ',',
        value_name = "[SCHEMA.]TABLE"
    )]
    pub(crate) table: Vec<Table>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
