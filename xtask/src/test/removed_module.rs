//! A module goes alone: with its database and its role, behind a last dump from which everything can be had again.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::tally::Tally;
use crate::product::Site;
use crate::runner::{Ran, Runner};

/// Nobody needs it.
const MODULE: &str = "example-bank";
/// Where the dump is restored to, for a moment.
const RESTORED: &str = "restored";
/// How long it takes where it was never done.
const GUESS: Duration = Duration::from_secs(30);

/// Removes the module of `environment`, restores its dump beside it, and looks for what is left.
pub(crate) fn run(
    site: &Site,
    runner: &Runner<'_>,
    tally: &Tally<'_>,
    environment: &str,
) -> anyhow::Result<()> {
    let pod = site.postgresql(environment)?;
    let server = Server {
        site,
        environment,
        pod: &pod,
    };
    let role = site.database_role(environment, MODULE)?;
    let databases = server.ask("select datname from pg_database where not datistemplate")?;
    let database = databases
        .lines()
        .find(|name| name.contains(MODULE))
        .with_context(|| format!("the server has no database of {MODULE}: {databases}"))?;
    let held = server.rows(database)?;
    let command = [
        "destroy",
        "--env",
        environment,
        "--module",
        MODULE,
        "--dump",
        "--confirm",
        MODULE,
    ];
    let ran = runner.step("openg2p destroy module", GUESS, || {
        runner.run("destroy-module", site.command(&command))
    })?;
    tally.check("destroy of a module with a last dump", ran.expect(0).map(drop));
    tally.check("nothing of ours is told as somebody's own", {
        (!ran.stdout.contains("somebody's own"))
            .then_some(())
            .with_context(|| ran.stdout.clone())
    });
    let dump = path_of_dump(&ran)?;
    tally.check("the dump restores to what the database held", {
        server.restored(&dump).and_then(|restored| {
            ensure!(!held.ends_with("\n0"), "the database held nothing");
            ensure!(restored == held, "before: {held}\nrestored: {restored}");
            Ok(())
        })
    });
    // they stay on purpose, also behind the site
    site.on_host("rm -r /var/backups/openg2p")?;
    tally.check("its database, its role and every grant to it are gone", {
        server.nothing_of(database, &role)
    });
    tally.check("its workloads are gone", {
        let names = site.kubectl(&format!(
            "get deployments,services,jobs,secrets --namespace {environment} -o name"
        ))?;
        let left: Vec<&str> = names.lines().filter(|name| name.contains(MODULE)).collect();
        left.is_empty()
            .then_some(())
            .with_context(|| format!("there are {left:?}"))
    });
    let status = runner.run("status-without", site.command(&["status"]))?;
    tally.check("status misses the module", {
        status.expect(3).and_then(|ran| ran.says(MODULE)).map(drop)
    });
    Ok(())
}

/// What `destroy --dump` tells on its way.
fn path_of_dump(ran: &Ran) -> anyhow::Result<String> {
    let told = format!("{}{}", ran.stdout, ran.stderr);
    let (_, behind) = told.split_once(" is kept in ").context("no dump was told")?;
    let (path, _) = behind.split_once(" on the host").context("no host was told")?;
    Ok(path.to_owned())
}

struct Server<'a> {
    site: &'a Site,
    environment: &'a str,
    pod: &'a str,
}

impl Server<'_> {
    fn inside(&self, flags: &str, command: &str, behind: &str) -> anyhow::Result<String> {
        self.site.kubectl(&format!(
            "exec {flags} --namespace {} {} -- {command} {behind}",
            self.environment, self.pod
        ))
    }

    fn ask(&self, query: &str) -> anyhow::Result<String> {
        let text = self.inside(
            "",
            &format!(
                "psql --no-align --tuples-only --username postgres --dbname postgres --command \"{query}\""
            ),
            "",
        )?;
        Ok(text.trim().to_owned())
    }

    /// The number of all rows and the digest of their contents, whatever their order.
    fn rows(&self, database: &str) -> anyhow::Result<String> {
        let text = self.inside(
            "",
            &format!("pg_dump --username postgres --data-only --inserts --dbname {database}"),
            "| grep '^INSERT' | sort | tee /run/rows | sha256sum; wc -l < /run/rows; rm /run/rows",
        )?;
        Ok(text.trim().to_owned())
    }

    fn restored(&self, dump: &str) -> anyhow::Result<String> {
        self.ask(&format!("create database {RESTORED}"))?;
        let restored = self
            .inside(
                "--stdin",
                &format!(
                    "pg_restore --username postgres --no-owner --no-acl --exit-on-error --dbname {RESTORED}"
                ),
                &format!("< '{dump}'"),
            )
            .and_then(|_| self.rows(RESTORED));
        self.ask(&format!("drop database {RESTORED}"))?;
        restored
    }

    /// A role with a grant anywhere cannot be dropped; what names a role that is gone would be in the shared dependencies or in
    /// a list of rights.
    fn nothing_of(&self, database: &str, role: &str) -> anyhow::Result<()> {
        for (what, query) in [
            (
                "databases",
                format!("select datname from pg_database where datname = '{database}'"),
            ),
            ("roles", format!("select rolname from pg_roles where rolname = '{role}'")),
            (
                "rights of nobody",
                "select refobjid from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid not in (select oid from pg_authid)"
                    .into(),
            ),
            (
                "rights on databases",
                format!("select datname from pg_database where datacl::text like '%{role}%'"),
            ),
            (
                "memberships",
                "select roleid from pg_auth_members where member not in (select oid from pg_authid) or roleid not in (select oid from pg_authid)"
                    .into(),
            ),
        ] {
            let found = self.ask(&query)?;
            ensure!(found.is_empty(), "{what}: {found}");
        }
        Ok(())
    }
}
