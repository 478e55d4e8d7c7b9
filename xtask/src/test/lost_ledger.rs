//! The host loses its ledger and the cluster its copy; the one that a person kept is put back. All checks behind this one go on from it.

use super::tally::Tally;
use crate::product::Site;
use crate::runner::Runner;

const FILE: &str = "kept-ledger.gz";

/// Saves the ledger, loses it everywhere else, and puts it back.
pub(crate) fn run(site: &Site, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let saved = runner.run("ledger-save", site.command(&["ledger", "save", FILE]))?;
    tally.check("the ledger is saved", saved.expect(0).map(drop));
    let restore = || runner.run("ledger-restore", site.command(&["ledger", "restore", FILE]));
    let refused = restore()?;
    tally.check("a ledger is not put back over one that can be read", {
        refused
            .expect(2)
            .and_then(|ran| ran.says("ledger::not-lost"))
            .map(drop)
    });
    site.on_host("rm -r /var/lib/openg2p/state/ledger")?;
    site.kubectl("delete secrets --namespace kube-system --selector openg2p.org/ledger-copy")?;
    let lost = runner.run("plan-without-ledger", site.command(&["plan"]))?;
    tally.check("without any record nothing of the site counts as ours", {
        lost.expect(2)
            .and_then(|ran| ran.says("host::foreign-kubernetes"))
            .map(drop)
    });
    tally.check("the kept ledger is put back", restore()?.expect(0).map(drop));
    let plan = runner.run("plan-from-kept-ledger", site.command(&["plan"]))?;
    tally.check("the site is as the kept ledger says", {
        plan.expect(0)
            .and_then(|ran| ran.says("the copy that was put back is used"))
            .and_then(|ran| ran.says("Nothing to do"))
            .map(drop)
    });
    Ok(())
}
