//! What `status` says of each part, when somebody meddled.

use openg2p_run::{PartStatus, Standing, assess, judge, workloads};
use openg2p_sim::{Simulation, Things};

use crate::operator::{Wish, apply, read_ledger};
use crate::small;
use crate::whole::bare;

fn status(simulation: &Simulation, wish: &Wish) -> Vec<PartStatus> {
    let work = async {
        let ledger = read_ledger(simulation).await;
        let world = simulation.world();
        let found = match world.cluster.reachable().await {
            Ok(Some(_)) => workloads(world.cluster.as_ref(), &ledger).await,
            _ => Vec::new(),
        };
        let situation = assess(&world, wish.resources.clone(), &ledger).await;
        judge(&situation, &found)
    };
    simulation.drive(work).unwrap()
}

fn of<'a>(parts: &'a [PartStatus], owner: &str) -> &'a PartStatus {
    parts.iter().find(|part| part.owner == owner).unwrap()
}

#[test]
fn a_site_that_is_as_its_file_says_is_good() {
    let wish = small::wish(&["dev", "qa"], false);
    let simulation = bare(61);
    let before = status(&simulation, &wish);
    assert!(
        before.iter().all(|part| part.standing == Standing::Absent),
        "{before:?}"
    );
    apply(&simulation, &wish, "install").well();
    let parts = status(&simulation, &wish);
    let owners: Vec<&str> = parts.iter().map(|part| part.owner.as_str()).collect();
    assert_eq!(owners, ["site", "environment dev", "environment qa"]);
    for part in &parts {
        assert_eq!(part.standing, Standing::Good, "{part:?}");
        assert!(
            part.causes.is_empty() && part.next.is_empty() && part.resources > 5,
            "{part:?}"
        );
    }
}

type Change = fn(&mut Things);

/// What somebody did, whom it strikes, what is said of it, and the next command.
const CASES: &[(Change, &str, Standing, &str, &str)] = &[
    (
        |things| things.machine.files.put("/etc/openg2p/containerd.toml", "mine"),
        "site",
        Standing::Drifted,
        "content is",
        "openg2p plan",
    ),
    (
        |things| {
            things.machine.images.retain(|name, _| !name.contains("redis"));
        },
        "site",
        Standing::Drifted,
        "it is not there",
        "openg2p plan",
    ),
    (
        |things| {
            things.machine.files.erase("/etc/openg2p/containerd.toml");
            things.machine.files.directories("/etc/openg2p/containerd.toml");
        },
        "site",
        Standing::Refused,
        "is no regular file",
        "openg2p explain host-file//etc/openg2p/containerd.toml",
    ),
    (
        |things| things.cluster = None,
        "environment dev",
        Standing::Unknown,
        "connection refused",
        "openg2p doctor",
    ),
];

#[test]
fn every_verdict_has_its_cause_and_a_next_command() {
    let wish = small::wish(&["dev", "qa"], false);
    let simulation = bare(62);
    apply(&simulation, &wish, "install").well();
    let installed = simulation.things();
    for (change, owner, standing, cause, next) in CASES {
        let simulation = Simulation::resume(installed.clone(), simulation.bundle().clone(), 63);
        simulation.change(change);
        let parts = status(&simulation, &wish);
        let part = of(&parts, owner);
        assert_eq!(part.standing, *standing, "{part:?}");
        assert!(part.causes[0].why.contains(cause), "no `{cause}` in {part:?}");
        assert_eq!(part.next, *next, "{part:?}");
    }
    // an environment that the site file lost
    let fewer = small::wish(&["dev"], false);
    let parts = status(&simulation, &fewer);
    assert_eq!(of(&parts, "environment qa").standing, Standing::LeftOver);
    assert_eq!(of(&parts, "environment dev").standing, Standing::Good);
    assert!(of(&parts, "environment qa").causes_in_all > 5);
}
