//! An installation that is stopped, killed and left alone on the way, and comes to its end all the same.

use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;

use super::tally::Tally;
use crate::product::Site;
use crate::runner::Runner;

/// How long it may take until the next steps are done.
const PROGRESS: Duration = Duration::from_mins(4);
/// How long an attached run may take to its end.
const REST: Duration = Duration::from_mins(12);

/// Interrupts an installation three times and lets it come to its end. Gives whether it did.
pub(crate) fn run(site: &Site, runner: &Runner<'_>, tally: &Tally<'_>) -> bool {
    let interrupted = Interrupted { site, runner };
    tally.check(
        "Ctrl-C stops an apply behind the steps that have begun",
        interrupted.stopped(),
    );
    let moved = runner.run("moved-plan", site.command(&["apply", "plan.json", "--yes"]));
    tally.check(
        "the saved plan of a stopped apply is refused: the world moved",
        moved.and_then(|ran| ran.expect(2)?.says("plan::moved").map(drop)),
    );
    tally.check(
        "an engine that is killed is told, and may be resumed",
        interrupted.engine_killed(),
    );
    let finished = interrupted.connection_lost();
    tally.check(
        "a run outlives the operator's program, locks others out, and `attach` follows it to its end",
        finished,
    )
}

struct Interrupted<'a> {
    site: &'a Site,
    runner: &'a Runner<'a>,
}

/// Steps that ended well, in a stream of events.
fn done(events: &str) -> usize {
    let ended = events
        .lines()
        .filter(|line| line.contains(r#""event":"step-finished""#));
    ended.filter(|line| line.contains(r#""outcome":"done""#)).count()
}

impl Interrupted<'_> {
    fn stopped(&self) -> anyhow::Result<()> {
        let command = self.site.command(&["-o", "json", "apply", "plan.json", "--yes"]);
        let mut running = self.runner.begin("apply-stopped", command)?;
        running.until(PROGRESS, |events| done(events) >= 5)?;
        running.signal(Signal::INT)?;
        let ran = self.runner.end(running)?;
        ran.expect(3)?;
        ran.says(r#""outcome":"stopped""#).map(drop)
    }

    fn engine_killed(&self) -> anyhow::Result<()> {
        let command = self.site.command(&["-o", "json", "apply", "--yes"]);
        let mut running = self.runner.begin("apply-killed", command)?;
        running.until(PROGRESS, |events| done(events) >= 15)?;
        let run = self.last_run()?;
        self.site.on_host(&format!(
            "systemctl kill --signal=KILL --kill-whom=all openg2p-run-{run}.service"
        ))?;
        let ran = self.runner.end(running)?;
        ran.expect(3)?;
        ran.says("run::lost").map(drop)
    }

    fn connection_lost(&self) -> anyhow::Result<()> {
        let command = self.site.command(&["-o", "json", "apply", "--yes"]);
        let mut running = self.runner.begin("apply-left", command)?;
        running.until(PROGRESS, |events| done(events) >= 5)?;
        running.signal(Signal::KILL)?;
        let ran = self.runner.end(running)?;
        ensure!(ran.code.is_none(), "it ended by itself before it was killed");
        let run = self.last_run()?;
        self.second_apply(&run)?;
        let attach = self.site.command(&["-o", "json", "attach", &run]);
        let mut attached = self.runner.begin("attach", attach)?;
        attached.until(REST, |events| events.contains(r#""event":"run-finished""#))?;
        let ran = self.runner.end(attached)?;
        ran.expect(0)?;
        ran.says(r#""outcome":"done""#).map(drop)
    }

    /// Another operator is told who is at work, and how to watch it.
    fn second_apply(&self, run: &str) -> anyhow::Result<()> {
        let ran = self
            .runner
            .run("second-apply-meanwhile", self.site.command(&["apply", "--yes"]))?;
        ran.expect(2)?;
        ran.says("run::locked")?;
        ran.says(&format!("openg2p attach {run}")).map(drop)
    }

    /// The newest run on the host.
    fn last_run(&self) -> anyhow::Result<String> {
        let runs = self
            .site
            .on_host("ls /var/lib/openg2p/state/runs | sort | tail -n 1")?;
        let run = runs.trim();
        ensure!(!run.is_empty(), "the host knows of no run");
        Ok(run.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_that_ended_well_count() {
        let events = concat!(
            r#"{"sequence":1,"time":1.0,"event":"step-started","step":0}"#,
            "\n",
            r#"{"sequence":2,"time":1.0,"event":"step-finished","step":0,"outcome":"done"}"#,
            "\n",
            r#"{"sequence":3,"time":1.0,"event":"step-finished","step":1,"outcome":"skipped"}"#,
            "\n",
        );
        assert_eq!(done(events), 1);
    }
}
