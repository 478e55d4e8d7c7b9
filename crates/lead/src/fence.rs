//! Who holds the place of the engine, for people, and for a run that lost its lock without noticing ([`openg2p_run::fence`]).

use std::path::Path;

use openg2p_ports::PortError;
use openg2p_run::fence::{self, Holder};
use openg2p_world::StateDirectory;

/// Takes the fence for a run that `by` started; the caller holds the lock. Refuses while the process of the holder before lives: then the
/// lock is free only because its file was removed. Gives the holder before, whose process is gone.
pub(crate) async fn enter(state: &Path, run: &str, by: &str) -> Result<Option<Holder>, PortError> {
    let storage = StateDirectory::new(state);
    // a fence that cannot be read names no process: the lock, which the caller holds, is the proof then
    let before = fence::holder(&storage)
        .await
        .unwrap_or_default()
        .filter(|holder| holder.run != run);
    if let Some(holder) = before.as_ref().filter(|holder| lives(holder)) {
        return Err(PortError::new(
            "run::locked",
            "start a run",
            state.join("fence").display().to_string(),
            format!("its place is held by {}", words(holder)),
        )
        .hint(format!(
            "wait until that run ends, or watch it: `openg2p attach {}`",
            holder.run
        )));
    }
    let process = std::process::id();
    let holder = Holder {
        run: run.into(),
        by: by.into(),
        since: crate::engine::now(),
        process,
        started: started(process).unwrap_or_default(),
        boot: boot(),
    };
    fence::take(&storage, &holder).await?;
    Ok(before)
}

fn words(holder: &Holder) -> String {
    let since = openg2p_world::timestamp(holder.since);
    format!(
        "run {} of {}, since {since} (process {})",
        holder.run, holder.by, holder.process
    )
}

/// Id of this start of the machine; empty where it cannot be read, which equals no other.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// When a process began, in ticks since the machine started: field 22 of its `stat`. The name in field 2 may hold anything, so
/// fields are counted behind its last bracket.
fn started(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    behind.split_whitespace().nth(19)?.parse().ok()
}

/// Whether the very process that took the fence is still there; another one of the same id is not.
fn lives(holder: &Holder) -> bool {
    let mine = holder.process == std::process::id();
    !mine && holder.boot == boot() && started(holder.process) == Some(holder.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    }

    #[test]
    fn the_holder_before_is_named_when_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            block_on(enter(directory.path(), "r1", "asha from 192.0.2.7")).unwrap(),
            None
        );
        let before = block_on(enter(directory.path(), "r2", "ben")).unwrap().unwrap();
        assert_eq!(
            (before.run.as_str(), before.by.as_str()),
            ("r1", "asha from 192.0.2.7")
        );
    }

    /// A process of our own that holds nothing, and the fence in its name.
    fn stranger(directory: &Path, change: impl Fn(&mut Holder)) -> std::process::Child {
        let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut holder = Holder {
            run: "r1".into(),
            by: "asha".into(),
            since: 1_800_000_000,
            process: child.id(),
            started: started(child.id()).unwrap(),
            boot: boot(),
        };
        change(&mut holder);
        block_on(fence::take(&StateDirectory::new(directory), &holder)).unwrap();
        child
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_not_taken_while_its_process_lives() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = stranger(directory.path(), |_| {});
        let Err(error) = block_on(enter(directory.path(), "r2", "ben")) else {
            panic!("taken from a living process")
        };
        assert_eq!(error.code, "run::locked");
        child.kill().unwrap();
        child.wait().unwrap();
        let before = block_on(enter(directory.path(), "r2", "ben")).unwrap();
        assert_eq!(before.unwrap().run, "r1");
    }

    #[test]
    fn another_process_of_the_same_id_and_another_start_of_the_machine_prove_that_it_is_gone() {
        for change in [
            (|holder: &mut Holder| holder.started += 1) as fn(&mut Holder),
            |holder| holder.boot = "another".into(),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let mut child = stranger(directory.path(), change);
            assert!(block_on(enter(directory.path(), "r2", "ben")).is_ok());
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
