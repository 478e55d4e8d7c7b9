//! Pods that cannot start in an environment that runs: each is told with its reason and its last words, soon, and the environment is whole
//! again with the next apply.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::tally::Tally;
use crate::product::Site;
use crate::runner::{Ran, Runner};

/// How soon it must be told, with the run before it: a third start of a crashing program comes after half a minute by itself.
const SOON: Duration = Duration::from_secs(90);

/// Causes each trouble, looks at what is told, and takes it away.
pub(crate) fn run(
    site: &Site,
    runner: &Runner<'_>,
    tally: &Tally<'_>,
    environment: &str,
) -> anyhow::Result<()> {
    let trouble = Trouble {
        site,
        runner,
        tally,
        environment,
    };
    trouble.database_refused()?;
    trouble.crash_loop();
    let again = runner.run("apply-heals", site.command(&["apply", "--yes"]));
    tally.check(
        "apply of the good site file heals",
        again.and_then(|ran| ran.expect(0).map(drop)),
    );
    let whole = runner.run("status-healed", site.command(&["status"]));
    tally.check(
        "status after it is well",
        whole.and_then(|ran| ran.expect(0).map(drop)),
    );
    Ok(())
}

struct Trouble<'a> {
    site: &'a Site,
    runner: &'a Runner<'a>,
    tally: &'a Tally<'a>,
    environment: &'a str,
}

impl Trouble<'_> {
    /// Somebody closes SPAR's database, and SPAR is changed.
    fn database_refused(&self) -> anyhow::Result<()> {
        let (site, environment) = (self.site, self.environment);
        let pod = site.postgresql(environment)?;
        // the database has the name of its role
        let database = site.database_role(environment, "spar")?;
        let allow = |word: &str| {
            site.kubectl(&format!(
                "exec --namespace {environment} {pod} -- psql --quiet --username postgres --dbname postgres --command 'alter database \"{database}\" allow_connections {word}'"
            ))
        };
        allow("false").context("closing SPAR's database")?;
        let ran = self.apply_changed(
            "spar: {}",
            "spar: {postgres-init: {backoffLimit: 2}}",
            "database-refused",
        );
        let opened = allow("true").context("opening SPAR's database");
        self.told(
            "a database that refuses",
            ran,
            &[
                "kubernetes::stuck",
                &format!("{environment}/spar-postgres-init"),
                "closed it",
            ],
        );
        opened.map(drop)
    }

    /// A program that the kernel ends as often as it starts.
    fn crash_loop(&self) {
        let little = "g2p-bridge: {workers: {resources: {requests: {memory: 8Mi}, limits: {memory: 16Mi}}}}";
        let ran = self.apply_changed("g2p-bridge: {}", little, "crash-loop");
        self.told(
            "a pod that crashes again and again",
            ran,
            &[
                "kubernetes::stuck",
                &format!("{}/g2p-bridge-workers", self.environment),
                "137",
            ],
        );
    }

    fn apply_changed(&self, old: &str, new: &str, name: &str) -> anyhow::Result<Ran> {
        let text = fs::read_to_string(self.site.directory.join("site.yaml"))?;
        let changed = text.replace(old, new);
        ensure!(changed != text, "the site file has no `{old}`");
        let file = format!("{name}.yaml");
        fs::write(self.site.directory.join(&file), changed)?;
        self.runner
            .run(name, self.site.command(&["-f", &file, "apply", "--yes"]))
    }

    fn told(&self, what: &str, ran: anyhow::Result<Ran>, words: &[&str]) {
        let took = ran.as_ref().map(|ran| ran.took).unwrap_or_default();
        self.tally
            .check(&format!("{what}: exit code 3, named with its reason"), {
                ran.and_then(|ran| {
                    ran.expect(3)?;
                    words.iter().try_for_each(|word| ran.says(word).map(drop))
                })
            });
        self.tally.check(&format!("{what}: told soon"), {
            (took < SOON)
                .then_some(())
                .with_context(|| format!("it took {:.0} s", took.as_secs_f64()))
        });
    }
}
